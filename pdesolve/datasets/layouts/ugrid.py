"""Meshes of triangles and polygons with data on nodes, edges and faces: NetCDF by the UGRID conventions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pdesolve.data.dataset import Dataset
from pdesolve.datasets.dimensions import told
from pdesolve.datasets.labelled_files import Labelled, LabelledFile, labelled_file
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.datasets.layouts.cf import labelled_dataset
from pdesolve.datasets.layouts.points import bounded
from pdesolve.datasets.placement import axis_unit
from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Discretisation, Mesh, PointCloud

_LATITUDE, _LONGITUDE = "latitude", "longitude"


class UGRID(Layout):
    """A variable with cf_role = "mesh_topology" names nodes and faces (UGRID 0.9 and 1.0; Jagers et al.).

    Triangles become a mesh, with data over `node` and `cell`. Where faces have more sides, or triangles do not hold
    together in the plane (around a sphere), nodes are points: data over `point`, those of faces over `cell`; where all
    data are on faces, these are the points, by their centres. Axes are x and y, longitude and latitude in degrees where
    these are given. Further locations are the dimensions `edge` and `boundary`.
    """

    name = "ugrid"
    containers = ("hdf5", "netcdf3", "zarr")

    def refusal(self, path: Path) -> str | None:
        found = labelled_file(path)
        if found is None:
            return "its arrays name no dimensions"
        if _topology(found) is not None:
            return None
        for name, variable in found.variables.items():
            role = variable.text("cf_role")
            if "face_node_connectivity" in variable.attributes and "node_coordinates" in variable.attributes:
                raise InputError(
                    f"{path}: {name} describes a mesh as UGRID does, but its cf_role is {role!r}, expected "
                    f"'mesh_topology': correct it, ncatted -a cf_role,{name},o,c,mesh_topology FILE, or open it as "
                    "layout='cf'"
                )
        return "no variable with cf_role = 'mesh_topology'"

    def open(self, path: Path, opening: Opening) -> Dataset:
        told(self.name, opening)
        found = labelled_file(path)
        assert found is not None
        topology = _topology(found)
        assert topology is not None
        name, mesh = topology
        nodes = _coordinates(found, name, mesh, "node_coordinates")
        notes: list[str] = []
        faces = _faces(found, name, mesh, len(nodes[0][0]), notes)
        places = _places(found, name, mesh, nodes[1])
        data = {key: variable for key, variable in found.variables.items() if _is_data(found, mesh, key)}
        located = {places[dim] for variable in data.values() for dim in variable.dims if dim in places}
        discretisation, renamed = _discretised(found, name, mesh, nodes, faces, located, notes)
        places = {dim: renamed.get(place, place) for dim, place in places.items()}
        skip = tuple(key for key in found.variables if key == name or key not in data)
        made = labelled_dataset(found, places, self.name, skip)
        made = replace(made, meshes=(discretisation,), notes=(*made.notes, *notes))
        return made


def _topology(found: LabelledFile) -> tuple[str, Labelled] | None:
    for name, variable in found.variables.items():
        if variable.text("cf_role") == "mesh_topology":
            return name, variable
    return None


def _named(found: LabelledFile, mesh: str, what: str, name: str) -> Labelled:
    if name not in found.variables:
        raise InputError(f"{found.path}: {mesh} says that its {what} is {name!r}, which is not there")
    return found.variables[name]


def _coordinates(found: LabelledFile, name: str, mesh: Labelled, key: str) -> tuple[list[np.ndarray], str, list[str]]:
    """The columns x, y (longitude, latitude), their dimension and their units."""
    words = mesh.text(key).split()
    if len(words) < 2:
        raise InputError(f"{found.path}: {name} has {key} = {mesh.text(key)!r}, expected the names of two variables")
    columns = [_named(found, name, key, word) for word in words[:2]]
    if columns[0].dims != columns[1].dims or len(columns[0].dims) != 1:
        raise InputError(f"{found.path}: {words[0]} and {words[1]} are not over one common dimension")
    if _is(columns[0], _LATITUDE) and _is(columns[1], _LONGITUDE):
        columns.reverse()
    values = []
    for column in columns:
        points = np.asarray(column.array.all(), float)
        radians = column.text("units").startswith("rad")
        values.append(np.degrees(points) if radians else points)
    return values, columns[0].dims[0], [column.text("units") for column in columns]


def _is(variable: Labelled, what: str) -> bool:
    side = {"latitude": "north", "longitude": "east"}[what]
    return variable.text("standard_name") == what or side in variable.text("units")


def _dimension(found: LabelledFile, mesh: Labelled, element: str) -> str | None:
    """The dimension of an element: the one that is named, else the first of its connectivity that is no corner."""
    given = mesh.text(f"{element}_dimension")
    if given:
        return given
    variable = found.variables.get(mesh.text(f"{element}_node_connectivity"))
    for word in mesh.text(f"{element}_coordinates").split():
        if word in found.variables:
            return found.variables[word].dims[0]
    if variable is None or len(variable.dims) != 2:
        return None
    transposed = variable.array.shape[0] <= 4 < variable.array.shape[1]
    return variable.dims[1 if transposed else 0]


def _faces(found: LabelledFile, name: str, mesh: Labelled, nodes: int, notes: list[str]) -> np.ma.MaskedArray | None:
    """The nodes of each face (face, corner), numbers from 0 on, those that are not there masked."""
    word = mesh.text("face_node_connectivity")
    if not word:
        return None
    variable = _named(found, name, "face_node_connectivity", word)
    rows = np.asarray(variable.array.all())
    if rows.ndim != 2:
        raise InputError(f"{found.path}: {word} has the shape {rows.shape}, expected a row of nodes for each face")
    if variable.dims[1] == _dimension(found, mesh, "face"):
        rows = rows.T
    fill = variable.attributes.get("_FillValue")
    # masked before the first number is subtracted; negative numbers are no nodes either
    absent = rows < 0 if rows.dtype.kind != "f" else ~np.isfinite(rows)
    if isinstance(fill, (int, float)):
        absent |= rows == fill
    numbers = np.where(absent, 0, rows).astype(np.int64)
    start = variable.attributes.get("start_index", 0)
    start = int(float(start)) if isinstance(start, (int, float)) or str(start).isdigit() else 0
    if start and (numbers[~absent] == 0).any():
        notes.append(f"{word} has start_index = {start} and the node 0: its numbers are taken to begin at 0")
        start = 0
    numbers -= np.where(absent, 0, start)
    taken = np.ma.MaskedArray(numbers, absent)
    if taken.count() and not 0 <= taken.min() <= taken.max() < nodes:
        raise InputError(
            f"{found.path}: {word} holds the nodes {taken.min()} to {taken.max()} of {nodes}: is its start_index "
            f"({start}) right?"
        )
    return taken


def _places(found: LabelledFile, name: str, mesh: Labelled, nodes: str) -> dict[str, str]:
    """What each dimension of the mesh is here."""
    places = {nodes: "node"}
    for element, place in (("face", "cell"), ("edge", "edge"), ("boundary", "boundary")):
        dim = _dimension(found, mesh, element)
        if dim:
            places.setdefault(dim, place)
    for variable in found.variables.values():  # by the location of the data too
        place = {"node": "node", "face": "cell", "edge": "edge", "boundary": "boundary"}.get(variable.text("location"))
        if place and variable.text("mesh") == name and variable.dims:
            places.setdefault(variable.dims[-1], place)
    return places


def _is_data(found: LabelledFile, mesh: Labelled, key: str) -> bool:
    """Whether a variable holds data rather than the mesh."""
    variable = found.variables[key]
    about = [word for name in mesh.attributes for word in mesh.text(name).split()]
    role = variable.text("cf_role")
    return key not in about and not role.endswith("connectivity") and role not in ("mesh_topology", "n_nodes_per_face")


def _discretised(
    found: LabelledFile, name: str, mesh: Labelled, nodes: Any, faces: Any, located: set[str], notes: list[str]
) -> tuple[Discretisation, dict[str, str]]:
    columns, _, units = nodes
    axes = [("x", columns[0], units[0]), ("y", columns[1], units[1])]
    if faces is not None and faces.shape[1] == 3 and not np.ma.is_masked(faces):
        try:
            points = np.stack(columns, 1)
            return Mesh.of(points, _counterclockwise(points, np.asarray(faces))), {}
        except InputError as error:
            notes.append(f"nodes are taken as points, not as a mesh: {error}")
    elif faces is not None:
        notes.append("faces have more than three sides: nodes are taken as points, and not as a mesh of triangles")
    if faces is not None and located == {"cell"}:
        if mesh.text("face_coordinates"):
            columns, _, units = _coordinates(found, name, mesh, "face_coordinates")
        else:
            columns = [_means(column, faces) for column in columns]
        axes = [("x", columns[0], units[0]), ("y", columns[1], units[1])]
        return _cloud(axes), {"cell": "point", "node": "node"}
    return _cloud(axes), {"node": "point"}


def _cloud(columns: list[tuple[str, np.ndarray, str]]) -> PointCloud:
    axes = Axes(tuple(bounded(name, values, axis_unit(unit)) for name, values, unit in columns))
    return PointCloud(axes, torch.from_numpy(np.stack([values for _, values, _ in columns], 1)))


def _means(column: np.ndarray, faces: np.ma.MaskedArray) -> np.ndarray:
    corners = np.ma.MaskedArray(column[np.asarray(faces.filled(0))], faces.mask)
    return np.asarray(corners.mean(1))


def _counterclockwise(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    a, b, c = points[rows].swapaxes(0, 1)
    turned = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) < (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return np.where(turned[:, None], rows[:, ::-1], rows)
