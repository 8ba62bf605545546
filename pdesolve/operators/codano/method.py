"""The settings and the procedure of the codomain attention neural operator."""

from __future__ import annotations

from dataclasses import dataclass

from pdesolve.data.signature import Signature
from pdesolve.errors import InputError
from pdesolve.nn.field_operator import FieldOperator, Predicts
from pdesolve.nn.fourier_network import lines_of
from pdesolve.operators.codano.model import Channels, CodomainNetwork
from pdesolve.training.operator_learner import OperatorLearner
from pdesolve.training.operator_training import Training

_TRAINING = Training()


@dataclass(frozen=True)
class CODANO(OperatorLearner):
    """The codomain attention neural operator.

    Attributes:
        modes: along each axis, both signs counted; 8 to 32, fewer than points.
        width: channels of each token; 16 to 64, a multiple of `heads`.
        depth: attention layers; 2 to 5.
        heads: of attention.
        normalised: whether tokens are normalised in each layer, as the authors do; their amplitude is lost by it.
        padding: by which part waves on axes that do not go round are longer than these, as if zeros were added there.
        predicts: the state of the targets, or their increment over the last given frame.
        training: how it is trained.
    """

    modes: int = 12
    width: int = 16
    depth: int = 2
    heads: int = 2
    normalised: bool = False
    padding: float = 0.0
    predicts: Predicts = "state"
    training: Training = _TRAINING

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature."""
        if self.heads < 1 or self.width % self.heads:
            raise InputError(f"width is a multiple of heads, got {self.width} channels for {self.heads} heads")
        lines = lines_of(signature, padding=self.padding, method="codano")
        inputs, targets = (
            [Channels(slot.name, slot.frames, slot.components) for slot in slots]
            for slots in (signature.inputs, signature.targets)
        )
        network = CodomainNetwork(
            inputs, targets, len(signature.parameters), lines, modes=self.modes, width=self.width, depth=self.depth,
            heads=self.heads, normalised=self.normalised,
        )  # fmt: skip
        return FieldOperator(network, signature, predicts=self.predicts)
