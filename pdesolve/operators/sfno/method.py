"""The settings and the procedure of the spherical Fourier neural operator."""

from __future__ import annotations

from dataclasses import dataclass

from pdesolve.data.signature import Signature
from pdesolve.nn.field_operator import FieldOperator, Predicts
from pdesolve.operators.sfno.model import SphericalNetwork, longitudes
from pdesolve.training.operator_learner import OperatorLearner
from pdesolve.training.operator_training import Training

_TRAINING = Training()


@dataclass(frozen=True)
class SFNO(OperatorLearner):
    """The spherical Fourier neural operator.

    Attributes:
        modes: degrees of spherical harmonics; 16 to 64, at most half as many as latitudes.
        width: channels of the hidden layers; 16 to 64.
        depth: layers.
        predicts: the state of the targets, or their increment over the last given frame.
        training: how it is trained.
    """

    modes: int = 16
    width: int = 32
    depth: int = 4
    predicts: Predicts = "state"
    training: Training = _TRAINING

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature."""
        network = SphericalNetwork(
            signature.given_channels, signature.target_channels, longitudes(signature), modes=self.modes,
            width=self.width, depth=self.depth,
        )  # fmt: skip
        return FieldOperator(network, signature, predicts=self.predicts)
