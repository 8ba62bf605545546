"""Learners whose surrogate is one operator network."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict
from pathlib import Path

from pdesolve import catalogue
from pdesolve.data.signature import Signature
from pdesolve.data.training_data import TrainingData
from pdesolve.method import Learner
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.surrogates.operator import SURROGATE, OperatorSurrogate, read_surrogate
from pdesolve.training.operator_training import Training, seeded, train_operator
from pdesolve.training.run import Run


class OperatorLearner(Learner):
    """A learner that trains one network between fields; what is its own is how the network is built.

    An implementation is a frozen dataclass with a field `training` beside the settings of its network.
    """

    training: Training

    @abstractmethod
    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature.

        Raises:
            InputError: a signature that the network cannot work on.
        """

    def learn(self, data: TrainingData, run: Run) -> OperatorSurrogate:
        return train_operator(self.untrained(data.signature, run), data, run, self.training)

    def untrained(self, signature: Signature, run: Run) -> OperatorSurrogate:
        """The surrogate with weights as the run's seed draws them."""
        with seeded(run.seed):
            module = self.module(signature)
        return OperatorSurrogate(
            module, method=catalogue.method_name(self), settings=self._settings(), device=run.device
        )

    def restore(self, folder: Path, *, device: str = "cpu") -> OperatorSurrogate:
        return read_surrogate(
            folder / SURROGATE, self.module, method=catalogue.method_name(self), settings=self._settings(),
            device=device,
        )  # fmt: skip

    def _settings(self) -> dict[str, object]:
        return asdict(self)  # type: ignore[call-overload]
