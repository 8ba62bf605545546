"""Named parts of the boundary from mesh files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import numpy as np
import torch

from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry.facets import facet_numbers
from pdesolve.geometry.mesh import Mesh
from pdesolve.geometry.mesh_simplices import Block

_KINDS = {1: "vertex", 2: "line", 3: "triangle"}  # of facets, by the dimension of the mesh
_TAGS = ("gmsh:physical", "su2:tag", "medit:ref", "cell_tags")  # cell data that number groups
# how scikit-fem numbers the facets of a cell in the bits of its cell data
_SKFEM = "skfem:b:"
_BITS = {
    1: ((0,), (1,)),
    2: ((0, 1), (1, 2), (0, 2)),
    3: ((0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)),
}


def named_facets(found: Any, blocks: Sequence[Block], d: int, mark: str) -> dict[str, np.ndarray]:
    """The groups of facets (facet, d) of what meshio read, by the numbers of the points in the file."""
    groups: dict[str, list[np.ndarray]] = {}

    def add(name: str, facets: np.ndarray) -> None:
        if len(facets):
            groups.setdefault(name, []).append(facets)

    facets = {i: block.rows for i, block in enumerate(blocks) if block.kind == _KINDS[d] and len(block.rows)}
    sets = {name: chosen for name, chosen in (found.cell_sets or {}).items() if not name.startswith("gmsh:")}
    for name, chosen in sets.items():
        for i, rows in facets.items():
            if chosen[i] is not None:
                add(name, rows[np.asarray(chosen[i]).astype(np.int64)])
    words = {int(tag): name for name, (tag, dimension) in _pairs(found.field_data).items() if dimension == d - 1}
    for key, data in found.cell_data.items():
        for i, rows in facets.items():
            values = np.asarray(data[i])
            if key.startswith(mark):
                add(unquote(key.removeprefix(mark)), rows[values.reshape(len(rows), -1)[:, 0] > 0])
            elif key in _TAGS:
                for tag in np.unique(values[values != 0]):
                    name = words.get(int(tag), str(int(tag)))
                    if name not in sets:
                        add(name, rows[values == tag])
        if key.startswith(_SKFEM):
            for i, block in enumerate(blocks):
                if block.dimension == d and block.rows.shape[1] == d + 1:
                    for bit, corners in enumerate(_BITS[d]):
                        hit = np.asarray(data[i]).astype(np.int64) >> bit & 1 == 1
                        add(key.removeprefix(_SKFEM), block.rows[hit][:, corners])
    cells = [block.rows for block in blocks if block.dimension == d and block.rows.shape[1] == d + 1]
    for name, numbers in (found.point_sets or {}).items():
        for rows in cells:
            for corners in _BITS[d]:
                side = rows[:, corners]
                add(name.strip("\0 ") or "node set", side[np.isin(side, np.asarray(numbers)).all(1)])
    return {name: np.concatenate(rows) for name, rows in groups.items()}


def parts(
    mesh: Mesh,
    groups: Mapping[str, np.ndarray],
    numbers: np.ndarray,
    boundaries: Sequence[str] | Mapping[str, str] | None,
) -> dict[str, torch.Tensor]:
    """The facets of each part of the boundary of a mesh; numbers are the new ones of the file's points.

    Raises:
        InputError: a group that the file has not, or not on the boundary.
    """
    outer = mesh.boundary_facets
    rows = {name: _rows(outer, numbers[facets], len(mesh.points)) for name, facets in groups.items()}
    known = [name for name, found in rows.items() if len(found)]
    wanted = dict.fromkeys(known) if boundaries is None else dict.fromkeys(boundaries)
    for name in wanted:
        if name in rows and name not in known:
            raise InputError(
                f"the group {name!r} lies inside the mesh, on its boundary are {', '.join(known) or 'none'}"
            )
        if name not in rows:
            raise unknown_name("boundary of the mesh", name, known)
    free = torch.ones(len(outer), dtype=torch.bool)
    found: dict[str, torch.Tensor] = {}
    for name in wanted:
        chosen = rows[name][free[rows[name]]]
        free[chosen] = False
        if len(chosen):
            here = boundaries[name] if isinstance(boundaries, Mapping) else name
            found[here] = torch.cat([found[here], outer[chosen]]) if here in found else outer[chosen]
    return found


def _rows(outer: torch.Tensor, facets: np.ndarray, points: int) -> torch.Tensor:
    """Which of the boundary's facets are among the given ones."""
    given = torch.from_numpy(facets[(facets >= 0).all(1)])
    number = facet_numbers(torch.cat([outer, given]), points)
    return torch.isin(number[: len(outer)], number[len(outer) :]).nonzero()[:, 0]


def _pairs(field_data: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Names with number and dimension; other field data is none of ours."""
    pairs = {name: np.asarray(value).ravel() for name, value in (field_data or {}).items()}
    return {
        name: (int(v[0]), int(v[1])) for name, v in pairs.items() if len(v) == 2 and np.isfinite(v.astype(float)).all()
    }
