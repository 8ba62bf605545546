"""Steady incompressible flow in a box by a spectral Galerkin method for the stream function, with Newton's method.

With u = psi_y, v = -psi_x the flow is the psi with the given velocities on the walls for which

    nu (lap psi, lap phi) + (lap psi, (u, v) . grad phi) = (f_x, phi_y) - (f_y, phi_x)

for all polynomials phi that vanish with their slopes on the walls (J. Shen, SIAM J. Sci. Comput. 15 (1994) 1489). psi
is such a polynomial, plus one that has the walls' velocities, plus the flow in corners where those disagree
(`pdesolve.integration.corners`). Departure: products are integrated with Gauss points for a degree half as high again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.polynomial import legendre
from torch import Tensor

from pdesolve.errors import Diverged
from pdesolve.fields.stencils import chebyshev_matrix
from pdesolve.geometry import GridAxis
from pdesolve.integration.corners import CornerFlow

_CONVERGED, _STALLED = 1e-12, 1e-8
_EASY = 25.0  # a Reynolds number at which Newton's method starts from creeping flow


@dataclass(frozen=True, eq=False)
class Direction:
    """Along one Chebyshev axis: Gauss points, polynomials that vanish with their slopes at the ends, and the lifts.

    basis[k], nodal[k]: derivatives of order k at the Gauss points (gauss, mode) and (gauss, node); `values`: the basis
    at the nodes (node, mode).
    """

    member: GridAxis

    @cached_property
    def points(self) -> np.ndarray:
        return self.member.axis.lower + 0.5 * self.member.axis.length * (1 + self._gauss[0])

    @cached_property
    def weights(self) -> Tensor:
        return torch.from_numpy(0.5 * self.member.axis.length * self._gauss[1])

    @cached_property
    def basis(self) -> list[Tensor]:
        return [self._modes(self._gauss[0], order) for order in range(4)]

    @cached_property
    def values(self) -> Tensor:
        return self._modes(self._local, 0)

    @cached_property
    def derivatives(self) -> list[Tensor]:
        return [chebyshev_matrix(self.member.size, self.member.axis.length, order) for order in range(4)]

    @cached_property
    def nodal(self) -> list[Tensor]:
        """Through Legendre coefficients: the nodes' own matrices lose digits with every order."""
        n = self.member.size
        inverse = np.linalg.inv(legendre.legvander(self._local, n - 1))
        found = []
        for order in range(4):
            slopes = np.stack([_slope(row, self._gauss[0], order) for row in np.eye(n)], 1)
            found.append(torch.from_numpy(slopes @ inverse * (2 / self.member.axis.length) ** order))
        return found

    @cached_property
    def hermite(self) -> Tensor:
        """Cubics (node, 4) of unit value at the lower and the upper end, of unit slope at the lower and the upper."""
        s, length = 0.5 * (1 + self._local), self.member.axis.length
        columns = [2 * s**3 - 3 * s**2 + 1, 3 * s**2 - 2 * s**3]
        columns += [length * (s**3 - 2 * s**2 + s), length * (s**3 - s**2)]
        return torch.from_numpy(np.stack(columns, 1))

    @cached_property
    def ends(self) -> Tensor:
        """Values and slopes (4, node) at the two ends, in the order of `hermite`."""
        first = self.derivatives[1]
        unit = torch.eye(self.member.size, dtype=torch.float64)
        return torch.stack([unit[0], unit[-1], first[0], first[-1]])

    @cached_property
    def pressure(self) -> tuple[list[Tensor], Tensor]:
        """Legendre polynomials of unit norm, two degrees below psi: at the Gauss points, their slopes; at nodes."""
        count, half = self.member.size - 2, 0.5 * self.member.axis.length
        norms = np.sqrt((2 * np.arange(count) + 1) / (2 * half))
        gauss = [np.stack([_slope(row, self._gauss[0], o) for row in np.eye(count)], 1) * norms for o in (0, 1)]
        nodes = legendre.legvander(self._local, count - 1) * norms
        return [torch.from_numpy(gauss[0]), torch.from_numpy(gauss[1] / half)], torch.from_numpy(nodes)

    @cached_property
    def _gauss(self) -> tuple[np.ndarray, np.ndarray]:
        return legendre.leggauss(self.member.size * 3 // 2 + 4)

    @cached_property
    def _local(self) -> np.ndarray:
        return 2 * (self.member.points - self.member.axis.lower) / self.member.axis.length - 1

    def _modes(self, s: np.ndarray, order: int) -> Tensor:
        """P_k - 2 (2k+5)/(2k+7) P_k+2 + (2k+3)/(2k+7) P_k+4, scaled to second derivatives of unit norm on [-1, 1]."""
        columns = []
        for k in range(self.member.size - 4):
            row = np.zeros(k + 5)
            row[k], row[k + 2], row[k + 4] = 1, -2 * (2 * k + 5) / (2 * k + 7), (2 * k + 3) / (2 * k + 7)
            columns.append(_slope(row, s, order) / math.sqrt(2 * (2 * k + 3) ** 2 * (2 * k + 5)))
        return torch.from_numpy(np.stack(columns, 1) * (2 / self.member.axis.length) ** order)


def _slope(coefficients: np.ndarray, s: np.ndarray, order: int) -> np.ndarray:
    return legendre.legval(s, legendre.legder(coefficients, order) if order else coefficients)


# functions of places x and y: velocities on walls ("x_min": (u, v) at its nodes), forces at Gauss points
Walls = Mapping[str, tuple[Tensor, Tensor]]


class SteadyFlow:
    """The flow in a box for velocities on its walls (at the nodes of Chebyshev axes) and a force (at Gauss points)."""

    def __init__(self, x: Direction, y: Direction, walls: Walls, force: tuple[Tensor, Tensor]) -> None:
        self.x, self.y, self.force = x, y, force
        self.weights = x.weights[:, None] * y.weights
        self.corners = corner_flow(x, y, walls)
        gx, gy = torch.from_numpy(x.points)[:, None], torch.from_numpy(y.points)
        self.corner_u, self.corner_v, self.corner_lap, _ = self.corners.flow(gx, gy)
        self.lift = self._lift(walls)
        self.speed = max(float(torch.as_tensor(part).abs().max()) for pair in walls.values() for part in pair)

    def solve(self, viscosity: float, start: Tensor | None = None) -> Tensor:
        """The coefficients (mode, mode) of the flow, from those of a coarser one or from creeping flow.

        Raises:
            Diverged: no convergence, with smaller and smaller steps in the viscosity.
        """
        if start is not None:
            a = torch.zeros(len(self.x.values[0]), len(self.y.values[0]), dtype=torch.float64)
            a[: start.shape[0], : start.shape[1]] = start
            return self._newton(a, viscosity)
        size = max(self.x.member.axis.length, self.y.member.axis.length)
        force = max(float(torch.as_tensor(part).abs().max()) for part in self.force)
        easy = max(self.speed * size, math.sqrt(force * size) * size) / _EASY
        a = self._newton(
            torch.zeros(len(self.x.values[0]), len(self.y.values[0]), dtype=torch.float64), max(viscosity, easy)
        )
        now, factor = max(viscosity, easy), 0.5
        while now > viscosity:
            further = max(viscosity, factor * now)
            try:
                a, now, factor = self._newton(a, further), further, max(0.25, factor**1.5)
            except Diverged:
                factor = math.sqrt(factor)
                if factor > 0.95:
                    raise
        return a

    def fields(self, a: Tensor, viscosity: float) -> dict[str, Tensor]:
        """At the nodes: velocity_x, velocity_y less those in corners, the head p + |v|^2 / 2 less their pressure."""
        psi = self.lift + self.x.values @ a @ self.y.values.T
        u, v = psi @ self.y.derivatives[1].T, -self.x.derivatives[1] @ psi
        lap, here_u, here_v, _ = self._state(a)
        slopes = self._partial(a, 2, 1) + self._partial(a, 0, 3), self._partial(a, 3, 0) + self._partial(a, 1, 2)
        right = viscosity * slopes[0] - lap * here_v + self.force[0]
        up = -viscosity * slopes[1] + lap * here_u + self.force[1]
        (px, dpx), nodes_x = self.x.pressure
        (py, dpy), nodes_y = self.y.pressure
        moments = dpx.T @ (self.weights * right) @ py + px.T @ (self.weights * up) @ dpy
        value_x, vectors_x = torch.linalg.eigh(dpx.T @ (self.x.weights[:, None] * dpx))
        value_y, vectors_y = torch.linalg.eigh(dpy.T @ (self.y.weights[:, None] * dpy))
        both = value_x[:, None] + value_y
        both[0, 0] = math.inf  # a constant
        head = vectors_x @ ((vectors_x.T @ moments @ vectors_y) / both) @ vectors_y.T
        return {"velocity_x": u, "velocity_y": v, "head": nodes_x @ head @ nodes_y.T}

    def _partial(self, a: Tensor, i: int, j: int) -> Tensor:
        """d^(i+j) psi / dx^i dy^j at the Gauss points, without the corners."""
        smooth = self.x.nodal[i] @ self.lift @ self.y.nodal[j].T
        return smooth + self.x.basis[i] @ a @ self.y.basis[j].T

    def _state(self, a: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """lap psi, u, v, and the part of lap psi without the corners."""
        smooth = self._partial(a, 2, 0) + self._partial(a, 0, 2)
        u, v = self._partial(a, 0, 1) + self.corner_u, -self._partial(a, 1, 0) + self.corner_v
        return smooth + self.corner_lap, u, v, smooth

    def _residual(self, a: Tensor, viscosity: float) -> Tensor:
        lap, u, v, smooth = self._state(a)
        (x0, x1, x2, _), (y0, y1, y2, _), w = self.x.basis, self.y.basis, self.weights
        bent = x2.T @ (w * smooth) @ y0 + x0.T @ (w * smooth) @ y2
        return (
            viscosity * bent + x1.T @ (w * (lap * u + self.force[1])) @ y0 + x0.T @ (w * (lap * v - self.force[0])) @ y1
        )

    def _jacobian(self, a: Tensor, viscosity: float) -> Tensor:
        lap, u, v, _ = self._state(a)
        (x0, x1, x2, _), (y0, y1, y2, _), w = self.x.basis, self.y.basis, self.weights
        mx, my = x0.shape[1], y0.shape[1]

        def pairs(test: Tensor, trial: Tensor) -> Tensor:  # (gauss, test * trial)
            return (test[:, :, None] * trial[:, None]).reshape(len(test), -1)

        groups = (
            (pairs(x1, x2).T @ (w * u), pairs(y0, y0)),
            (pairs(x1, x0).T @ (w * u), pairs(y0, y2)),
            (pairs(x0, x2).T @ (w * v) - pairs(x0, x1).T @ (w * lap), pairs(y1, y0)),
            (pairs(x0, x0).T @ (w * v), pairs(y1, y2)),
            (pairs(x1, x0).T @ (w * lap), pairs(y0, y1)),
        )
        whole = torch.cat([left for left, _ in groups], 1) @ torch.cat([right for _, right in groups])
        wx, wy = self.x.weights[:, None], self.y.weights[:, None]
        for i, j in ((2, 0), (1, 1), (1, 1), (0, 2)):
            # (x2, y0) tested with (x0, y2) is (x1, y1) with itself, by parts
            gram_x = (self.x.basis[i].T @ (wx * self.x.basis[i])).reshape(-1, 1)
            gram_y = (self.y.basis[j].T @ (wy * self.y.basis[j])).reshape(1, -1)
            whole = whole + viscosity * gram_x * gram_y
        return whole.reshape(mx, mx, my, my).transpose(1, 2).reshape(mx * my, mx * my)

    def _newton(self, a: Tensor, viscosity: float) -> Tensor:
        """Newton's method that keeps its factors while they serve."""
        factors, r, last = None, self._residual(a, viscosity), math.inf
        for _ in range(60):
            fresh = factors is None
            if factors is None:
                factors = torch.linalg.lu_factor(self._jacobian(a, viscosity))
            step = -torch.linalg.lu_solve(*factors, r.reshape(-1, 1)).reshape(a.shape)
            change = float(step.norm()) / max(float((a + step).norm()), 1e-300)
            if not math.isfinite(change) or change > 1e6:
                break
            if change > 0.3 * last and not fresh and last > _STALLED:
                factors, last = None, math.inf  # from here
                continue
            a = a + step
            r = self._residual(a, viscosity)
            if change <= _CONVERGED or (last <= _STALLED and change > 0.3 * last):
                return a
            last = change
        raise Diverged(f"Newton's method for the steady flow did not converge at the viscosity {viscosity:.3g}")

    def _lift(self, walls: Walls) -> Tensor:
        """A polynomial (node, node) with the velocities on the walls that the corners leave."""
        rest = {side: self._without_corners(side, *velocity) for side, velocity in walls.items()}
        (x, y) = self.x, self.y
        along_y = {side: _antiderivative(y, rest[side][0]) for side in ("x_min", "x_max")}
        along_x = {side: _antiderivative(x, -rest[side][1]) for side in ("y_min", "y_max")}
        left, bottom = along_y["x_min"], along_x["y_min"]
        right, top = bottom[-1] + along_y["x_max"], left[-1] + along_x["y_max"]
        on_x = torch.stack([left, right, -rest["x_min"][1], -rest["x_max"][1]])
        on_y = torch.stack([bottom, top, rest["y_min"][0], rest["y_max"][0]], 1)
        first = x.hermite @ on_x
        return first + (on_y - first @ y.ends.T) @ y.hermite.T

    def _without_corners(self, side: str, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        axis, along = (self.x, self.y) if side[0] == "x" else (self.y, self.x)
        bounds = along.member.axis
        slack = 2e-12 * bounds.length  # at a corner, the limit along this wall
        free = torch.from_numpy(along.member.points).clamp(bounds.lower + slack, bounds.upper - slack)
        fixed = torch.full_like(free, axis.member.axis.lower if side.endswith("min") else axis.member.axis.upper)
        corner_u, corner_v, _, _ = self.corners.flow(*((fixed, free) if side[0] == "x" else (free, fixed)))
        return u - corner_u, v - corner_v


def _antiderivative(direction: Direction, values: Tensor) -> Tensor:
    """The integral (node,) of values from the lower end on."""
    inner = torch.linalg.solve(direction.derivatives[1][1:, 1:], values[1:])
    return torch.cat([values.new_zeros(1), inner])


def corner_flow(x: Direction, y: Direction, walls: Walls) -> CornerFlow:
    """What the velocities on two walls disagree by at each corner; disagreements of rounding are none. nu = 1."""
    jumps, slopes = [], []
    size = max(float(part.abs().max()) for pair in walls.values() for part in pair)
    for side_y, j in (("y_min", 0), ("y_max", -1)):
        for side_x, i in (("x_min", 0), ("x_max", -1)):
            (on_y, on_x) = walls[side_y], walls[side_x]
            jumps.append(torch.stack([on_y[k][i] - on_x[k][j] for k in (0, 1)]))
            slopes.append((x.derivatives[1] @ on_y[0])[i] + (y.derivatives[1] @ on_x[1])[j])
    lengths = [d.member.axis.length for d in (x, y)]
    jump, slope = torch.stack(jumps), torch.stack(slopes)
    jump = torch.where(jump.abs() > 1e-9 * size, jump, 0.0)
    slope = torch.where(slope.abs() > 1e-6 * size / min(lengths), slope, 0.0)
    ends = [(d.member.axis.lower, d.member.axis.upper) for d in (x, y)]
    lower, upper = ((ends[0][k], ends[1][k]) for k in (0, 1))
    return CornerFlow(lower, upper, jump, slope, torch.ones((), dtype=torch.float64))
