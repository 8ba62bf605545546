"""Training data: what a learner asks for batches of, whether they lie in files or are simulated as training goes on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Protocol

import torch

from pdesolve.data.batch import Batch
from pdesolve.data.dataset import Dataset
from pdesolve.data.signature import Signature
from pdesolve.data.task import Task
from pdesolve.problem import Problem
from pdesolve.training.objective import Batches


class Stream(Protocol):
    """Batches in an order that is known: of a loader or of a family."""

    @abstractmethod
    def __iter__(self) -> Iterator[Batch]:
        """The batches from the one that is due on, to the end of an epoch where there is one."""

    @abstractmethod
    def position(self) -> Any:
        """The batch that comes next, a dataclass of plain values."""

    @abstractmethod
    def resume(self, position: Any) -> None:
        """Go on with that batch."""


class TrainingData(ABC):
    """Samples of fields to learn from, split into those to train on, to choose by and to judge by.

    signature: what one step maps to what, with the moments of the training split. about: where the samples come from,
    for the card of the surrogate; JSON values.
    """

    signature: Signature
    about: dict[str, Any]

    @abstractmethod
    def batches(self, task: Task, *, batch: int, device: torch.device, seed: int = 0) -> Batches:
        """Shuffled batches of the windows of a task over the training split, for `fit`."""

    @abstractmethod
    def held_out(self, split: str) -> Dataset | None:
        """The samples of the split `valid` or `test`, which training does not see; None where there is none."""

    @abstractmethod
    def problem(self) -> Problem:
        """The problem whose solutions the samples are.

        Raises:
            InputError: data that name none.
        """

    @abstractmethod
    def apart(self, every: int) -> tuple[TrainingData, TrainingData]:
        """These data without every so many-th training sample, and with those alone: for two networks of which one
        learns from samples that the other has not seen. Of `valid` each has every other sample, of `test` all.

        Raises:
            InputError: fewer training samples than two.
        """

    @abstractmethod
    def windows(self, task: Task) -> int | None:
        """How many windows of a task an epoch has; None where they never end."""


class Streamed(Batches):
    """The batches of a stream, one after the other without end. Its state is the position of the batch at hand."""

    def __init__(self, stream: Stream, device: torch.device) -> None:
        self.stream, self.device = stream, device
        self.batch: Batch | None = None
        self._iterator: Iterator[Batch] | None = None

    def renew(self) -> bool:
        if self._iterator is None:
            self._iterator = iter(self.stream)
        batch = next(self._iterator, None)
        if batch is None:  # the end of an epoch
            self._iterator = iter(self.stream)
            batch = next(self._iterator)
        self.batch = batch.to(self.device)
        return True

    def state_dict(self) -> dict[str, Any]:
        return {"position": asdict(self.stream.position())}

    def load_state_dict(self, state_dict: Any, /) -> None:
        self.stream.resume(type(self.stream.position())(**state_dict["position"]))
        self._iterator = None
