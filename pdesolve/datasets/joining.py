"""Many files as one data set: their samples one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pdesolve.data.arrays import Array, Joined, Memory, Repeated
from pdesolve.data.dataset import SAMPLE, Coordinate, Dataset, Variable
from pdesolve.errors import InputError

_CLOSE = 1e-6  # coordinates, relative to the length of the axis


def joined(datasets: Sequence[Dataset]) -> Dataset:
    """The samples of all data sets. What differs between them without a dimension `sample` gets one.

    Raises:
        InputError: nothing to join, variables, units, components, sizes or coordinates that are not the same.
    """
    if not datasets:
        raise InputError("there are no files to join")
    first = datasets[0]
    if len(datasets) == 1:
        return first
    for other in datasets[1:]:
        _same_names(first, other, "variables")
        _same_names(first, other, "parameters")
        _same_axes(first, other)
    counts = [data.samples for data in datasets]
    moving = {name for name, c in first.coordinates.items() if c.points.ndim > 1} | {
        name for name in first.coordinates for data in datasets if data.coordinates[name].points.ndim > 1
    }
    coordinates = {
        name: _coordinate(name, [data.coordinates[name] for data in datasets], counts) if name in moving else c
        for name, c in first.coordinates.items()
    }
    attributes = {
        name: value for name, value in first.attributes.items()
        if all(_equal(data.attributes.get(name), value) for data in datasets)
    }  # fmt: skip
    meshes = [mesh for data, n in zip(datasets, counts, strict=True) for mesh in _of_samples(data, n)]
    shared = all(len(data.meshes) == 1 and data.meshes[0] is first.meshes[0] for data in datasets) if meshes else True
    return Dataset(
        {name: _variable([data.variables[name] for data in datasets], datasets) for name in first.variables},
        coordinates,
        {name: _parameter([data.parameters[name] for data in datasets], datasets) for name in first.parameters},
        first.meshes if shared else meshes,
        {dim: _bounds([data.offsets[dim] for data in datasets]) for dim in first.offsets},
        _splits(datasets, counts),
        attributes,
        first.layout,
        tuple(path for data in datasets for path in data.paths),
        tuple(dict.fromkeys(note for data in datasets for note in data.notes)),
    )


def _name(data: Dataset) -> Path | str:
    return data.paths[0] if data.paths else "a data set"


def _same_names(first: Dataset, other: Dataset, kind: str) -> None:
    here, there = getattr(first, kind), getattr(other, kind)
    if set(here) != set(there):
        missing, more = set(here) - set(there), set(there) - set(here)
        difference = f"lacks {', '.join(sorted(missing))}" if missing else f"has {', '.join(sorted(more))} besides"
        raise InputError(
            f"files of one data set have the same {kind}: {_name(other)} {difference}, against {_name(first)}"
        )
    for name, variable in here.items():
        twin = there[name]
        if variable.unit != twin.unit:
            raise InputError(
                f"{name} is in {variable.unit or 'no unit'} in {_name(first)} and in {twin.unit or 'no unit'} in "
                f"{_name(other)}: convert one of them, or open the files one by one"
            )
        if variable.components != twin.components:
            raise InputError(
                f"{name} has the components {variable.components} in {_name(first)} and {twin.components} in "
                f"{_name(other)}"
            )


def _same_axes(first: Dataset, other: Dataset) -> None:
    if set(first.offsets) != set(other.offsets) or set(first.coordinates) != set(other.coordinates):
        raise InputError(
            f"files of one data set have the same axes: {_name(first)} has {', '.join(first.coordinates) or 'none'}, "
            f"{_name(other)} {', '.join(other.coordinates) or 'none'}"
        )
    for dim, size in first.sizes.items():
        if dim != SAMPLE and dim not in first.offsets and other.sizes.get(dim) != size:
            there = other.sizes.get(dim, 0)
            raise InputError(
                f"{dim} has {size} entries in {_name(first)} and {there} in {_name(other)}: open them one by one, "
                f"cut by isel({{{dim!r}: slice(0, {min(size, there)})}}) and join by pdesolve.datasets.joining.joined"
            )
    for name, coordinate in first.coordinates.items():
        here, there = coordinate.points, other.coordinates[name].points
        if here.ndim > 1 or there.ndim > 1:
            continue
        apart = np.abs(here - there).max() if len(here) else 0.0
        if apart > _CLOSE * coordinate.axis.length or coordinate.label != other.coordinates[name].label:
            spans = [f"{c.points[0]:g} to {c.points[-1]:g} {c.label}" for c in (coordinate, other.coordinates[name])]
            raise InputError(
                f"the coordinates {name} of {_name(first)} ({spans[0].strip()}) are not those of {_name(other)} "
                f"({spans[1].strip()}): open the files one by one"
            )


def _variable(variables: Sequence[Variable], datasets: Sequence[Dataset]) -> Variable:
    first = variables[0]
    for position, dim in enumerate(first.dims):
        if dim in datasets[0].offsets:
            return replace(first, array=Joined(tuple(v.array for v in variables), position))
    arrays = tuple(_with_samples(v, data.samples) for v, data in zip(variables, datasets, strict=True))
    rest = tuple(dim for dim in first.dims if dim != SAMPLE)
    if any(tuple(dim for dim in v.dims if dim != SAMPLE) != rest for v in variables):
        raise InputError(f"{first.name} has the dimensions {' and '.join(sorted({str(v.dims) for v in variables}))}")
    return replace(first, array=Joined(arrays), dims=(SAMPLE, *rest))


def _with_samples(variable: Variable, samples: int) -> Array:
    return variable.array if SAMPLE in variable.dims else Repeated(variable.array, samples)


def _parameter(variables: Sequence[Variable], datasets: Sequence[Dataset]) -> Variable:
    """One number for all where all files have the same."""
    if all(isinstance(v.array, Memory) and SAMPLE not in v.dims for v in variables):
        values = [v.array.all() for v in variables]
        if all(np.array_equal(value, values[0]) for value in values):
            return variables[0]
    return _variable(variables, datasets)


def _coordinate(name: str, coordinates: Sequence[Coordinate], counts: Sequence[int]) -> Coordinate:
    rows = [
        c.points if c.points.ndim > 1 else np.broadcast_to(c.points, (n, len(c.points)))
        for c, n in zip(coordinates, counts, strict=True)
    ]
    axis = coordinates[0].axis
    lower, upper = min(c.axis.lower for c in coordinates), max(c.axis.upper for c in coordinates)
    return replace(coordinates[0], axis=replace(axis, lower=lower, upper=upper), points=np.concatenate(rows))


def _bounds(bounds: Sequence[np.ndarray]) -> np.ndarray:
    return np.append(0, np.cumsum(np.concatenate([np.diff(part) for part in bounds])))


def _of_samples(data: Dataset, samples: int) -> list:
    return list(data.meshes) * samples if len(data.meshes) == 1 else list(data.meshes)


def _splits(datasets: Sequence[Dataset], counts: Sequence[int]) -> Mapping[str, np.ndarray]:
    starts = np.append(0, np.cumsum(counts))
    found: dict[str, list[np.ndarray]] = {}
    for data, start in zip(datasets, starts[:-1], strict=True):
        for name, numbers in data.splits.items():
            found.setdefault(name, []).append(np.asarray(numbers, int) + int(start))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _equal(a: object, b: object) -> bool:
    return type(a) is type(b) and bool(np.all(a == b))  # type: ignore[operator]
