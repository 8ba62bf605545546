"""Meshes and results of Exodus II: classic NetCDF or NetCDF-4."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pdesolve.data.arrays import Array, Joined, Part
from pdesolve.data.dataset import Dataset
from pdesolve.datasets.dimensions import told
from pdesolve.datasets.labelled_files import LabelledFile, labelled_file
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.datasets.layouts.mesh import Field, mesh_dataset, top_blocks
from pdesolve.errors import InputError
from pdesolve.geometry.mesh_simplices import file_blocks

_KINDS = {
    "tri": "triangle", "tria": "triangle", "quad": "quad", "shell": "quad", "tet": "tetra", "tetra": "tetra",
    "hex": "hexahedron", "wedge": "wedge", "pyramid": "pyramid", "bar": "line", "beam": "line", "truss": "line",
    "edge": "line", "line": "line", "sphere": "vertex", "circle": "vertex",
}  # fmt: skip
# the corners of each side of a cell, as Exodus numbers sides, and what kind of facet they are
_SIDES = {
    "triangle": ("line", ((0, 1), (1, 2), (2, 0))),
    "quad": ("line", ((0, 1), (1, 2), (2, 3), (3, 0))),
    "tetra": ("triangle", ((0, 1, 3), (1, 2, 3), (0, 3, 2), (0, 2, 1))),
}


class _Cells(NamedTuple):
    type: str
    data: np.ndarray


@dataclass
class _Found:
    """A mesh as meshio would show it."""

    points: np.ndarray
    cells: list[_Cells]
    cell_data: dict[str, list[np.ndarray]] = field(default_factory=dict)
    cell_sets: dict[str, list[np.ndarray | None]] = field(default_factory=dict)
    point_sets: dict[str, np.ndarray] = field(default_factory=dict)
    field_data: dict[str, np.ndarray] = field(default_factory=dict)


class Exodus(Layout):
    """Blocks of cells `connect1`, ..., node sets and side sets as parts of the boundary, variables of nodes and cells
    at the times `time_whole` (Sjaardema, Schoof, Yarberry 2019, SAND2006-8168).

    Cells become a mesh or points as in other mesh files. A single time is the attribute `time`.
    """

    name = "exodus"
    containers = ("netcdf3", "hdf5")

    def refusal(self, path: Path) -> str | None:
        found = labelled_file(path)
        names = set() if found is None else set(found.variables)
        return None if "connect1" in names and names & {"coord", "coordx"} else "no connect1 and coord or coordx"

    def open(self, path: Path, opening: Opening) -> Dataset:
        told(self.name, opening)
        file = labelled_file(path)
        assert file is not None
        found = _mesh(file)
        times = file.variables.get("time_whole")
        moments = [] if times is None else [float(t) for t in times.array.all()]
        fields = [*_nodal(file), *_of_cells(file, found)] if moments else []
        return mesh_dataset(file.path, found, fields, moments or None, self.name)


def _mesh(file: LabelledFile) -> _Found:
    if "coord" in file.variables:
        points = np.asarray(file.variables["coord"].array.all(), float).T
    else:
        names = [name for name in ("coordx", "coordy", "coordz") if name in file.variables]
        points = np.stack([np.asarray(file.variables[name].array.all(), float) for name in names], 1)
    cells = []
    for variable in _numbered(file, "connect"):
        rows = np.asarray(variable.array.all()).astype(np.int64) - 1
        word = variable.text("elem_type").lower()
        kind = _KINDS.get(word.rstrip("0123456789"))
        if kind is None or rows.ndim != 2:
            raise InputError(
                f"{file.path} has cells of the kind {word!r}, which is not known: expected TRI, QUAD, TETRA"
            )
        if rows.size and not 0 <= rows.min() <= rows.max() < len(points):
            raise InputError(f"{file.path}: its cells hold numbers of points that the file has not")
        cells.append(_Cells(kind, rows))
    found = _Found(points, cells)
    _add_sides(file, found)
    for i, variable in enumerate(_numbered(file, "node_ns")):
        found.point_sets[_name(file, "ns_names", i, "nodes")] = variable.array.all().astype(np.int64) - 1
    return found


def _add_sides(file: LabelledFile, found: _Found) -> None:
    """Side sets as blocks of facets, which are sets by name."""
    kinds = np.concatenate([np.full(len(block.data), i) for i, block in enumerate(found.cells)])
    begins = np.cumsum([0, *(len(block.data) for block in found.cells)])
    facets: list[tuple[str, _Cells]] = []
    for i, (elements, sides) in enumerate(zip(_numbered(file, "elem_ss"), _numbered(file, "side_ss"), strict=False)):
        numbers, side = (v.array.all().astype(np.int64) - 1 for v in (elements, sides))
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(kinds):
            raise InputError(f"{file.path}: a side set holds numbers of cells that the file has not")
        for block in np.unique(kinds[numbers]):
            kind, corners = _SIDES.get(found.cells[block].type, ("", ()))
            here = kinds[numbers] == block
            if kind and (side[here] >= 0).all() and (side[here] < len(corners)).all():
                rows = found.cells[block].data[numbers[here] - begins[block]]
                chosen = np.asarray(corners)[side[here]]
                facets.append((_name(file, "ss_names", i, "side"), _Cells(kind, np.take_along_axis(rows, chosen, 1))))
    count = len(found.cells)
    for k, (name, block) in enumerate(facets):
        found.cells.append(block)
        known = found.cell_sets.setdefault(name, [None] * (count + len(facets)))
        known[count + k] = np.arange(len(block.data))


def _name(file: LabelledFile, names: str, i: int, what: str) -> str:
    known = file.texts.get(names, ())
    return known[i] if i < len(known) and known[i] else f"{what}_{i + 1}"


def _numbered(file: LabelledFile, stem: str) -> list:
    """The variables stem1, stem2, ... in their order."""
    numbers = sorted(
        int(k.removeprefix(stem)) for k in file.variables if k.startswith(stem) and k[len(stem) :].isdigit()
    )
    return [file.variables[f"{stem}{number}"] for number in numbers]


def _nodal(file: LabelledFile) -> list[Field]:
    names = file.texts.get("name_nod_var", ())
    together = file.variables.get("vals_nod_var")
    if together is not None and len(together.array.shape) == 3:
        steps, count, nodes = together.array.shape
        parts = [
            Part(together.array, (slice(0, steps), slice(i, i + 1), slice(0, nodes)), frozenset({1}))
            for i in range(count)
        ]  # fmt: skip
    else:
        parts = [variable.array for variable in _numbered(file, "vals_nod_var")]
    return [("point", names[i] if i < len(names) else f"node_{i + 1}", array) for i, array in enumerate(parts)]


def _of_cells(file: LabelledFile, found: _Found) -> list[Field]:
    """The variables of cells that all blocks of the highest dimension have."""
    fields: list[Field] = []
    top = top_blocks(file_blocks(found))
    for i, name in enumerate(file.texts.get("name_elem_var", ())):
        arrays: list[Array] = []
        for block in top:
            variable = file.variables.get(f"vals_elem_var{i + 1}eb{block + 1}")
            if variable is not None and len(variable.array.shape) == 2:
                arrays.append(variable.array)
        if arrays and len(arrays) == len(top):
            fields.append(("cell", name, arrays[0] if len(arrays) == 1 else Joined(tuple(arrays), 1)))
    return fields
