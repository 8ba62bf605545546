"""Data sets written in our own layout: HDF5 that is netCDF-4 and that readers of the Well open."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from pdesolve.data.arrays import Array, Part
from pdesolve.data.blocks import BLOCK_BYTES, cut
from pdesolve.data.dataset import Dataset
from pdesolve.datasets.arrangement import Arrangement, Item, arranged
from pdesolve.datasets.chunking import aligned, chunks_for
from pdesolve.datasets.netcdf import add_coordinate, add_dimension, label, set_attributes
from pdesolve.datasets.new_file import NewFile, aside
from pdesolve.errors import InputError

Compression = Literal["gzip"]
LEVEL = 4  # of gzip: higher ones cost more time than they save room
_LEAST = 2**20  # bytes of a block, however many numbers are stepped over
Make = Callable[[NewFile, Item], h5py.Dataset]


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
            file.check()


def copy(
    file: NewFile, item: Item, *, compression: Compression | None = None, dtype: str | None = None
) -> h5py.Dataset:
    """An array of the file with its numbers, read and written in blocks of whole chunks."""
    return fill(file, item.path, item.array, stored_type(item, dtype), outer=item.outer, compression=compression)


def fill(
    file: NewFile, path: str, array: Array, kind: np.dtype, *, outer: int, compression: Compression | None = None
) -> h5py.Dataset:
    """A new data set with the numbers of an array as another type. outer: how many dimensions come before space."""
    chunks = chunks_for(array.shape, kind.itemsize, outer) if outer < len(array.shape) else None
    options = {"compression": compression, "compression_opts": LEVEL, "shuffle": True} if compression and chunks else {}
    made = file.create_dataset(path, array.shape, kind, chunks=chunks, track_order=True, **options)
    if not array.shape:
        made[()] = array.read(())
        return made
    limit = max(_LEAST, BLOCK_BYTES // _steps(array))
    for block in cut(array.shape, array.dtype.itemsize, aligned(chunks, array.chunks), limit=limit):
        made[block] = array.read(block)
        file.check()
    return made


def _steps(array: Array) -> int:
    """How many numbers lie in a file for each that is taken: files are read without the steps of slices."""
    found = 1
    while (inner := getattr(array, "array", None)) is not None:
        if isinstance(array, Part):
            found *= math.prod(part.step or 1 for part in array.index)
        array = inner
    return found


def stored_type(item: Item, dtype: str | None) -> np.dtype:
    """The type of an array in the file: fields as asked, without those that netCDF does not have."""
    kind = item.array.dtype.newbyteorder("=")
    if kind.kind != "f":
        return kind
    if dtype is not None and "_fields/" in item.path:
        return np.dtype(dtype)
    return np.dtype("float32") if kind.itemsize < 4 else np.dtype("float64") if kind.itemsize > 8 else kind


def _coordinate_attributes(contents: Arrangement, name: str) -> dict:
    """What `dimensions/` says of an axis stands at its coordinates in the root too, where xarray looks for it."""
    inside = "time" if name == "t" else name
    for item in contents.items:
        if item.path == f"dimensions/{inside}" and isinstance(contents.dimensions[name], np.ndarray):
            return {k: v for k, v in item.attributes.items() if not k.endswith("_varying")}
    return {}
