"""Simplices from the cells of mesh files: corners, orientation, dimension."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdesolve.errors import InputError

_CORNERS = {"vertex": 1, "line": 2, "triangle": 3, "quad": 4, "tetra": 4}
_DIMENSIONS = {"vertex": 0, "line": 1, "triangle": 2, "quad": 2, "polygon": 2}  # of others three
_OTHER_WORDS = {"curve": "line", "quadrilateral": "quad", "tetrahedron": "tetra"}
_FLAT = 1e-9  # of the greatest extent: a coordinate that varies less is constant
_STATISTIC = 16  # cells from which on their shares say whether a file keeps an orientation


@dataclass(frozen=True)
class Block:
    """Cells of one kind. rows: (cell, corner), point numbers. entity: (cell,), of what surface or volume they are."""

    kind: str
    rows: np.ndarray
    entity: np.ndarray

    @property
    def dimension(self) -> int:
        return _DIMENSIONS.get(self.kind, 3)


def file_blocks(found: Any) -> list[Block]:
    """The blocks of cells of what meshio read, by their corners."""
    blocks = []
    for i, block in enumerate(found.cells):
        word = block.type.lower().removeprefix("vtk_lagrange_")
        word = re.sub(r"\d+$", "", word)
        kind = _OTHER_WORDS.get(word, word)
        entities = found.cell_data.get("gmsh:geometrical")
        entity = np.full(len(block.data), -1 - i) if entities is None else np.asarray(entities[i]).astype(np.int64)
        rows = np.zeros((len(block.data), 0), dtype=np.int64)
        if kind in _CORNERS:
            rows = np.asarray(block.data).astype(np.int64).reshape(len(block.data), -1)[:, : _CORNERS[kind]]
        blocks.append(Block(kind, rows, entity))
    return blocks


def simplices(points: np.ndarray, blocks: Sequence[Block]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (point, d), cells (cell, d + 1) and the new number of each old point, -1 of those that are in no cell.

    Raises:
        InputError: no cells, cells of other kinds, triangles that are not in a plane.
    """
    blocks = [block for block in blocks if len(block.entity)]
    d = max((block.dimension for block in blocks), default=0)
    if d == 0:
        raise InputError("the file holds no cells: expected intervals, triangles or tetrahedra")
    top = [block for block in blocks if block.dimension == d]
    for block in top:
        if block.kind not in _CORNERS:
            raise InputError(
                f"the mesh has {len(block.entity)} cells of the kind {block.kind!r}, expected triangles, "
                "quadrilaterals or tetrahedra: split them into simplices in the program that made the mesh"
            )
        if len(block.rows) and not 0 <= block.rows.min() <= block.rows.max() < len(points):
            raise InputError(f"cells of the kind {block.kind!r} hold numbers of points that the file has not")
    used = np.unique(np.concatenate([block.rows.ravel() for block in top]))
    points = _flattened(points, used, d)
    cells = []
    for block in top:
        rows = block.rows.copy()
        turned = _turned(points, block)
        # exchanging the second and the last corner turns all of them, in intervals the first and the last
        first, last = min(1, d - 1), rows.shape[1] - 1
        rows[turned, first], rows[turned, last] = rows[turned, last], rows[turned, first]
        cells.append(_halved(points, rows) if block.kind == "quad" else rows)
    numbers = np.full(len(points), -1)
    numbers[used] = np.arange(len(used))
    return points[used], numbers[np.concatenate(cells)], numbers


def _flattened(points: np.ndarray, used: np.ndarray, d: int) -> np.ndarray:
    """The points in d dimensions: those beyond are constant."""
    if points.ndim != 2 or points.shape[1] < d:
        raise InputError(f"the points of the file have the shape {points.shape}, expected at least {d} coordinates")
    extents = np.ptp(points[used], axis=0)
    if (extents[d:] > _FLAT * extents.max()).any():
        what, where = {1: ("line", "along x"), 2: ("surface", "in the plane of x and y")}[d]
        raise InputError(
            f"the mesh is a {what} in space, of the extents {', '.join(f'{e:.3g}' for e in extents)}: expected one "
            f"{where}, the other coordinates constant"
        )
    return points[:, :d]


def _turned(points: np.ndarray, block: Block) -> np.ndarray:
    """The numbers of the cells that are listed the wrong way round, but for those that are inverted."""
    measures = signed_measures(points, block.rows)
    turned = []
    for entity in np.unique(block.entity):
        here = np.flatnonzero(block.entity == entity)
        wrong = here[measures[here] < 0]
        share = len(wrong) / len(here)
        by_number = block.kind != "quad" and bool((np.diff(block.rows[here], axis=1) > 0).all())
        if share == 1 or by_number or (0.25 <= share <= 0.75 and len(here) >= _STATISTIC):
            turned.append(wrong)
    return np.concatenate([np.zeros(0, dtype=np.int64), *turned])


def signed_measures(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Length, area or volume of cells, negative where they are listed the wrong way round; of quadrilaterals too."""
    corners = points[rows]
    if rows.shape[1] == 4 and points.shape[1] == 2:
        one, other = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
        return (one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]) / 2
    edges = corners[:, 1:] - corners[:, :1]
    return np.linalg.det(edges) / math.factorial(edges.shape[1])


def _halved(points: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Two triangles of each counterclockwise quadrilateral, by the diagonal with the better of the two worse ones."""
    ways = [quads[:, [[0, 1, 2], [0, 2, 3]]], quads[:, [[0, 1, 3], [1, 2, 3]]]]
    worst = []
    for way in ways:
        corners = points[way]
        longest = np.linalg.norm(corners - np.roll(corners, 1, 2), axis=3).max(2)
        areas = signed_measures(points, way.reshape(-1, 3)).reshape(-1, 2)
        worst.append((areas / np.maximum(longest, 1e-300) ** 2).min(1))
    chosen = np.where((worst[1] > worst[0])[:, None, None], ways[1], ways[0])
    return chosen.reshape(-1, 3)
