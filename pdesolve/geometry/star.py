"""Smooth star-shaped curves, and boxes with a hole of such a shape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry.axis import Axes
from pdesolve.geometry.box import Box
from pdesolve.geometry.curve import Point
from pdesolve.geometry.domain import Boundary, Domain

_FINE = 1024  # angles at which lengths and distances are looked up
_STEPS = 6  # of Newton's method towards the nearest point


@dataclass(frozen=True)
class Star(Boundary):
    """x = centre + r(q) (cos q, sin q), r the trigonometric polynomial through `radii` at equal angles from 0 on.

    The normal points away from the centre for `side` +1 and towards it for -1 (a hole).

    Raises:
        InputError: fewer than three radii, or a curve that meets its centre.
    """

    name: str
    centre: Point
    radii: tuple[float, ...]
    side: int = 1

    def __post_init__(self) -> None:
        if len(self.radii) < 3:
            raise InputError(f"a star-shaped curve needs at least 3 radii, got {len(self.radii)}")
        if not all(map(math.isfinite, self.radii)) or float(self._fine[1].min()) <= 0:
            raise InputError(f"the curve through the radii of {self.name} meets its centre: give more or larger radii")

    @property
    def dimension(self) -> int:
        return 1

    @property
    def measure(self) -> float:
        return float(self._fine[2][-1])

    @property
    def area(self) -> float:
        """Of what the curve encloses: half the integral of r^2."""
        return float(math.pi * self._fine[1][:-1].square().mean())

    @property
    def bounds(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The least and the greatest x, and y, to 1e-5 of the radius."""
        x, _ = self._at(self._fine[0], 0)
        return tuple((float(c.min()), float(c.max())) for c in x.unbind(1))  # type: ignore[return-value]

    def place(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        angles, _, lengths = (part.to(unit) for part in self._fine)
        along = unit[:, 0] * lengths[-1]
        k = torch.searchsorted(lengths, along.contiguous(), right=True).clamp(1, _FINE)
        share = (along - lengths[k - 1]) / (lengths[k] - lengths[k - 1])
        q = angles[k - 1] + share * (angles[k] - angles[k - 1])
        x, tangent = self._at(q, 0)[0], self._at(q, 1)[0]
        normal = torch.stack([tangent[:, 1], -tangent[:, 0]], 1)
        return x, self.side * normal / torch.linalg.vector_norm(normal, dim=1, keepdim=True)

    def distance(self, x: Tensor) -> Tensor:
        with torch.no_grad():  # which point is nearest: the distance does not change with it to first order
            angles = self._fine[0].to(x)[:-1]
            curve = self._at(angles, 0)[0]
            near = [torch.cdist(part, curve).argmin(1) for part in x.split(1024)] or [torch.zeros(0, dtype=torch.int64)]
            start = q = angles[torch.cat(near)]
            for _ in range(_STEPS):
                c, t, b = (self._at(q, order)[0] for order in (0, 1, 2))
                slope = ((c - x) * t).sum(1)
                bend = ((c - x) * b).sum(1) + t.square().sum(1)
                q = q - torch.where(bend > 0, slope / bend, 0.0)
            # where two points are as near, the one found in the table stays
            q = torch.where((q - start).abs() < 4 * math.pi / _FINE, q, start)
        return torch.linalg.vector_norm(x - self._at(q, 0)[0], dim=1)

    def encloses(self, x: Tensor) -> Tensor:
        """Which points are on the side of the centre, those of the curve not among them (n,), bool."""
        relative = x - x.new_tensor(self.centre)
        r = self._at(torch.atan2(relative[:, 1], relative[:, 0]), 0)[1]
        return torch.linalg.vector_norm(relative, dim=1) < r * (1 - 16 * torch.finfo(x.dtype).eps)

    @cached_property
    def _waves(self) -> np.ndarray:
        """c_k of r(q) = Re sum_k c_k exp(i k q), k from 0 on."""
        n = len(self.radii)
        waves = 2 * np.fft.rfft(np.array(self.radii)) / n
        waves[0] /= 2
        if n % 2 == 0:
            waves[-1] /= 2
        return waves

    @cached_property
    def _fine(self) -> tuple[Tensor, Tensor, Tensor]:
        """Equal angles round the curve, the radii there and the lengths up to there, both ends included."""
        q = 2 * math.pi * torch.arange(_FINE + 1, dtype=torch.float64) / _FINE
        speed = torch.linalg.vector_norm(self._at(q, 1)[0], dim=1)
        steps = (speed[1:] + speed[:-1]) * (math.pi / _FINE)
        return q, self._at(q, 0)[1], torch.cat([q[:1], steps.cumsum(0)])

    def _at(self, q: Tensor, order: int) -> tuple[Tensor, Tensor]:
        """The curve, or its derivative of an order up to 2 in the angle (n, 2), and r(q) (n,)."""
        k = torch.arange(len(self._waves), device=q.device)
        waves = torch.as_tensor(self._waves, device=q.device).to(q.dtype.to_complex())
        turning = torch.polar(torch.ones_like(q)[:, None], q[:, None] * k) * waves
        r = [(turning * (1j * k) ** i).sum(1).real for i in range(order + 1)]
        radial = torch.stack([q.cos(), q.sin()], 1)
        around = torch.stack([-q.sin(), q.cos()], 1)
        if order == 0:
            return q.new_tensor(self.centre) + r[0][:, None] * radial, r[0]
        if order == 1:
            return r[1][:, None] * radial + r[0][:, None] * around, r[0]
        return (r[2] - r[0])[:, None] * radial + 2 * r[1][:, None] * around, r[0]


@dataclass(frozen=True)
class PiercedBox(Domain):
    """A rectangle without what a star-shaped curve encloses; its boundary is that of the box and the curve.

    Exact and quick to make, where Box(...) - Polygon(...) looks for cuts. The hole's normal points into it: side -1.

    Raises:
        InputError: another dimension, a hole whose normal points outward, or one that is not inside of the box.
    """

    box: Box
    hole: Star

    def __post_init__(self) -> None:
        if len(self.box.axes) != 2 or any(axis.periodic for axis in self.box.axes):
            raise InputError("a box with a star-shaped hole has two axes, and none is periodic")
        if self.hole.side != -1 or self.hole.name in self.box.boundaries:
            raise InputError(f"the hole {self.hole.name} needs side=-1 and a name that no side of the box has")
        for axis, (lower, upper) in zip(self.box.axes, self.hole.bounds, strict=True):
            if not axis.lower < lower < upper < axis.upper:
                raise InputError(
                    f"the hole reaches from {lower:.4g} to {upper:.4g} along {axis.name!r}, and must lie inside of the "
                    f"box, from {axis.lower:.4g} to {axis.upper:.4g}: move it or make it smaller"
                )

    @property
    def axes(self) -> Axes:  # type: ignore[override]
        return self.box.axes

    @property
    def measure(self) -> float:
        return self.box.measure - self.hole.area

    @cached_property
    def boundaries(self) -> Mapping[str, Boundary]:  # type: ignore[override]
        return {**self.box.boundaries, self.hole.name: self.hole}

    def inside(self, x: Tensor) -> Tensor:
        return self.box.inside(x) & ~self.hole.encloses(x)
