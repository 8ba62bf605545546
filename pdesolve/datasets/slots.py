"""Memory that processes share, used again for batch after batch.

A fresh piece of shared memory costs more than filling it: the system clears each page on its first use, in both
processes. So workers write into pieces that live as long as the loader, and a piece is used again when no tensor of
the batch in it is left.
"""

from __future__ import annotations

import shutil
import weakref
from pathlib import Path

import torch
from torch import Tensor

from pdesolve.errors import InputError

_SHARED = Path("/dev/shm")


class Slots:
    """Pieces of shared memory of one size, and which of them are free.

    Raises:
        InputError: the system has less shared memory.
    """

    def __init__(self, count: int, nbytes: int) -> None:
        if _SHARED.is_dir() and count * nbytes > (free := shutil.disk_usage(_SHARED).free):
            raise InputError(
                f"{count} batches of {nbytes} bytes are under way and {_SHARED} has {free} bytes free: ask for smaller "
                "batches or fewer workers, or for more shared memory (docker run --shm-size)"
            )
        self.memory = tuple(
            torch.empty(0, dtype=torch.uint8).set_(torch.UntypedStorage._new_shared(nbytes)) for _ in range(count)
        )
        self._free = list(range(count))

    @property
    def free(self) -> int:
        """How many pieces no batch lies in."""
        return len(self._free)

    def take(self) -> int:
        """The number of the piece that was freed last, and may lie in the processor's cache still."""
        return self._free.pop()

    def lend(self, number: int) -> Tensor:
        """The memory of a piece, which is free again when nothing refers to it any more."""
        array = self.memory[number].numpy()
        weakref.finalize(array, self._free.append, number).atexit = False
        return torch.from_numpy(array)
