"""Collocation points and those of conditions: drawn in one place, and brought back from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Generator

from pdesolve.fields import Coordinates
from pdesolve.geometry import Adaptive, PointCloud, Sampler
from pdesolve.physics.collocation.model import Residuals
from pdesolve.physics.collocation.weighting import INTERIOR
from pdesolve.problem import Problem
from pdesolve.training.objective import Batches
from pdesolve.training.processes import own


class CollocationPoints(Batches):
    """Collocation points inside the domain, which move to where the residual is large, and points of the conditions.

    `batch` maps the terms of the objective to the coordinates at which they are taken: of several processes each has
    its share. `clouds` are all points, the same everywhere. `moved` is called with collocation points drawn anew.
    """

    def __init__(
        self, problem: Problem, objective: Residuals, *, count: int, condition_count: int, sampler: Sampler,
        adaptive: Adaptive, generator: Generator, moved: Callable[[PointCloud], None] = lambda cloud: None,
    ) -> None:  # fmt: skip
        self.problem, self.objective, self.generator = problem, objective, generator
        self.count, self.condition_count, self.adaptive, self.moved = count, condition_count, adaptive, moved
        self.sampler: Sampler = sampler
        clouds = {
            name: condition.sample(problem, condition_count, sampler, generator)
            for name, condition in objective.conditions.items()
        }
        clouds[INTERIOR] = problem.sample(count, sampler, generator)
        self.clouds: dict[str, PointCloud] = {}
        self.batch: dict[str, Coordinates] = {}
        self._place(clouds)

    def renew(self) -> bool:
        """Draw the collocation points anew, and those of conditions on more than a line, which a few cannot fill."""
        if self.adaptive.kind == "none":
            return False
        before = self.clouds[INTERIOR]
        cloud = self.adaptive.move(
            before, self.objective.residual_size, lambda n: self.problem.sample(n, self.sampler, self.generator),
            first=self.count, generator=self.generator,
        )  # fmt: skip
        self.objective.weighting.move(before.x, cloud.x)
        drawn = {
            name: condition.sample(self.problem, self.condition_count, self.sampler, self.generator)
            for name, condition in self.objective.conditions.items()
            if len(self.problem.axes) > 2
        }
        self._place({INTERIOR: cloud, **drawn})
        self.moved(cloud)
        return True

    def residuals(self) -> tuple[float, float]:
        """The root mean square of the equation's residual at the points, and elsewhere."""
        elsewhere = self.problem.sample(1000, "uniform", Generator().manual_seed(0))
        here, there = (self.objective.residual_size(c).square().mean() for c in (self.clouds[INTERIOR], elsewhere))
        return float(here.sqrt()), float(there.sqrt())

    def state_dict(self) -> dict[str, Any]:
        return {
            name: {"x": cloud.x.clone(), "weights": cloud.weights, "normals": cloud.normals}
            for name, cloud in self.clouds.items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        axes = self.problem.axes
        self._place({name: PointCloud(axes, c["x"], c["weights"], c["normals"]) for name, c in state.items()})

    def _place(self, clouds: Mapping[str, PointCloud]) -> None:
        """Take these clouds in the place of those of the same terms."""
        self.clouds = {**self.clouds, **clouds}
        for name, cloud in clouds.items():
            which = own(len(cloud.x))
            here = cloud if which == slice(0, len(cloud.x)) else cloud.share(which)
            self.batch = {**self.batch, name: self.objective.coordinates(name, here)}
