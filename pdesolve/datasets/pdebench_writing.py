"""Data sets written in the layouts of PDEBench, as far as these can hold them.

Takamoto, Praditia, Leiteritz, MacKinlay, Alesiani, Pflueger, Niepert (2022), arXiv:2210.07182.

| data | layout |
|---|---|
| one scalar on a periodic axis, the same parameters for all samples | `tensor` (sample, t, x) |
| two stationary scalars on two axes, the second a coefficient | `tensor` (sample, 1, x, y) and `nu` (sample, x, y) |
| density, velocity and pressure | `density`, `pressure`, `Vx`, ... (sample, t, *space) |
| all else that evolves on one or two axes | a group for each sample: `data` (t, *space, channel), YAML of parameters |

Units, splits, and in the groups whether an axis is periodic have no place there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import yaml

from pdesolve.data.arrays import Array, Part, Repeated
from pdesolve.data.dataset import COMPONENT, SAMPLE, SCATTERED, Dataset, Variable
from pdesolve.datasets.new_file import NewFile, aside
from pdesolve.datasets.writing import Compression, fill
from pdesolve.errors import InputError

_FLOW = {"density", "pressure", "velocity"}
_BOUNDS = {"x": ("x_left", "x_right"), "y": ("y_bottom", "y_top")}


def write_pdebench(
    dataset: Dataset, path: Path, *, dtype: str = "float32", compression: Compression | None = None
) -> tuple[str, ...]:
    """Write one of PDEBench's layouts, whichever fits; what it left out is returned, a line each.

    Raises:
        InputError: data that none of the layouts can hold, and which of them is nearest; a disk that is full.
    """
    space = _space(dataset)
    dataset = _with_samples(dataset)
    constants = {name: p for name, p in dataset.parameters.items() if not p.dims}
    varying = {name: p for name, p in dataset.parameters.items() if p.dims}
    odd = [name for name, p in varying.items() if p.dims != (SAMPLE,)]
    if odd:
        raise InputError(f"{', '.join(odd)} is more than a number for each sample: PDEBench has no place for it")
    make, left = _layout(dataset, space, bool(varying))
    if make is not _groups and varying:
        raise InputError(
            f"{', '.join(varying)} differs between samples: this layout of PDEBench has parameters of whole files "
            "only; write one file for each value, or --to the_well"
        )
    kind = np.dtype(dtype)

    def put(group: h5py.Group, name: str, array: Array) -> None:
        outer = 1 if make is _groups else 2 if "t" in dataset.sizes else 1
        made = fill(file, f"{group.name}/{name}", array, kind, outer=outer, compression=compression)
        assert made.shape == array.shape

    with aside(path) as file:
        make(dataset, space, file, put)
        if make is not _groups:
            _coordinates(dataset, space, file)
            for name, parameter in constants.items():
                file.attrs[name] = float(parameter.array.all())
    return (*left, *_left_out(dataset))


Put = Callable[[h5py.Group, str, Array], None]
Make = Callable[[Dataset, tuple[str, ...], NewFile, Put], None]


def _space(dataset: Dataset) -> tuple[str, ...]:
    """The axes of space, x, y, z.

    Raises:
        InputError: meshes, axes without coordinates or with others in each sample, or of other names.
    """
    space = dataset.space
    if set(space) & set(SCATTERED) or not space:
        what = "lie on points or meshes" if space else "have no axis of space"
        raise InputError(f"PDEBench has grids only, these data {what}: write --to native")
    if space != ("x", "y", "z")[: len(space)]:
        found = ", ".join(space[:4]) + (", ..." if len(space) > 4 else "")
        raise InputError(
            f"the axes of PDEBench are x, y, z, these data have {found}: choose variables of one grid by --variables, "
            f"and rename its axes, as by --rename {found.partition(',')[0]}=x"
        )
    for axis in space:
        coordinate = dataset.coordinates.get(axis)
        if coordinate is None or coordinate.points.ndim > 1:
            what = "no coordinates" if coordinate is None else "other coordinates in each sample"
            raise InputError(f"{axis} has {what}: PDEBench has one grid for all samples")
    return space


def _with_samples(dataset: Dataset) -> Dataset:
    """What evolves without a dimension of samples gets one."""
    variables = {
        name: replace(v, array=Repeated(v.array, dataset.samples), dims=(SAMPLE, *v.dims))
        if "t" in v.dims and SAMPLE not in v.dims else v
        for name, v in dataset.variables.items()
    }  # fmt: skip
    return replace(dataset, variables=variables)


def _layout(dataset: Dataset, space: tuple[str, ...], varying: bool) -> tuple[Make, list[str]]:
    """How the data are laid out, and what is left out by it."""
    variables = list(dataset.variables.values())
    periodic = [axis for axis in space if dataset.coordinates[axis].axis.periodic]
    frames = (SAMPLE, "t")
    if "t" not in dataset.sizes:
        if len(variables) == 2 and all(_axes(v) == space == ("x", "y") and not v.components for v in variables):
            names = [
                f"the name {v.name} of {new}" for v, new in zip(variables, ("u", "nu"), strict=True) if v.name != new
            ]
            return _darcy, names + ([f"whether {', '.join(periodic)} is periodic"] if periodic else [])
        raise InputError(
            f"PDEBench has stationary data as a solution and a coefficient over x and y, these have "
            f"{_listed(variables)}: choose two by --variables, the solution first"
        )
    misfits = [v for v in variables if v.dims[:2] != frames or _axes(v) != space]
    if misfits:
        raise InputError(
            f"PDEBench has variables over sample, t and all of space, {_listed(misfits)} is not: choose others by "
            "--variables"
        )
    names = set(dataset.variables)
    if {"density", "velocity"} <= names <= _FLOW and _is_flow(dataset, space):
        name = [f"whether {', '.join(periodic)} is periodic, unless the file's name has _periodic"] if periodic else []
        return _flow, name
    if len(space) == 1 and len(variables) == 1 and not variables[0].components and periodic and not varying:
        return _tensor, [f"the name {variables[0].name} of u"] if variables[0].name != "u" else []
    if len(space) > 2:
        raise InputError(
            f"PDEBench has density, pressure and velocity over three axes and nothing else, these data have "
            f"{_listed(variables)}: write --to the_well"
        )
    return _groups, [f"whether {', '.join(periodic)} is periodic"] if periodic else []


def _is_flow(dataset: Dataset, space: tuple[str, ...]) -> bool:
    velocity = dataset.variables["velocity"].components
    scalars = all(not v.components for name, v in dataset.variables.items() if name != "velocity")
    return scalars and (velocity == space or (not velocity and len(space) == 1))


def _tensor(dataset: Dataset, space: tuple[str, ...], file: NewFile, put: Put) -> None:
    (variable,) = dataset.variables.values()
    put(file, "tensor", variable.array)


def _darcy(dataset: Dataset, space: tuple[str, ...], file: NewFile, put: Put) -> None:
    solution, coefficient = (_of_samples(v, dataset.samples) for v in dataset.variables.values())
    put(file, "tensor", Repeated(solution, 1, 1))
    put(file, "nu", coefficient)


def _flow(dataset: Dataset, space: tuple[str, ...], file: NewFile, put: Put) -> None:
    for name, variable in dataset.variables.items():
        if name != "velocity":
            put(file, name, variable.array)
    for axis, array in zip(space, _channels(dataset.variables["velocity"]).values(), strict=True):
        put(file, f"V{axis}", array)


def _groups(dataset: Dataset, space: tuple[str, ...], file: NewFile, put: Put) -> None:
    """`0000/data` (t, *space, channel), `0000/grid`, and YAML in the attribute `config` of the group."""
    channels = {name: array for v in dataset.variables.values() for name, array in _channels(v).items()}
    values = {name: np.broadcast_to(p.array.all(), dataset.samples) for name, p in dataset.parameters.items()}
    ends = {}
    for axis in space:
        bounds = dataset.coordinates[axis].axis
        ends |= dict(zip(_BOUNDS[axis], (bounds.lower, bounds.upper), strict=True))
    # the generator of diffusion-reaction, told by its parameter Du, has the rows along y first
    order = space[::-1] if "Du" in values else space
    width = max(4, len(str(dataset.samples - 1)))
    for i in range(dataset.samples):
        group = file.create_group(f"{i:0{width}}")
        places = (slice(i, i + 1), *(slice(0, dataset.sizes[dim]) for dim in ("t", *space)))
        parts = [Part(array, places, frozenset({0})) for array in channels.values()]
        put(group, "data", _Channels(tuple(parts), (0, *(1 + space.index(axis) for axis in order))))
        grid = group.create_group("grid")
        for dim in ("t", *space):
            coordinate = dataset.coordinates.get(dim)
            points = np.arange(float(dataset.sizes[dim])) if coordinate is None else coordinate.points
            grid[dim] = points if points.ndim == 1 else points[i]
        sim = {name: float(numbers[i]) for name, numbers in values.items()} | ends
        config = {"sim": sim, "variables": list(channels), "name": str(dataset.attributes.get("problem", ""))}
        group.attrs["config"] = yaml.safe_dump(config, sort_keys=False)
        file.check()


class _Channels(Array):
    """Scalars over the same dimensions, side by side along a new last one; the others in another order."""

    def __init__(self, arrays: tuple[Array, ...], order: tuple[int, ...]) -> None:
        self.arrays, self.order = arrays, order

    @property
    def shape(self) -> tuple[int, ...]:
        return (*(self.arrays[0].shape[i] for i in self.order), len(self.arrays))

    @property
    def dtype(self) -> np.dtype:
        return np.result_type(*(array.dtype for array in self.arrays))

    @property
    def chunks(self) -> None:
        return None

    def read(self, index: tuple[slice, ...]) -> np.ndarray:
        inner = [slice(0, 0)] * len(self.order)
        for part, i in zip(index, self.order, strict=False):
            inner[i] = part
        chosen = self.arrays[index[-1]]
        return np.stack([array.read(tuple(inner)).transpose(self.order) for array in chosen], -1)


def _channels(variable: Variable) -> dict[str, Array]:
    """The components of a variable as scalars, by name."""
    if not variable.components:
        return {variable.name: variable.array}
    position = variable.dims.index(COMPONENT)
    whole = tuple(slice(0, n) for n in variable.array.shape)
    return {
        f"{variable.name}_{component}": Part(
            variable.array, (*whole[:position], slice(i, i + 1), *whole[position + 1 :]), frozenset({position})
        )
        for i, component in enumerate(variable.components)
    }


def _of_samples(variable: Variable, samples: int) -> Array:
    return variable.array if SAMPLE in variable.dims else Repeated(variable.array, samples)


def _coordinates(dataset: Dataset, space: tuple[str, ...], file: NewFile) -> None:
    """`x-coordinate`, ..., and `t-coordinate` with one entry more than there are frames, as PDEBench has it."""
    for axis in space:
        file[f"{axis}-coordinate"] = np.asarray(dataset.coordinates[axis].points, float)
    times = dataset.coordinates.get("t")
    if times is not None and times.points.ndim > 1:
        raise InputError("the times differ between samples: this layout of PDEBench has one list of times for all")
    if times is not None:
        t = np.asarray(times.points, float)
        file["t-coordinate"] = np.append(t, 2 * t[-1] - t[-2] if len(t) > 1 else t[-1] + 1.0)


def _axes(variable: Variable) -> tuple[str, ...]:
    return tuple(dim for dim in variable.dims if dim not in (SAMPLE, "t", COMPONENT))


def _left_out(dataset: Dataset) -> list[str]:
    units = {v.unit for v in (*dataset.variables.values(), *dataset.parameters.values()) if v.unit}
    units |= {c.label for c in dataset.coordinates.values() if c.label}
    left = [f"the units {', '.join(sorted(units))}"] if units else []
    if dataset.splits:
        left.append(f"the splits {', '.join(dataset.splits)}")
    return left


def _listed(variables: list[Variable]) -> str:
    shown = ", ".join(f"{v.name} ({', '.join(v.dims)})" for v in variables[:4]) or "nothing"
    return f"{shown} and {len(variables) - 4} more" if len(variables) > 4 else shown
