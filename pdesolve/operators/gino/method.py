"""The settings and the procedure of the geometry-informed neural operator."""

from __future__ import annotations

from dataclasses import dataclass

from pdesolve.data.signature import Signature
from pdesolve.nn.field_operator import FieldOperator, Predicts
from pdesolve.operators.gino.model import GeometryNetwork
from pdesolve.training.operator_learner import OperatorLearner
from pdesolve.training.operator_training import Training

_TRAINING = Training()


@dataclass(frozen=True)
class GINO(OperatorLearner):
    """The geometry-informed neural operator.

    Attributes:
        latent: points of the latent grid along each axis; 12 to 64.
        radius: of the neighbourhoods, in axes; a few distances of points, two of the latent grid.
        modes: of the latent grid along each axis, both signs counted.
        width: channels of the hidden layers; 16 to 64.
        depth: Fourier layers.
        margin: by which part the latent grid goes beyond ends of axes.
        predicts: the state of the targets, or their increment over the last given frame.
        training: how it is trained.
    """

    latent: int = 16
    radius: float = 0.15
    modes: int = 12
    width: int = 24
    depth: int = 4
    margin: float = 0.1
    predicts: Predicts = "state"
    training: Training = _TRAINING

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature."""
        network = GeometryNetwork(
            signature.given_channels, signature.target_channels, signature.periodic, latent=self.latent,
            radius=self.radius, modes=self.modes, width=self.width, depth=self.depth, margin=self.margin,
        )  # fmt: skip
        return FieldOperator(network, signature, predicts=self.predicts)
