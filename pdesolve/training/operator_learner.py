"""Learners whose surrogate is one operator network."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from pdesolve import catalogue
from pdesolve.data.signature import Signature
from pdesolve.data.training_data import TrainingData
from pdesolve.method import Learner, Surrogate
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

    def learn(self, data: TrainingData, run: Run) -> Surrogate:
        surrogate = self.untrained(data.signature, seed=run.seed, device=run.device)
        return train_operator(surrogate, data, run, self.training)

    def untrained(self, signature: Signature, *, seed: int, device: torch.device) -> OperatorSurrogate:
        """The surrogate with weights as a seed draws them."""
        with seeded(seed):
            module = self.module(signature)
        return OperatorSurrogate(module, **self._made_by(), device=device)

    def restore(self, folder: Path, *, device: str = "cpu") -> Surrogate:
        return self.read(folder / SURROGATE, device=device)

    def read(self, path: Path, *, device: str) -> OperatorSurrogate:
        """The surrogate of one network that a file holds.

        Raises:
            InputError: see `read_surrogate`.
        """
        return read_surrogate(path, self.module, **self._made_by(), device=device)

    def _made_by(self) -> dict[str, Any]:
        return {"method": catalogue.method_name(self), "settings": asdict(self)}  # type: ignore[call-overload]
