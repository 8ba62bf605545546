"""Where everything of a data set goes in a file of ours: the groups of the Well, and more beside them.

| in the file | what |
|---|---|
| `/` | dimensions and coordinates, attributes, `complete` |
| `dimensions/` | `time` and the axes of space once more, where they may differ between samples |
| `boundary_conditions/AXIS_KIND/mask` | 1 at the ends of an axis that are periodic, wall or open |
| `scalars/` | parameters |
| `t0_fields/`, `t1_fields/`, `t2_fields/` | scalars, vectors and tensors on a grid, components last |
| `node_fields/`, `cell_fields/`, `point_fields/` | what lies on meshes and points, samples packed one after another |
| `mesh/` | the meshes, named as UGRID names them; how many nodes each sample has (CF's contiguous ragged arrays) |
| `splits/` | numbers of samples |
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pdesolve import __version__
from pdesolve.data.arrays import Array, Memory, Part, Squared, Transposed
from pdesolve.data.dataset import COMPONENT, SAMPLE, SCATTERED, Coordinate, Dataset, Variable
from pdesolve.datasets.packing import PackedMeshes
from pdesolve.errors import InputError
from pdesolve.gridded import member_at

FORMAT = 1
SCALARS, DIMENSIONS, BOUNDARIES, MESH, SPLITS, COMPLETE = (
    "scalars", "dimensions", "boundary_conditions", "mesh", "splits", "complete",
)  # fmt: skip
FIELDS = tuple(f"t{order}_fields" for order in range(3))
SCATTERED_FIELDS = tuple(f"{dim}_fields" for dim in SCATTERED)
# attributes of the root that say how the file is laid out
STRUCTURE = (
    "pdesolve_format", "pdesolve_version", "Conventions", "dataset_name", "grid_type", "n_spatial_dims",
    "n_trajectories", "simulation_parameters", "variables",
)  # fmt: skip
_CONNECTIVITY = {1: "edge_node_connectivity", 2: "face_node_connectivity", 3: "volume_node_connectivity"}


@dataclass(frozen=True, eq=False)
class Item:
    """One array of the file: its numbers as they lie there, its dimensions (names of the root) and attributes."""

    path: str
    array: Array
    dims: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outer(self) -> int:
        """How many dimensions come before those of space."""
        return sum(dim in (SAMPLE, "t") for dim in self.dims)


@dataclass(frozen=True, eq=False)
class Arrangement:
    """A file before it is written.

    dimensions: size or coordinates of each. groups: attributes of each, in order.
    """

    dimensions: Mapping[str, int | np.ndarray]
    attributes: Mapping[str, Any]
    groups: Mapping[str, Mapping[str, Any]]
    items: Sequence[Item]


def arranged(dataset: Dataset, name: str, *, complete: np.ndarray | None = None) -> Arrangement:
    """Where everything of a data set goes. complete: (sample,), which samples are; all of them by default.

    Raises:
        InputError: what has no place: complex numbers or text, two things of one name, grids among the meshes.
    """
    space = tuple(dim for dim in dataset.space if dim not in SCATTERED)
    items = [
        item
        for variable in (*dataset.variables.values(), *dataset.parameters.values())
        for item in _items(variable, space, parameter=dataset.parameters.get(variable.name) is variable)
    ]
    meshes = _mesh_items(dataset)
    sides = _boundaries(dataset, space)
    rest = [*_dimension_items(dataset, space), *_boundary_items(dataset, sides), *_split_items(dataset)]
    if complete is not None and not all(complete):
        rest.append(Item(COMPLETE, Memory(np.asarray(complete, np.int8)), (SAMPLE,)))
    items = [*rest, *items, *meshes]
    paths = [item.path for item in items]
    twice = {path for path in paths if paths.count(path) > 1}
    if twice:
        raise InputError(f"two things would be {', '.join(sorted(twice))} in the file: rename one of them")
    dimensions = _dimensions(dataset, items)
    clash = [item.path for item in items if item.path.rpartition("/")[2] in dimensions and _is_field(item.path)]
    if clash:
        raise InputError(f"{clash[0].rpartition('/')[2]} is the name of a variable and of a dimension: rename one")
    groups: dict[str, dict[str, Any]] = {DIMENSIONS: {"spatial_dims": list(space)}, BOUNDARIES: {}}
    for axis, kind in sides:
        groups[f"{BOUNDARIES}/{axis}_{kind}"] = _flags(Item("", Memory(np.zeros(0)))) | {
            "associated_dims": [axis], "associated_fields": [], "bc_type": kind.upper(),
        }  # fmt: skip
    for group in (SCALARS, *FIELDS, *SCATTERED_FIELDS, MESH, SPLITS):
        inside = [path.rpartition("/")[2] for path in paths if path.startswith(f"{group}/")]
        if group in (SCALARS, *FIELDS, *SCATTERED_FIELDS) and (inside or group in (SCALARS, *FIELDS)):
            groups[group] = {"field_names": inside}
        elif inside:
            groups[group] = {}
    return Arrangement(dimensions, _root(dataset, name, space, items), groups, items)


def _items(variable: Variable, space: tuple[str, ...], *, parameter: bool) -> list[Item]:
    """A variable as it lies in the file: vectors and tensors over the axes with their components last, other
    components one by one."""
    if variable.array.dtype.kind not in "biuf":
        raise InputError(
            f"{variable.name} holds {variable.array.dtype}, expected real numbers: give the real and the imaginary "
            "part as two components"
        )
    about = {"units": variable.unit, "long_name": variable.long_name or None, "parameter": int(parameter) or None}
    scattered = [dim for dim in variable.dims if dim in SCATTERED]
    places = [dim for dim in variable.dims if dim in space]
    if scattered:
        dims = tuple(f"components_{len(variable.components)}" if d == COMPONENT else d for d in variable.dims)
        about["components"] = list(variable.components) or None
        return [Item(f"{scattered[0]}_fields/{variable.name}", variable.array, dims, about)]
    lone = parameter and not places
    order = _order(variable, () if lone else space)
    group = SCALARS if lone else FIELDS[order or 0]
    varying = [dim in variable.dims for dim in space]
    if order is None:
        position, made = variable.dims.index(COMPONENT), []
        for i, component in enumerate(variable.components):
            index = tuple(slice(i, i + 1) if k == position else slice(0, n) for k, n in enumerate(variable.array.shape))
            array = Part(variable.array, index, frozenset({position}))
            dims = tuple(dim for dim in variable.dims if dim != COMPONENT)
            own = {**about, "variable": variable.name, "component": component, "number": i}
            made.append(_field(f"{group}/{variable.name}_{component}", array, dims, own, varying))
        return made
    if order == 0:
        return [_field(f"{group}/{variable.name}", variable.array, variable.dims, about, varying)]
    about["components"] = list(variable.components)
    position = variable.dims.index(COMPONENT)
    rest = [i for i in range(len(variable.dims)) if i != position]
    dims = tuple(variable.dims[i] for i in rest)
    size = f"components_{len(space)}"
    array: Array = Transposed(variable.array, (*rest, position))
    if order == 2:
        array = Squared(array)
        about |= {"symmetric": np.bool_(False), "antisymmetric": np.bool_(False)}
    inner = (size,) if order == 1 else (f"rows_{len(space)}", size)
    return [_field(f"{group}/{variable.name}", array, (*dims, *inner), about, varying)]


def _order(variable: Variable, space: tuple[str, ...]) -> int | None:
    """The order of a tensor over the axes; None for components of another kind."""
    if not variable.components:
        return 0
    if space and variable.components == space:
        return 1
    pairs = list(itertools.product(space, repeat=2))
    square = [tuple(join.join(pair) for pair in pairs) for join in ("", "_")]
    return 2 if space and variable.components in square else None


def _field(path: str, array: Array, dims: tuple[str, ...], about: Mapping[str, Any], varying: list[bool]) -> Item:
    item = Item(path, array, dims)
    flags = _flags(item) | ({} if path.startswith(SCALARS) else {"dim_varying": np.array(varying, bool)})
    return Item(path, array, dims, flags | dict(about))


def _flags(item: Item) -> dict[str, Any]:
    return {"sample_varying": np.bool_(SAMPLE in item.dims), "time_varying": np.bool_("t" in item.dims)}


def _dimension_items(dataset: Dataset, space: tuple[str, ...]) -> list[Item]:
    """The coordinates where the Well has them: `time`, and each axis of space."""
    items = []
    for dim in ("t", *space):
        coordinate, name = dataset.coordinates.get(dim), "time" if dim == "t" else dim
        if coordinate is None:
            size = dataset.sizes.get(dim, 1)
            about = {"known": 0} if dim in dataset.sizes else {"known": 0, "absent": 1}
            item = Item(f"{DIMENSIONS}/{name}", Memory(np.arange(float(size))), (dim,))
        else:
            dims = (SAMPLE, dim) if coordinate.points.ndim > 1 else (dim,)
            item = Item(f"{DIMENSIONS}/{name}", Memory(np.asarray(coordinate.points, float)), dims)
            about = _about(coordinate)
        flags = _flags(item) | {"time_varying": np.bool_(False)}
        items.append(Item(item.path, item.array, item.dims, flags | about))
    return items


def _about(coordinate: Coordinate) -> dict[str, Any]:
    axis = coordinate.axis
    about = {"units": coordinate.label or axis.unit, "bounds_lower": axis.lower, "bounds_upper": axis.upper}
    if coordinate.points.ndim == 1:
        with suppress(InputError):  # a single point, or points that do not ascend
            about["placement"] = member_at(axis, coordinate.points).placement
    return about | {"periodic": int(axis.periodic)}


def _boundaries(dataset: Dataset, space: tuple[str, ...]) -> dict[tuple[str, str], list[int]]:
    """The ends (0, -1) of each axis that are of a kind: periodic by its coordinate, or by the attribute
    `boundary_conditions`, JSON {name: {type, axes}}, where a name that ends in _min or _max is of that end alone."""
    told = dataset.attributes.get("boundary_conditions")
    try:
        conditions = json.loads(told) if isinstance(told, str) else {}
    except ValueError:
        conditions = {}
    found: dict[tuple[str, str], list[int]] = {}
    for axis in space:
        if axis in dataset.coordinates and dataset.coordinates[axis].axis.periodic:
            found[axis, "periodic"] = [0, -1]
    for name, about in conditions.items() if isinstance(conditions, dict) else ():
        axes, kind = about.get("axes", ()), str(about.get("type", "")).lower()
        if len(axes) == 1 and axes[0] in space and kind in ("wall", "open"):
            ends = [0] if name.endswith("_min") else [-1] if name.endswith("_max") else [0, -1]
            found.setdefault((axes[0], kind), []).extend(ends)
    return found


def _boundary_items(dataset: Dataset, sides: Mapping[tuple[str, str], list[int]]) -> list[Item]:
    items = []
    for (axis, kind), ends in sides.items():
        mask = np.zeros(dataset.sizes[axis], bool)
        mask[ends] = True
        items.append(Item(f"{BOUNDARIES}/{axis}_{kind}/mask", Memory(mask), (axis,)))
    return items


def _split_items(dataset: Dataset) -> list[Item]:
    return [
        Item(f"{SPLITS}/{name}", Memory(np.asarray(numbers, np.int64)), (f"samples_of_{name}",))
        for name, numbers in dataset.splits.items()
    ]


def _mesh_items(dataset: Dataset) -> list[Item]:
    items = []
    if dataset.meshes:
        packed = PackedMeshes.of(dataset.meshes)
        if len(packed) not in (1, dataset.samples):
            raise InputError(f"the data set has {dataset.samples} samples and {len(packed)} meshes: give one, or each")
        items += _packed_items(packed)
        several = len(packed) > 1 or packed.kind in dataset.offsets
        counts = dict(packed.counts) if several else {}
    else:
        counts = {}
    for dim, bounds in dataset.offsets.items():
        found = np.diff(bounds)
        if not np.array_equal(counts.setdefault(dim, found), found):
            raise InputError(f"the meshes and the offsets of the data set have other numbers of {dim}s in a sample")
    for dim, count in counts.items():
        about = {"sample_dimension": dim, "long_name": f"{dim}s of each sample"}
        items.append(Item(f"{MESH}/{dim}_count", Memory(np.asarray(count, np.int64)), (SAMPLE,), about))
    return items


def _packed_items(packed: PackedMeshes) -> list[Item]:
    items, kind = [], packed.kind
    names = [axis.name for axis in packed.axes]
    for axis in packed.axes:
        about = {"units": axis.unit, "bounds_lower": axis.lower, "bounds_upper": axis.upper}
        about |= {"periodic": int(axis.periodic)}
        items.append(Item(f"{MESH}/{kind}_{axis.name}", packed.arrays[f"{kind}_{axis.name}"], (kind,), about))
    if kind == "point":
        for name in ("point_weights", "point_normals"):
            if name in packed.arrays:
                array = packed.arrays[name]
                dims = (kind, *[f"components_{n}" for n in array.shape[1:]])
                items.append(Item(f"{MESH}/{name}", array, dims))
        items.append(
            Item(f"{MESH}/topology", Memory(np.array(0, np.int32)), (), {"point_coordinates": _joined("point", names)})
        )
        return items
    dimension = len(names)
    role = "boundary_node_connectivity"
    topology = {
        "cf_role": "mesh_topology", "topology_dimension": dimension, "node_coordinates": _joined("node", names),
        _CONNECTIVITY[dimension]: "cells", role: "facets",
    }  # fmt: skip
    if dimension == 3:
        topology["volume_shape_type"] = "cell_shape"
    start = {"start_index": np.int32(0)}
    items += [
        Item(f"{MESH}/topology", Memory(np.array(0, np.int32)), (), topology),
        Item(f"{MESH}/cells", packed.arrays["cells"], ("cell", f"corners_{dimension + 1}"),
             {"cf_role": _CONNECTIVITY[dimension], **start}),
        Item(f"{MESH}/facets", packed.arrays["facets"], ("facet", f"corners_{dimension}"), {"cf_role": role, **start}),
        Item(f"{MESH}/parts", packed.arrays["parts"], ("facet",),
             {"flag_values": np.arange(len(packed.names), dtype=np.int32), "flag_meanings": " ".join(packed.names)}),
    ]  # fmt: skip
    return items


def _joined(prefix: str, names: Sequence[str]) -> str:
    return " ".join(f"{prefix}_{name}" for name in names)


def _dimensions(dataset: Dataset, items: Sequence[Item]) -> dict[str, int | np.ndarray]:
    """Every dimension that some array has, with its coordinates where all samples share them."""
    found: dict[str, int | np.ndarray] = {}
    for item in items:
        found |= dict(zip(item.dims, item.array.shape, strict=True))
    for name, coordinate in dataset.coordinates.items():
        if name in found and coordinate.points.ndim == 1:
            found[name] = np.asarray(coordinate.points, float)
    return found


def _root(dataset: Dataset, name: str, space: tuple[str, ...], items: Sequence[Item]) -> dict[str, Any]:
    told = {key: _plain(value) for key, value in dataset.attributes.items() if key not in STRUCTURE}
    constants = {
        item.path.rpartition("/")[2]: item for item in items if item.path.startswith(f"{SCALARS}/") and not item.dims
    }
    listed = {key: item.array.all().item() for key, item in constants.items() if key not in (*told, *STRUCTURE)}
    title = dataset.attributes.get("dataset_name", dataset.attributes.get("problem", name))
    return {
        "pdesolve_format": FORMAT,
        "pdesolve_version": __version__,
        "Conventions": "CF-1.11 UGRID-1.0" if dataset.meshes else "CF-1.11",
        "dataset_name": str(title),
        "grid_type": str(dataset.attributes.get("grid_type", "cartesian" if space else "unstructured")),
        "n_spatial_dims": len(space),
        "n_trajectories": dataset.samples,
        "simulation_parameters": list(listed),
        "variables": list(dataset.variables),
        **listed,
        **told,
    }


def _plain(value: Any) -> Any:
    """A value as an attribute: text, a number, or a list of these; anything else as JSON."""
    if value is None or isinstance(value, (str, int, float, np.number, np.bool_)):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return value
    if isinstance(value, (list, tuple)) and value:
        if all(isinstance(entry, str) for entry in value):
            return list(value)
        if all(isinstance(entry, (int, float)) for entry in value):
            return np.array(value)
    return json.dumps(value, default=str)


def _is_field(path: str) -> bool:
    return path.partition("/")[0] in (SCALARS, *FIELDS, *SCATTERED_FIELDS)
