"""Numbers that stay where they are, in a file or in many, until a part of them is asked for."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np

from pdesolve.errors import InputError

Slices = tuple[slice, ...]


class Array(ABC):
    """An array of known shape and type whose numbers are read in parts.

    Arrays are pickled without open files: each process opens its own.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The size along every dimension."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype:
        """The type of one number, as it is stored."""

    @property
    @abstractmethod
    def chunks(self) -> tuple[int, ...] | None:
        """What is read at once whatever part of it is asked for; None where any part costs its own bytes alone."""

    @abstractmethod
    def read(self, index: Slices) -> np.ndarray:
        """The numbers of one slice a dimension (bounds within the shape, steps from 1 on), no dimension dropped."""

    def read_into(self, index: Slices, out: np.ndarray) -> None:
        """The same numbers, written into an array of their shape: memory that is used again costs no new pages."""
        out[...] = self.read(index)

    @property
    def nbytes(self) -> int:
        """The bytes of the whole array, as it is stored without compression."""
        return math.prod(self.shape) * self.dtype.itemsize

    def all(self) -> np.ndarray:
        """Every number."""
        return self.read(tuple(slice(0, n) for n in self.shape))


@dataclass(frozen=True, eq=False)
class Memory(Array):
    """Numbers that are in memory already."""

    values: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    @property
    def chunks(self) -> None:
        return None

    def read(self, index: Slices) -> np.ndarray:
        return self.values[index]


@dataclass(frozen=True, eq=False)
class Transposed(Array):
    """The dimensions in another order: dimension i is number `order[i]` of the array."""

    array: Array
    order: tuple[int, ...]

    def __post_init__(self) -> None:
        if sorted(self.order) != list(range(len(self.array.shape))):
            raise ValueError(f"{self.order} is no order of {len(self.array.shape)} dimensions")

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape[i] for i in self.order)

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        return None if self.array.chunks is None else tuple(self.array.chunks[i] for i in self.order)

    def read(self, index: Slices) -> np.ndarray:
        inner: list[slice] = [slice(0, 0)] * len(self.order)
        for part, i in zip(index, self.order, strict=True):
            inner[i] = part
        return self.array.read(tuple(inner)).transpose(self.order)


@dataclass(frozen=True, eq=False)
class Part(Array):
    """A slice of each dimension; those in `dropped`, of one number each, are left out."""

    array: Array
    index: Slices
    dropped: frozenset[int] = frozenset()

    @cached_property
    def _ranges(self) -> tuple[range, ...]:
        return tuple(range(*part.indices(n)) for part, n in zip(self.index, self.array.shape, strict=True))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(r) for i, r in enumerate(self._ranges) if i not in self.dropped)

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        if self.array.chunks is None:
            return None
        whole = zip(self._ranges, self.array.chunks, strict=True)
        return tuple(max(1, c // r.step) for i, (r, c) in enumerate(whole) if i not in self.dropped)

    def read(self, index: Slices) -> np.ndarray:
        values = self.array.read(self._inner(index))
        return values.reshape([n for i, n in enumerate(values.shape) if i not in self.dropped])

    def read_into(self, index: Slices, out: np.ndarray) -> None:
        if self.dropped:
            super().read_into(index, out)
        else:
            self.array.read_into(self._inner(index), out)

    def _inner(self, index: Slices) -> Slices:
        asked = iter(index)
        return tuple(_slice(r if i in self.dropped else r[next(asked)]) for i, r in enumerate(self._ranges))


@dataclass(frozen=True, eq=False)
class Picked(Array):
    """Numbers of one dimension in any order: samples of a split."""

    array: Array
    numbers: np.ndarray
    position: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return _replaced(self.array.shape, self.position, len(self.numbers))

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        return None if self.array.chunks is None else _replaced(self.array.chunks, self.position, 1)

    def read(self, index: Slices) -> np.ndarray:
        runs = _runs(self.numbers[index[self.position]]) or [slice(0, 0)]
        return _joined([self.array.read(_replaced(index, self.position, run)) for run in runs], self.position)


@dataclass(frozen=True, eq=False)
class Joined(Array):
    """Arrays one after another along one dimension, the rest of their shape and their type the same."""

    arrays: tuple[Array, ...]
    position: int = 0

    def __post_init__(self) -> None:
        kinds = {(_replaced(array.shape, self.position, 0), array.dtype) for array in self.arrays}
        if len(kinds) != 1:
            found = " and ".join(f"{shape} of {dtype}" for shape, dtype in sorted(kinds, key=str))
            raise InputError(f"arrays of different shapes or types cannot be one: {found or 'none'}")

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        return tuple(accumulate(array.shape[self.position] for array in self.arrays))

    @property
    def shape(self) -> tuple[int, ...]:
        return _replaced(self.arrays[0].shape, self.position, self._ends[-1])

    @property
    def dtype(self) -> np.dtype:
        return self.arrays[0].dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        return self.arrays[0].chunks

    def read(self, index: Slices) -> np.ndarray:
        parts = [array.read(inner) for array, inner, _ in self._met(index)]
        return _joined(parts or [self.arrays[0].read(_replaced(index, self.position, slice(0, 0)))], self.position)

    def read_into(self, index: Slices, out: np.ndarray) -> None:
        begin = 0
        for array, inner, count in self._met(index):
            array.read_into(inner, out[(slice(None),) * self.position + (slice(begin, begin + count),)])
            begin += count

    def _met(self, index: Slices) -> Iterator[tuple[Array, Slices, int]]:
        """The arrays that a slice meets, the slice of each, and how many entries it has there."""
        wanted = range(*index[self.position].indices(self._ends[-1]))
        while wanted:
            which = bisect_right(self._ends, wanted[0])
            begin = self._ends[which] - self.arrays[which].shape[self.position]
            here = wanted[: len(range(wanted[0], min(wanted.stop, self._ends[which]), wanted.step))]
            part = slice(here[0] - begin, here[-1] + 1 - begin, here.step)
            yield self.arrays[which], _replaced(index, self.position, part), len(here)
            wanted = wanted[len(here) :]


@dataclass(frozen=True, eq=False)
class Stacked(Array):
    """Arrays of one shape side by side along a new dimension at `position`."""

    arrays: tuple[Array, ...]
    position: int = 0

    def __post_init__(self) -> None:
        kinds = {array.shape for array in self.arrays}
        if len(kinds) != 1:
            found = " and ".join(map(str, sorted(kinds)))
            raise InputError(f"arrays of different shapes cannot stand side by side: {found or 'none'}")

    @property
    def shape(self) -> tuple[int, ...]:
        shape = self.arrays[0].shape
        return (*shape[: self.position], len(self.arrays), *shape[self.position :])

    @property
    def dtype(self) -> np.dtype:
        return np.result_type(*{array.dtype for array in self.arrays})

    @property
    def chunks(self) -> tuple[int, ...] | None:
        inner = self.arrays[0].chunks
        return None if inner is None else (*inner[: self.position], 1, *inner[self.position :])

    def read(self, index: Slices) -> np.ndarray:
        rest = (*index[: self.position], *index[self.position + 1 :])
        which = range(*index[self.position].indices(len(self.arrays)))
        shape = [len(range(*part.indices(n))) for part, n in zip(index, self.shape, strict=True)]
        values = np.empty(shape, self.dtype)
        for i, number in enumerate(which):
            values[(slice(None),) * self.position + (i,)] = self.arrays[number].read(rest)
        return values


@dataclass(frozen=True, eq=False)
class Repeated(Array):
    """The same numbers `times` times along a new dimension at `position`."""

    array: Array
    times: int
    position: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        shape = self.array.shape
        return (*shape[: self.position], self.times, *shape[self.position :])

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        inner = self.array.chunks
        return None if inner is None else (*inner[: self.position], self.times, *inner[self.position :])

    def read(self, index: Slices) -> np.ndarray:
        count = len(range(*index[self.position].indices(self.times)))
        values = self.array.read((*index[: self.position], *index[self.position + 1 :]))
        shape = (*values.shape[: self.position], count, *values.shape[self.position :])
        return np.broadcast_to(np.expand_dims(values, self.position), shape)


@dataclass(frozen=True, eq=False)
class Flattened(Array):
    """The last two dimensions as one: the entries of a matrix row by row."""

    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        *rest, rows, columns = self.array.shape
        return (*rest, rows * columns)

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        return None if self.array.chunks is None else (*self.array.chunks[:-2], self.shape[-1])

    def read(self, index: Slices) -> np.ndarray:
        whole = self.array.read((*index[:-1], *(slice(0, n) for n in self.array.shape[-2:])))
        return whole.reshape(*whole.shape[:-2], self.shape[-1])[..., index[-1]]


@dataclass(frozen=True, eq=False)
class Squared(Array):
    """The last dimension, of n^2 entries, as two of n: what `Flattened` undoes."""

    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.array.shape[:-1], *[math.isqrt(self.array.shape[-1])] * 2)

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        return None if self.array.chunks is None else (*self.array.chunks[:-1], *self.shape[-2:])

    def read(self, index: Slices) -> np.ndarray:
        values = self.array.read((*index[:-2], slice(0, self.array.shape[-1])))
        return values.reshape(*values.shape[:-1], *self.shape[-2:])[..., index[-2], index[-1]]


def _replaced(parts: tuple, position: int, value: Any) -> tuple:
    return (*parts[:position], value, *parts[position + 1 :])


def _joined(parts: list[np.ndarray], position: int) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, position)


def _slice(numbers: range) -> slice:
    """The slice that takes these numbers, in ascending order."""
    return slice(numbers[0], numbers[-1] + 1, numbers.step) if numbers else slice(0, 0)


def _runs(numbers: Sequence[int] | np.ndarray) -> list[slice]:
    """Neighbours in one read: the numbers as slices of step 1."""
    found: list[slice] = []
    for n in map(int, numbers):
        if found and found[-1].stop == n:
            found[-1] = slice(found[-1].start, n + 1)
        else:
            found.append(slice(n, n + 1))
    return found
