"""The settings and the procedure of the Fourier neural operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pdesolve.data.signature import Signature
from pdesolve.nn.field_operator import FieldOperator, Predicts
from pdesolve.nn.fourier_network import FourierNetwork, lines_of
from pdesolve.training.operator_learner import OperatorLearner
from pdesolve.training.operator_training import Training

_TRAINING = Training()


@dataclass(frozen=True)
class FNO(OperatorLearner):
    """The Fourier neural operator.

    Attributes:
        modes: along each axis, both signs counted; 12 to 32, fewer than points.
        width: channels of the hidden layers; 16 to 64.
        depth: Fourier layers.
        padding: by which part waves on axes that do not go round are longer than these, as if zeros were added there.
        positions: whether the network reads coordinates. `none` where no place differs from another (periodic boxes
            whose forces are inputs): the operator then commutes with translations.
        predicts: the state of the targets, or their increment over the last given frame.
        training: how it is trained.
    """

    modes: int = 16
    width: int = 32
    depth: int = 4
    padding: float = 0.0
    positions: Literal["coordinates", "none"] = "coordinates"
    predicts: Predicts = "state"
    training: Training = _TRAINING

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature."""
        lines = lines_of(signature, padding=self.padding, method="fno")
        network = FourierNetwork(
            signature.given_channels, signature.target_channels, lines, modes=self.modes, width=self.width,
            depth=self.depth, placed=self.positions == "coordinates",
        )  # fmt: skip
        return FieldOperator(network, signature, predicts=self.predicts)
