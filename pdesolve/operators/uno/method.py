"""The settings and the procedure of the U-shaped neural operator."""

from __future__ import annotations

from dataclasses import dataclass

from pdesolve.data.signature import Signature
from pdesolve.errors import InputError
from pdesolve.nn.field_operator import FieldOperator, Predicts
from pdesolve.nn.fourier_network import lines_of
from pdesolve.operators.uno.model import UNetwork
from pdesolve.training.operator_learner import OperatorLearner
from pdesolve.training.operator_training import Training

_TRAINING = Training()


@dataclass(frozen=True)
class UNO(OperatorLearner):
    """The U-shaped neural operator.

    Attributes:
        modes: along each axis on the grid given, both signs counted; half of them on each coarser one.
        width: channels on the grid given; twice as many on each coarser one; 16 to 64.
        levels: how often the grid is halved; 1 to 3.
        padding: by which part waves on axes that do not go round are longer than these, as if zeros were added there.
        predicts: the state of the targets, or their increment over the last given frame.
        training: how it is trained.
    """

    modes: int = 16
    width: int = 16
    levels: int = 2
    padding: float = 0.0
    predicts: Predicts = "state"
    training: Training = _TRAINING

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature."""
        if min(self.modes, self.width) < 2 or self.levels < 1:
            raise InputError(
                f"uno needs modes and width of 2 and one level at least, got {self.modes}, {self.width}, {self.levels}"
            )
        lines = lines_of(signature, padding=self.padding, method="uno")
        network = UNetwork(
            signature.given_channels, signature.target_channels, lines, modes=self.modes, width=self.width,
            levels=self.levels,
        )  # fmt: skip
        return FieldOperator(network, signature, predicts=self.predicts)
