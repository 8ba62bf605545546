"""Files that are a bundle of named arrays and say nothing else: .mat, .npz, .npy, .pt and flat HDF5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pdesolve.data.arrays import Array
from pdesolve.datasets.containers import container_of
from pdesolve.datasets.layout import Container
from pdesolve.datasets.stored import kept, squeezed
from pdesolve.errors import InputError

_SMALL = 2**16  # numbers of a coordinate or a parameter, which may be read when a file is opened


@dataclass(frozen=True, eq=False)
class Bundle:
    """Arrays by name, as MATLAB or numpy show them. refused: why others of the file cannot be read."""

    path: Path
    arrays: Mapping[str, Array]
    refused: Mapping[str, str]

    @property
    def numbers(self) -> dict[str, Array]:
        """The arrays that hold numbers."""
        return {name: array for name, array in self.arrays.items() if array.dtype.kind in "biufcV"}

    def vector(self, name: str) -> np.ndarray | None:
        """The numbers of an array of one dimension, apart from dimensions of size one; None where it is another."""
        array = self.arrays.get(name)
        if array is None or array.dtype.kind not in "biuf" or sum(n != 1 for n in array.shape) > 1:
            return None
        return squeezed(array).all().reshape(-1).astype(float) if array.nbytes <= 8 * _SMALL else None

    def described(self) -> str:
        """What there is, for messages."""
        parts = [f"{name} {array.shape}" for name, array in list(self.arrays.items())[:8]]
        return ", ".join(parts) + (f" and {len(self.arrays) - 8} more" if len(self.arrays) > 8 else "") or "nothing"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out."""
        return tuple(f"{name} is left out: it {why}" for name, why in self.refused.items())


def bundle(path: Path) -> Bundle:
    """The arrays of a file, none of which is read.

    Raises:
        InputError: a file that is damaged, or of which nothing but pickled objects could be read.
    """
    path = path.absolute()
    return kept(str(path), "bundle", 2**16, lambda: _read(path))


def _read(path: Path) -> Bundle:
    arrays, refused = _arrays(path, container_of(path))
    if refused and not arrays:
        name, why = next(iter(refused.items()))
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise InputError(
            f"{path}: {name} {why}{more}: where the file comes from, save its arrays by name, "
            "numpy.savez(path, x=x, t=t, u=u)"
        )
    return Bundle(path, arrays, refused)


def _arrays(path: Path, container: Container) -> tuple[dict[str, Array], dict[str, str]]:
    match container:
        case "npy":
            from pdesolve.datasets.numpy_files import npy_arrays

            return npy_arrays(path)
        case "npz":
            from pdesolve.datasets.numpy_files import npz_arrays

            return npz_arrays(path)
        case "mat5":
            from pdesolve.datasets.matlab_files import mat5_arrays

            return mat5_arrays(path)
        case "mat73":
            from pdesolve.datasets.matlab_files import mat73_arrays

            return mat73_arrays(path)
        case "torch":
            from pdesolve.datasets.torch_files import torch_arrays

            return torch_arrays(path)
        case "hdf5":
            return _flat(path), {}
        case "zarr":
            from pdesolve.datasets.zarr_files import zarr_arrays

            return zarr_arrays(path), {}
        case _:
            return {}, {}


def _flat(path: Path) -> dict[str, Array]:
    """The data sets at the root of an HDF5 file; none where there are groups, or dimensions with names (NetCDF)."""
    from pdesolve.datasets.hdf5 import H5Array, look

    arrays: dict[str, Array] = {}
    with look(path) as root:
        for name in filter(root.__contains__, root):  # links may lead to nothing
            found = root[name]
            if not hasattr(found, "shape") or found.attrs.get("CLASS") in (b"DIMENSION_SCALE", "DIMENSION_SCALE"):
                return {}
            if found.shape is not None and found.dtype.kind in "biufc":
                arrays[name] = H5Array.of(found)
    return arrays
