"""Fields at scattered points: vectors of one length, or one array of coordinates beside fields."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from pdesolve.data.arrays import Array
from pdesolve.data.dataset import Coordinate, Dataset
from pdesolve.datasets.bundle import bundle
from pdesolve.datasets.dimensions import ONE, arranged, given_dims, parameter, unused_dims
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.datasets.layouts.space_time import scattered
from pdesolve.datasets.matching import PLACES, axis_of_name, matched, places_of
from pdesolve.datasets.placement import coordinate
from pdesolve.geometry import Axes, Axis, PointCloud

_SPACE = ("x", "y", "z")


class Points(Layout):
    """`x`, `y` (and z, t) as long as the fields, or `X_star` (also X_test, X, coords, points) of one row a point.

    Fields are over `point`, `t` where a vector of times has their other length, and components.
    """

    name = "points"
    containers = ("mat5", "mat73", "npz", "torch", "hdf5")

    def refusal(self, path: Path) -> str | None:
        found = bundle(path)
        if found.numbers and scattered(found):
            return None
        places = places_of(found)
        if places is None:
            return f"neither coordinates as long as the fields nor an array {', '.join(PLACES)} of a row for each point"
        return None

    def open(self, path: Path, opening: Opening) -> Dataset:
        found = bundle(path)
        if scattered(found):
            owned = {k for k in found.numbers if axis_of_name(k)}
            columns = {axis_of_name(k) or k: found.numbers[k].all().reshape(-1) for k in owned}
        else:
            name = places_of(found)
            assert name is not None
            columns = {_SPACE[i]: column for i, column in enumerate(found.arrays[name].all().T)}
            owned = {name}
        cloud = point_cloud(columns)
        fields = {k: a for k, a in found.numbers.items() if k not in owned and _size(a) > 1}
        sizes: dict[str, int] = {"point": cloud.shape[0]}
        coordinates: dict[str, Coordinate] = {}
        for name in [k for k in fields if axis_of_name(k) == "t"]:
            times = found.vector(name)
            if times is not None and "t" not in columns:
                sizes["t"], coordinates["t"] = len(times), coordinate("t", times)
                del fields[name]
        unused_dims(opening, fields)
        variables = {}
        for name, array in fields.items():
            dims = given_dims(name, array, opening, sizes) or _dims(name, array, sizes)
            variables[name] = arranged(name, array, dims)
        scalars = {k: parameter(k, float(a.all().reshape(-1)[0])) for k, a in found.numbers.items() if _size(a) == 1}
        return Dataset(
            variables, coordinates, scalars, (cloud,), layout=self.name, paths=(found.path,), notes=found.notes
        )  # fmt: skip


def point_cloud(columns: Mapping[str, np.ndarray]) -> PointCloud:
    """Points from the column of each axis, time first."""
    names = sorted(columns, key=lambda name: (name != "t", name))
    x = np.stack([np.asarray(columns[name], float) for name in names], 1)
    return PointCloud(Axes(tuple(bounded(name, x[:, i]) for i, name in enumerate(names))), torch.from_numpy(x))


def bounded(name: str, values: np.ndarray, unit: str | None = None) -> Axis:
    """The axis between the least and the greatest of some coordinates, one wide where they are all the same."""
    least, most = float(np.min(values)), float(np.max(values))
    return Axis(name, least, most, unit) if least < most else Axis(name, least - 0.5, most + 0.5, unit)


def _size(array: Array) -> int:
    return int(np.prod(array.shape, dtype=object))


def _dims(name: str, array: Array, sizes: Mapping[str, int]) -> tuple[str, ...]:
    if array.shape.count(sizes["point"]) == 1:  # a few components between points and times are those of vectors
        dims = [
            ONE if n == 1 else next((d for d, size in sizes.items() if size == n), "component") for n in array.shape
        ]
        small = [n for n, dim in zip(array.shape, dims, strict=True) if dim == "component"]
        if all(n <= 9 for n in small) and all(dims.count(d) == 1 for d in dims if d != ONE):
            return tuple(dims)
    return matched(name, array.shape, sizes)
