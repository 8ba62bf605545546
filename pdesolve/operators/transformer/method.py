"""The settings and the procedure of the operator transformer."""

from __future__ import annotations

from dataclasses import dataclass

from pdesolve.data.signature import Signature
from pdesolve.nn.field_operator import FieldOperator, Predicts
from pdesolve.nn.places import axis_lengths
from pdesolve.nn.weighted_attention import Kernel
from pdesolve.operators.transformer.model import Positions, TransformerNetwork, token_counts
from pdesolve.training.operator_learner import OperatorLearner
from pdesolve.training.operator_training import Training

_TRAINING = Training(learning_rate=2e-3)
_ALONG = {1: 64, 2: 16, 3: 8}


@dataclass(frozen=True)
class Transformer(OperatorLearner):
    """The operator transformer.

    Attributes:
        tokens: intervals of the lattice of tokens along the longest axis; 0 takes 64 on a line, 16 in the plane, 8 in
            space, or a quarter of the points of the grid.
        moments: channels of the integrals to and from tokens; more than the points of the grid to each token.
        width: channels of a token; 64 to 256.
        depth: blocks of attention.
        heads: of attention; they share the width.
        kernel: of attention, softmax, or linear, whose cost does not grow as the square of the tokens.
        positions: whether tokens know where they are. `none` where no place differs from another: the operator then
            commutes with translations by whole tokens.
        predicts: the state of the targets, or their increment over the last given frame.
        training: how it is trained.
    """

    tokens: int = 0
    moments: int = 32
    width: int = 96
    depth: int = 4
    heads: int = 4
    kernel: Kernel = "softmax"
    positions: Positions = "coordinates"
    predicts: Predicts = "state"
    training: Training = _TRAINING

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature."""
        tokens = token_counts(
            self.tokens or _ALONG[len(signature.axes)], axis_lengths(signature.axes), signature.periodic,
            signature.shape,
        )  # fmt: skip
        network = TransformerNetwork(
            signature.input_channels, signature.target_channels, len(signature.parameters), tokens=tokens,
            periodic=signature.periodic, width=self.width, depth=self.depth, heads=self.heads,
            moments=self.moments, kernel=self.kernel, positions=self.positions,
        )  # fmt: skip
        return FieldOperator(network, signature, predicts=self.predicts, conditioning="apart")
