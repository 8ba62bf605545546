"""Processes that read batches of windows into shared memory, epoch after epoch, some batches ahead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils import data as torch_data

from pdesolve.data.batch import Batch
from pdesolve.data.windows import Windows
from pdesolve.datasets.order import Portion
from pdesolve.datasets.slots import Slots
from pdesolve.errors import InputError

_AHEAD = 2  # batches that each worker has under way
_KEPT = 3  # batches that may be held on to before they are copied


class Workers:
    """Processes that bring the batches of a share in their order, without end, from one batch of an epoch on.

    due: the epoch and the batch that come next. They stop when nothing refers to them any more.
    """

    def __init__(
        self, windows: Windows, share: Portion, *, count: int, device: torch.device, due: tuple[int, int]
    ) -> None:
        self.windows, self.share, self.device, self.due = windows, share, device, due
        size = 0 if windows.ragged else windows.nbytes(share.batch)
        self._slots = Slots(count * _AHEAD + _KEPT, size)
        made = torch_data.DataLoader(
            _Reading(windows, self._slots.memory), batch_size=None, sampler=_Requests(share, due, self._slots),  # type: ignore[arg-type]
            num_workers=count, prefetch_factor=_AHEAD, collate_fn=_same,
        )  # fmt: skip
        self._found = _alive(made)

    def next(self) -> Batch:
        """The batch that is due.

        Raises:
            InputError: what a worker met, or that it was killed.
        """
        found = next(self._found)
        if isinstance(found, InputError):
            raise found
        number, read = found
        epoch, batch = self.due
        self.due = (epoch, batch + 1) if batch + 1 < len(self.share) else (epoch + 1, 0)
        memory = self._slots.lend(number)
        if isinstance(read, Batch):  # ragged: its size was not known before
            return read.pin_memory().to(self.device) if self.device.type == "cuda" else read
        if self.device.type == "cuda":
            memory = memory.pin_memory().to(self.device, non_blocking=True)
        elif not self._slots.free:
            memory = memory.clone()
        return self.windows.view(memory, read)


@dataclass(frozen=True)
class _Request:
    slot: int
    numbers: np.ndarray
    epoch: int


class _Requests:
    """What workers are asked for, each with a free piece of memory for the answer."""

    def __init__(self, share: Portion, due: tuple[int, int], slots: Slots) -> None:
        self.share, self.due, self.slots = share, due, slots

    def __iter__(self) -> Iterator[_Request]:
        epoch, first = self.due
        while True:
            for numbers in self.share.batches(epoch, first):
                yield _Request(self.slots.take(), numbers, epoch)
            epoch, first = epoch + 1, 0


class _Reading(torch_data.Dataset):
    """What a worker does."""

    def __init__(self, windows: Windows, memory: tuple[Tensor, ...]) -> None:
        self.windows, self.memory = windows, memory

    def __getitem__(self, request: _Request) -> tuple[int, Batch | int] | InputError:
        try:
            if self.windows.ragged:
                return request.slot, self.windows.batch(request.numbers, epoch=request.epoch)
            self.windows.fill(self.memory[request.slot], request.numbers, epoch=request.epoch)
        except InputError as error:  # as a value: torch would make many lines of it
            return error
        return request.slot, len(request.numbers)


def _alive(made: torch_data.DataLoader) -> Iterator[tuple[int, Batch | int] | InputError]:
    """What the workers bring.

    Raises:
        InputError: one of them was killed.
    """
    try:
        yield from made
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise InputError(
            "a worker that read data was killed, most often since memory ran out: use fewer workers, a smaller batch "
            "or less memory for blocks, or workers=0 to see what it does"
        ) from error


def _same(found: object) -> object:
    return found
