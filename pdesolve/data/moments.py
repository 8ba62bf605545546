"""Means and deviations of variables, by component, computed in one pass over the training split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pdesolve.data.blocks import BLOCK_BYTES, blocks
from pdesolve.data.dataset import COMPONENT, Dataset, Variable
from pdesolve.errors import InputError


@dataclass(frozen=True)
class Moments:
    """What is known of the values of each variable, one number per component; one where it has no components.

    mean, std: by variable; std is that of all values, not of a sample of them. count: values per component. split: the
    split that they are of, "" for all samples. samples: how many these are.
    """

    mean: Mapping[str, tuple[float, ...]]
    std: Mapping[str, tuple[float, ...]]
    count: Mapping[str, int] = field(default_factory=dict)
    split: str = ""
    samples: int = 0


def moments(dataset: Dataset, *, split: str = "train") -> Moments:
    """Means and deviations of all variables and parameters of a split, in one pass, in float64.

    Blocks are merged by n = n_a + n_b, d = m_b - m_a, m = m_a + d n_b / n, M2 = M2_a + M2_b + d^2 n_a n_b / n.

    split: "train" wherever a model is fitted; "" takes all samples, where there is no split.

    Raises:
        InputError: no such split, values that are not finite.

    Source: T. F. Chan, G. H. Golub and R. J. LeVeque (1979), Updating formulae and a pairwise algorithm for computing
    sample variances.
    """
    data = dataset.split(split) if split else dataset
    numbers = dataset.splits[split] if split else None
    mean, std, count = {}, {}, {}
    for name, variable in {**data.variables, **data.parameters}.items():
        if variable.array.dtype.kind not in "fiub":
            continue
        n, m, squares = _moments(variable, numbers)
        if n == 0:
            raise InputError(
                f"{name} has no values in the split {split or 'of all samples'}: nothing to take a mean of"
            )
        mean[name], std[name] = tuple(m.tolist()), tuple(np.sqrt(squares / n).tolist())
        count[name] = n
    return Moments(mean, std, count, split, data.samples)


def _moments(variable: Variable, numbers: np.ndarray | None) -> tuple[int, np.ndarray, np.ndarray]:
    """How many values each component has, their means, and sums of squared distances from these.

    numbers: of the samples in the data set, where the variable holds those of a split.
    """
    components = max(1, len(variable.components))
    n, m, squares = 0, np.zeros(components), np.zeros(components)
    for index in blocks(variable, limit=BLOCK_BYTES):
        values = variable.array.read(index).astype(float)
        if variable.components:
            values = np.moveaxis(values, variable.dims.index(COMPONENT), 0)
        rows = values.reshape(components, -1)
        if not np.isfinite(rows).all():
            read = variable.array.read(index)
            first = np.argwhere(~np.isfinite(read.astype(float)))[0]
            place = {d: part.start + int(i) for d, part, i in zip(variable.dims, index, first, strict=True)}
            if numbers is not None and "sample" in place:
                place["sample"] = int(numbers[place["sample"]])
            said = ", ".join(f"{dim} {number}" for dim, number in place.items())
            raise InputError(f"{variable.name} is {read[tuple(first)]} at {said}: leave such samples out")
        n, m, squares = merged((n, m, squares), rows)
    return n, m, squares


Running = tuple[int, np.ndarray, np.ndarray]


def merged(sofar: Running, rows: np.ndarray) -> Running:
    """Count, means (row,) and sums of squared distances from them (row,), with more values (row, value) of each row."""
    n, m, squares = sofar
    size = rows.shape[1]
    if not size:
        return sofar
    means = rows.mean(1)
    distance = means - m
    rows = rows - means[:, None]
    squares = squares + np.einsum("ci,ci->c", rows, rows) + distance**2 * (n * size / (n + size))
    return n + size, m + distance * (size / (n + size)), squares
