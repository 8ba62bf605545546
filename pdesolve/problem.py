"""Problems: an equation on a domain with its conditions, its parameter values and the set it is judged on."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor

from pdesolve.condition import BoundaryCondition, Condition, InitialRate, InitialValue, Periodic, evaluate
from pdesolve.equation import Equation, Evolution, State, Unknown, Values, assemble
from pdesolve.errors import InputError, unknown_name
from pdesolve.fields import Constant, Coordinates, Edge, Field, GridField, Quantity, Vector
from pdesolve.fields.interpolation import interpolate
from pdesolve.geometry import Axes, Axis, Domain, Grid, GridAxis, Placement, PointCloud, Sampler, sample
from pdesolve.unit import Unit

if TYPE_CHECKING:
    from pdesolve.problem_file import ProblemFile

_EVALUATION_POINTS = 10_000  # of a domain that no grid fits, at each time
_GRID_DIMENSIONS = 10  # beyond, no grid of any number of points is fine enough

# A parameter value as a user gives it; tensors are a number, or one per sample.
Value = float | Tensor | GridField | Callable[[Values, Coordinates], Any]


@dataclass(frozen=True)
class Exact:
    """A solution in closed form: formula(p, x) gives the state at any coordinates. `source` says where it is from."""

    formula: Callable[[Values, Coordinates], State]
    source: str = ""


@dataclass(frozen=True)
class Evaluation:
    """The set a solution is judged on: `points` along every space axis (ends included) and the `times`.

    Domains that are no boxes, and boxes of more than ten axes, have scattered points instead, 10 000 at most.

    Collocation points are drawn elsewhere, so that no method is judged where it was trained. `bounded` places the
    points of axes with ends: "cells" keeps off walls and corners at which a solution is not finite.
    """

    points: int | Mapping[str, int] = 101
    times: tuple[float, ...] = ()
    bounded: Placement = "nodes"

    @staticmethod
    def uniform(points: int | Mapping[str, int], time: Axis, steps: int, *, bounded: Placement = "nodes") -> Evaluation:
        """Equal time steps from the initial to the final time, both included.

        Raises:
            InputError: no step.
        """
        if steps < 1:
            raise InputError(f"times from an initial to a final one are two at least, got {steps + 1}")
        return Evaluation(points, tuple(time.lower + time.length * i / steps for i in range(steps + 1)), bounded)


@dataclass(frozen=True)
class Problem:
    """One problem, with one meaning, that every method, reference solver and data generator shares.

    `domain` is space; `time` is the axis t of an evolution. Axes of the domain that are periodic need no condition.
    `values` are the parameters (numbers, or functions of (p, x) for fields); others may travel beside the problem into
    every solver. `conserved` names the equation's conserved quantities that the conditions on a bounded domain keep
    (on a periodic one all are kept). `up_to_constant` names the scalars that are determined up to a constant only, at
    each time, such as a pressure that no boundary gives: they are judged less their mean. `settings` are the keyword
    arguments of the catalogue's function that made it, or the numbers of the `file` it was read from. `sister` names
    the problem of the catalogue that a method must solve too, where the solution of this one is made of sines: same
    equation, domain and kind of conditions, another kind of solution.
    Problems are immutable: `dataclasses.replace` makes another.

    Raises:
        InputError: one line for what is missing, contradictory or impossible (see `pdesolve.wellposed`).
    """

    name: str
    equation: Equation
    domain: Domain
    conditions: Sequence[Condition] = ()
    time: Axis | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    exact: Exact | None = None
    evaluation: Evaluation = field(default_factory=Evaluation)
    conserved: tuple[str, ...] = ()
    up_to_constant: tuple[str, ...] = ()
    sister: str = ""
    description: str = ""
    source: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    file: ProblemFile | None = None

    def __post_init__(self) -> None:
        from pdesolve.wellposed import check

        check(self)

    @cached_property
    def axes(self) -> Axes:
        """Time, if there is any, then space."""
        return Axes(((self.time,) if self.time else ()) + self.domain.axes.members)

    @cached_property
    def all_conditions(self) -> tuple[Condition, ...]:
        """The conditions, with those that periodic axes imply."""
        return (*self.conditions, *(Periodic(axis.name) for axis in self.domain.axes if axis.periodic))

    @cached_property
    def named_conditions(self) -> dict[str, Condition]:
        """All conditions by names of their own.

        Where a value and a slope are given at the same place the latter is called "slope of u at x_min"; a second set
        of observations of u is called "observed u 2".
        """
        found: dict[str, Condition] = {}
        shared = Counter(condition.name for condition in self.all_conditions)
        for condition in self.all_conditions:
            first = condition.name if shared[condition.name] == 1 else condition.full_name
            numbers = (f"{first} {i}" for i in itertools.count(2))
            found[next(name for name in itertools.chain([first], numbers) if name not in found)] = condition
        return found

    @property
    def nondimensional(self) -> bool:
        """Whether any axis has no unit, so that the units of the unknowns do not apply."""
        return any(axis.unit is None for axis in self.axes)

    def unknown(self, name: str) -> Unknown:
        """The unknown of this name, or the one that has a scalar of this name."""
        for unknown in self.equation.unknowns:
            if name in (unknown.name, *unknown.scalars):
                return unknown
        raise unknown_name("unknown", name, self.equation.scalars)

    def quantity(self, name: str) -> Quantity:
        """Name and unit of a scalar of the state."""
        return Quantity(name, None if self.nondimensional else Unit.parse(self.unknown(name).unit))

    def bind(self, x: Coordinates, values: Mapping[str, Value] | None = None) -> dict[str, Field]:
        """Every parameter of the equation as a field at x: what the equation calls p.

        `values` take the place of the problem's own; functions are called with the numbers and with x.
        """
        given: dict[str, Any] = {**self.values, **(values or {})}
        declared = {parameter.name: parameter for parameter in self.equation.parameters}
        for name in given:
            if name not in declared:
                raise unknown_name("parameter", name, declared)
        p: dict[str, Field] = {}
        later = []
        for name, parameter in declared.items():
            value = given.get(name, parameter.default)
            unit = None if self.nondimensional else Unit.parse(parameter.unit)
            if value is None:
                raise InputError(f"{self.name}: parameter {name!r} of {type(self.equation).__name__} has no value")
            if isinstance(value, GridField):
                p[name] = interpolate(value, x)
            elif callable(value):
                later.append(name)
            else:
                if not isinstance(value, Tensor):
                    parameter.check(float(value))
                p[name] = Constant(torch.as_tensor(value, dtype=x.dtype, device=x.device), Quantity(name, unit))
        for name in later:
            result = given[name](p, x)
            p[name] = result if isinstance(result, Field) else x.constant(float(result), name)
        return p

    def state(self, scalars: Mapping[str, Tensor], x: Coordinates) -> State:
        """A state from tensors (*sample, *places) of its scalars."""
        fields = {}
        for name in self.equation.scalars:
            quantity = self.quantity(name)
            fields[name] = x.field(scalars[name], name, quantity.unit)
        return assemble(self.equation.unknowns, fields)

    def evolution(self) -> Evolution:
        """The equation as an evolution.

        Raises:
            InputError: the equation is stationary.
        """
        if not isinstance(self.equation, Evolution):
            raise InputError(f"{self.name} is stationary: {type(self.equation).__name__} is not an evolution in time")
        return self.equation

    def initial_state(self, x: Coordinates, values: Mapping[str, Value] | None = None) -> dict[str, Any]:
        """The initial values at coordinates of space; for order 2 also the initial rates, as `velocity_name(u)`."""
        from pdesolve.equation import velocity_name

        assert self.time is not None
        x = x.at_instant(self.time.lower)
        p = self.bind(x, values)
        state: dict[str, Any] = {}
        for condition in self.conditions:
            if isinstance(condition, (InitialValue, InitialRate)):
                name = condition.unknown if isinstance(condition, InitialValue) else velocity_name(condition.unknown)
                value = evaluate(condition.value, p, x)
                full = value.map(x.expand) if isinstance(value, Vector) else x.expand(value)
                components = self.unknown(condition.unknown).components
                if components and isinstance(full, Field):
                    full = Vector(dict.fromkeys(components, full))
                state[name] = full
        return state

    def edges(
        self,
        unknown: str,
        grid: Grid,
        *,
        values: Mapping[str, Value] | None = None,
        time: float | Tensor | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> dict[str, Edge]:
        """What a scalar of the state obeys at each side of a grid of space (or of space and time): for a grid field."""
        owner = self.unknown(unknown)
        component = dict(zip(owner.scalars, owner.components, strict=False)).get(unknown)
        edges: dict[str, Edge] = {}
        for condition in self.conditions:
            if not isinstance(condition, BoundaryCondition) or condition.unknown != owner.name:
                continue
            for part in condition.parts(self):
                side = self.domain.boundaries[part]
                axis, end = part.rsplit("_", 1)
                coordinate = getattr(side, "coordinate")  # noqa: B009  boxes only: other domains have no grid edges
                member = GridAxis.at(grid.axes[axis], [coordinate])
                face = Grid(tuple(member if m.axis.name == axis else m for m in grid.members), grid.accuracy)
                x = Coordinates(face, dtype=dtype, device=device)
                if time is not None:
                    x = x.at_instant(time)
                value: Any = evaluate(condition.value, self.bind(x, values), x)
                value = value[component] if isinstance(value, Vector) and component else value
                if f"{axis}_{end}" in edges:
                    raise InputError(f"{self.name}: {unknown} has two conditions at {part}, a grid field obeys one")
                alpha, beta = condition.coefficients
                edges[f"{axis}_{end}"] = Edge(alpha, beta, x.expand(value).values)
        return edges

    def sample(self, n: int, sampler: Sampler, generator: Generator) -> PointCloud:
        """About n collocation points inside the domain, at all times."""
        return sample(self.domain, n, generator=generator, sampler=sampler, time=self.time)

    def grid(
        self,
        points: int | Mapping[str, int],
        times: Sequence[float] | None = None,
        *,
        bounded: Placement = "nodes",
        accuracy: int = 4,
    ) -> Grid:
        """A grid of space, and of the given times."""
        if not self.domain.is_box:
            raise InputError(f"{self.name}: its domain is no box, so that no tensor-product grid fits it")
        axes = self.axes if times is not None else self.domain.axes
        return Grid.regular(axes, points, times=times, bounded=bounded, accuracy=accuracy)

    @cached_property
    def evaluation_set(self) -> Grid | PointCloud:
        """Where errors are measured: a grid on boxes of few axes, else fixed points of the domain, at each time."""
        times = self.evaluation.times if self.time else None
        if self.domain.is_box and self.domain.dimension <= _GRID_DIMENSIONS:
            return self.grid(self.evaluation.points, times, bounded=self.evaluation.bounded)
        sizes = self.evaluation.points
        count = sizes**self.domain.dimension if isinstance(sizes, int) else math.prod(sizes.values())
        generator = torch.Generator().manual_seed(0)
        cloud = sample(self.domain, min(count, _EVALUATION_POINTS), sampler="sobol", generator=generator)
        if times is None:
            return cloud
        columns = [torch.cat([torch.full_like(cloud.x[:, :1], t), cloud.x], 1) for t in times]
        return PointCloud(self.axes, torch.cat(columns))

    def judged(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scalars (*sample, *places) on the evaluation set as they are judged: less their mean where that is free."""
        return {name: self._centred(v) if name in self.up_to_constant else v for name, v in values.items()}

    def _centred(self, values: Tensor) -> Tensor:
        places = self.evaluation_set
        if isinstance(places, Grid):
            return values - values.mean(tuple(range(-self.domain.dimension, 0)), keepdim=True)
        each = values.unflatten(-1, (len(self.evaluation.times) if self.time else 1, -1))
        return (each - each.mean(-1, keepdim=True)).flatten(-2)

    def at_last_time(self, values: Tensor) -> Tensor:
        """Of values (*sample, *places) on the evaluation set those at the last time; all of a stationary problem."""
        if self.time is None:
            return values
        if isinstance(self.evaluation_set, Grid):
            return values.select(-len(self.axes), -1)
        return values[..., values.shape[-1] - values.shape[-1] // len(self.evaluation.times) :]

    @property
    def final_time(self) -> float:
        return self.time.upper if self.time else math.nan
