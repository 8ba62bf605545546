"""Conditions: what a solution obeys besides the equation. On boundaries, at the initial time, along observations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Generator

from pdesolve.equation import Elastic, State, Values, flatten
from pdesolve.errors import InputError
from pdesolve.fields import Constant, Coordinates, Field, GridField, Quantity, Vector, d, dot
from pdesolve.fields.interpolation import interpolate
from pdesolve.geometry import PointCloud, Sampler, sample_boundary, sample_instant

if TYPE_CHECKING:
    from pdesolve.problem import Problem

# What is given of a quantity: a number, a function of parameters and coordinates, or a field known on a grid.
Given = float | Callable[[Values, Coordinates], Any] | GridField
Evaluate = Callable[[Coordinates], State]


def evaluate(given: Given, p: Values, x: Coordinates) -> Any:
    """The field at x that `given` stands for: a Constant for a number."""
    if isinstance(given, GridField):
        return interpolate(given, x)
    if callable(given):
        result = given(p, x)
        if isinstance(result, (Field, Vector)):
            return result
        if not isinstance(result, Number):
            raise InputError(
                f"a function of (p, x) must return a field or a number, got {type(result).__name__}: write it with the "
                "functions of pdesolve.fields"
            )
        given = float(result)  # type: ignore[arg-type]
    return Constant(torch.as_tensor(given, dtype=x.dtype, device=x.device), Quantity(f"{given:.4g}"))


def difference(left: Any, value: Any) -> Any:
    """left - value, one value for all components of a vector included."""
    if isinstance(left, Vector) and not isinstance(value, Vector):
        return left.map(lambda component: component - value)
    return left - value


class Condition(ABC):
    """A condition of a problem: where it holds, and what vanishes there."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What tables call it: "u at x_min"."""

    @property
    def full_name(self) -> str:
        """What tables call it beside another of the same name."""
        return self.name

    @abstractmethod
    def sample(self, problem: Problem, n: int, sampler: Sampler, generator: Generator) -> PointCloud:
        """About n points where it holds, with quadrature weights and, on boundaries, normals."""

    @abstractmethod
    def residual(self, problem: Problem, u: Evaluate, x: Coordinates, p: Values) -> Any:
        """What vanishes at x for a state u that obeys it: a Field or a Vector."""


class BoundaryCondition(Condition):
    """alpha u + beta du/dn = value on named parts of the boundary, n the outward normal."""

    unknown: str
    boundary: str | tuple[str, ...]
    value: Given

    @property
    @abstractmethod
    def coefficients(self) -> tuple[float, float]:
        """alpha and beta."""

    @property
    def name(self) -> str:
        where = self.boundary if isinstance(self.boundary, str) else ", ".join(self.boundary)
        return f"{self.unknown} at {'the boundary' if where == 'all' else where}"

    def parts(self, problem: Problem) -> tuple[str, ...]:
        """The names of the boundary parts it holds on."""
        known = problem.domain.boundaries
        if self.boundary == "all":
            return tuple(known)
        if not self.boundary:
            raise InputError(f"{self.unknown} at no boundary: name some of {', '.join(known)}, or write 'all'")
        return (self.boundary,) if isinstance(self.boundary, str) else self.boundary

    def sample(self, problem: Problem, n: int, sampler: Sampler, generator: Generator) -> PointCloud:
        names = self.parts(problem)
        clouds = [
            sample_boundary(
                problem.domain.boundaries[name],
                problem.domain.axes,
                max(1, n // len(names)),
                generator=generator,
                sampler=sampler,
                time=problem.time,
            )
            for name in names
        ]
        return PointCloud(
            clouds[0].axes,
            torch.cat([cloud.x for cloud in clouds]),
            torch.cat([cloud.weights for cloud in clouds if cloud.weights is not None]),
            torch.cat([cloud.normals for cloud in clouds if cloud.normals is not None]),
        )

    def residual(self, problem: Problem, u: Evaluate, x: Coordinates, p: Values) -> Any:
        alpha, beta = self.coefficients
        field = u(x)[self.unknown]
        left = alpha * field if alpha else None
        if beta:
            if x.normals is None:
                raise InputError(f"{self.name} needs points with normals: sample them from the boundary")
            slope = normal_derivative(field, x.normals)
            left = beta * slope if left is None else left + beta * slope
        assert left is not None
        return difference(left, evaluate(self.value, p, x))


def normal_derivative(field: Any, normals: Vector) -> Any:
    """du/dn = n . grad u, for each component of a vector."""
    if isinstance(field, Vector):
        return field.map(lambda component: normal_derivative(component, normals))
    terms = [normals[axis] * d(field, axis) for axis in normals.names]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


@dataclass(frozen=True)
class Dirichlet(BoundaryCondition):
    """u = value on parts of the boundary ("x_min", a tuple of names, or "all")."""

    unknown: str
    boundary: str | tuple[str, ...] = "all"
    value: Given = 0.0

    @property
    def coefficients(self) -> tuple[float, float]:
        return 1.0, 0.0


@dataclass(frozen=True)
class Neumann(BoundaryCondition):
    """du/dn = value on parts of the boundary, n the outward normal."""

    unknown: str
    boundary: str | tuple[str, ...] = "all"
    value: Given = 0.0

    @property
    def coefficients(self) -> tuple[float, float]:
        return 0.0, 1.0

    @property
    def full_name(self) -> str:
        return f"slope of {self.name}"


@dataclass(frozen=True)
class Robin(BoundaryCondition):
    """alpha u + beta du/dn = value on parts of the boundary, n the outward normal."""

    unknown: str
    alpha: float
    beta: float
    boundary: str | tuple[str, ...] = "all"
    value: Given = 0.0

    @property
    def coefficients(self) -> tuple[float, float]:
        return self.alpha, self.beta

    @property
    def full_name(self) -> str:
        return f"mix of value and slope of {self.name}"


@dataclass(frozen=True)
class Impermeable(Condition):
    """n . v = 0 for a vector v on parts of the boundary: nothing flows through, along the wall all is free (slip)."""

    unknown: str
    boundary: str | tuple[str, ...] = "all"

    @property
    def name(self) -> str:
        where = self.boundary if isinstance(self.boundary, str) else ", ".join(self.boundary)
        return f"{self.unknown} through {'the boundary' if where == 'all' else where}"

    def parts(self, problem: Problem) -> tuple[str, ...]:
        """The names of the boundary parts it holds on."""
        return Dirichlet(self.unknown, self.boundary).parts(problem)

    def sample(self, problem: Problem, n: int, sampler: Sampler, generator: Generator) -> PointCloud:
        return Dirichlet(self.unknown, self.boundary).sample(problem, n, sampler, generator)

    def residual(self, problem: Problem, u: Evaluate, x: Coordinates, p: Values) -> Any:
        if x.normals is None:
            raise InputError(f"{self.name} needs points with normals: sample them from the boundary")
        return dot(x.normals, u(x)[self.unknown])


@dataclass(frozen=True)
class Traction(Condition):
    """sigma n = value on parts of the boundary of an elastic body: the force per area that pulls there, 0 for none.

    A value is a number for all components, or a function of (p, x) that gives a Vector. Elements hold it, and every
    method that takes residuals at points; grids do not.
    """

    unknown: str
    boundary: str | tuple[str, ...] = "all"
    value: Given = 0.0

    @property
    def name(self) -> str:
        where = self.boundary if isinstance(self.boundary, str) else ", ".join(self.boundary)
        return f"traction at {'the boundary' if where == 'all' else where}"

    def parts(self, problem: Problem) -> tuple[str, ...]:
        """The names of the boundary parts it holds on."""
        return Dirichlet(self.unknown, self.boundary).parts(problem)

    def sample(self, problem: Problem, n: int, sampler: Sampler, generator: Generator) -> PointCloud:
        return Dirichlet(self.unknown, self.boundary).sample(problem, n, sampler, generator)

    def residual(self, problem: Problem, u: Evaluate, x: Coordinates, p: Values) -> Any:
        equation = problem.equation
        if x.normals is None or not isinstance(equation, Elastic):
            raise InputError(f"{self.name} needs an elastic body, and points of its boundary with normals")
        normals = x.normals
        pull = Vector({i: dot(row, normals) for i, row in equation.stress(u(x), p, x).items()})
        return difference(pull, evaluate(self.value, p, x))


@dataclass(frozen=True)
class Periodic(Condition):
    """Equal values and first derivatives at both ends of a periodic axis, for every unknown.

    A problem has one for each axis of its domain that is periodic; nobody writes it down again.
    """

    axis: str

    @property
    def name(self) -> str:
        return f"periodic in {self.axis}"

    def sample(self, problem: Problem, n: int, sampler: Sampler, generator: Generator) -> PointCloud:
        return problem.sample(n, sampler, generator).replace_column(self.axis, problem.axes[self.axis].lower)

    def residual(self, problem: Problem, u: Evaluate, x: Coordinates, p: Values) -> Any:
        assert isinstance(x.discretisation, PointCloud)
        partner = x.discretisation.replace_column(self.axis, problem.axes[self.axis].upper)
        here, there = u(x), u(x.at(partner))
        gaps: dict[str, Field] = {}
        for unknown in problem.equation.unknowns:
            lower, upper = _components(here[unknown.name]), _components(there[unknown.name])
            for name, field in lower.items():
                jumps = (field, upper[name]), (d(field, self.axis), d(upper[name], self.axis))
                for order, (a, b) in enumerate(jumps):
                    gaps[f"{unknown.name}{name}{order}"] = x.field(a.values - b.values, f"jump of {a.name}")
        return Vector(gaps)


def _components(field: Any) -> dict[str, Field]:
    return dict(field.components) if isinstance(field, Vector) else {"": field}


@dataclass(frozen=True)
class InitialValue(Condition):
    """u = value at the initial time."""

    unknown: str
    value: Given

    @property
    def name(self) -> str:
        return f"initial {self.unknown}"

    def sample(self, problem: Problem, n: int, sampler: Sampler, generator: Generator) -> PointCloud:
        assert problem.time is not None
        return sample_instant(
            problem.domain, n, time=problem.time, at=problem.time.lower, generator=generator, sampler=sampler
        )

    def residual(self, problem: Problem, u: Evaluate, x: Coordinates, p: Values) -> Any:
        return difference(u(x)[self.unknown], evaluate(self.value, p, x))


@dataclass(frozen=True)
class InitialRate(Condition):
    """du/dt = value at the initial time, for evolutions of order 2."""

    unknown: str
    value: Given

    @property
    def name(self) -> str:
        return f"initial rate of {self.unknown}"

    def sample(self, problem: Problem, n: int, sampler: Sampler, generator: Generator) -> PointCloud:
        return InitialValue(self.unknown, 0.0).sample(problem, n, sampler, generator)

    def residual(self, problem: Problem, u: Evaluate, x: Coordinates, p: Values) -> Any:
        return difference(d(u(x)[self.unknown], "t"), evaluate(self.value, p, x))


@dataclass(frozen=True, eq=False)
class Observed(Condition):
    """u = values at given points, as far as `noise` (its standard deviation) lets one say.

    points: (point, axis), columns in axis order, time first. values: (point,). Of a vector one component is observed,
    "velocity_x".
    """

    unknown: str
    points: np.ndarray
    values: np.ndarray
    noise: float = 1.0

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.values.shape != self.points.shape[:1]:
            raise InputError(
                f"observations of {self.unknown} need points (n, axes) and values (n,), got {self.points.shape} "
                f"and {self.values.shape}"
            )
        if not (np.isfinite(self.points).all() and np.isfinite(self.values).all()):
            raise InputError(f"observations of {self.unknown} hold NaN or infinity: leave those rows out")
        if self.noise <= 0:
            raise InputError(f"the noise of observations is a positive standard deviation, got {self.noise}")

    @property
    def name(self) -> str:
        return f"observed {self.unknown}"

    def sample(self, problem: Problem, n: int, sampler: Sampler, generator: Generator) -> PointCloud:
        weights = torch.full((len(self.values),), 1.0 / len(self.values), dtype=torch.float64)
        return PointCloud(problem.axes, torch.from_numpy(np.asarray(self.points, dtype=float)), weights)

    def residual(self, problem: Problem, u: Evaluate, x: Coordinates, p: Values) -> Any:
        observed = torch.as_tensor(self.values, dtype=x.dtype, device=x.device)
        cloud = x.discretisation
        if isinstance(cloud, PointCloud) and cloud.numbers is not None:
            observed = observed[cloud.numbers]
        field = flatten(u(x))[self.unknown]
        return (field - x.field(observed, f"observed {self.unknown}", field.unit)) / self.noise
