"""Trajectories that py-pde stores (Zwicker, 2020, doi:10.21105/joss.02158): one simulation, at centres of cells."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np

from pdesolve.data.arrays import Array, Part, Stacked
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.datasets.coordinates import coordinate
from pdesolve.datasets.hdf5 import H5Array, attribute, attributes_of, look, numbers
from pdesolve.datasets.layout import Container, Layout, Opening
from pdesolve.errors import InputError

# axes, and the directions of vectors where there are more
_AXES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "CartesianGrid": (("x", "y", "z"), ()),
    "UnitGrid": (("x", "y", "z"), ()),
    "CylindricalSymGrid": (("r", "z"), ("r", "z", "phi")),
    "PolarSymGrid": (("r",), ("r", "phi")),
    "SphericalSymGrid": (("r",), ("r", "theta", "phi")),
}
_RANK = {"ScalarField": 0, "VectorField": 1, "Tensor2Field": 2}
_DEEPEST = 4  # JSON in JSON


class PyPDE(Layout):
    """`data` (t, [component,] *axes) and `times`, with the grid in JSON."""

    name: ClassVar[str] = "py_pde"
    containers: ClassVar[tuple[Container, ...]] = ("hdf5",)

    def refusal(self, path: Path) -> str | None:
        with look(path) as root:
            if not isinstance(root.get("data"), h5py.Dataset) or "times" not in root:
                return "no data sets data and times"
            return None if "field_attributes" in root.attrs else "no attribute field_attributes"

    def open(self, path: Path, opening: Opening) -> Dataset:
        with look(path) as root:
            array, times = H5Array.of(root["data"]), numbers(root["times"])
            field = _unpacked(attribute(root, "field_attributes"))
            about = {k: v if isinstance(v, (str, int, float)) else str(v) for k, v in attributes_of(root).items()}
        grid = field.get("grid") if isinstance(field, dict) else None
        parts = field.get("fields") if isinstance(field, dict) else None
        parts = parts if isinstance(parts, list) else [field]
        if grid is None:
            grid = next((part["grid"] for part in parts if isinstance(part, dict) and "grid" in part), None)
        if not isinstance(grid, dict) or grid.get("class") not in _AXES:
            found = grid.get("class") if isinstance(grid, dict) else None
            raise InputError(
                f"{path}: expected a grid of py-pde ({', '.join(_AXES)}) in field_attributes, found {found}"
            )
        axes, _ = _axes(grid)
        bounds, periodic = _extent(grid, len(axes))
        coordinates = {"t": coordinate("t", times[: array.shape[0]])}
        for name, n, (lower, upper), around in zip(axes, grid["shape"], bounds, periodic, strict=True):
            coordinates[name] = _centres(name, int(n), float(lower), float(upper), bool(around))
        variables = _variables(path, array, parts, grid)
        return Dataset(
            variables, coordinates, attributes=about, layout=self.name, paths=(path,),
            notes=(f"the axes {', '.join(axes)} are those of {grid['class']}",) if "r" in axes else (),
        )  # fmt: skip


def _unpacked(value: Any, depth: int = 0) -> Any:
    """JSON whose texts are JSON again."""
    if isinstance(value, str) and depth < _DEEPEST:
        try:
            return _unpacked(json.loads(value), depth + 1)
        except (ValueError, RecursionError):
            return value
    if isinstance(value, dict):
        return {name: _unpacked(entry, depth) for name, entry in value.items()}
    return [_unpacked(entry, depth) for entry in value] if isinstance(value, list) else value


def _extent(grid: Mapping[str, Any], dimensions: int) -> tuple[Sequence[Sequence[float]], Sequence[bool]]:
    """Bounds of the axes, and whether they are periodic."""
    if "radius" in grid:
        radius = grid["radius"]
        around = [radius if isinstance(radius, list) else (0.0, radius)]
        return (
            ([*around, grid["bounds_z"]], [False, bool(grid.get("periodic_z"))])
            if dimensions > 1
            else (around, [False])
        )
    periodic = grid.get("periodic", False)
    bounds = grid.get("bounds") or [(0.0, n) for n in grid["shape"]]
    return bounds, periodic if isinstance(periodic, list) else [periodic] * dimensions


def _centres(name: str, n: int, lower: float, upper: float, periodic: bool) -> Coordinate:
    points = lower + (upper - lower) * (np.arange(n) + 0.5) / n
    return coordinate(name, points, bounds=(lower, upper), periodic=periodic)


def _variables(path: Path, array: Array, parts: Sequence[Any], grid: Mapping[str, Any]) -> dict[str, Variable]:
    """A single field has a dimension for each of its ranks, the fields of a collection one after another have one."""
    axes, directions = _axes(grid)
    found: dict[str, Variable] = {}
    begin = 0
    for i, part in enumerate(parts):
        about = part if isinstance(part, dict) else {}
        rank, label = _RANK.get(about.get("class", "ScalarField"), 0), about.get("label")
        name = label if isinstance(label, str) and label else "u" if len(parts) == 1 else f"u{i + 1}"
        alone = len(parts) == 1 and len(array.shape) == 1 + rank + len(axes)
        entries = list(product(range(len(directions)), repeat=rank))
        if not alone and len(array.shape) != 2 + len(axes):
            raise InputError(f"{path}: expected data (t, component, {', '.join(axes)}), found {array.shape}")
        picked = entries if alone else [(begin + k,) for k in range(len(entries))]
        if any(k >= n for place in picked for k, n in zip(place, array.shape[1:], strict=False)):
            raise InputError(f"{path}: data {array.shape} have not the components of {name}, a {about.get('class')}")
        arrays = tuple(_component(array, place) for place in picked)
        begin += len(entries)
        if rank == 0:
            found[name] = Variable(name, arrays[0], ("t", *axes))
        else:
            components = tuple("_".join(directions[k] for k in entry) for entry in entries)
            found[name] = Variable(name, Stacked(arrays, 1), ("t", "component", *axes), None, components)
    return found


def _component(array: Array, place: Sequence[int]) -> Array:
    """One entry of the dimensions after time."""
    if not place:
        return array
    whole = [slice(0, n) for n in array.shape]
    for dimension, k in enumerate(place, start=1):
        whole[dimension] = slice(k, k + 1)
    return Part(array, tuple(whole), frozenset(range(1, 1 + len(place))))


def _axes(grid: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The axes of a grid, and the directions that its vectors have."""
    axes, directions = _AXES[grid["class"]]
    count = len(grid["shape"])
    return axes[:count], directions or axes[:count]
