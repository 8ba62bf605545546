"""The settings and the procedure of the localised neural operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pdesolve.data.signature import Signature
from pdesolve.errors import InputError
from pdesolve.nn.convolution import Extension
from pdesolve.nn.field_operator import FieldOperator, Predicts
from pdesolve.nn.fourier_network import FourierNetwork, lines_of
from pdesolve.nn.places import GridPlaces
from pdesolve.operators.localno.model import Kernels, LocalNetwork
from pdesolve.training.operator_learner import OperatorLearner
from pdesolve.training.operator_training import Training

_TRAINING = Training()


@dataclass(frozen=True)
class LocalNO(OperatorLearner):
    """The localised neural operator.

    Attributes:
        modes: along each axis, both signs counted; 12 to 32, fewer than points.
        width: channels of the hidden layers; 16 to 64.
        depth: layers.
        kernels: what is beside the waves: integrals of short reach, derivatives (of functions that do not jump), or
            both.
        reach: radius of the integral kernels, in spacings of the grid of training; 2 to 8. Grids so coarse that no
            point lies within it are refused.
        rings: of filters that integral kernels are sums of, the centre counted; 2 to 4, at most as many as the reach.
        angles: directions of these in the plane.
        extension: of functions over boundaries that are not periodic, for integrals: zero, even or odd (linear
            functions stay linear). Derivatives are one-sided there.
        padding: by which part waves on axes that do not go round are longer than these, as if zeros were added there.
        positions: whether the network reads coordinates; `none` where no place differs from another.
        predicts: the state of the targets, or their increment over the last given frame.
        training: how it is trained.
    """

    modes: int = 16
    width: int = 32
    depth: int = 4
    kernels: Kernels = "both"
    reach: float = 3.0
    rings: int = 2
    angles: int = 4
    extension: Extension = "zero"
    padding: float = 0.0
    positions: Literal["coordinates", "none"] = "coordinates"
    predicts: Predicts = "state"
    training: Training = _TRAINING

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature.

        Raises:
            InputError: points, points of uneven spacing, more than three axes, a reach of less than a spacing.
        """
        lines = lines_of(signature, padding=self.padding, method="localno")
        if len(lines) > 3:
            raise InputError(f"localno has kernels on one to three axes, these fields have {len(lines)}: take fno")
        fourier = FourierNetwork(
            signature.given_channels, signature.target_channels, lines, modes=self.modes, width=self.width,
            depth=self.depth, placed=self.positions == "coordinates", method="localno",
        )  # fmt: skip
        grid = signature.grid
        assert grid is not None
        places = GridPlaces.of(grid)
        network = LocalNetwork(
            fourier, places, kernels=self.kernels, reach=self.reach, rings=self.rings, angles=self.angles,
            extension=self.extension,
        )  # fmt: skip
        network.check(places)
        return FieldOperator(network, signature, predicts=self.predicts)
