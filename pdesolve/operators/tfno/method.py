"""The settings and the procedure of the tensorised Fourier neural operator."""

from __future__ import annotations

from dataclasses import dataclass

from pdesolve.data.signature import Signature
from pdesolve.errors import InputError
from pdesolve.nn.field_operator import FieldOperator, Predicts
from pdesolve.nn.fourier_network import FourierNetwork, lines_of
from pdesolve.training.operator_learner import OperatorLearner
from pdesolve.training.operator_training import Training

_TRAINING = Training()


@dataclass(frozen=True)
class TFNO(OperatorLearner):
    """The tensorised Fourier neural operator.

    Attributes:
        modes: along each axis, both signs counted; 12 to 64, fewer than points.
        width: channels of the hidden layers; 32 to 128.
        depth: Fourier layers.
        rank: fraction of the numbers of the spectral weights that their factors hold; 0.01 to 0.5.
        padding: by which part waves on axes that do not go round are longer than these, as if zeros were added there.
        predicts: the state of the targets, or their increment over the last given frame.
        training: how it is trained.
    """

    modes: int = 16
    width: int = 32
    depth: int = 4
    rank: float = 0.1
    padding: float = 0.0
    predicts: Predicts = "state"
    training: Training = _TRAINING

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature."""
        if not 0 < self.rank <= 1:
            raise InputError(f"rank is a fraction of the weights, above 0 and at most 1, got {self.rank:g}")
        lines = lines_of(signature, padding=self.padding, method="tfno")
        network = FourierNetwork(
            signature.given_channels, signature.target_channels, lines, modes=self.modes, width=self.width,
            depth=self.depth, rank=self.rank, method="tfno",
        )  # fmt: skip
        return FieldOperator(network, signature, predicts=self.predicts)
