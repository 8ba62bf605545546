"""PDEBench's files with one array for all samples: 1-D scalars, Darcy flow, compressible and incompressible flow.

Takamoto, Praditia, Leiteritz, MacKinlay, Alesiani, Pflueger, Niepert (2022), arXiv:2210.07182. Times have one entry
more than there are frames in most of these files: the last is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pdesolve.data.arrays import Array, Memory, Part, Stacked, Transposed
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.datasets.coordinates import coordinate
from pdesolve.datasets.hdf5 import H5Array, attributes_of, described, look, numbers
from pdesolve.datasets.layout import Container, Layout, Opening
from pdesolve.datasets.links import GuardedGroup
from pdesolve.datasets.yaml_text import numbers_of, read_yaml
from pdesolve.errors import InputError

_FLOW = ("density", "pressure", "Vx", "Vy", "Vz")
_SPACE = ("x", "y", "z")
# as file names have them; the same in the attributes
_IN_NAMES = {"beta": "beta", "Nu": "Nu", "rho": "Rho", "eta": "Eta", "zeta": "Zeta", "M": "M"}


class PDEBench(Layout):
    """`tensor`, with `nu` for Darcy flow, or `density`, `pressure`, `Vx`, ..., or `velocity`, `particles`, `force`."""

    name: ClassVar[str] = "pdebench"
    containers: ClassVar[tuple[Container, ...]] = ("hdf5",)

    def refusal(self, path: Path) -> str | None:
        with look(path) as root:
            if "tensor" in root or {"density", "Vx"} <= set(root):
                return None if "x-coordinate" in root else "there is no data set x-coordinate"
            if {"velocity", "particles", "force"} <= set(root):
                return None
        return "no data sets tensor, density and Vx, or velocity with particles and force"

    def open(self, path: Path, opening: Opening) -> Dataset:
        with look(path) as root:
            if "velocity" in root:
                return _incompressible(path, root)
            return _darcy(path, root) if "nu" in root else _regular(path, root)


def _regular(path: Path, root: GuardedGroup) -> Dataset:
    """(sample, t, *space), one array for each variable."""
    arrays = {name: H5Array.of(root[name]) for name in _FLOW if name in root}
    arrays = arrays or {"u": H5Array.of(root["tensor"])}
    shape = next(iter(arrays.values())).shape
    space = _SPACE[: len(shape) - 2]
    if not 3 <= len(shape) <= 5 or any(array.shape != shape for array in arrays.values()):
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InputError(f"{path}: expected arrays of one shape (sample, t, x[, y[, z]]), found {found}")
    parameters, notes = _parameters(path, root)
    periodic = _is_periodic(path, "tensor" in root, notes)
    coordinates = {"t": _times(path, root, shape[1], notes)} | _of_space(
        path, root, space, shape[2:], periodic=periodic
    )
    if set(parameters) == {"Nu"} and len(space) == 1:
        notes.append("the viscosity of the Burgers equation is Nu / pi")
    dims = ("sample", "t", *space)
    variables = {name: Variable(name, array, dims) for name, array in arrays.items() if not name.startswith("V")}
    velocity = [arrays[name] for name in _FLOW[2:] if name in arrays]
    if len(velocity) == 1:
        variables["velocity"] = Variable("velocity", velocity[0], dims)
    elif velocity:
        if len(velocity) != len(space):
            raise InputError(f"{path}: expected one velocity for each of {', '.join(space)}, found {len(velocity)}")
        together = Stacked(tuple(velocity), 2)
        variables["velocity"] = Variable("velocity", together, ("sample", "t", "component", *space), None, space)
    return _dataset(path, root, variables, {k: c for k, c in coordinates.items() if c}, parameters, notes)


def _darcy(path: Path, root: GuardedGroup) -> Dataset:
    """u (sample, 1, x, y) and the coefficient nu (sample, x, y)."""
    solution, coefficient = H5Array.of(root["tensor"]), H5Array.of(root["nu"])
    if len(solution.shape) != 4 or solution.shape[1] != 1 or solution.shape[2:] != coefficient.shape[1:]:
        raise InputError(
            f"{path}: expected tensor (sample, 1, x, y) and nu (sample, x, y), found {solution.shape} and "
            f"{coefficient.shape}"
        )
    whole = tuple(slice(0, n) for n in solution.shape)
    arrays = {"u": Part(solution, whole, frozenset({1})), "nu": coefficient}
    parameters, notes = _parameters(path, root)
    notes.append("u is zero half a cell outside of the unit square, whatever the generator's option is called")
    coordinates = _of_space(path, root, ("x", "y"), coefficient.shape[1:], periodic=False)
    variables = {name: Variable(name, array, ("sample", "x", "y")) for name, array in arrays.items()}
    return _dataset(path, root, variables, coordinates, parameters, notes)


def _incompressible(path: Path, root: GuardedGroup) -> Dataset:
    """velocity and particles (sample, t, x, y, channel), force (sample, x, y, channel), t (sample, t)."""
    arrays: dict[str, Array] = {name: H5Array.of(root[name]) for name in ("velocity", "particles", "force")}
    velocity, notes = arrays["velocity"].shape, []
    if len(velocity) != 5 or velocity[-1] != 2 or arrays["force"].shape != (velocity[0], *velocity[2:]):
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InputError(f"{path}: expected (sample, t, x, y, channel) with a static force, found {found}")
    times = numbers(root["t"]) if "t" in root else np.tile(np.arange(velocity[1]), (velocity[0], 1))
    frames = velocity[1]
    latest = attributes_of(root).get("latestIndex")
    if isinstance(latest, (int, float)) and 0 <= int(latest) < frames - 1:
        frames = int(latest) + 1
        notes.append(f"the run broke off: {velocity[1] - frames} of {velocity[1]} frames were never written")
    variables = {}
    for name, array in arrays.items():
        timed = array.shape[1 : len(array.shape) - 3]
        index = tuple(slice(0, frames if timed and i == 1 else n) for i, n in enumerate(array.shape))
        dims = ("sample", *(["t"] if timed else []))
        if array.shape[-1] == 1:
            cut = Part(array, index, frozenset({len(index) - 1}))
            variables[name] = Variable(name, cut, (*dims, "x", "y"))
            continue
        order = (*range(len(dims)), len(index) - 1, len(dims), len(dims) + 1)
        dims = (*dims, "component", "x", "y")
        variables[name] = Variable(name, Transposed(Part(array, index), order), dims, None, ("x", "y"))
    config = read_yaml(str(attributes_of(root).get("config", ""))) or {}
    parameters = {name: value for name, value in numbers_of(config).items() if name == "NU"}
    notes.append("the width of a cell is 1, as in the generator: the file has no coordinates of space")
    sides = {name: coordinate(name, np.arange(n) + 0.5) for name, n in zip(("x", "y"), velocity[2:4], strict=True)}
    coordinates = {"t": coordinate("t", times[..., :frames])} | sides
    return _dataset(path, root, variables, coordinates, parameters, notes)


def _dataset(
    path: Path,
    root: GuardedGroup,
    variables: Mapping[str, Variable],
    coordinates: Mapping[str, Coordinate],
    parameters: Mapping[str, float],
    notes: Sequence[str],
) -> Dataset:
    values = {name: Variable(name, Memory(np.asarray(value))) for name, value in parameters.items()}
    return Dataset(
        variables, coordinates, values, attributes=attributes_of(root), layout="pdebench", paths=(path,),
        notes=tuple(notes),
    )  # fmt: skip


def _times(path: Path, root: GuardedGroup, frames: int, notes: list[str]) -> Coordinate | None:
    if "t-coordinate" not in root:
        notes.append("the file has no times")
        return None
    times = numbers(root["t-coordinate"])
    if times.ndim != 1 or not 0 <= len(times) - frames <= 1:
        raise InputError(
            f"{path}: expected {frames} times, or one more, found t-coordinate {described(root['t-coordinate'])}"
        )
    return coordinate("t", times[:frames])


def _of_space(
    path: Path, root: GuardedGroup, names: Sequence[str], sizes: Sequence[int], *, periodic: bool
) -> dict[str, Coordinate]:
    found = {}
    for name, size in zip(names, sizes, strict=True):
        if f"{name}-coordinate" not in root:
            raise InputError(f"{path}: expected a data set {name}-coordinate with {size} entries, there is none")
        points = numbers(root[f"{name}-coordinate"])
        if points.shape != (size,):
            raise InputError(f"{path}: expected {size} points in {name}-coordinate, found {points.shape}")
        found[name] = coordinate(name, points, periodic=periodic)
    return found


def _parameters(path: Path, root: GuardedGroup) -> tuple[dict[str, float], list[str]]:
    """The numbers among the attributes, else those that the name of the file has; and notes."""
    given = attributes_of(root)
    found = {name: float(value) for name, value in given.items() if _is_number(value)}
    notes = []
    if not found:
        for name, text in _IN_NAMES.items():
            match = re.search(rf"_{text}(\d[\d.]*(?:e[+-]?\d+)?)(?:_|\.|$)", path.name)
            if match:
                found[name] = float(match[1].rstrip("."))
        if found:
            notes.append(f"{', '.join(found)} read off the name of the file, which has no such attributes")
    return found, notes


def _is_periodic(path: Path, scalar: bool, notes: list[str]) -> bool:
    """Scalars are periodic in all of these files; of flows the name of the file says it."""
    if scalar or "_periodic" in path.name:
        return True
    if "_trans" not in path.name:
        notes.append("neither file nor name says how it ends in space: taken as not periodic")
    return False


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
