"""Training data of a part of the samples: what one network learns from is kept from the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pdesolve.data.batch import Batch
from pdesolve.data.dataset import Dataset
from pdesolve.data.task import Task
from pdesolve.data.training_data import TrainingData
from pdesolve.errors import InputError
from pdesolve.training.objective import Batches
from pdesolve.training.processes import place, together
from pdesolve.training.reduction import total

_PATIENCE = 1000  # batches without a sample that is wanted


class Share(TrainingData):
    """The samples whose number `belongs`; about the part `part` of them. Of held-out ones those of even numbers."""

    def __init__(self, whole: TrainingData, belongs: Callable[[Tensor], Tensor], part: float) -> None:
        self.whole, self.belongs, self.part = whole, belongs, part
        self.signature, self.about = whole.signature, whole.about

    def batches(self, task: Task, *, batch: int, device: torch.device, seed: int = 0) -> Batches:
        return _Chosen(self.whole.batches(task, batch=batch, device=device, seed=seed), self.belongs)

    def held_out(self, split: str) -> Dataset | None:
        return halved(self.whole.held_out(split), 0)

    def problem(self) -> Any:
        """The problem whose solutions the samples are."""
        whole: Any = self.whole
        return whole.problem()

    def windows(self, task: Task) -> int | None:
        count = self.whole.windows(task)
        return None if count is None else max(1, round(self.part * count))


class _Chosen(Batches):
    """The samples of other batches that belong to a share; a batch of which a process has none is left out."""

    def __init__(self, whole: Batches, belongs: Callable[[Tensor], Tensor]) -> None:
        self.whole, self.belongs = whole, belongs
        self.batch: Batch | None = None

    def renew(self) -> bool:
        for _ in range(_PATIENCE):
            if not self.whole.renew():
                return False
            rows = self.belongs(self.whole.batch.numbers).nonzero()[:, 0]
            number, processes = place() if together() else (0, 1)
            counts = torch.zeros(processes, dtype=torch.int64, device=rows.device)
            counts[number] = len(rows)
            each = total(counts).tolist()
            if all(each):
                found = chosen(self.whole.batch, rows)
                of_all = sum(each) if found.whole else 0
                self.batch = replace(found, begin=sum(each[:number]) if of_all else 0, whole=of_all)
                return True
        raise InputError("no training sample is left for one of the two networks of uqno: give it more samples")

    def state_dict(self) -> dict[str, Any]:
        return self.whole.state_dict()

    def load_state_dict(self, state_dict: Any, /) -> None:
        self.whole.load_state_dict(state_dict)


def halved(dataset: Dataset | None, which: int) -> Dataset | None:
    """Every other sample of a data set, from the first or the second on; all of one sample."""
    if dataset is None or dataset.samples < 2:
        return dataset
    return dataset.isel({"sample": range(which, dataset.samples, 2)})


def chosen(batch: Batch, rows: Tensor) -> Batch:
    """Some windows of a batch."""
    first = {name: value for name, value in batch.coordinates.items() if value.ndim == 1}
    kept = batch if not first else replace(batch, coordinates={})
    own = batch.discretisations
    found = replace(
        kept.map(lambda tensor: tensor[rows]),
        discretisations=tuple(own[i] for i in rows.tolist()) if len(own) > 1 else own,
    )
    if not first:
        return found
    others = {name: value[rows] for name, value in batch.coordinates.items() if value.ndim > 1}
    return replace(found, coordinates=first | others)
