"""Samples for training, for choosing and for judging: no sample is in two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pdesolve.data.dataset import Dataset
from pdesolve.errors import InputError


def divided(dataset: Dataset, *, train: float = 0.8, valid: float = 0.1, test: float = 0.1, seed: int = 0) -> Dataset:
    """The data set with its own splits, where the file has some, else with drawn ones of these parts of the samples.

    A part of 0 has no split, any other a sample or more. Samples of a split are in ascending order, which is how they
    lie in the file.

    Raises:
        InputError: no samples, fewer than splits, parts that are negative or more than the whole, splits that overlap.
    """
    if not dataset.samples:
        raise InputError("the data have no samples: is a selection empty, or did their writer stop?")
    if dataset.splits:
        return with_splits(dataset, dataset.splits)
    parts: dict[str, float] = {"train": train, "valid": valid, "test": test}
    if min(parts.values()) < 0 or not 0 < sum(parts.values()) <= 1 + 1e-9:
        raise InputError(f"the parts of a split are from 0 to 1, together at most 1: got {_said(parts)}")
    asked = {name: part for name, part in parts.items() if part > 0}
    if dataset.samples < len(asked):
        raise InputError(
            f"{len(asked)} splits ({_said(asked)}) need a sample each, and the data have {dataset.samples}: "
            "--split train=1 trains on all, and judges nothing; or join files of more samples"
        )
    order = np.random.default_rng(seed).permutation(dataset.samples)
    ends = np.rint(np.cumsum(list(asked.values())) * dataset.samples).astype(int)
    sizes = np.diff(ends, prepend=0)
    while not sizes.all():  # a small part of few samples is one of them
        sizes[sizes.argmax()] -= sizes.sum() == dataset.samples
        sizes[sizes.argmin()] += 1
    drawn = {
        name: np.sort(order[end - size : end]) for name, size, end in zip(asked, sizes, np.cumsum(sizes), strict=True)
    }
    return replace(dataset, splits=drawn)


def with_splits(dataset: Dataset, splits: Mapping[str, np.ndarray]) -> Dataset:
    """The data set with these splits, numbers of samples by name.

    Raises:
        InputError: an empty split, numbers that are no samples or come twice.
    """
    owner = np.full(dataset.samples, -1)
    names = list(splits)
    found = {}
    for i, (name, given) in enumerate(splits.items()):
        numbers = np.asarray(given)
        if numbers.ndim != 1 or not numbers.size:
            raise InputError(f"the split {name} is empty: expected numbers of samples from 0 to {dataset.samples - 1}")
        if numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= dataset.samples:
            raise InputError(
                f"the split {name} has the numbers {numbers.min()} to {numbers.max()}: there are {dataset.samples} "
                "samples, from 0 on"
            )
        taken = numbers[owner[numbers] >= 0]
        if len(taken):
            raise InputError(
                f"the splits {names[owner[taken[0]]]} and {name} overlap: both have {len(taken)} samples, such as "
                f"number {taken[0]}"
            )
        if len(np.unique(numbers)) < len(numbers):
            raise InputError(f"the split {name} has samples twice: {len(numbers)} numbers of which "
                             f"{len(np.unique(numbers))} differ")  # fmt: skip
        owner[numbers] = i
        found[name] = numbers
    return replace(dataset, splits=found)


def _said(parts: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={part:g}" for name, part in parts.items())
