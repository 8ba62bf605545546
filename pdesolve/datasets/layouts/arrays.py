"""HDF5 files of no layout that is known, whose arrays the user describes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import h5py
import numpy as np

from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.datasets.coordinates import coordinate
from pdesolve.datasets.dimensions import arranged, given_dims
from pdesolve.datasets.hdf5 import H5Array, attribute, attributes_of, contents, look, numbers
from pdesolve.datasets.layout import Container, Layout, Opening
from pdesolve.datasets.links import GuardedGroup
from pdesolve.errors import InputError


class Arrays(Layout):
    """Data sets with dims={"group/u": ("sample", "t", "x")} for each; coordinates are data sets called `x` or
    `x-coordinate`, at the root or beside it. Opened only where dims are given and no other layout fits."""

    name: ClassVar[str] = "arrays"
    containers: ClassVar[tuple[Container, ...]] = ()

    def refusal(self, path: Path) -> str | None:
        with look(path) as root:
            return None if len(root) else "the file is empty"

    def open(self, path: Path, opening: Opening) -> Dataset:
        variables: dict[str, Variable] = {}
        parameters: dict[str, Variable] = {}
        coordinates: dict[str, Coordinate] = {}
        with look(path) as root:
            for place in opening.dims:
                node = root.get(place)
                if not isinstance(node, h5py.Dataset):
                    raise InputError(f"{path} has no array {place!r}, which dims names. Found: {contents(path)}")
                array = H5Array.of(node)
                name = place.strip("/").replace("/", "_")
                dims = given_dims(place, array, opening, {})
                made = arranged(name, array, dims or ())
                into = variables if set(made.dims) - {"sample"} else parameters
                into[name] = made
                for axis, size in made.sizes.items():
                    found = None if axis in coordinates else _axis(root, place, axis, size)
                    if found is not None:
                        coordinates[axis] = found
            for name, value in attributes_of(root).items():
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    parameters.setdefault(name, Variable(name, Memory(np.asarray(float(value)))))
            attributes = {k: v for k, v in attributes_of(root).items() if k not in parameters}
        order = sorted(coordinates, key=lambda axis: (axis != "t", axis))
        return Dataset(
            variables, {axis: coordinates[axis] for axis in order}, parameters, attributes=attributes,
            layout=self.name, paths=(path,),
        )  # fmt: skip


def _axis(root: GuardedGroup, place: str, axis: str, size: int) -> Coordinate | None:
    """The coordinates of an axis, where there are any of its size."""
    beside = place.rpartition("/")[0]
    for folder in (f"{beside}/", ""):
        for name in (axis, f"{axis}-coordinate"):
            node = root.get(f"{folder}{name}" if folder != "/" else name)
            if isinstance(node, h5py.Dataset) and node.shape == (size,) and node.dtype.kind in "iuf":
                return coordinate(axis, numbers(node), label=attribute(node, "units"))
    return None
