"""Fields beside vectors of coordinates: the .mat and .npz files that papers on physics-informed networks come with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pdesolve.data.arrays import Array
from pdesolve.data.dataset import Coordinate, Dataset
from pdesolve.datasets.bundle import Bundle, bundle
from pdesolve.datasets.dimensions import arranged, given_dims, parameter, unused_dims
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.datasets.matching import LOOKED_FOR, axis_of_name, matched, places_of, real
from pdesolve.datasets.placement import Ends, coordinate
from pdesolve.datasets.stored import Flipped


class SpaceTime(Layout):
    """Vectors x, y, z, t (also X, tt, ...) and fields over them in any order, with or without samples in front.

    Dimensions are found by their lengths; where two axes are as long, dims={"usol": ("x", "t")} decides. Arrays of one
    number are parameters. Complex fields get the components re and im; where the imaginary part is but a residue, only
    the real one is taken. Whether an axis is periodic, half-open or closed, is read off the numbers (see
    `placement.coordinate`).
    """

    name = "space_time"
    containers = ("mat5", "mat73", "npz", "torch", "hdf5")

    def refusal(self, path: Path) -> str | None:
        found = bundle(path)
        axes = _axes(found)
        if not axes:
            return f"no coordinates {LOOKED_FOR}"
        sizes = {len(points) for points in axes.values()}
        fields = _fields(found)
        if not any(_fits(array.shape, sizes) for array in fields.values()):
            return "no field over its coordinates, but for samples in front and components at the end"
        if scattered(found) or places_of(found) is not None:
            return "points rather than axes: a row for each, or all arrays as long as the coordinates"
        return None

    def open(self, path: Path, opening: Opening) -> Dataset:
        found = bundle(path)
        axes, fields, notes = _axes(found), _fields(found), list(found.notes)
        unused_dims(opening, fields)
        sizes = {name: len(points) for name, points in axes.items()}
        dims, arrays = {}, {}
        for name, array in fields.items():
            alike = [k for k, a in fields.items() if a.shape == array.shape and k != name and k not in opening.dims]
            dims[name] = given_dims(name, array, opening, sizes) or matched(name, array.shape, sizes, others=alike)
            arrays[name], note = real(name, array)
            notes += [note] if note else []
        for axis, points in axes.items():
            if len(points) > 1 and points[-1] < points[0]:
                axes[axis] = points[::-1]
                for name, array in arrays.items():
                    arrays[name] = Flipped(array, dims[name].index(axis)) if axis in dims[name] else array
        coordinates = {
            axis: _coordinate(axis, points, arrays, dims, notes)
            for axis, points in sorted(axes.items(), key=lambda item: (item[0] != "t", item[0]))
            if any(axis in found for found in dims.values())
        }
        scalars = {
            name: parameter(name, float(np.reshape(array.all(), -1)[0]))
            for name, array in found.numbers.items()
            if array.dtype.kind in "biuf" and array.shape and array.nbytes <= array.dtype.itemsize
        }
        variables = {name: arranged(name, arrays[name], dims[name]) for name in fields}
        return Dataset(
            variables, coordinates, scalars, layout=self.name, paths=(found.path,), notes=tuple(notes)
        )  # fmt: skip


def _fits(shape: tuple[int, ...], sizes: set[int]) -> bool:
    """Whether all dimensions but the first (samples) and the last (components) are as long as axes."""
    real = [n in sizes for n in shape if n != 1 or n in sizes]
    return any(real) and all(real[1:-1])


def scattered(found: Bundle) -> bool:
    """Whether coordinates of two axes or more and all fields are as long: they are of points."""
    axes, fields = _axes(found), _fields(found)
    sizes = {len(points) for points in axes.values()}
    return (
        len(axes) > 1
        and len(sizes) == 1
        and all(array.shape.count(1) == len(array.shape) - 1 for array in fields.values())
    )


def _axes(found: Bundle) -> dict[str, np.ndarray]:
    axes: dict[str, np.ndarray] = {}
    for name in found.numbers:
        axis = axis_of_name(name)
        points = None if axis is None else found.vector(name)
        if axis is not None and points is not None and len(points) > 1:
            axes.setdefault(axis, points)
    return axes


def _fields(found: Bundle) -> dict[str, Array]:
    axes = _axes(found)
    return {
        name: array
        for name, array in found.numbers.items()
        if np.prod(array.shape, dtype=object) > 1
        and not (axis_of_name(name) in axes and found.vector(name) is not None)
    }


def _coordinate(
    axis: str, points: np.ndarray, arrays: dict[str, Array], dims: dict[str, tuple[str, ...]], notes: list[str]
) -> Coordinate:
    ends = [] if axis == "t" else [Ends.of(a, dims[k].index(axis)) for k, a in arrays.items() if axis in dims[k]]
    made = coordinate(axis, points, fields=ends)
    if made.axis.periodic:
        notes.append(
            f"{axis} is taken as periodic with the period {made.axis.length:.6g}, by its numbers and the fields"
        )
    return made
