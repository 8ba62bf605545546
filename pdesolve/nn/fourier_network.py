"""The network of the Fourier neural operator, with dense or factorised weights."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from pdesolve.data.signature import Signature
from pdesolve.errors import InputError
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import GridPlaces, Places
from pdesolve.nn.pointwise import with_pointwise
from pdesolve.nn.positions import position_channels, with_positions
from pdesolve.nn.resampling import Layout
from pdesolve.nn.resolution import check_resolution
from pdesolve.nn.waves import Line


class FourierNetwork(OperatorNetwork):
    """neuraloperator's FNO on spectral convolutions of ours.

    inputs: channels of the values. lines: the axes of space. modes: along each axis, both signs counted. rank: fraction
    of the spectral weights that Tucker factors of them hold; None keeps them whole. placed: whether it reads the
    coordinates of the places as channels beside the values. method: its name in errors.
    """

    def __init__(
        self, inputs: int, outputs: int, lines: tuple[Line, ...], *, modes: int, width: int, depth: int,
        rank: float | None = None, placed: bool = True, method: str = "fno",
    ) -> None:  # fmt: skip
        super().__init__()
        if placed:
            inputs += position_channels(tuple(line.layout == "periodic" for line in lines))
        from pdesolve.nn.neuraloperator import quiet, without_metadata
        from pdesolve.nn.spectral import SpectralConvolution

        with quiet():
            from neuralop.models import FNO

            make: Any = FNO  # its annotations leave out None
            model = make(
                n_modes=(modes,) * len(lines), in_channels=inputs, out_channels=outputs, hidden_channels=width,
                n_layers=depth, positional_embedding=None,
                factorization=None if rank is None else "tucker", rank=1.0 if rank is None else rank,
                conv_module=partial(SpectralConvolution, lines=lines),
            )  # fmt: skip
        self.model = with_pointwise(model)
        without_metadata(self)
        self.modes, self.method, self.placed = modes, method, placed

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        assert isinstance(given, GridPlaces)
        return self.model(with_positions(x, given) if self.placed else x)

    def check(self, given: Places) -> None:
        check_resolution(given, self.modes, method=self.method)


def lines_of(signature: Signature, *, padding: float = 0.0, method: str) -> tuple[Line, ...]:
    """The lines of a signature's axes; waves on those that do not go round have a period longer by `padding`.

    Points that are listed or Chebyshev's count as even ones.

    Raises:
        InputError: points instead of a grid, a padding below zero.
    """
    if not signature.members:
        raise InputError(f"{method} needs fields on a grid, these lie at points: take gino")
    if padding < 0:
        raise InputError(f"padding is a part of an axis, such as 0.1, or 0, got {padding:g}")
    layouts: dict[str, Layout] = {"periodic": "periodic", "cells": "cells"}
    return tuple(
        Line() if member.axis.periodic else Line(layouts.get(member.placement, "nodes"), 1 + padding)
        for member in signature.members
    )
