"""In which order windows come: a function of the seed and the epoch, cut into equal parts for processes.

Reading is fast in blocks: some samples, whole or in a part of their frames. Whole blocks are shuffled, and the windows
of as many blocks as memory holds are shuffled among one another. Nothing is as long as the number of windows but the
order of a full shuffle.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np


class Order(ABC):
    """An order of `count` windows in every epoch."""

    count: int

    @property
    @abstractmethod
    def described(self) -> str:
        """What it depends on beside the epoch."""

    @abstractmethod
    def parts(self, begin: int, end: int, epoch: int) -> Iterator[np.ndarray]:
        """The numbers of the windows at the places `begin` to `end` of an epoch, in as many parts as are needed."""


@dataclass(frozen=True)
class InTurn(Order):
    """One after another."""

    count: int

    @property
    def described(self) -> str:
        return "in turn"

    def parts(self, begin: int, end: int, epoch: int) -> Iterator[np.ndarray]:
        for i in range(begin, end, _PART):
            yield np.arange(i, min(i + _PART, end))


@dataclass(frozen=True)
class Shuffled(Order):
    """Any order equally likely."""

    count: int
    seed: int

    @property
    def described(self) -> str:
        return f"shuffled by seed {self.seed}"

    def parts(self, begin: int, end: int, epoch: int) -> Iterator[np.ndarray]:
        yield np.random.default_rng([self.seed, epoch]).permutation(self.count)[begin:end]


@dataclass(frozen=True, eq=False)
class Blocks(Order):
    """Shuffled blocks, and in `together` blocks at a time shuffled windows.

    groups: (samples,) which group of samples, read together, each sample belongs to. starts: windows of a sample.
    run: how many of them, one after another, are in a block.
    """

    groups: np.ndarray
    starts: int
    run: int
    together: int
    seed: int

    @property
    def described(self) -> str:
        blocks = f"{self._samples[1].size - 1} groups of samples, {self.run} windows in a run, {self.together} together"
        return f"shuffled in blocks ({blocks}) by seed {self.seed}"

    @property
    def count(self) -> int:  # type: ignore[override]
        return len(self.groups) * self.starts

    @cached_property
    def _samples(self) -> tuple[np.ndarray, np.ndarray]:
        """Samples in order of their groups, and where each group begins and the last ends."""
        order = np.argsort(self.groups, kind="stable")
        begins = np.flatnonzero(np.diff(self.groups[order], prepend=self.groups[order[0]] - 1))
        return order, np.append(begins, len(order))

    def parts(self, begin: int, end: int, epoch: int) -> Iterator[np.ndarray]:
        order, bounds = self._samples
        runs = -(-self.starts // self.run)
        generator = np.random.default_rng([self.seed, epoch])
        blocks = generator.permutation((len(bounds) - 1) * runs)
        group, segment = np.divmod(blocks, runs)
        lengths = np.minimum((segment + 1) * self.run, self.starts) - segment * self.run
        ends = np.cumsum((bounds[group + 1] - bounds[group]) * lengths)
        first = int(np.searchsorted(ends, begin, side="right"))
        while begin < end:
            last = min(first + self.together, len(blocks))
            windows = np.concatenate(
                [
                    (order[bounds[g] : bounds[g + 1], None] * self.starts + s * self.run + np.arange(n)).reshape(-1)
                    for g, s, n in zip(group[first:last], segment[first:last], lengths[first:last], strict=True)
                ]
            )
            origin = int(ends[first - 1]) if first else 0
            stop = min(end, origin + len(windows))
            yield np.random.default_rng([self.seed, epoch, first]).permutation(windows[begin - origin : stop - origin])
            begin, first = stop, last


class Portion(ABC):
    """What one process gets of an order, batch by batch.

    order: of all. batch: the most windows in one. lanes: in which they are made. ranks: processes. dropped: windows of
    an epoch that no process gets.
    """

    order: Order
    batch: int
    lanes: int
    ranks: int
    dropped: int

    @property
    @abstractmethod
    def described(self) -> str:
        """What the batches of all processes together depend on."""

    @abstractmethod
    def __len__(self) -> int:
        """Batches in an epoch."""

    @abstractmethod
    def batches(self, epoch: int, first: int = 0) -> Iterator[np.ndarray]:
        """The windows of all batches of an epoch, from batch `first` on."""

    @abstractmethod
    def place(self, number: int, size: int) -> tuple[int, int]:
        """Where a batch of so many windows begins in that of all processes together, and how many that has."""


@dataclass(frozen=True)
class Slice(Portion):
    """An equal slice of every batch: however many the processes are, together they have the same batches.

    whole: windows in the batches of all processes together. A last batch with fewer windows than processes is dropped.
    """

    order: Order
    whole: int
    rank: int = 0
    ranks: int = 1
    lanes: int = 1

    @property
    def described(self) -> str:
        return f"{self.order.count} windows {self.order.described}, batch={self.whole}"

    @property
    def batch(self) -> int:  # type: ignore[override]
        return -(-self.whole // self.ranks)

    @property
    def dropped(self) -> int:  # type: ignore[override]
        rest = self.order.count % self.whole
        return rest if rest < self.ranks else 0

    def __len__(self) -> int:
        return -(-(self.order.count - self.dropped) // self.whole)

    def batches(self, epoch: int, first: int = 0) -> Iterator[np.ndarray]:
        for numbers in islice(Share(self.order, self.whole).batches(epoch, first), len(self) - first):
            begin, end = (len(numbers) * i // self.ranks for i in (self.rank, self.rank + 1))
            yield numbers[begin:end]

    def place(self, number: int, size: int) -> tuple[int, int]:
        whole = min(self.whole, self.order.count - number * self.whole)
        return whole * self.rank // self.ranks, whole


@dataclass(frozen=True)
class Share(Portion):
    """A part of the order for each process: as many windows as every other, in batches that `lanes` make in turn.

    So that no two processes read the same block, their batches are of other windows than those of one process.

    A lane is a worker's: it has neighbours in the order, so that no two workers read the same block. Windows that are
    left over where processes get equally many are dropped.
    """

    order: Order
    batch: int
    lanes: int = 1
    rank: int = 0
    ranks: int = 1

    @property
    def windows(self) -> int:
        return self.order.count // self.ranks

    @property
    def described(self) -> str:
        order = self.order
        return f"{order.count} windows {order.described}, batch={self.batch}, lanes={self.lanes}, {self.ranks} ranks"

    @property
    def dropped(self) -> int:  # type: ignore[override]
        return self.order.count - self.windows * self.ranks

    def place(self, number: int, size: int) -> tuple[int, int]:
        return self.rank * size, self.ranks * size

    def __len__(self) -> int:
        return -(-self.windows // self.batch)

    def lane(self, number: int, epoch: int, first: int = 0) -> Iterator[np.ndarray]:
        """The windows of the batches number, number + lanes, ... of an epoch, from batch `first` on."""
        sizes = [self._size(lane) for lane in range(self.lanes)]
        begin = self.rank * self.windows + sum(sizes[:number])
        end = begin + sizes[number]
        skipped = len(range(number, first, self.lanes)) * self.batch
        kept = np.empty(0, int)
        for part in self.order.parts(begin, end, epoch):
            if skipped >= len(part):
                skipped -= len(part)
                continue
            kept, skipped = np.concatenate([kept, part[skipped:]]), 0
            while len(kept) >= self.batch:
                yield kept[: self.batch]
                kept = kept[self.batch :]
        if len(kept):
            yield kept

    def batches(self, epoch: int, first: int = 0) -> Iterator[np.ndarray]:
        """The windows of all batches of an epoch, from batch `first` on."""
        lanes = [self.lane(number, epoch, first) for number in range(self.lanes)]
        for batch in range(first, len(self)):
            yield next(lanes[batch % self.lanes])

    def _size(self, lane: int) -> int:
        whole = len(range(lane, len(self), self.lanes)) * self.batch
        last = (len(self) - 1) % self.lanes
        return whole - (len(self) * self.batch - self.windows if lane == last else 0)


_PART = 1 << 16
