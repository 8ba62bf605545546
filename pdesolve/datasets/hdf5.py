"""HDF5 files of others, looked into and read in parts."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5z  # pyright: ignore[reportAttributeAccessIssue]

from pdesolve.data.arrays import Array, Slices
from pdesolve.datasets.handles import dataset_at, explained
from pdesolve.datasets.links import GuardedGroup, guarded_root
from pdesolve.errors import InputError

_PIECE = 2**14  # bytes that are worth leaving out of an array without chunks
_SHOWN = 8  # names in messages
_LONGEST = 2**16  # entries of an attribute
_LARGEST = 2**28  # bytes of coordinates and parameters


@contextmanager
def look(path: Path) -> Iterator[GuardedGroup]:
    """The root of an HDF5 file, as h5py shows it; nothing in it leads out of the folder of the file.

    Raises:
        InputError: a file that is no HDF5, is truncated, locked by its writer or may not be read; links and virtual
            data sets elsewhere, raw storage in other files; a name that is asked for and not there.
    """
    with explained(path):
        yield guarded_root(os.path.abspath(path))


@dataclass(frozen=True, eq=False)
class H5Array(Array):
    """A data set of an HDF5 file, its numbers in the byte order of the machine. Write `H5Array.of(look(...)[name])`."""

    path: str
    name: str
    _shape: tuple[int, ...]
    _dtype: np.dtype
    _chunks: tuple[int, ...] | None

    @staticmethod
    def of(dataset: Any) -> H5Array:
        """The numbers of a data set, which are not read yet.

        Raises:
            InputError: a group, text or objects instead of numbers, nothing, a compression that is not installed.
        """
        path, name = dataset.file.filename, str(dataset.name)
        if not isinstance(dataset, h5py.Dataset) or dataset.shape is None or dataset.dtype.kind not in "biufcV":
            raise InputError(f"{path}: expected numbers in {name}, found {described(dataset)}")
        properties = dataset.id.get_create_plist()
        for i in range(properties.get_nfilters()):
            number, _, _, label = properties.get_filter(i)
            if not h5z.filter_avail(number):
                raise InputError(
                    f"{path}: {name} is compressed by filter {number} ({label.decode(errors='replace')}), which is not "
                    "installed: pip install hdf5plugin and `import hdf5plugin` first, or h5repack the file with gzip"
                )
        return H5Array(path, name, dataset.shape, dataset.dtype.newbyteorder("="), dataset.chunks)

    def at(self, name: str) -> H5Array:
        """Another data set of the file, expected to be like this one."""
        return replace(self, name=name)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def dtype(self) -> np.dtype:
        return self._dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        return self._chunks

    def read(self, index: Slices) -> np.ndarray:
        asked = tuple(self._without_steps(i, part) for i, part in enumerate(index))
        with explained(self.path):
            values = np.asarray(self.opened()[asked])
        if asked != index:
            left = (
                slice(None, None, None if part is now else part.step) for part, now in zip(index, asked, strict=True)
            )
            values = np.ascontiguousarray(values[tuple(left)])
        return values if values.dtype == self._dtype else values.astype(self._dtype)

    def read_into(self, index: Slices, out: np.ndarray) -> None:
        stepped = any((part.step or 1) > 1 for part in index)
        if stepped or not out.size or out.dtype != self._dtype or not out.flags.c_contiguous:
            super().read_into(index, out)
            return
        with explained(self.path):
            self.opened().read_direct(out, index)

    def _without_steps(self, dimension: int, part: slice) -> slice:
        """What to read for a slice: all that is between, where HDF5 would pick pieces out of what it reads anyway.

        That is 3 to 30 times as fast as its own steps.
        """
        step = part.step or 1
        if self._chunks is None:
            piece = self._dtype.itemsize * math.prod(self._shape[dimension + 1 :])
            skips = step * piece > _PIECE
        else:
            skips = step >= self._chunks[dimension]
        return part if step == 1 or skips else slice(part.start, part.stop)

    def opened(self) -> h5py.Dataset:
        """The open data set of this process."""
        dataset = dataset_at(self.path, self.name, lambda: guarded_root(self.path)[self.name])
        if dataset.shape != self._shape:
            raise InputError(f"{self.path}: expected {self.name} of the shape {self._shape}, found {dataset.shape}")
        return dataset


def numbers(node: Any) -> np.ndarray:
    """All numbers of a small data set: coordinates, parameters.

    Raises:
        InputError: a group, text, or a size that no coordinates have.
    """
    array = H5Array.of(node)
    if array.nbytes > _LARGEST:
        raise InputError(f"{array.path}: {array.name} has {array.shape} numbers, too many to be coordinates")
    return np.asarray(node[()], array.dtype)


def attributes_of(node: h5py.HLObject) -> dict[str, Any]:
    """The attributes as text, numbers and lists of them; what is empty or anything else is left out."""
    found = {name: attribute(node, name) for name in node.attrs}
    return {name: value for name, value in found.items() if value is not None}


def attribute(node: h5py.HLObject, name: str) -> Any:
    """An attribute as text, a number or a list of them; None where it is not there, is empty or is anything else."""
    try:
        # damaged sizes may be anything
        if math.prod(node.attrs.get_id(name).shape or ()) > _LONGEST:
            return None
        return _plain(node.attrs[name])
    except (KeyError, OSError, TypeError, ValueError, MemoryError):  # not there, or of a type that numpy has not
        return None


def texts(node: h5py.HLObject, name: str) -> list[str]:
    """An attribute that lists names; a single text is a list of one, and empty ones of any type are no names."""
    found = attribute(node, name)
    return [entry for entry in (found if isinstance(found, list) else [found]) if isinstance(entry, str)]


def described(node: Any) -> str:
    """What something in a file is, for messages: the shape and type of its numbers, or the size of a group."""
    if isinstance(node, h5py.Dataset):
        return "an empty data set" if node.shape is None else f"{node.shape} {node.dtype}"
    return f"a group of {len(node)}" if isinstance(node, h5py.Group) else "a type"


def contents(path: Path) -> str:
    """What lies at the top of a file, for messages."""
    with look(path) as root:
        names = list(root)
        parts = [f"{name} ({_glimpse(root, name)})" for name in names[:_SHOWN]]
    return (", ".join(parts) or "nothing") + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _glimpse(root: GuardedGroup, name: str) -> str:
    try:
        return described(root[name])
    except (KeyError, InputError):
        return "a link that leads nowhere"


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, np.ndarray):
        return (
            _plain(value.reshape(-1)[0]) if value.size == 1 else [_plain(entry) for entry in value.reshape(-1)] or None
        )
    return value if isinstance(value, (str, bool, int, float, complex)) else None  # h5py.Empty, references
