"""Training data of files and of families."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from pdesolve.data import Dataset
from pdesolve.datasets.streaming import MEMORY, loader
from pdesolve.moments import Moments, moments
from pdesolve.problem import Problem
from pdesolve.signature import Signature, signature_of
from pdesolve.task import Steps, Task
from pdesolve.training.objective import Batches
from pdesolve.training_data import Streamed, TrainingData
from pdesolve.windows import Windows


class FromDataset(TrainingData):
    """The samples of a data set with the splits `train`, `valid` and `test` (the last two may be missing).

    Raises:
        InputError: a task that does not fit, values that are not finite, no split to train on.
    """

    def __init__(
        self, dataset: Dataset, task: Task, *, dtype: torch.dtype = torch.float32, workers: int | None = None,
        memory: int = MEMORY,
    ) -> None:  # fmt: skip
        self.dataset, self.task = dataset, task
        self.dtype, self.workers, self.memory = dtype, workers, memory
        used = replace(task.prepared(dataset), splits=dataset.splits)
        for split in dataset.splits:
            if split != "train":
                moments(used, split=split)  # values that are not finite are found before time is spent
        given, wanted = _moments(used, task)
        self.signature: Signature = signature_of(dataset.split("train"), task, given, wanted=wanted)
        self.about: dict[str, Any] = {
            "paths": [str(path) for path in dataset.paths],
            "layout": dataset.layout,
            "samples": {name: len(numbers) for name, numbers in dataset.splits.items()},
            **{k: v for k, v in dataset.attributes.items() if isinstance(v, (str, int, float))},
        }

    def batches(self, task: Task, *, batch: int, device: torch.device, seed: int = 0) -> Batches:
        stream = loader(
            self.dataset.split("train"), task, batch=batch, workers=self.workers, seed=seed, memory=self.memory,
            device=device, dtype=self.dtype,
        )  # fmt: skip
        return Streamed(stream, device)

    def held_out(self, split: str) -> Dataset | None:
        return self.dataset.split(split) if split in self.dataset.splits else None

    def problem(self) -> Problem:
        from pdesolve.gridded import problem_of

        return problem_of(self.dataset.isel({"sample": slice(0, 1)}).to_xarray())[0]

    def windows(self, task: Task) -> int | None:
        return len(Windows(self.dataset.split("train"), task))


def _moments(dataset: Dataset, task: Task) -> tuple[Moments, Moments]:
    """Those of the frames that are given and of those that are wanted: a decay's ends differ by orders of magnitude."""
    if task.frames is None or isinstance(task.frames, Steps):
        found = moments(dataset)
        return found, found
    count = dataset.sizes["t"]
    wanted = moments(_frames(dataset, task.frames.wanted(count)))
    given = task.frames.given(count)
    return moments(_frames(dataset, given)) if given else wanted, wanted


def _frames(dataset: Dataset, frames: range) -> Dataset:
    return dataset.isel({"t": slice(frames.start, frames.stop, frames.step)})
