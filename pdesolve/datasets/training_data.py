"""Training data of files and of families."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from pdesolve.catalogue import family_name
from pdesolve.data.dataset import Dataset
from pdesolve.data.moments import Moments, moments
from pdesolve.data.signature import Signature, signature_of
from pdesolve.data.task import Steps, Task
from pdesolve.data.task_choice import TaskChoice
from pdesolve.data.training_data import Streamed, TrainingData
from pdesolve.data.windows import Windows
from pdesolve.datasets.family_stream import FamilyStream
from pdesolve.datasets.production import produced, saying
from pdesolve.datasets.streaming import MEMORY, loader
from pdesolve.errors import Diverged, InputError
from pdesolve.family import Family
from pdesolve.problem import Problem
from pdesolve.provenance import problem_of
from pdesolve.settings import plain
from pdesolve.training.objective import Batches

_ROOM = 1e4  # for sums of squares, and values far from the mean
_DIGITS = 1e2  # steps of the floats within what varies, at least
_CONSTANT = 1e-12  # what rounding leaves of the deviation of a constant
_REFERENCE_SEED, _REFERENCE_SAMPLES = 2**63, 64
_APART_SEED = 2**62


class FromDataset(TrainingData):
    """The samples of a data set with the splits `train`, `valid` and `test` (the last two may be missing).

    Raises:
        InputError: a task that does not fit, values that are not finite, no split to train on.
    """

    def __init__(
        self, dataset: Dataset, task: Task, *, dtype: torch.dtype = torch.float32, workers: int | None = None,
        memory: int = MEMORY,
    ) -> None:  # fmt: skip
        if "train" not in dataset.splits:
            raise InputError(
                f"training needs a split train, and the data have {', '.join(dataset.splits) or 'none'}: write --split "
                "train=0.8,valid=0.1,test=0.1, or give data that are not split"
            )
        self.dataset, self.task = dataset, task
        self.dtype, self.workers, self.memory = dtype, workers, memory
        used = replace(task.prepared(dataset), splits=dataset.splits)
        for split in dataset.splits:
            if split != "train":
                moments(used, split=split)  # values that are not finite are found before time is spent
        given, wanted = _moments(used, task)
        self.signature: Signature = signature_of(dataset.split("train"), task, given, wanted=wanted)
        _check_scales(self.signature, dtype)
        _check_digits(given, task.inputs, dtype)
        _check_digits(wanted, task.targets, dtype)
        _warn_of_spacing(self.signature, dataset)
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
        if not {"problem", "family"} & set(self.dataset.attributes):
            raise InputError(
                "the residual is of the equation that the data obey, and these name none: leave training.residual at "
                "0, or give data of pdesolve generate"
            )
        return problem_of(self.dataset.isel({"sample": slice(0, 1)}).to_xarray())[0]

    def apart(self, every: int) -> tuple[FromDataset, FromDataset]:
        train = self.dataset.splits["train"]
        if len(train) < 2:
            raise InputError("two networks learn from samples of their own, and the split train has 1: give it more")
        second = np.arange(len(train)) % every == 0
        first, rest = self._halves()
        return first._with({"train": train[~second]}), rest._with({"train": train[second]})

    def _halves(self) -> tuple[FromDataset, FromDataset]:
        """The same with every other sample of `valid` each, from the first and from the second on."""
        valid = self.dataset.splits.get("valid", np.arange(0))
        return self._with({"valid": valid[::2]}), self._with({"valid": valid[1::2]})

    def _with(self, splits: Mapping[str, np.ndarray]) -> FromDataset:
        """The same, moments too, with other samples of some splits; without those that have none."""
        found = copy.copy(self)
        of_all = {**self.dataset.splits, **splits}
        found.dataset = replace(self.dataset, splits={name: some for name, some in of_all.items() if len(some)})
        return found

    def windows(self, task: Task) -> int | None:
        return len(Windows(self.dataset.split("train"), task))


def _check_scales(signature: Signature, dtype: torch.dtype) -> None:
    """Refuse variables whose squares the floats of the training do not hold."""
    bounds = torch.finfo(dtype)
    least, most = bounds.tiny**0.5 * _ROOM, bounds.max**0.5 / _ROOM
    for slot in (*signature.inputs, *signature.targets):
        size = max(*map(abs, slot.mean), *slot.std)
        if not least < size < most:
            raise InputError(
                f"{slot.name} is about {size:.0e}, whose squares {str(dtype).removeprefix('torch.')} does not hold: "
                f"store it in another unit, between {least:.0e} and {most:.0e}"
            )


def _check_digits(found: Moments, names: Iterable[str], dtype: torch.dtype) -> None:
    """Refuse variables of which the floats of the training hold the mean, and little of what differs from it."""
    least = _DIGITS * torch.finfo(dtype).eps
    for name in names:
        for mean, std in zip(found.mean[name], found.std[name], strict=True):
            if _CONSTANT * abs(mean) < std < least * abs(mean):
                raise InputError(
                    f"{name} is {mean:.3g} give or take {std:.1g}, of which {str(dtype).removeprefix('torch.')} holds "
                    "less than two digits: subtract the mean where the data come from, or train with --dtype float64"
                )


def _warn_of_spacing(signature: Signature, dataset: Dataset) -> None:
    """Steps between frames that are not evenly spaced have no one meaning."""
    times = dataset.coordinates.get("t")
    if isinstance(signature.frames, Steps) and signature.spacing is None and times is not None:
        gaps = np.diff(times.points)
        if gaps.size and gaps.min() < 0.99 * gaps.max():
            warnings.warn(
                f"frames are {gaps.min():.4g} to {gaps.max():.4g} apart, and a step that is learnt is of all of them: "
                "give evenly spaced frames, or --frames trajectory",
                stacklevel=2,
            )


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


class FromFamily(TrainingData):
    """Samples of a family, simulated while a method trains: each is seen once, none is stored.

    Moments, validation and test samples have fixed numbers of a seed that no training has (see `reference_samples`).

    Raises:
        InputError: a task that does not fit the family.
        Diverged: a family whose samples fail their checks.
    """

    def __init__(self, family: Family, task: TaskChoice, *, dtype: torch.dtype = torch.float32) -> None:
        self.family, self.dtype, self.first_seed = family, dtype, 0
        held = reference_samples(family)
        self.reference = FromDataset(held, task.task(held), dtype=dtype)
        self.signature = self.reference.signature
        counts = {name: count for name, count in self.reference.about["samples"].items() if name != "train"}
        self.about = {**self.reference.about, "layout": "simulated", "samples": counts}

    def batches(self, task: Task, *, batch: int, device: torch.device, seed: int = 0) -> Batches:
        stream = FamilyStream(
            self.family, task, batch=batch, seed=self.first_seed + seed, device=str(device), dtype=self.dtype
        )
        return Streamed(stream, device)

    def held_out(self, split: str) -> Dataset | None:
        return self.reference.held_out(split)

    def problem(self) -> Problem:
        return self.reference.problem()

    def apart(self, every: int) -> tuple[FromFamily, FromFamily]:
        found = copy.copy(self), copy.copy(self)
        found[1].first_seed = self.first_seed + _APART_SEED  # no sample comes twice: others are those of other seeds
        for part, reference in zip(found, self.reference._halves(), strict=True):
            part.reference = reference
        return found

    def windows(self, task: Task) -> int | None:
        return None


def reference_samples(family: Family) -> Dataset:
    """The samples 0 to 191 of the seed 2^63, a number that no run may have: 64 for moments (named train), 64 for
    `valid` and 64 for `test`. The same for all runs on a family; those that fail the checks of `generate` are left out.

    Raises:
        Diverged: a split of which no sample passes.
    """
    found, record = produced(family, _REFERENCE_SEED, range(3 * _REFERENCE_SAMPLES))
    kept = [number for number in range(3 * _REFERENCE_SAMPLES) if number not in record.failed]
    splits: dict[str, np.ndarray] = {}
    for i, name in enumerate(("train", "valid", "test")):
        splits[name] = np.flatnonzero([number // _REFERENCE_SAMPLES == i for number in kept])
        if found is None or not len(splits[name]):
            raise Diverged(
                f"{family}: no sample passes its checks, the first since {next(iter(record.failed.values()))}"
            )
    assert found is not None  # splits are not empty
    name = family_name(family)
    settings = {"family": name, "family_settings": json.dumps(plain(asdict(family)))}  # type: ignore[call-overload]
    return replace(saying(found, settings), splits=splits)
