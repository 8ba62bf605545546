"""netCDF-4 by h5py: dimensions, coordinates and labelled data sets that netCDF4, h5netcdf and xarray open.

h5netcdf writes the same, but no virtual data sets. Dimensions lie in the root group, so that every group sees them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

_UNNAMED = "This is a netCDF dimension but not a netCDF variable."
_MOST = 60_000  # bytes of an attribute: HDF5 keeps it in a header of 64 kB


def add_dimension(file: h5py.File, name: str, size: int) -> h5py.Dataset:
    """A dimension without coordinates."""
    scale = file.create_dataset(name, shape=(size,), dtype=">f4", track_order=True)
    return _as_scale(file, scale, f"{_UNNAMED}{size:10d}")


def add_coordinate(file: h5py.File, name: str, values: np.ndarray) -> h5py.Dataset:
    """A dimension with its coordinates (size,)."""
    return _as_scale(file, file.create_dataset(name, data=values, track_order=True), name)


def label(dataset: h5py.Dataset, dims: Sequence[str], attributes: Mapping[str, Any]) -> None:
    """Give a data set its dimensions, which lie in the root of its file, and attributes."""
    for i, dim in enumerate(dims):
        dataset.dims[i].attach_scale(dataset.file[dim])
    set_attributes(dataset, attributes)


def dims_of(dataset: h5py.Dataset) -> tuple[str, ...]:
    """The names of the dimensions of a labelled data set.

    Raises:
        KeyError: an axis without one.
    """
    found = []
    for i, dim in enumerate(dataset.dims):
        if not len(dim):
            raise KeyError(f"{dataset.name} has no dimension scale along its axis {i}")
        found.append(str(dim[0].name).rpartition("/")[2])
    return tuple(found)


def set_attributes(node: h5py.HLObject, attributes: Mapping[str, Any]) -> None:
    """Attributes of text, numbers, truth values and lists of one of these; None is left out.

    Raises:
        ValueError: one that is larger than HDF5 permits.
    """
    for name, value in attributes.items():
        if value is None:
            continue
        if isinstance(value, (list, tuple)) and all(isinstance(entry, str) for entry in value):
            stored = np.array(list(value), dtype=h5py.string_dtype())
            size = sum(len(entry.encode()) for entry in value)
        else:
            stored = value
            size = len(value.encode()) if isinstance(value, str) else np.asarray(value).nbytes
        if size > _MOST:
            raise ValueError(f"the attribute {name} has {size} bytes, at most {_MOST} can be stored")
        node.attrs[name] = stored


def _as_scale(file: h5py.File, scale: h5py.Dataset, name: str) -> h5py.Dataset:
    scale.make_scale(name)
    scale.attrs["_Netcdf4Dimid"] = np.int32(len(file) - 1)  # dimensions come before all else in the file
    return scale
