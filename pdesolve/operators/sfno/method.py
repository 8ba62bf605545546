"""The settings and the procedure of the spherical Fourier neural operator."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from pdesolve.method import Learner
from pdesolve.nn.field_operator import FieldOperator, Predicts
from pdesolve.nn.positions import position_channels
from pdesolve.operators.sfno.model import SphericalNetwork, longitudes
from pdesolve.signature import Signature
from pdesolve.surrogates.operator import SURROGATE, OperatorSurrogate, read_surrogate
from pdesolve.training.operator_training import Training, seeded, train_operator
from pdesolve.training.run import Run
from pdesolve.training_data import TrainingData

_TRAINING = Training()


@dataclass(frozen=True)
class SFNO(Learner):
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

    def learn(self, data: TrainingData, run: Run) -> OperatorSurrogate:
        with seeded(run.seed):
            module = self.module(data.signature)
        surrogate = OperatorSurrogate(module, method="sfno", settings=asdict(self), device=run.device)
        return train_operator(surrogate, data, run, self.training)

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature."""
        inputs = signature.input_channels + len(signature.parameters) + position_channels(signature.periodic)
        network = SphericalNetwork(
            inputs, signature.target_channels, longitudes(signature), modes=self.modes, width=self.width,
            depth=self.depth,
        )  # fmt: skip
        return FieldOperator(network, signature, predicts=self.predicts)

    def restore(self, folder: Path, *, device: str = "cpu") -> OperatorSurrogate:
        return read_surrogate(folder / SURROGATE, self.module, method="sfno", settings=asdict(self), device=device)
