"""The Well: fields grouped by the order of their tensors, with flags for what varies, on one grid.

Ohana, McCabe, Meyer, Morel, Agocs, Beneitez, ... (2024), arXiv:2412.00568. A file holds the trajectories of one
combination of parameters. Files that leave out the flags of dimensions or the lists of names are opened all the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pdesolve.data.arrays import Array, Flattened, Memory, Part, Transposed
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.datasets.coordinates import coordinate
from pdesolve.datasets.hdf5 import H5Array, attribute, attributes_of, described, look, numbers, texts
from pdesolve.datasets.layout import Container, Layout, Opening
from pdesolve.datasets.links import GuardedGroup
from pdesolve.datasets.yaml_text import read_yaml
from pdesolve.errors import InputError

_ORDERS = {"t0_fields": 0, "t1_fields": 1, "t2_fields": 2}
_SMALL = 2**16  # numbers of a parameter that are read when the file is opened
_STATISTICS = 2**20  # bytes of stats.yaml


class TheWell(Layout):
    """`dimensions/`, `t0_fields/`, `t1_fields/`, `t2_fields/`, `scalars/` and `boundary_conditions/`."""

    name: ClassVar[str] = "the_well"
    containers: ClassVar[tuple[Container, ...]] = ("hdf5",)

    def refusal(self, path: Path) -> str | None:
        with look(path) as root:
            if "pdesolve_format" in root.attrs:
                return "it is a native file"
            if "dimensions" not in root:
                return "no group dimensions"
            if not set(_ORDERS) & set(root):
                return "none of the groups t0_fields, t1_fields and t2_fields"
        return None

    def open(self, path: Path, opening: Opening) -> Dataset:
        with look(path) as root:
            space = _space(path, root)
            edges = _edges(root)
            periodic = {axis for about in edges.values() if about["type"] == "PERIODIC" for axis in about["axes"]}
            coordinates, notes = _coordinates(root["dimensions"], space, periodic)
            variables = _variables(path, root, space)
            parameters = _parameters(path, root)
            attributes = {k: v for k, v in attributes_of(root).items() if k not in parameters}
        valued = [name for name, about in edges.items() if "values" in about]
        if valued:
            notes.append(f"the values of the boundary conditions {', '.join(valued)} stay in the file")
        if edges:
            attributes["boundary_conditions"] = json.dumps(edges)
        statistics = _statistics(path)
        if statistics:
            attributes["statistics"] = json.dumps(statistics)
        found = Dataset(variables, coordinates, parameters, attributes=attributes, layout=self.name, paths=(path,))
        said = attributes.get("n_trajectories")
        if said is not None and said != found.samples:
            notes.append(f"n_trajectories says {said}, the file holds {found.samples}")
        return replace(found, notes=tuple(notes))


def _space(path: Path, root: GuardedGroup) -> tuple[str, ...]:
    dimensions = root["dimensions"]
    space = texts(dimensions, "spatial_dims")
    missing = [name for name in space if name not in dimensions]
    if not space or missing:
        what = (
            f"its data set{'s' * (len(missing) > 1)} {', '.join(missing)}" if missing else "its attribute spatial_dims"
        )
        found = ", ".join(f"{name} {described(dimensions[name])}" for name in dimensions) or "nothing"
        raise InputError(f"{path}: the group dimensions lacks {what} (the axes, in order), found {found}")
    return tuple(space)


def _varies(node: Any, flag: str) -> bool:
    """A flag of a data set, False where it is left out."""
    return bool(attribute(node, flag))


def _edges(root: GuardedGroup) -> dict[str, dict[str, Any]]:
    """The boundary conditions: their kind in capitals, the axes and the fields that they belong to."""
    found = {}
    group = root.get("boundary_conditions")
    for name in group if isinstance(group, GuardedGroup) else ():
        about = group[name]
        kind, axes = attribute(about, "bc_type"), texts(about, "associated_dims")
        found[name] = {"type": str(kind).upper(), "axes": axes, "fields": texts(about, "associated_fields")}
        found[name] |= {"values": "in the file"} if "values" in about else {}
    return found


def _coordinates(
    dimensions: GuardedGroup, space: Sequence[str], periodic: set[str]
) -> tuple[dict[str, Coordinate], list[str]]:
    found, notes = {}, []
    names = {"t": "time", **{name: name for name in space}}
    for name, stored in names.items():
        if stored not in dimensions:
            notes.append("the file has no times")
            continue
        points = numbers(dimensions[stored])
        if points.ndim == 0 or points.ndim > 2 or (name != "t" and _varies(dimensions[stored], "time_varying")):
            notes.append(f"the coordinates {name} change in time: they are left out")
            continue
        try:
            found[name] = coordinate(
                name, points, periodic=name in periodic, label=attribute(dimensions[stored], "units")
            )
        except InputError as error:
            notes.append(f"{error}: they are left out")
    return found, notes


def _variables(path: Path, root: GuardedGroup, space: tuple[str, ...]) -> dict[str, Variable]:
    found = {}
    for group, order in _ORDERS.items():
        if group not in root:
            continue
        fields = root[group]
        for name in texts(fields, "field_names") or fields:
            if name not in fields:
                raise InputError(f"{path}: {group} names the field {name}, which is not in it: {', '.join(fields)}")
            found[name] = _variable(path, name, fields[name], order, space)
    return found


def _variable(path: Path, name: str, node: Any, order: int, space: tuple[str, ...]) -> Variable:
    """Dimensions by the flags: [sample][t][axes that vary][component, [component]]."""
    array: Array = H5Array.of(node)
    varying = attribute(node, "dim_varying")
    varying = [True] * len(space) if varying is None else np.atleast_1d(varying).tolist()
    axes = tuple(axis for axis, varies in zip(space, varying, strict=False) if varies)
    before = [dim for dim, flag in (("sample", "sample_varying"), ("t", "time_varying")) if _varies(node, flag)]
    # axes that do not vary are left out, says the specification; its reader takes them with the size one
    small = frozenset(len(before) + i for i, varies in enumerate(varying) if not varies)
    if small and len(array.shape) == len(before) + len(space) + order and {array.shape[i] for i in small} == {1}:
        array = Part(array, tuple(slice(0, n) for n in array.shape), small)
    if len(array.shape) != len(before) + len(axes) + order or len(varying) != len(space):
        raise InputError(
            f"{path}: {node.name} should have the dimensions {(*before, *axes, *(['component'] * order))} by its "
            f"flags, found {array.shape}"
        )
    unit = attribute(node, "units")
    if order == 0:
        return Variable(name, array, (*before, *axes), unit)
    if set(array.shape[-order:]) != {len(space)}:
        raise InputError(f"{path}: {node.name} should have {len(space)} components, found {array.shape}")
    components = tuple("_".join(pair) for pair in product(space, repeat=order))
    flat = Flattened(array) if order == 2 else array
    place, last = len(before), len(before) + len(axes)
    moved = Transposed(flat, (*range(place), last, *range(place, last)))
    return Variable(name, moved, (*before, "component", *axes), unit, components)


def _parameters(path: Path, root: GuardedGroup) -> dict[str, Variable]:
    found = {}
    scalars = root.get("scalars")
    for name in (texts(scalars, "field_names") or scalars) if isinstance(scalars, GuardedGroup) else ():
        if name not in scalars:
            raise InputError(f"{path}: scalars names {name}, which is not in it: {', '.join(scalars)}")
        node = scalars[name]
        array = H5Array.of(node)
        dims = tuple(d for d, f in (("sample", "sample_varying"), ("t", "time_varying")) if _varies(node, f))
        if len(dims) != len(array.shape):
            raise InputError(f"{path}: {node.name} should have the dimensions {dims} by its flags, found {array.shape}")
        small = array.nbytes <= _SMALL * array.dtype.itemsize
        found[name] = Variable(name, Memory(numbers(node)) if small else array, dims, attribute(node, "units"))
    for name in texts(root, "simulation_parameters"):
        value = attribute(root, name)
        if name not in found and isinstance(value, (int, float)):
            found[name] = Variable(name, Memory(np.asarray(value)))
    return found


def _statistics(path: Path) -> dict[str, Any]:
    """The statistics beside the folder `data`, of all files of the data set."""
    for folder in path.absolute().parents[:3]:
        file = folder / "stats.yaml"
        if file.is_file() and file.stat().st_size <= _STATISTICS:
            return read_yaml(file.read_text(encoding="utf-8", errors="replace")) or {}
    return {}
