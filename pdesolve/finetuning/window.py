"""A span of time between Chebyshev points, where a trajectory is one polynomial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from pdesolve.fields.stencils import chebyshev_matrix
from pdesolve.geometry import Axis, GridAxis


@dataclass(frozen=True)
class Window:
    """The points t_0 (where the state is known) to t_m of a span of time and the frames that it holds.

    times: of the frames, the first at t_0 and the last at t_m. count: m, points at which the equation is to hold.
    """

    times: tuple[float, ...]
    count: int

    @cached_property
    def axis(self) -> GridAxis:
        return GridAxis(Axis("t", self.times[0], self.times[-1]), "chebyshev", self.count + 1)

    @cached_property
    def derivative(self) -> Tensor:
        """(m, m + 1): values at the points to d/dt at t_1 to t_m."""
        return chebyshev_matrix(self.count + 1, self.times[-1] - self.times[0], 1)[1:]

    def at(self, times: Sequence[float]) -> Tensor:
        """(time, m + 1): values at the points to those of their polynomial at some times."""
        return _barycentric(self.axis.points, np.asarray(times))

    def of_frames(self, frames: Tensor, dim: int) -> Tensor:
        """Values at the points from those at the frames: by splines, by straight lines where frames are few."""
        known = np.asarray(self.times)
        if len(known) < 4:
            columns = [np.interp(self.axis.points, known, row) for row in np.eye(len(known))]
            matrix = np.stack(columns, 1)
        else:
            matrix = CubicSpline(known, np.eye(len(known)))(self.axis.points)
        return along(torch.from_numpy(matrix), frames, dim)


def along(matrix: Tensor, values: Tensor, dim: int) -> Tensor:
    """sum_j matrix[i, j] values[..., j, ...] along a dimension."""
    return (values.movedim(dim, -1) @ matrix.to(values).mT).movedim(-1, dim)


def _barycentric(points: np.ndarray, at: np.ndarray) -> Tensor:
    """(place, point) of the polynomial through values at Chebyshev points (L. N. Trefethen, J.-P. Berrut, SIAM Rev. 46
    (2004) 501)."""
    n = len(points)
    weights = (-1.0) ** np.arange(n) * np.where((np.arange(n) == 0) | (np.arange(n) == n - 1), 0.5, 1.0)
    gaps = at[:, None] - points
    on = np.abs(gaps) <= 1e-14 * (points[-1] - points[0])
    parts = weights / np.where(on, 1.0, gaps)
    parts = np.where(on.any(1, keepdims=True), on, parts)
    return torch.from_numpy(parts / parts.sum(1, keepdims=True))
