"""Numbers in files that are no HDF5: mapped where they lie raw, else read whole once and kept, and views of them."""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pdesolve.data.arrays import Array, Memory, Part, Slices, Transposed
from pdesolve.datasets.handles import stamp
from pdesolve.errors import InputError

KEPT_BYTES = 2**30  # of what was read whole, in this process
DEFLATE = 1032  # the most that zlib can shrink anything by
Order = Literal["C", "F"]


class _Recent:
    """What was read last, as far as it has room in `KEPT_BYTES`; a single larger thing is kept alone."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.things: OrderedDict[Hashable, tuple[int, Any]] = OrderedDict()

    def get(self, key: Hashable, size: int, make: Callable[[], Any]) -> Any:
        with self.lock:
            if key not in self.things:
                self.things[key] = (size, make())
            self.things.move_to_end(key)
            while len(self.things) > 1 and sum(size for size, _ in self.things.values()) > KEPT_BYTES:
                self.things.popitem(last=False)
            return self.things[key][1]


_kept, _maps = _Recent(), _Recent()


def _after_fork() -> None:
    # another thread of the parent may have held the locks
    for recent in (_kept, _maps):
        recent.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def kept(path: str, part: Hashable, size: int, make: Callable[[], Any]) -> Any:
    """What `make` reads of a file, of `size` bytes, kept until there is too much or the file changes; of a folder,
    whose changes do not show, nothing is kept.

    Raises:
        InputError: a file that is gone.
    """
    if os.path.isdir(path):
        return make()
    try:
        return _kept.get((path, stamp(path), part), size, make)
    except FileNotFoundError:
        raise InputError(f"{path} is gone: it was there when the data set was opened") from None


@dataclass(frozen=True, eq=False)
class Mapped(Array):
    """Raw numbers from `offset` on, of which a part is read by mapping it into memory."""

    path: str
    sizes: tuple[int, ...]
    stored: np.dtype  # with its byte order
    offset: int
    order: Order = "C"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.sizes

    @property
    def dtype(self) -> np.dtype:
        return self.stored.newbyteorder("=")

    @property
    def chunks(self) -> None:
        return None

    def read(self, index: Slices) -> np.ndarray:
        if not math.prod(self.sizes):
            return np.empty(self.sizes, self.dtype)[index]
        key = (self.path, stamp(self.path), self.offset)
        return np.array(_maps.get(key, 2**20, self._map)[index], self.dtype)

    def _map(self) -> np.ndarray:
        try:
            return np.memmap(self.path, self.stored, "r", self.offset, self.sizes, self.order)
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path} cannot be read ({error}): is it truncated? copy it again") from None


@dataclass(frozen=True, eq=False)
class Whole(Array):
    """Numbers that can be read only all at once: `load(path, name)`, a function of a module; and kept."""

    path: str
    name: str
    sizes: tuple[int, ...]
    kind: np.dtype
    load: Callable[[str, str], np.ndarray]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.sizes

    @property
    def dtype(self) -> np.dtype:
        return self.kind

    @property
    def chunks(self) -> tuple[int, ...]:
        return self.sizes

    def read(self, index: Slices) -> np.ndarray:
        values = kept(self.path, self.name, self.nbytes, self._load)
        return np.array(values[index])

    def _load(self) -> np.ndarray:
        values = np.asarray(self.load(self.path, self.name))
        if values.shape != self.sizes:
            raise InputError(f"{self.name} of {self.path} has the shape {values.shape}, its header says {self.sizes}")
        return values.astype(self.kind, copy=False)


@dataclass(frozen=True, eq=False)
class Flipped(Array):
    """One dimension the other way round."""

    array: Array
    position: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        return self.array.chunks

    def read(self, index: Slices) -> np.ndarray:
        size = self.shape[self.position]
        numbers = range(*index[self.position].indices(size))
        inner = list(index)
        inner[self.position] = (
            slice(size - 1 - numbers[-1], size - numbers[0], numbers.step) if numbers else slice(0, 0)
        )
        return np.flip(self.array.read(tuple(inner)), self.position)


@dataclass(frozen=True, eq=False)
class Parts(Array):
    """The real and the imaginary part of complex numbers, side by side in a first dimension of two.

    The numbers are complex, or records of the fields `real` and `imag` as MATLAB writes them into HDF5.
    """

    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return (2, *self.array.shape)

    @property
    def dtype(self) -> np.dtype:
        found = self.array.dtype
        return found["real"] if found.names else np.dtype(f"f{found.itemsize // 2}")

    @property
    def chunks(self) -> tuple[int, ...] | None:
        return None if self.array.chunks is None else (2, *self.array.chunks)

    def read(self, index: Slices) -> np.ndarray:
        values = self.array.read(index[1:])
        both = (values["real"], values["imag"]) if values.dtype.names else (np.real(values), np.imag(values))
        return np.stack(both)[index[0]]


def is_complex(array: Array) -> bool:
    """Whether its numbers have two parts, which `Parts` shows."""
    return array.dtype.kind == "c" or array.dtype.names == ("real", "imag")


def dropped(array: Array, positions: frozenset[int]) -> Array:
    """Without dimensions of size one."""
    return array if not positions else Part(array, tuple(slice(0, n) for n in array.shape), positions)


def squeezed(array: Array) -> Array:
    """Without its dimensions of size one."""
    return dropped(array, frozenset(i for i, n in enumerate(array.shape) if n == 1))


def transposed(array: Array, order: tuple[int, ...]) -> Array:
    return array if order == tuple(range(len(order))) else Transposed(array, order)


def memory(values: Any) -> Memory:
    """Numbers that are small enough to be there already."""
    return Memory(np.ascontiguousarray(values))


def check_size(path: Path | str, name: str, size: int, stored: int) -> None:
    """Refuse what would not fit, before anything is allocated: `stored` is the bytes in the file.

    Raises:
        InputError: more bytes than this machine has memory, or than that much compressed data can hold.
    """
    if size > DEFLATE * stored + 4096:
        raise InputError(
            f"{name} of {path} claims {size:,} bytes and the file holds {stored:,} for it: it is damaged, or made to "
            "fill the memory"
        )
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else size
    if size > there:
        raise InputError(
            f"{name} of {path} takes {size / 2**30:.1f} GiB, can only be read whole, and this machine has "
            f"{there / 2**30:.1f} GiB: split the file, or save it as .npy or HDF5, of which parts can be read"
        )
