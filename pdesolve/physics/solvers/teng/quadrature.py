"""The points at which projections are made: fixed, shifted or drawn anew for each step, and others that watch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch

from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry import PointCloud, sample
from pdesolve.marching.instant import Instant, quadrature
from pdesolve.problem import Problem

PointsName = Literal["fixed", "shifted", "redrawn"]

_LARGE = 3.0  # residual at unseen points over that at the points, above which the network overfits between them


class Quadrature:
    """The instant at the points of this step, `now`, and at points that no projection sees, `unseen`.

    fixed: the same points in every step. shifted: a regular grid moved by a random part of the period along each
    periodic axis. redrawn: scrambled Sobol points. Both draw from the generator at the start of each step, whose state
    is thus all that resuming needs.
    """

    def __init__(
        self, at: Callable[[PointCloud], Instant], problem: Problem, count: int, *, points: PointsName,
        generator: torch.Generator,
    ) -> None:  # fmt: skip
        if points not in get_args(PointsName):
            raise unknown_name("quadrature", points, get_args(PointsName))
        domain = problem.domain
        periodic = [axis.periodic for axis in domain.axes]
        if points == "shifted" and not any(periodic):
            raise InputError(
                "a shifted grid needs a periodic axis, the domain has none: write --method.quadrature redrawn"
            )
        self._at, self._domain, self._points, self._generator = at, domain, points, generator
        self._count = count
        self._cloud = self._sobol() if points == "redrawn" else quadrature(problem, count, generator)
        self.now = at(self._cloud)
        self.unseen = at(self._sobol())

    def renew(self) -> bool:
        """The points of another step; whether they have changed."""
        if self._points == "fixed":
            return False
        self.now = self._at(self._sobol() if self._points == "redrawn" else self._shifted())
        return True

    def _sobol(self) -> PointCloud:
        return sample(self._domain, self._count, generator=self._generator, sampler="sobol")

    def _shifted(self) -> PointCloud:
        axes, x = self._cloud.axes, self._cloud.x.clone()
        parts = torch.rand(len(axes), dtype=x.dtype, generator=self._generator)
        for i, axis in enumerate(axes):
            if axis.periodic:
                x[:, i] = axis.lower + (x[:, i] - axis.lower + float(parts[i]) * axis.length) % axis.length
        return PointCloud(axes, x, self._cloud.weights)


class Watch:
    """Residuals at unseen points beside those at the points: a network with few points is free between them."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.unseen, self.ratio, self.said = 0.0, 0.0, False

    def look(self, own: float, unseen: float, *, time: float, tolerance: float) -> None:
        """Compare two relative residuals at an instant; ratios matter above the tolerance of a projection."""
        if unseen > self.unseen:
            self.unseen, self.ratio = unseen, unseen / max(own, 1e-16)
        if not self.said and unseen > max(_LARGE * own, tolerance):
            self.said = True
            self._say(
                f"at t = {time:.4g} residuals at unseen points are {unseen / max(own, 1e-16):.1f} times those at the "
                f"points ({unseen:.1e} to {own:.1e}), the network overfits between them: give more --method.points or "
                "write --method.quadrature redrawn"
            )

    @property
    def notes(self) -> dict[str, Any]:
        return {"worst projection at unseen points": self.unseen, "unseen over own residual": self.ratio}

    def state_dict(self) -> dict[str, Any]:
        return {"unseen": self.unseen, "ratio": self.ratio, "said": self.said}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.unseen, self.ratio, self.said = state["unseen"], state["ratio"], state["said"]
