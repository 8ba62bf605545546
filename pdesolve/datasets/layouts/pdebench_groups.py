"""PDEBench's files with one group for each sample: diffusion-sorption, diffusion-reaction, the radial dam break.

Takamoto, Praditia, Leiteritz, MacKinlay, Alesiani, Pflueger, Niepert (2022), arXiv:2210.07182. Ten thousand groups are
not opened: a few of them say what all look like, and each is held against that when it is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np

from pdesolve.data.arrays import Array, Memory, Part, Slices, Transposed
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.datasets.coordinates import coordinate
from pdesolve.datasets.groups import Grouped
from pdesolve.datasets.hdf5 import H5Array, attribute, described, look, numbers
from pdesolve.datasets.layout import Container, Layout, Opening
from pdesolve.datasets.links import GuardedGroup
from pdesolve.datasets.yaml_text import numbers_of, read_yaml
from pdesolve.errors import InputError

_PROBES = 8  # groups that are looked into when a file is opened
_NO_PARAMETERS = {"t", "tdim", "T_end", "n_time_steps", "seed", "n"}
_BOUNDS = {"x": ("x_left", "x_right"), "y": ("y_bottom", "y_top")}


class PDEBenchGroups(Layout):
    """`0000/data` (t, x[, y], channel), `0000/grid/x`, ..., and YAML in the attribute `config` of `0000`."""

    name: ClassVar[str] = "pdebench_groups"
    containers: ClassVar[tuple[Container, ...]] = ("hdf5",)

    def refusal(self, path: Path) -> str | None:
        with look(path) as root:
            names = [name for name in root if name.isdigit()]
            if not names:
                return "no groups 0000, 0001, ..."
            first = root[min(names)]
            if not isinstance(first, h5py.Group) or "data" not in first or "grid" not in first:
                return f"the group {min(names)} has no data and grid"
        return None

    def open(self, path: Path, opening: Opening) -> Dataset:
        with look(path) as root:
            names = sorted(name for name in root if name.isdigit())
            probes = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, _PROBES).astype(int))]
            groups = {name: root[name] for name in probes}
            first = groups[probes[0]]
            shape = _shape(path, groups)
            config = {name: _config(group) for name, group in groups.items()}
            data = Grouped(tuple(names), "data", H5Array.of(first["data"]))
            sim = config[probes[0]]
            rows_first = "Du" in sim
            space = ("x", "y")[: len(shape) - 2]
            stored = ("y", "x") if rows_first else space
            coordinates = _coordinates(path, first["grid"], ("t", *stored), shape[:-1], sim)
            channels = _channels(_names(first), sim, shape[-1])
            variables = _variables(channels, data, stored, space)
            parameters = _parameters(path, tuple(names), config)
        notes = ["the file orders the axes (t, y, x), against what its loaders say"] if rows_first else []
        if not sim:
            notes.append("the groups have no attribute config: parameters and order of the axes are not known")
        return Dataset(
            variables, coordinates, parameters, attributes={k: v for k, v in sim.items() if k not in parameters},
            layout=self.name, paths=(path,), notes=tuple(notes),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Configured(Array):
    """A number in the YAML text of each of many groups, read when it is asked for."""

    path: str
    names: tuple[str, ...]
    parameter: str

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.names),)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(float)

    @property
    def chunks(self) -> None:
        return None

    @cached_property
    def _known(self) -> dict[str, float]:
        return {}

    def read(self, index: Slices) -> np.ndarray:
        with look(Path(self.path)) as root:
            for name in self.names[index[0]]:
                if name not in self._known:
                    self._known[name] = _config(root[name]).get(self.parameter, np.nan)
        return np.array([self._known[name] for name in self.names[index[0]]], float)


def _config(group: GuardedGroup) -> dict[str, float]:
    """The numbers under `sim` in the YAML of a group."""
    text = attribute(group, "config")
    config: Any = (read_yaml(text) if isinstance(text, str) else None) or {}
    sim = config.get("sim", config)
    return numbers_of(sim) if isinstance(sim, dict) else {}


def _shape(path: Path, groups: Mapping[str, GuardedGroup]) -> tuple[int, ...]:
    shapes = {}
    for name, group in groups.items():
        if not isinstance(group, h5py.Group) or "data" not in group:
            raise InputError(f"{path}: expected a group {name} with the data set data, found {described(group)}")
        shapes[group["data"].shape] = name
    if len(shapes) != 1 or not 3 <= len(next(iter(shapes))) <= 4:
        found = " and ".join(f"{shape} in {name}" for shape, name in shapes.items())
        raise InputError(f"{path}: expected data of one shape (t, x[, y], channel) in all groups, found {found}")
    return next(iter(shapes))


def _coordinates(
    path: Path, grid: GuardedGroup, names: Sequence[str], sizes: Sequence[int], sim: Mapping[str, float]
) -> dict[str, Coordinate]:
    found = {}
    for name, size in zip(names, sizes, strict=True):
        if name not in grid or grid[name].shape != (size,):
            what = described(grid[name]) if name in grid else "nothing"
            raise InputError(f"{path}: expected {size} points in {grid.name}/{name}, found {what}")
        lower, upper = (sim.get(key, np.nan) for key in _BOUNDS.get(name, ("", "")))
        bounds = (lower, upper) if lower < upper else None
        found[name] = coordinate(name, numbers(grid[name]), bounds=bounds)
    return {name: found[name] for name in sorted(found, key=("t", "x", "y").index)}


def _names(group: GuardedGroup) -> list[str]:
    """The names of the channels, which our own files of this layout have."""
    text = attribute(group, "config")
    found = (read_yaml(text) if isinstance(text, str) else None) or {}
    names = found.get("variables")
    return [str(name) for name in names] if isinstance(names, list) else []


def _channels(names: Sequence[str], sim: Mapping[str, float], count: int) -> tuple[str, ...]:
    if len(set(names)) == count:
        return tuple(names)
    if count == 1:
        return ("depth",) if "dam_radius" in sim else ("u",)
    return ("u", "v") if count == 2 else tuple(f"u{i + 1}" for i in range(count))


def _variables(
    channels: Sequence[str], data: Grouped, stored: tuple[str, ...], space: tuple[str, ...]
) -> dict[str, Variable]:
    variables = {}
    for i, name in enumerate(channels):
        index = (*(slice(0, n) for n in data.shape[:-1]), slice(i, i + 1))
        array: Array = Part(data, index, frozenset({len(index) - 1}))
        if stored != space:
            array = Transposed(array, (0, 1, *(2 + stored.index(axis) for axis in space)))
        variables[name] = Variable(name, array, ("sample", "t", *space))
    return variables


def _parameters(path: Path, names: tuple[str, ...], config: Mapping[str, Mapping[str, float]]) -> dict[str, Variable]:
    """Numbers that differ among the groups that were looked into differ between samples."""
    first, known = next(iter(config.values())), {}
    ends = {end for pair in _BOUNDS.values() for end in pair} | {"xdim", "ydim"}
    for parameter in first:
        if parameter in _NO_PARAMETERS | ends:
            continue
        values = {other.get(parameter) for other in config.values()}
        if len(values) == 1:
            known[parameter] = Variable(parameter, Memory(np.asarray(first[parameter])))
        else:
            array = _Configured(os.path.abspath(path), names, parameter)
            known[parameter] = Variable(parameter, array, ("sample",))
    return known
