"""Files of MP-PDE solvers, of Lie point symmetry augmentation and of PDEArena: a group for each split.

Brandstetter, Worrall, Welling (2022), arXiv:2202.03376; Brandstetter, Welling, Worrall (2022), arXiv:2202.07643; Gupta,
Brandstetter (2022), arXiv:2209.15616. Of several resolutions side by side the finest is opened, or the one that `names`
gives a name: `names={"pde_250-50": "u"}`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import h5py
import numpy as np

from pdesolve.data.arrays import Array, Memory, Stacked
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.datasets.coordinates import coordinate
from pdesolve.datasets.hdf5 import H5Array, attributes_of, look, numbers
from pdesolve.datasets.joining import joined
from pdesolve.datasets.layout import Container, Layout, Opening
from pdesolve.datasets.links import GuardedGroup
from pdesolve.errors import InputError

_RESOLUTION = re.compile(r"pde_(\d+)-(\d+)")
_SMOKE = ("u", "vx", "vy")
_SPLITS = ("train", "valid", "test")
_AXES = {"t", "x", "y", "dt", "dx", "dy"}


class PDEArena(Layout):
    """`train/pde_250-100` (sample, t, x), or `train/u`, `train/vx`, `train/vy` (sample, t, x, y), with parameters."""

    name: ClassVar[str] = "pdearena"
    containers: ClassVar[tuple[Container, ...]] = ("hdf5",)

    def refusal(self, path: Path) -> str | None:
        with look(path) as root:
            groups = [root[name] for name in _SPLITS if isinstance(root.get(name), GuardedGroup)]
            if not groups:
                return "no group train, valid or test"
            for group in groups:
                if not set(_SMOKE) <= set(group) and not _resolutions(group):
                    return f"the group {group.name} has no pde_{{nt}}-{{nx}} and no u, vx and vy"
        return None

    def open(self, path: Path, opening: Opening) -> Dataset:
        with look(path) as root:
            parts = []
            for split in _SPLITS:
                group = root.get(split)
                if isinstance(group, GuardedGroup):
                    data = _smoke(path, group) if "u" in group else _one_dimensional(path, group, opening)
                    parts.append(replace(data, splits={split: np.arange(data.samples)}))
        return joined(parts)


def _resolutions(group: GuardedGroup) -> list[str]:
    """The names of the trajectories, the finest first."""
    found = {name: match for name in group if (match := _RESOLUTION.fullmatch(name))}
    return sorted(found, key=lambda name: (-int(found[name][2]), -int(found[name][1])))


def _one_dimensional(path: Path, group: GuardedGroup, opening: Opening) -> Dataset:
    """u (sample, t, x); points in x and t are data sets of each sample, or attributes of the trajectories."""
    names = _resolutions(group)
    asked = [name for name in names if name in opening.names]
    chosen = asked[0] if asked else names[0]
    node = group[chosen]
    array, about = H5Array.of(node), attributes_of(node)
    if len(array.shape) != 3:
        raise InputError(f"{path}: expected {node.name} (sample, t, x), found {array.shape}")
    _, frames, size = array.shape
    name = opening.names.get(chosen, "u")
    notes = [f"{', '.join(names)} lie side by side, this is {chosen}"] if len(names) > 1 else []
    waves = "bc_left" in group
    coordinates = {
        "t": coordinate("t", _points(group, about, "t", frames)),
        "x": coordinate("x", _points(group, about, "x", size), periodic=not waves),
    }
    if coordinates["x"].points.ndim > 1:
        notes.append("the length of the domain differs between samples")
    return Dataset(
        {name: Variable(name, array, ("sample", "t", "x"))}, coordinates, _parameters(group, array.shape[0]),
        attributes={k: v for k, v in about.items() if not isinstance(v, list)}, layout="pdearena", paths=(path,),
        notes=tuple(notes),
    )  # fmt: skip


def _points(group: GuardedGroup, about: dict, axis: str, size: int) -> np.ndarray:
    """Coordinates (size,) or (sample, size)."""
    if axis in group and group[axis].shape[-1:] == (size,):
        return numbers(group[axis])
    given = about.get(axis)
    if isinstance(given, list) and len(given) == size:
        return np.asarray(given, float)
    ends = about.get(f"{axis}min"), about.get(f"{axis}max")
    if all(isinstance(end, (int, float)) for end in ends):
        return np.linspace(float(ends[0]), float(ends[1]), size)  # type: ignore[arg-type]
    step = about.get(f"d{axis}")
    if isinstance(step, (int, float)):
        return float(step) * np.arange(size)
    raise InputError(f"{group.file.filename}: {group.name} says nowhere where its {size} points in {axis} lie")


def _parameters(group: GuardedGroup, samples: int) -> dict[str, Variable]:
    """Numbers for each sample."""
    found = {}
    for name, node in group.items():
        if name not in _AXES and isinstance(node, h5py.Dataset) and node.shape == (samples,):
            found[name] = Variable(name, Memory(numbers(node)), ("sample",))
    return found


def _smoke(path: Path, group: GuardedGroup) -> Dataset:
    """Smoke u and velocities (sample, t, x, y): a cell has its smoke at the centre, its velocities at two sides."""
    arrays: dict[str, Array] = {name: H5Array.of(group[name]) for name in _SMOKE}
    shape = arrays["u"].shape
    if len(shape) != 4 or any(array.shape != shape for array in arrays.values()):
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InputError(f"{path}: expected u, vx and vy of one shape (sample, t, x, y), found {found}")
    coordinates = {"t": coordinate("t", _points(group, {}, "t", shape[1]))}
    coordinates |= {axis: _cells(group, axis, n) for axis, n in zip(("x", "y"), shape[2:], strict=True)}
    space = ("x", "y")
    velocity = Stacked((arrays["vx"], arrays["vy"]), 2)
    variables = {
        "u": Variable("u", arrays["u"], ("sample", "t", *space)),
        "velocity": Variable("velocity", velocity, ("sample", "t", "component", *space), None, space),
    }
    notes = (
        "velocities lie at the sides of cells, not at their centres: vx half a cell off in x, vy in y",
        "the points in the file end at the walls, the values lie at centres of cells: the coordinates are the centres",
    )
    parameters = _parameters(group, shape[0])
    return Dataset(variables, coordinates, parameters, layout="pdearena", paths=(path,), notes=notes)


def _cells(group: GuardedGroup, axis: str, size: int) -> Coordinate:
    points = np.atleast_2d(_points(group, {}, axis, size))
    if (points != points[:1]).any():
        raise InputError(f"{group.file.filename}: expected one grid for all samples, {axis} differs between them")
    lower, upper = float(points[0, 0]), float(points[0, -1])
    return coordinate(axis, lower + (upper - lower) * (np.arange(size) + 0.5) / size, bounds=(lower, upper))
