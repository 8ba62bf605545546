"""Files whose arrays name their dimensions: NetCDF-4 (HDF5), classic NetCDF and zarr as xarray writes it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pdesolve.data.arrays import Array, Slices
from pdesolve.datasets.containers import container_of
from pdesolve.datasets.hdf5 import H5Array, attributes_of, look
from pdesolve.datasets.stored import kept
from pdesolve.errors import InputError

_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable"
_OWN_NAME = "_nc4_non_coord_"
_TEXT = 2**20  # characters
_MOST = 1000  # variables at the root, unless a file says that it is NetCDF
_ABOUT_HDF5 = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates"}


@dataclass(frozen=True, eq=False)
class Labelled:
    """An array, the names of its dimensions, and its attributes."""

    array: Array
    dims: tuple[str, ...]
    attributes: Mapping[str, Any]

    def text(self, name: str) -> str:
        """An attribute of text, empty where there is none."""
        value = self.attributes.get(name, "")
        return value.strip() if isinstance(value, str) else ""


@dataclass(frozen=True, eq=False)
class LabelledFile:
    """Variables by name. left_out: what cannot be read as numbers, and why. texts: lists of names that are stored as
    arrays of characters."""

    path: Path
    variables: Mapping[str, Labelled]
    attributes: Mapping[str, Any]
    left_out: Mapping[str, str]
    texts: Mapping[str, tuple[str, ...]]

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(f"{name} is left out: it {why}" for name, why in self.left_out.items())


def labelled_file(path: Path) -> LabelledFile | None:
    """The variables of a file that names their dimensions, of which none is read; None where it does not.

    Raises:
        InputError: a file that is damaged, or needs an extra.
    """
    path = path.absolute()
    return kept(str(path), "labelled", 2**16, lambda: _read(path))


def _read(path: Path) -> LabelledFile | None:
    match container_of(path):
        case "hdf5":
            return _netcdf4(path)
        case "netcdf3":
            return _netcdf3(path)
        case "zarr":
            from pdesolve.datasets.zarr_files import zarr_labelled

            return zarr_labelled(path)
        case _:
            return None


def _netcdf4(path: Path) -> LabelledFile | None:
    variables: dict[str, Labelled] = {}
    left_out: dict[str, str] = {}
    texts: dict[str, tuple[str, ...]] = {}
    scales = False
    with look(path) as root:
        if "t0_fields" in root or "dimensions" in root:
            return None  # fields in groups
        if len(root) > _MOST and "_NCProperties" not in root.attrs:
            return None  # a group a sample
        for key in filter(root.__contains__, root):  # links may lead to nothing
            found = root[key]
            name = key.removeprefix(_OWN_NAME)
            if not hasattr(found, "shape"):
                left_out[name] = "is a group, and only what lies at the root is opened"
                continue
            is_scale = found.attrs.get("CLASS", b"") in (b"DIMENSION_SCALE", "DIMENSION_SCALE")
            scales |= is_scale
            about = attributes_of(found)
            if str(about.get("NAME", "")).startswith(_NO_VARIABLE):
                continue
            dims = _dims(found, key, is_scale)
            if found.shape is None or found.dtype.kind not in "biufc":
                left_out[name] = "holds no numbers"
                if found.shape is not None and found.dtype == np.dtype("S1") and found.size <= _TEXT:
                    texts[name] = _texts(found[()])
            elif dims is None:
                left_out[name] = "does not name its dimensions"
            else:
                left = {k: v for k, v in about.items() if k not in _ABOUT_HDF5}
                variables[name] = Labelled(H5Array.of(found), dims, left)
        attributes = attributes_of(root)
    return LabelledFile(path, variables, attributes, left_out, texts) if scales and variables else None


def _dims(found: Any, key: str, is_scale: bool) -> tuple[str, ...] | None:
    if "DIMENSION_LIST" in found.attrs:
        names = [str(found.dims[i][0].name) if len(found.dims[i]) else "" for i in range(len(found.shape))]
        return tuple(name.rpartition("/")[2] for name in names) if all(names) else None
    if is_scale and len(found.shape) == 1:
        return (key.removeprefix(_OWN_NAME),)
    return None if found.shape else ()


@dataclass(frozen=True, eq=False)
class Classic(Array):
    """A variable of a classic NetCDF file, mapped."""

    path: str
    name: str
    sizes: tuple[int, ...]
    kind: np.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.sizes

    @property
    def dtype(self) -> np.dtype:
        return self.kind

    @property
    def chunks(self) -> None:
        return None

    def read(self, index: Slices) -> np.ndarray:
        found = _classic(self.path).variables[self.name].data
        return np.array(found[index] if self.sizes else found, self.kind)


def _classic(path: str) -> _ClassicFile:
    return kept(path, "classic", 2**16, lambda: _open_classic(path))


def _open_classic(path: str) -> _ClassicFile:
    from scipy.io import netcdf_file

    with open(path, "rb") as file:
        version = file.read(4)[3]
    if version == 5:
        raise InputError(f"{path} is NetCDF with 64-bit data (CDF-5): convert it by nccopy -k nc4 {path} OUT.nc")
    try:
        opened = netcdf_file(path, "r", mmap=True)
        variables = {
            name: _ClassicVariable(np.asarray(v.data), tuple(v.shape), tuple(v.dimensions), dict(v._attributes))
            for name, v in opened.variables.items()
        }
        with warnings.catch_warnings():  # that arrays refer to the file: they keep it mapped
            warnings.simplefilter("ignore", RuntimeWarning)
            opened.close()
        return _ClassicFile(variables, dict(opened._attributes))
    except Exception as error:  # a damaged header fails in many ways
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path} is no whole NetCDF file ({reason}): copy or download it again") from None


@dataclass(frozen=True, eq=False)
class _ClassicVariable:
    data: np.ndarray
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _ClassicFile:
    variables: dict[str, _ClassicVariable]
    attributes: dict[str, Any]


def _netcdf3(path: Path) -> LabelledFile:
    opened = _classic(str(path))
    variables: dict[str, Labelled] = {}
    left_out: dict[str, str] = {}
    texts: dict[str, tuple[str, ...]] = {}
    for name, found in opened.variables.items():
        if found.data.dtype.kind not in "iuf":
            left_out[name] = "holds text"
            if found.data.dtype == np.dtype("S1") and found.data.size <= _TEXT:
                texts[name] = _texts(np.array(found.data))
            continue
        array = Classic(str(path), name, found.shape, found.data.dtype.newbyteorder("="))
        variables[name] = Labelled(array, found.dims, {k: _plain(v) for k, v in found.attributes.items()})
    return LabelledFile(path, variables, {k: _plain(v) for k, v in opened.attributes.items()}, left_out, texts)


def _texts(characters: np.ndarray) -> tuple[str, ...]:
    """The rows of an array of characters."""
    if characters.ndim != 2:
        return ()
    rows = [b"".join(row.tolist()) for row in characters]
    return tuple(row.split(b"\0")[0].decode("utf-8", errors="replace").strip() for row in rows)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist() if value.size != 1 else value.reshape(-1)[0].item()
    return value


def axis_word(name: str) -> str:
    """A name that an axis may have."""
    word = re.sub(r"\W", "_", name)
    return word if word[:1].isalpha() or word[:1] == "_" else f"_{word}"
