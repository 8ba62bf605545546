"""Boundary conditions as weighted rows of the least squares of every instant, where no lift holds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from pdesolve.condition import BoundaryCondition, evaluate, normal_derivative
from pdesolve.equation import State, flatten
from pdesolve.fields import Coordinates, Field, Vector
from pdesolve.geometry import PointCloud, Sampler, sample_boundary
from pdesolve.marching.system import at_time
from pdesolve.problem import Problem, Value


def wall_points(
    problem: Problem, condition: BoundaryCondition, n: int, *, generator: Generator, sampler: Sampler = "sobol"
) -> PointCloud:
    """About n points of space where a condition holds, shared by its parts, with weights and normals."""
    parts = [problem.domain.boundaries[name] for name in condition.parts(problem)]
    some = max(1, n // len(parts))
    clouds = [
        sample_boundary(part, problem.domain.axes, some if part.dimension else 1, generator=generator, sampler=sampler)
        for part in parts
    ]
    weights, normals = ([c.weights for c in clouds if c.weights is not None], [c.normals for c in clouds])
    return PointCloud(
        problem.domain.axes, torch.cat([c.x for c in clouds]), torch.cat(weights),
        torch.cat([normal for normal in normals if normal is not None]),
    )  # fmt: skip


class WallRows:
    """√(weight q_i / Σ q) (α u + β ∂u/∂n − g) / s for each condition, q the weights of its points.

    s is the size of the unknown times max(|α|, |β| / L), L half the mean side of the domain's bounding box, so that the
    weight 1 counts a relative error on the walls as one inside. TENG-BC adds such rows to its projections.
    """

    def __init__(
        self, problem: Problem, conditions: Mapping[str, BoundaryCondition], state: Callable[[Coordinates], State],
        values: Mapping[str, Value], sizes: Mapping[str, float], *, points: int, weight: float, column: bool,
        dtype: torch.dtype, device: torch.device,
    ) -> None:  # fmt: skip
        self.problem, self.conditions, self.state, self.values = problem, dict(conditions), state, values
        self.column, generator = column, Generator().manual_seed(0)
        self._kind: dict[str, Any] = {"dtype": dtype, "device": device}
        sides = [axis.length for axis in problem.domain.axes]
        length = sum(sides) / len(sides) / 2
        self.x: dict[str, Coordinates] = {}
        self._roots: dict[str, Tensor] = {}
        for name, condition in self.conditions.items():
            cloud = wall_points(problem, condition, points, generator=generator)
            assert cloud.weights is not None and problem.time is not None
            start = problem.time.lower
            placed = at_time(problem, Coordinates(cloud), start, column=column).discretisation
            assert isinstance(placed, PointCloud)
            wanted = Coordinates.wanted_by(
                lambda x, c=condition, t=start: self._left(c, self._placed(x, t)), placed, **self._kind
            )
            self.x[name] = Coordinates.of_jets(placed, wanted, **self._kind)
            alpha, beta = condition.coefficients
            size = sizes[problem.unknown(condition.unknown).scalars[0]] * max(abs(alpha), abs(beta) / length)
            q = cloud.weights.to(**self._kind)
            self._roots[name] = (weight * q / q.sum()).sqrt() / size
        self._given: dict[str, Tensor] = {}
        self._time: float | None = None

    def at(self, time: float) -> dict[str, Tensor]:
        """The rows (scalar, point) of each condition at an instant, differentiable in the parameters."""
        if time != self._time:
            self._time, self._here = time, {name: self._placed(x, time) for name, x in self.x.items()}
            self._given = {name: self._value(name, time) for name in self.conditions}
        return {
            name: (_stacked(self._left(c, self._here[name]), self._here[name]) - self._given[name]) * self._roots[name]
            for name, c in self.conditions.items()
        }

    def _placed(self, x: Coordinates, time: float) -> Coordinates:
        return at_time(self.problem, x, time, column=self.column)

    def _left(self, condition: BoundaryCondition, x: Coordinates) -> Any:
        """α u + β ∂u/∂n, for each component."""
        field = self.state(x)[condition.unknown]
        normals = x.normals
        assert normals is not None
        alpha, beta = condition.coefficients

        def side(part: Field) -> Any:
            total = alpha * part if alpha else None
            if beta:
                slope = beta * normal_derivative(part, normals)
                total = slope if total is None else total + slope
            return total

        return field.map(side) if isinstance(field, Vector) else side(field)

    def _value(self, name: str, time: float) -> Tensor:
        """What is given at an instant (scalar, point): at points of space and time, since rates of it are asked for."""
        condition = self.conditions[name]
        cloud = self.x[name].discretisation
        assert isinstance(cloud, PointCloud)
        x = at_time(self.problem, Coordinates(cloud, **self._kind), time, column=True)
        value = evaluate(condition.value, self.problem.bind(x, self.values), x)
        return _stacked(value, x).detach()


def _stacked(value: Any, x: Coordinates) -> Tensor:
    fields: Sequence[Field] = list(flatten({"": value}).values())
    return torch.stack([x.expand(field).values for field in fields])
