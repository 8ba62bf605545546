"""Blocks of files that were read last, kept up to a number of bytes."""

from __future__ import annotations

import itertools
import math
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pdesolve.data.arrays import Array, Slices


class BlockCache:
    """Blocks in memory, at most `limit` bytes of them; the one that was not used for longest goes first.

    Threads may share one. Another process gets an empty one with the same limit.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.held, self.loads = limit, 0, 0
        self._blocks: OrderedDict[tuple[int, tuple[int, ...]], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def block(self, key: tuple[int, tuple[int, ...]], array: Array, size: tuple[int, ...]) -> np.ndarray:
        """A block of an array by (name, place), from memory where it is kept there."""
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
                return self._blocks[key]
            index = tuple(slice(i * b, min((i + 1) * b, n)) for i, b, n in zip(key[1], size, array.shape, strict=True))
            values = self._room([part.stop - part.start for part in index], array.dtype)
            array.read_into(index, values)
            self.loads += 1
            if values.nbytes <= self.limit:
                self._blocks[key] = values
                self.held += values.nbytes
            return values

    def _room(self, shape: list[int], dtype: np.dtype) -> np.ndarray:
        """Memory for a block, so that the limit holds with it: that of one which goes, where nobody looks at it."""
        nbytes = math.prod(shape) * dtype.itemsize
        while self._blocks and self.held + nbytes > self.limit:
            _, gone = self._blocks.popitem(last=False)
            self.held -= gone.nbytes
            alone = sys.getrefcount(gone) == 2  # this name and the argument; each view of it counts
            if alone and gone.shape == tuple(shape) and gone.dtype == dtype and self.held + nbytes <= self.limit:
                return gone
        return np.empty(shape, dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return BlockCache, (self.limit,)


_names = itertools.count()


@dataclass(frozen=True, eq=False)
class Cached(Array):
    """An array that is read in blocks of a shape, which a cache keeps."""

    array: Array
    block: tuple[int, ...]
    cache: BlockCache
    name: int

    @staticmethod
    def of(array: Array, block: tuple[int, ...], cache: BlockCache) -> Cached:
        """The array behind a cache, which may hold other arrays too."""
        return Cached(array, tuple(min(b, n) for b, n in zip(block, array.shape, strict=True)), cache, next(_names))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        return self.block

    def read(self, index: Slices) -> np.ndarray:
        place, inside = [0] * len(index), list(index)
        for i, size in self._cut:
            part = index[i]
            first = part.start // size
            if part.stop > (first + 1) * size or part.stop <= part.start:
                return self._joined(index)
            place[i], inside[i] = first, slice(part.start - first * size, part.stop - first * size, part.step)
        return self._of_block(tuple(place))[tuple(inside)]

    @cached_property
    def _cut(self) -> list[tuple[int, int]]:
        """The dimensions that have several blocks, and the size of these."""
        sizes = enumerate(zip(self.block, self.shape, strict=True))
        return [(i, block) for i, (block, n) in sizes if block < n]

    def _joined(self, index: Slices) -> np.ndarray:
        found = np.empty([len(range(part.start, part.stop, part.step or 1)) for part in index], self.dtype)
        for places in itertools.product(*map(_blocks, index, self.block)):
            there, here = (tuple(part[which] for part in places) for which in (1, 2))
            found[there] = self._of_block(tuple(part[0] for part in places))[here]
        return found

    def _of_block(self, place: tuple[int, ...]) -> np.ndarray:
        return self.cache.block((self.name, place), self.array, self.block)


def _blocks(part: slice, size: int) -> list[tuple[int, slice, slice]]:
    """The blocks along a dimension that a slice meets: which, its numbers in the slice, and in the block."""
    numbers, found = range(part.start, part.stop, part.step or 1), []
    done = 0
    while done < len(numbers):
        i = numbers[done] // size
        inside = range(numbers[done], min(numbers.stop, (i + 1) * size), numbers.step)
        here = slice(inside[0] - i * size, inside[-1] + 1 - i * size, inside.step)
        found.append((i, slice(done, done + len(inside)), here))
        done += len(inside)
    return found
