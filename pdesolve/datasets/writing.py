"""Data sets written in our own layout: HDF5 that is netCDF-4 and that readers of the Well open."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from pdesolve.data import Dataset
from pdesolve.datasets.arrangement import Arrangement, Item, arranged
from pdesolve.datasets.blocks import cut
from pdesolve.datasets.chunking import aligned, chunks_for
from pdesolve.datasets.netcdf import add_coordinate, add_dimension, label, set_attributes
from pdesolve.errors import InputError

Compression = Literal["gzip"]
LEVEL = 4  # of gzip: higher ones cost more time than they save room
_FULL = (28, 122)  # errno: no space left, quota exceeded
Make = Callable[[h5py.File, Item], h5py.Dataset]


def write(
    dataset: Dataset, path: str | Path, *, compression: Compression | None = None, dtype: str | None = None,
    complete: np.ndarray | None = None,
) -> Path:  # fmt: skip
    """Write a data set in our layout, in bounded memory; the file is there at once, whole, or not at all.

    compression: "gzip" for gzip-4 after a shuffle of bytes; best left out for what is read often. dtype: of the fields,
    "float32" or "float64"; by default as they are. complete: (sample,), which samples are; the others are not shown.

    Raises:
        InputError: what has no place in the layout, a disk that is full, a folder that cannot be written.
    """
    path = Path(path)
    if compression not in (None, "gzip"):
        raise InputError(f"the compression is 'gzip' or None, got {compression!r}")
    if dtype not in (None, "float32", "float64"):
        raise InputError(f"fields are stored as 'float32' or 'float64', got {dtype!r}")
    contents = arranged(dataset, path.stem, complete=complete)
    store(contents, path, lambda file, item: copy(file, item, compression=compression, dtype=dtype))
    return path


def store(contents: Arrangement, path: Path, make: Make) -> None:
    """Write a file aside, with its arrays as `make` makes them, and rename it.

    Raises:
        InputError: a disk that is full, a folder that cannot be written.
    """
    with aside(path) as file:
        for name, size in contents.dimensions.items():
            if isinstance(size, np.ndarray):
                add_coordinate(file, name, size)
            else:
                add_dimension(file, name, size)
        set_attributes(file, contents.attributes)
        for name, scale in ((n, file[n]) for n in contents.dimensions):
            set_attributes(scale, _coordinate_attributes(contents, name))
        for group, attributes in contents.groups.items():
            set_attributes(file.create_group(group, track_order=True), attributes)
        for item in contents.items:
            label(make(file, item), item.dims, item.attributes)


def copy(
    file: h5py.File, item: Item, *, compression: Compression | None = None, dtype: str | None = None
) -> h5py.Dataset:
    """An array of the file with its numbers, read and written in blocks of whole chunks."""
    array, kind = item.array, stored_type(item, dtype)
    chunks = chunks_for(array.shape, kind.itemsize, item.outer) if item.outer < len(array.shape) else None
    options = {"compression": compression, "compression_opts": LEVEL, "shuffle": True} if compression and chunks else {}
    made = file.create_dataset(item.path, array.shape, kind, chunks=chunks, track_order=True, **options)
    if not array.shape:
        made[()] = array.read(())
        return made
    for block in cut(array.shape, array.dtype.itemsize, aligned(chunks, array.chunks)):
        made[block] = array.read(block)
    return made


def stored_type(item: Item, dtype: str | None) -> np.dtype:
    """The type of an array in the file: fields as asked, without those that netCDF does not have."""
    kind = item.array.dtype.newbyteorder("=")
    if kind.kind != "f":
        return kind
    if dtype is not None and "_fields/" in item.path:
        return np.dtype(dtype)
    return np.dtype("float32") if kind.itemsize < 4 else np.dtype("float64") if kind.itemsize > 8 else kind


@contextmanager
def aside(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file beside `path`, which takes its place when it is closed whole, and else goes.

    Raises:
        InputError: a disk that is full, a folder that cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        file = h5py.File(beside, "w", track_order=True)
        try:
            yield file
        finally:
            file.close()
        beside.replace(path)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"cannot write {path}: {error}") from error
    except (OSError, RuntimeError) as error:
        raise InputError(f"cannot write {path}: {_reason(error)}") from error
    finally:
        with suppress(OSError):
            beside.unlink()


def _reason(error: OSError | RuntimeError) -> str:
    text = " ".join(str(error).split())
    found = re.search(r"errno = (\d+)", text)
    number = getattr(error, "errno", None) or (int(found[1]) if found else None)
    if number in _FULL:
        return "the disk is full; free some space, or give another place"
    return os.strerror(number) if number else text[:160]


def _coordinate_attributes(contents: Arrangement, name: str) -> dict:
    """What `dimensions/` says of an axis stands at its coordinates in the root too, where xarray looks for it."""
    inside = "time" if name == "t" else name
    for item in contents.items:
        if item.path == f"dimensions/{inside}" and isinstance(contents.dimensions[name], np.ndarray):
            return {k: v for k, v in item.attributes.items() if not k.endswith("_varying")}
    return {}
