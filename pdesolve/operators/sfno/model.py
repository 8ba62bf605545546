"""The network of the spherical Fourier neural operator."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from torch import Tensor

from pdesolve.data.signature import Signature
from pdesolve.errors import InputError
from pdesolve.nn.neuraloperator import quiet, without_metadata
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import GridPlaces, Places
from pdesolve.nn.positions import position_channels, with_positions


class SphericalNetwork(OperatorNetwork):
    """neuraloperator's SFNO, given coordinates as channels beside the values.

    inputs: channels of the values. around: which axis is that of longitudes. modes: degrees l < modes, of all orders
    |m| <= l.
    """

    def __init__(self, inputs: int, outputs: int, around: int, *, modes: int, width: int, depth: int) -> None:
        super().__init__()
        if find_spec("torch_harmonics") is None:
            raise InputError(
                "sfno needs torch-harmonics, which is not installed: pip install pdesolve-suite[spherical]"
            )
        with quiet():
            from neuralop.models.sfno import SFNO

            make: Any = SFNO  # its annotations leave out None
            self.model = make(
                n_modes=(modes, 2 * modes), in_channels=inputs + position_channels((True, False)),
                out_channels=outputs, hidden_channels=width,
                n_layers=depth, positional_embedding=None,
            )  # fmt: skip
        without_metadata(self)
        self.modes, self.around = modes, around

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        assert isinstance(given, GridPlaces)
        x = with_positions(x, given)
        # the package has latitudes first
        return self.model(x) if self.around == 1 else self.model(x.transpose(2, 3)).transpose(2, 3)

    def check(self, given: Places) -> None:
        assert isinstance(given, GridPlaces)
        size, axis = given.shape[1 - self.around], tuple(given.axes)[1 - self.around]
        around = given.shape[self.around]
        # so many latitudes are needed for exact integrals of products of two harmonics
        if size < 2 * self.modes or around < 2 * self.modes:
            raise InputError(
                f"sfno has {self.modes} modes, which take {2 * self.modes} latitudes and as many longitudes; "
                f"there are {size} and {around} points: give finer data, or train with --method.modes "
                f"{min(size, around) // 2} or fewer"
            )
        ends = given.points[1 - self.around]
        if float(ends[0]) > 1e-3 or float(ends[-1]) < 1 - 1e-3:
            raise InputError(
                f"sfno needs latitudes from pole to pole, poles included; {axis.name} has its first and last point at "
                f"{float(ends[0]):.3g} and {float(ends[-1]):.3g} of the axis: interpolate, or take fno"
            )


def longitudes(signature: Signature) -> int:
    """Which of two axes goes round.

    Raises:
        InputError: fields that lie on no sphere: points, other than two axes, none or both periodic.
    """
    periodic = signature.periodic
    if not signature.members or len(periodic) != 2 or sum(periodic) != 1:
        raise InputError(
            "sfno needs fields on latitudes, which do not go round, and longitudes, which do; got "
            f"{len(periodic)} axes of which {sum(periodic)} go round: take fno, or gino for points"
        )
    return periodic.index(True)
