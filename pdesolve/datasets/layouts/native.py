"""Our own layout, as `pdesolve.datasets.writing` writes it (`pdesolve.datasets.arrangement` says what goes where)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pdesolve.data.arrays import Array, Flattened, Memory, Stacked, Transposed
from pdesolve.data.dataset import COMPONENT, SAMPLE, SCATTERED, Coordinate, Dataset, Variable
from pdesolve.datasets.arrangement import (
    COMPLETE,
    DIMENSIONS,
    FIELDS,
    FORMAT,
    MESH,
    SCALARS,
    SCATTERED_FIELDS,
    SPLITS,
    STRUCTURE,
)  # fmt: skip
from pdesolve.datasets.hdf5 import H5Array, attribute, attributes_of, look, numbers, texts
from pdesolve.datasets.layout import Container, Layout, Opening
from pdesolve.datasets.netcdf import dims_of
from pdesolve.datasets.packing import PackedMeshes
from pdesolve.errors import InputError
from pdesolve.geometry import Axis
from pdesolve.unit import Unit


class Native(Layout):
    """Files that `pdesolve generate` and `pdesolve data convert` write."""

    name: ClassVar[str] = "native"
    containers: ClassVar[tuple[Container, ...]] = ("hdf5",)

    def refusal(self, path: Path) -> str | None:
        with look(path) as root:
            missing = [] if "pdesolve_format" in root.attrs else ["attribute pdesolve_format"]
            missing += [f"group {group}" for group in (DIMENSIONS, SCALARS, FIELDS[0]) if group not in root]
        return f"no {' and no '.join(missing)}" if missing else None

    def open(self, path: Path, opening: Opening) -> Dataset:
        with look(path) as root:
            _check_format(path, root)
            try:
                return _read(path, root)
            except InputError:
                raise
            except (TypeError, ValueError, AttributeError, IndexError) as error:
                reason = " ".join(str(error).split())[:160]
                raise InputError(
                    f"{path} is no whole native file, something in it was changed or is damaged ({reason}): copy it "
                    "again, or make it again"
                ) from error


def _check_format(path: Path, root: Any) -> None:
    found, version = attribute(root, "pdesolve_format"), attribute(root, "pdesolve_version") or "unknown"
    if found == FORMAT:
        return
    if isinstance(found, int) and found > FORMAT:
        raise InputError(
            f"{path} has format {found}, this version reads {FORMAT}: it was written by pdesolve {version}; write "
            "pip install --upgrade pdesolve-suite"
        )
    raise InputError(
        f"{path} has format {found}, this version reads {FORMAT}: by the version that wrote it ({version}), write "
        f"pdesolve data convert {path} -o new.hdf5 --to the_well"
    )


def _read(path: Path, root: Any) -> Dataset:
    coordinates: dict[str, Coordinate] = {}
    space = tuple(_listed(path, root[DIMENSIONS], "spatial_dims"))
    for axis in ("t", *space):
        coordinate = _coordinate(axis, root[DIMENSIONS]["time" if axis == "t" else axis])
        if coordinate is not None:
            coordinates[axis] = coordinate
    variables, parameters = _variables(path, root)
    variables = {name: variables[name] for name in texts(root, "variables") if name in variables} | variables
    meshes, offsets = _meshes(root[MESH]) if MESH in root else ((), {})
    splits = {name: numbers(root[SPLITS][name]) for name in root[SPLITS]} if SPLITS in root else {}
    attributes = attributes_of(root)
    listed = texts(root, "simulation_parameters")
    kept = {name: value for name, value in attributes.items() if name not in (*STRUCTURE, *listed)}
    kept |= {name: attributes[name] for name in ("dataset_name", "grid_type") if name in attributes}
    dataset = Dataset(
        variables, coordinates, parameters, meshes=meshes, offsets=offsets, splits=splits, attributes=kept,
        layout="native", paths=(path,),
    )  # fmt: skip
    return _complete(dataset, numbers(root[COMPLETE]).astype(bool)) if COMPLETE in root else dataset


def _listed(path: Path, group: Any, name: str) -> list[str]:
    """An attribute that lists what a group holds. It may be empty; without it what lies there would be overlooked."""
    if name not in group.attrs:
        raise InputError(
            f"{path}: the group {group.name} lacks its attribute {name}, which lists what it holds: copy the file "
            "again, or make it again"
        )
    return texts(group, name)


def _variables(path: Path, root: Any) -> tuple[dict[str, Variable], dict[str, Variable]]:
    """Variables and parameters."""
    variables: dict[str, Variable] = {}
    parameters: dict[str, Variable] = {}
    for group in (SCALARS, *FIELDS, *SCATTERED_FIELDS):
        if group not in root:
            continue
        split: dict[str, list[tuple[int, Variable, bool]]] = {}
        for name in _listed(path, root[group], "field_names"):
            dataset = root[group][name]
            attributes = attributes_of(dataset)
            variable = _variable(name, dataset, attributes)
            parameter = bool(attributes.get("parameter", 0))
            if "component" in attributes:
                split.setdefault(attributes["variable"], []).append((attributes["number"], variable, parameter))
            else:
                (parameters if parameter else variables)[variable.name] = variable
        for name, parts in split.items():
            parts.sort(key=lambda part: part[0])
            (parameters if parts[0][2] else variables)[name] = _together(name, [part[1] for part in parts], root[group])
    return variables, parameters


def _coordinate(axis: str, dataset: Any) -> Coordinate | None:
    about = attributes_of(dataset)
    if not about.get("known", 1):
        return None
    label = about.get("units", "")
    try:
        unit = label or None
        Unit.parse(unit)
    except InputError:
        unit = None
    found = Axis(axis, about["bounds_lower"], about["bounds_upper"], unit, periodic=bool(about["periodic"]))
    return Coordinate(found, numbers(dataset).astype(float), label)


def _variable(name: str, dataset: Any, about: Mapping[str, Any]) -> Variable:
    dims = dims_of(dataset)
    array: Array = H5Array.of(dataset) if dims else Memory(numbers(dataset))
    components = about.get("components", ())
    components = (components,) if isinstance(components, str) else tuple(components)
    if any(dim.startswith("rows_") for dim in dims):
        array, dims = Flattened(array), (*dims[:-2], dims[-1])
    inner = [i for i, dim in enumerate(dims) if dim.startswith("components_")]
    if inner:
        (position,) = inner
        dims = (*dims[:position], COMPONENT, *dims[position + 1 :])
        first = [dims.index(dim) for dim in (SAMPLE, "t", COMPONENT) if dim in dims]
        order = (*first, *(i for i in range(len(dims)) if i not in first))
        if order != tuple(range(len(dims))):
            array, dims = Transposed(array, order), tuple(dims[i] for i in order)
    return Variable(name, array, dims, about.get("units"), components, about.get("long_name", ""))


def _together(name: str, parts: list[Variable], group: Any) -> Variable:
    """Components that lie apart, as one variable."""
    first = parts[0]
    position = sum(dim in (SAMPLE, "t") for dim in first.dims)
    dims = (*first.dims[:position], COMPONENT, *first.dims[position:])
    components = tuple(str(group[part.name].attrs["component"]) for part in parts)
    array = Stacked(tuple(part.array for part in parts), position)
    return replace(first, name=name, array=array, dims=dims, components=components)


def _meshes(group: Any) -> tuple[Any, dict[str, np.ndarray]]:
    counts = {dim: numbers(group[f"{dim}_count"]) for dim in (*SCATTERED, "facet") if f"{dim}_count" in group}
    offsets = {dim: np.append(0, np.cumsum(count)) for dim, count in counts.items() if dim in SCATTERED}
    if "topology" not in group:
        return (), offsets
    about = attributes_of(group["topology"])
    kind = "node" if "node_coordinates" in about else "point"
    arrays: dict[str, Array] = {}
    axes = []
    for name in about[f"{kind}_coordinates"].split():
        arrays[name] = H5Array.of(group[name])
        told = attributes_of(group[name])
        axes.append(
            Axis(
                name.removeprefix(f"{kind}_"), told["bounds_lower"], told["bounds_upper"], told.get("units"),
                periodic=bool(told["periodic"]),
            )
        )  # fmt: skip
    names: tuple[str, ...] = ()
    if kind == "node":
        arrays |= {name: H5Array.of(group[name]) for name in ("cells", "facets", "parts")}
        names = tuple(attributes_of(group["parts"])["flag_meanings"].split())
    else:
        arrays |= {n: H5Array.of(group[n]) for n in ("point_weights", "point_normals") if n in group}
    first = f"{kind}_{axes[0].name}"
    sizes = {"node": first, "cell": "cells", "facet": "facets"} if kind == "node" else {"point": first}
    found = {dim: arrays[name].shape[0] for dim, name in sizes.items()}
    if not set(counts) & set(sizes):  # one mesh for all samples
        counts = {dim: np.array([size]) for dim, size in found.items()}
    for dim, size in found.items():
        if counts[dim].ndim != 1 or (counts[dim] < 0).any() or counts[dim].sum() != size:
            raise ValueError(f"the {size} {dim}s are not those that {dim}_count says")
    return PackedMeshes(tuple(axes), arrays, counts, names), offsets


def _complete(dataset: Dataset, complete: np.ndarray) -> Dataset:
    """The complete samples alone."""
    left = int((~complete).sum())
    note = f"{left} of {len(complete)} samples are not complete and are left out"
    kept = np.flatnonzero(complete)
    number = np.cumsum(complete) - 1
    splits = {name: number[which[complete[which]]] for name, which in dataset.splits.items()}
    return replace(dataset.isel({SAMPLE: kept}), splits=splits, notes=(*dataset.notes, note))
