"""Snapshots of the hydrodynamics code pyro2 (Zingale, 2014, arXiv:1306.6883): averages over cells, one time a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pdesolve.data.arrays import Array, Memory, Stacked
from pdesolve.data.dataset import Dataset, Variable
from pdesolve.datasets.coordinates import coordinate
from pdesolve.datasets.hdf5 import H5Array, attribute, attributes_of, look
from pdesolve.datasets.layout import Container, Layout, Opening
from pdesolve.datasets.links import GuardedGroup
from pdesolve.errors import InputError

_GRID = ("nx", "ny", "xmin", "xmax", "ymin", "ymax")
_PAIRS = (("x-", "y-"), ("_x", "_y"))


class Pyro(Layout):
    """`grid` with its attributes, and `state/NAME/data` (x, y)."""

    name: ClassVar[str] = "pyro"
    containers: ClassVar[tuple[Container, ...]] = ("hdf5",)

    def refusal(self, path: Path) -> str | None:
        with look(path) as root:
            grid, state = root.get("grid"), root.get("state")
            if not isinstance(grid, GuardedGroup) or not isinstance(state, GuardedGroup):
                return "no groups grid and state"
            missing = [name for name in _GRID if name not in grid.attrs]
        return f"the group grid has no attributes {', '.join(missing)}" if missing else None

    def open(self, path: Path, opening: Opening) -> Dataset:
        with look(path) as root:
            grid = attributes_of(root["grid"])
            sizes = {"x": int(grid["nx"]), "y": int(grid["ny"])}
            arrays: dict[str, Array] = {}
            edges: dict[str, dict[str, Any]] = {}
            for name, group in root["state"].items():
                arrays[name] = H5Array.of(group["data"])
                edges[name] = attributes_of(group)
                if arrays[name].shape != tuple(sizes.values()):
                    raise InputError(f"{path}: state/{name} has the shape {arrays[name].shape}, the grid {sizes}")
            parameters = attributes_of(root["aux"]) if "aux" in root else {}
            runtime = attributes_of(root["runtime parameters"]) if "runtime parameters" in root else {}
            # a problem of ours is another thing
            about = {f"pyro_{name}": value for name, value in attributes_of(root).items() if name != "time"}
            time = attribute(root, "time")
        numbers = {name: value for name, value in parameters.items() if isinstance(value, (int, float))}
        if isinstance(time, (int, float)):
            numbers["time"] = time
        coordinates = {}
        for axis, size in sizes.items():
            lower, upper = float(grid[f"{axis}min"]), float(grid[f"{axis}max"])
            points = lower + (upper - lower) * (np.arange(size) + 0.5) / size
            kinds = {sides.get(f"{axis}lb") for sides in edges.values()}
            coordinates[axis] = coordinate(axis, points, bounds=(lower, upper), periodic=kinds == {"periodic"})
        notes = [] if "time" in numbers else ["the file says no time"]
        if grid.get("coord_type", 0) != 0:
            notes.append("the grid is not Cartesian: x is the radius and y the angle")
        about |= {"boundary_conditions": json.dumps(edges), "runtime_parameters": json.dumps(runtime)}
        values = {name: Variable(name, Memory(np.asarray(float(value)))) for name, value in numbers.items()}
        return Dataset(
            _variables(arrays), coordinates, values, attributes=about, layout=self.name, paths=(path,),
            notes=tuple(notes),
        )  # fmt: skip


def _variables(arrays: Mapping[str, Array]) -> dict[str, Variable]:
    """Pairs such as x-velocity and y-velocity, or gradp_x and gradp_y, become one vector."""
    found = {name: Variable(name, array, ("x", "y")) for name, array in arrays.items()}
    for first in arrays:
        for x, y in _PAIRS:
            stem = first.removeprefix(x) if x.endswith("-") else first.removesuffix(x)
            second = y + stem if y.endswith("-") else stem + y
            if stem != first and second in arrays and stem not in arrays:
                del found[first], found[second]
                both = Stacked((arrays[first], arrays[second]))
                found[stem] = Variable(stem, both, ("component", "x", "y"), None, ("x", "y"))
    return found
