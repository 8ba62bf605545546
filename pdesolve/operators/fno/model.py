"""The network of the Fourier neural operator."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import GridPlaces, Places
from pdesolve.nn.positions import positions


class FourierNetwork(OperatorNetwork):
    """neuraloperator's FNO.

    modes: along each axis, both signs counted. placed: whether it is given the coordinates of the places as channels
    beside the values.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        axes: int,
        *,
        modes: int,
        width: int,
        depth: int,
        padding: float = 0.0,
        placed: bool = True,
    ) -> None:
        super().__init__()
        from neuralop.models import FNO

        make: Any = FNO  # its annotations leave out None
        self.modes, self.placed = modes, placed
        self.model = make(
            n_modes=(modes,) * axes, in_channels=inputs, out_channels=outputs, hidden_channels=width, n_layers=depth,
            positional_embedding=None, domain_padding=padding or None,
        )  # fmt: skip

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        assert isinstance(given, GridPlaces)
        if not self.placed:
            return self.model(x)
        return self.model(torch.cat([x, positions(given).expand(len(x), *[-1] * (x.ndim - 1))], 1))

    def check(self, given: Places) -> None:
        if not isinstance(given, GridPlaces):
            raise InputError("fno needs values on a grid, got points: take gino")
        for axis, size in zip(given.axes, given.shape, strict=True):
            if size < self.modes:
                raise InputError(
                    f"fno has {self.modes} modes and {axis.name} has {size} points: give finer data, or train with "
                    f"--method.modes {size} or fewer"
                )
