"""Mesh files and the fields in them: VTU, legacy VTK, XDMF, Gmsh, SU2, Abaqus, by meshio."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pdesolve.data.arrays import Array, Picked
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.datasets.dimensions import arranged, told
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.datasets.layouts.points import point_cloud
from pdesolve.datasets.mesh_files import Series, format_of, mesh_at, steps
from pdesolve.datasets.placement import coordinate
from pdesolve.datasets.stored import Whole
from pdesolve.errors import InputError
from pdesolve.geometry import Axis, Discretisation, Mesh
from pdesolve.geometry.mesh_file import MARK, mesh_of
from pdesolve.geometry.mesh_simplices import Block, file_blocks

_ABOUT_CELLS = ("gmsh:", "skfem:", "su2:", "medit:", "cell_tags", MARK)
_REGION = "gmsh:physical"
_FLAT = 1e-9
Field = tuple[str, str, Array]


class MeshFile(Layout):
    """Cells of the highest dimension, with fields over `node` and `cell`, and parts of the boundary by name.

    Triangles, tetrahedra and quadrilaterals (cut in two) become a mesh, second-order ones by their corners, where
    other nodes are left out. Where they are of several physical groups, these are the field `region`. Whatever else
    there is (hexahedra, surfaces in space, ...) becomes points, the fields of the nodes over `point`.
    A time series of XDMF has the dimension t. Other files are read whole when they are opened.
    Needs the extra `mesh`.
    """

    name = "mesh"
    containers = ("gmsh", "vtk", "xml", "text")

    def refusal(self, path: Path) -> str | None:
        return None if format_of(path.absolute()) is not None else "no mesh of Gmsh, VTK, XDMF, SU2 or Abaqus"

    def open(self, path: Path, opening: Opening) -> Dataset:
        told(self.name, opening)
        path = path.absolute()
        kind = format_of(path)
        assert kind is not None
        found = mesh_at(path, kind)
        series = steps(path) if kind == "xdmf" else None
        fields: list[Field] = []
        if series is None:
            return mesh_dataset(path, found, _static(path, kind, found), None, self.name)
        for (place, name), (shape, dtype) in series.fields.items():
            fields.append((place, name, Series(str(path), place, name, (len(series.times), *shape), dtype)))
        return mesh_dataset(path, found, fields, series.times, self.name)


def mesh_dataset(path: Path, found: Any, fields: list[Field], times: Sequence[float] | None, layout: str) -> Dataset:
    """Fields (place, name, numbers (point, ...) or (t, point, ...)) on what meshio, or one that looks alike, has read.

    The cells that fields of `cell` are over are those of the highest dimension, in the order of their blocks.
    """
    notes: list[str] = []
    discretisation, numbers = _discretised(found, path, notes)
    blocks = file_blocks(found)
    top = top_blocks(blocks)
    meshed = isinstance(discretisation, Mesh)
    if not meshed and top:
        notes.append(f"its cells ({', '.join(sorted({found.cells[i].type for i in top}))}) are not kept")
    coordinates = {"t": _times(times)} if times is not None and len(times) > 1 else {}
    first = times is not None
    variables: dict[str, Variable] = {}
    for place, name, array in fields:
        if place == "point":
            array = _picked(array, np.flatnonzero(numbers >= 0)[_order(numbers)], int(first))
        elif meshed:
            array = _picked(array, _repeated(found, blocks, top), int(first))
        dims = ["t" if times is not None and len(times) > 1 else "_"] if first else []
        dims.append("cell" if place == "cell" else "node" if meshed else "point")
        rest = array.shape[len(dims) :]
        dims += ["component"] if len(rest) == 1 and rest[0] > 1 else ["_" if n == 1 else f"d{n}" for n in rest]
        key = name if name not in variables else f"{name}_{place}"
        variables[key] = arranged(key, array, dims)
    about: dict[str, Any] = {"time": float(times[0])} if times is not None and len(times) == 1 else {}
    if "region" in variables and isinstance(discretisation, Mesh):
        groups = [(name, int(tag)) for name, (tag, d) in found.field_data.items() if d == discretisation.dimension]
        about["regions"] = ", ".join(f"{tag} {name}" for name, tag in groups)
    return Dataset(
        variables, coordinates, meshes=(discretisation,), attributes=about, layout=layout, paths=(path,),
        notes=tuple(notes),
    )  # fmt: skip


def _discretised(found: Any, path: Path, notes: list[str]) -> tuple[Discretisation, np.ndarray]:
    """The mesh, or its points where there is none, and the new number of each point."""
    try:
        mesh, numbers = mesh_of(found, path)
    except InputError as error:
        notes.append(f"its nodes are taken as points, without cells: {error}")
        points = np.asarray(found.points, float)
        if not len(points):
            raise InputError(f"{path} holds no points") from None
        keep = [i for i in range(points.shape[1]) if i == 0 or np.ptp(points[:, i]) > _FLAT * np.ptp(points)]
        cloud = point_cloud({"xyz"[i]: points[:, i] for i in keep})
        return cloud, np.arange(len(points))
    left = len(numbers) - int((numbers >= 0).sum())
    if left:
        notes.append(f"{left} of {len(numbers)} nodes are no corners of cells: they are left out with their values")
    if any(block.kind == "quad" for block in file_blocks(found)) and mesh.dimension == 2:
        notes.append("quadrilaterals are cut into two triangles, each with the values of the cell")
    return mesh, numbers


def _picked(array: Array, numbers: np.ndarray, position: int) -> Array:
    """Some entries along a dimension, the array itself where these are all."""
    if np.array_equal(numbers, np.arange(array.shape[position])):
        return array
    return Picked(array, numbers, position)


def _order(numbers: np.ndarray) -> np.ndarray:
    """The old places of the points that are kept, by their new numbers."""
    return np.argsort(numbers[numbers >= 0])


def top_blocks(blocks: list[Block]) -> list[int]:
    """The numbers of the blocks of the highest dimension."""
    full = [i for i, block in enumerate(blocks) if len(block.entity)]
    most = max((blocks[i].dimension for i in full), default=0)
    return [i for i in full if blocks[i].dimension == most]


def _repeated(found: Any, blocks: list[Block], top: list[int]) -> np.ndarray:
    """The cell of the file that each cell of the mesh was, counted over the blocks of the highest dimension."""
    parts, begin = [], 0
    for i in top:
        n = len(found.cells[i].data)
        halves = 2 if blocks[i].kind == "quad" else 1
        parts.append(begin + np.repeat(np.arange(n), halves))
        begin += n
    return np.concatenate(parts)


def _static(path: Path, kind: str, found: Any) -> list[Field]:
    """The fields of a file without times: their place, name and numbers."""
    fields: list[Field] = []
    top = top_blocks(file_blocks(found))
    for name, values in found.point_data.items():
        values = np.asarray(values)
        if values.dtype.kind in "biuf" and not name.startswith(("gmsh:", "medit:")):
            key = f"{kind}|point|{name}"
            fields.append(("point", name, Whole(str(path), key, values.shape, _native(values), _field)))
    regions = [np.asarray(found.cell_data[_REGION][i]) for i in top] if _REGION in found.cell_data else []
    if len({int(tag) for part in regions for tag in np.unique(part)}) > 1:
        shape = (sum(len(part) for part in regions),)
        fields.append(
            ("cell", "region", Whole(str(path), f"{kind}|cell|{_REGION}", shape, _native(regions[0]), _field))
        )
    for name, blocks in found.cell_data.items():
        chosen = [np.asarray(blocks[i]) for i in top]
        kinds = {(part.shape[1:], part.dtype) for part in chosen}
        if name.startswith(_ABOUT_CELLS) or len(kinds) != 1 or chosen[0].dtype.kind not in "biuf":
            continue
        shape = (sum(len(part) for part in chosen), *chosen[0].shape[1:])
        fields.append(("cell", name, Whole(str(path), f"{kind}|cell|{name}", shape, _native(chosen[0]), _field)))
    return fields


def _native(values: np.ndarray) -> np.dtype:
    return values.dtype.newbyteorder("=")


def _field(path: str, key: str) -> np.ndarray:
    kind, place, name = key.split("|", 2)
    found = mesh_at(Path(path), kind)
    if place == "point":
        return np.asarray(found.point_data[name])
    return np.concatenate([np.asarray(found.cell_data[name][i]) for i in top_blocks(file_blocks(found))])


def _times(times: Sequence[float]) -> Coordinate:
    points = np.asarray(times)
    if (np.diff(points) > 0).all():
        return coordinate("t", points)
    return Coordinate(Axis("t", 0.0, float(len(points) - 1)), np.arange(len(points), dtype=float), "step")
