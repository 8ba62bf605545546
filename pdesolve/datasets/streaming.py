"""Windows of trajectories streamed from files: by workers, in shuffled blocks, in bounded memory, from any batch on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch.utils import data as torch_data

from pdesolve.data.batch import Batch, Sample
from pdesolve.data.dataset import Dataset
from pdesolve.data.task import Task
from pdesolve.data.windows import Windows
from pdesolve.datasets.order import InTurn, Order, Portion, Share, Shuffled, Slice
from pdesolve.datasets.window_blocks import (
    blocking,
    cached,
    directly,
    in_blocks,
    in_memory,
    nbytes,
    samples_share_chunks,
)
from pdesolve.datasets.workers import Workers
from pdesolve.errors import InputError, unknown_name
from pdesolve.training.devices import find_device
from pdesolve.training.processes import place

Shuffle = Literal["blocks", "windows", "no"]
MEMORY = 256 << 20


class WindowDataset(torch_data.Dataset):
    """Windows by number for torch's own DataLoader: `DataLoader(WindowDataset(...), 32, collate_fn=batched)`.

    memory: bytes that each process may keep; data that fit into it are read in blocks, once, others window by window.
    """

    def __init__(
        self, dataset: Dataset, task: Task, *, memory: int = MEMORY, dtype: torch.dtype = torch.float32
    ) -> None:
        windows = Windows(dataset, task, dtype=dtype)
        fits = not windows.ragged and nbytes(windows) <= memory
        self.windows = cached(windows, blocking(windows, memory), memory) if fits else windows

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, number: int) -> Sample:
        return self.windows[number]

    def __getitems__(self, numbers: list[int]) -> Batch:
        return self.windows.batch(numbers)


def batched(batch: Batch) -> Batch:
    """Batches of a `WindowDataset` are put together already: for `collate_fn`."""
    return batch


class StreamedWindows(torch_data.IterableDataset):
    """Batches shuffled in blocks for torch's own DataLoader: `DataLoader(StreamedWindows(...), batch_size=None)`.

    Workers and ranks share the windows among them. Call `begin` before each epoch.
    """

    def __init__(
        self, dataset: Dataset, task: Task, *, batch: int = 32, seed: int = 0, memory: int = MEMORY,
        dtype: torch.dtype = torch.float32, rank: int | None = None, ranks: int | None = None,
    ) -> None:  # fmt: skip
        self.windows = Windows(dataset, task, dtype=dtype)
        self.batch, self.seed, self.memory = batch, seed, memory
        self.rank, self.ranks = _placed(rank, ranks)
        self.epoch, self.first = 0, 0

    def begin(self, epoch: int, first: int = 0) -> None:
        """Go on with an epoch, from its batch number `first` on."""
        self.epoch, self.first = epoch, first

    def __iter__(self) -> Iterator[Batch]:
        worker = torch_data.get_worker_info()
        number, lanes = (0, 1) if worker is None else (worker.id, worker.num_workers)
        windows, order = _streamed(self.windows, "blocks", self.memory // lanes, self.seed)
        share = Share(order, self.batch, lanes, self.rank, self.ranks)
        for numbers in share.lane(number, self.epoch, self.first):
            yield windows.batch(numbers, epoch=self.epoch)


@dataclass(frozen=True)
class Position:
    """Where a loader is: what a run stores to go on with the very next batch."""

    epoch: int
    batch: int
    order: str


class Loader:
    """Batches of windows, epoch after epoch: each iteration is one. See `loader`.

    Workers stay for the next epoch and read its first batches ahead; they end with the loader. notes: what a user
    should know of it.
    """

    def __init__(
        self, windows: Windows, share: Portion, *, workers: int, device: torch.device, notes: tuple[str, ...] = ()
    ) -> None:
        self.windows, self.share, self.workers, self.device, self.notes = windows, share, workers, device, notes
        self.epoch, self.batch = 0, 0
        self._processes: Workers | None = None

    def __len__(self) -> int:
        return len(self.share)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the epoch that is due, from the one that is due on."""
        for batch in self._worked() if self.workers else self._alone():
            begin, whole = self.share.place(self.batch, len(batch))
            self.batch += 1
            if self.batch == len(self):
                self.epoch, self.batch = self.epoch + 1, 0
            yield batch if whole == len(batch) else replace(batch, begin=begin, whole=whole)

    def position(self) -> Position:
        """The batch that comes next."""
        return Position(self.epoch, self.batch, self._order)

    def resume(self, position: Position) -> None:
        """Go on where another loader of the same settings was.

        Raises:
            InputError: the settings differ, so that the batches would too.
        """
        if position.order != self._order:
            raise InputError(f"the order of batches was that of {position.order} and is that of {self._order}")
        self.epoch, self.batch = position.epoch, position.batch

    @property
    def _order(self) -> str:
        return self.share.described

    def _alone(self) -> Iterator[Batch]:
        epoch = self.epoch
        for numbers in self.share.batches(epoch, self.batch):
            batch = self.windows.batch(numbers, epoch=epoch)
            yield batch.pin_memory().to(self.device) if self.device.type == "cuda" else batch

    def _worked(self) -> Iterator[Batch]:
        """Workers go on from epoch to epoch, and are started anew where something else is due."""
        for _ in range(self.batch, len(self)):
            if self._processes is None or self._processes.due != (self.epoch, self.batch):
                self._processes = None  # the old ones end before new ones begin
                self._processes = Workers(
                    self.windows, self.share, count=self.workers, device=self.device, due=(self.epoch, self.batch)
                )
            try:
                batch = self._processes.next()
            except InputError:
                self._processes = None
                raise
            yield batch
            del batch


def loader(
    dataset: Dataset, task: Task, *, batch: int = 32, workers: int | None = None, shuffle: Shuffle = "blocks",
    seed: int = 0, memory: int = MEMORY, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32,
    rank: int | None = None, ranks: int | None = None,
) -> Loader:  # fmt: skip
    """Batches of the windows of a task, ready for training.

    Data that fit into `memory` are read once and held. Of larger ones uncompressed numbers in HDF5 are read where they
    lie in the file, others in blocks, which workers keep.

    batch: windows in each, of all processes together; the last batch of an epoch may have fewer. workers: processes
    that read; None takes 2 where data are streamed, and none where they are held. shuffle: "blocks" reads whole blocks
    and mixes those that memory holds, "windows" makes any order equally likely (dear where a file is compressed), "no"
    takes them in turn. memory: bytes of the data that all workers together hold, beside the batches under way. device:
    where batches go; to a GPU from pinned memory. rank, ranks: which of how many processes this is; as torchrun says,
    where they are None.

    Each process gets a slice of every batch, of which `begin` and `whole` of the batch tell. Where blocks are streamed
    it has a part of the file of its own instead, so that no two read the same, and batches are others than those of one
    process.

    Raises:
        InputError: the task does not fit the data set, fewer windows than processes, too little memory for a block.
    """
    if batch < 1 or (workers or 0) < 0 or memory < 1:
        raise InputError(f"expected batch >= 1, workers >= 0, memory >= 1, got {batch}, {workers}, {memory}")
    windows = Windows(dataset, task, dtype=dtype)
    rank, ranks = _placed(rank, ranks)
    held = nbytes(windows) <= memory
    workers = (0 if held else min(2, os.cpu_count() or 1)) if workers is None else workers
    if held:
        read, order = in_memory(windows), _whole_order(len(windows), shuffle, seed)
    else:
        read, order = _streamed(windows, shuffle, memory // max(1, workers), seed)
    if len(windows) < ranks or batch < ranks:
        few = f"{len(windows)} windows" if len(windows) < ranks else f"{batch} windows in a batch"
        raise InputError(f"there are {few} for {ranks} processes: use fewer processes")
    share: Portion = Slice(order, batch, rank, ranks)
    if shuffle == "blocks" and not held:
        if batch % ranks:
            raise InputError(f"a batch of {batch} windows is streamed to {ranks} processes: take a multiple of {ranks}")
        share = Share(order, batch // ranks, max(1, workers), rank, ranks)
    notes = (
        f"{share.dropped} of {len(windows)} windows are dropped in each epoch, so that {ranks} processes share it",
    )
    return Loader(read, share, workers=workers, device=find_device(str(device)), notes=notes if share.dropped else ())


def _streamed(windows: Windows, shuffle: Shuffle, memory: int, seed: int) -> tuple[Windows, Order]:
    if windows.ragged:
        return windows, _whole_order(len(windows), shuffle, seed)
    order = _whole_order(len(windows), shuffle, seed)
    if shuffle == "windows" or (shuffle == "no" and not samples_share_chunks(windows)):
        return directly(windows), order
    blocks = blocking(windows, memory)
    return cached(windows, blocks, memory), order if shuffle == "no" else in_blocks(windows, blocks, memory, seed)


def _whole_order(count: int, shuffle: Shuffle, seed: int) -> Order:
    if shuffle not in ("blocks", "windows", "no"):
        raise unknown_name("shuffle", shuffle, ("blocks", "windows", "no"))
    return InTurn(count) if shuffle == "no" else Shuffled(count, seed)


def _placed(rank: int | None, ranks: int | None) -> tuple[int, int]:
    found = place()
    rank, ranks = found[0] if rank is None else rank, found[1] if ranks is None else ranks
    if not 0 <= rank < ranks:
        raise InputError(f"a rank is one of 0 to ranks - 1, got rank {rank} of {ranks}")
    return rank, ranks
