"""Triangles between scattered points of the plane, for maps."""

from __future__ import annotations

import numpy as np

_NEIGHBOURS = 6  # the distance of that one is the spacing at a point
_LONG = 2.0  # spacings: triangles with longer edges lie across a hole or a notch


def triangles(points: np.ndarray) -> np.ndarray:
    """The Delaunay triangles (triangle, 3) of points (n, 2) that are no wider than the points lie apart.

    What is left follows holes and notches of the domain that the points are from, to about their spacing, which may
    vary from place to place. There are none between fewer than three points, or points on a line.
    """
    from scipy.spatial import Delaunay, KDTree, QhullError

    if len(points) < 3:
        return np.zeros((0, 3), dtype=int)
    try:
        cells = Delaunay(points).simplices
    except QhullError:
        return np.zeros((0, 3), dtype=int)
    corners = points[cells]
    longest = np.linalg.norm(corners - np.roll(corners, 1, 1), axis=2).max(1)
    spacing = KDTree(points).query(points, k=min(len(points), _NEIGHBOURS + 1))[0][:, -1]
    return cells[longest <= _LONG * spacing[cells].max(1)]
