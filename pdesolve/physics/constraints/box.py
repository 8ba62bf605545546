"""Exact conditions on boxes: u = g + D N, with g what the conditions say and D zero where they hold."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

from pdesolve.condition import Condition, Dirichlet, Given, InitialRate, InitialValue, evaluate
from pdesolve.constraint import Lift
from pdesolve.fields import Coordinates, Field, Quantity, Vector
from pdesolve.geometry import TIME, Face
from pdesolve.physics.constraints.linear_evolution import LinearEvolution, linear_evolution
from pdesolve.problem import Problem, Value

# Axes that are fixed, and where: {"x": 0.0, "t": 0.0}.
Fixed = dict[str, float]


@dataclass(frozen=True)
class Affine:
    """u = offset + factor N for each scalar; where nothing is exact the factor is 1 and the offset 0."""

    offset: Mapping[str, Any]
    factor: Mapping[str, Any]

    def __call__(self, outputs: Mapping[str, Field]) -> dict[str, Field]:
        return {name: self._lifted(name, field) for name, field in outputs.items()}

    def _lifted(self, name: str, field: Field) -> Field:
        offset, factor = self.offset[name], self.factor[name]
        lifted = field if isinstance(factor, float) and factor == 1.0 else factor * field
        lifted = lifted if _is_zero(offset) else lifted + offset
        return lifted if lifted is field else lifted.named(field.name, field.unit)


@dataclass(frozen=True, eq=False)
class BoxLift(Lift):
    """u = g + D N on a box: exact Dirichlet values, initial values and initial rates.

    With w the state that starts as it must and then fades, and P the transfinite interpolation of values on the sides
    (the Boolean sum of linear interpolations along each axis), s = (t - t0) / T and T a scale of time,

        g = w + P (b - w),   w = u0 (1 - e) + v0 (t - t0) / (1 + s^2)
        D = e product over axes of 4 (x - a) (b - x) / (b - a)^2, or of (x - a) / (b - a) where one end is held
        e = s / (1 + s), or s^2 / (1 + s^2) where the initial rate is held too

    T is the time in which the equation changes u0 by its own size, so that N has to be of order one from the start on.
    With e = (t - t0) / length and w = u0 + v0 (t - t0) instead, Levenberg-Marquardt ends 20 to 70 times higher after
    the same time (heat_1d_sister, wave_1d_sister); a term rate(u0) in w does not help.

    An initial value with a kink, on a periodic interval where the equation's linear part smooths it, is `evolved` by
    that part alone: u = w + (t - t0) / (t1 - t0) N, w = exp((t - t0) Λ) u0 (`LinearEvolution`; exact but for waves left
    out, some 1e-6 of u0). With w = u0 the kink would stay for all times. Networks get this w as an input.

    b - w vanishes at t0 since the data agree there, so that g starts as w does without any derivative of b. Values on a
    side are asked for at points of that side only, initial values at the initial time only. Periodic conditions hold by
    the network's embedding of periodic axes and are counted as exact.

    W. J. Gordon, C. A. Hall, Int. J. Numer. Meth. Eng. 7 (1973) 461 for P; I. E. Lagaris, A. Likas, D. I. Fotiadis,
    IEEE Trans. Neural Netw. 9 (1998) 987 for g + D N.

    Attributes:
        exact: the conditions that hold for every network.
        soft: the others, each with the reason.
        time_scales: T of each unknown.
        evolved: the linear evolutions of initial values that are not smooth, by unknown.
    """

    problem: Problem
    exact: tuple[str, ...]
    soft: Mapping[str, str]
    time_scales: Mapping[str, float]
    evolved: Mapping[str, LinearEvolution]

    @staticmethod
    def from_record(problem: Problem, record: Mapping[str, Any], values: Mapping[str, Value] | None = None) -> BoxLift:
        """The lift that `record` describes, of the same values as it was made with."""
        evolved = {name: linear_evolution(problem, values) for name in record["evolved"]}
        return BoxLift(
            problem, tuple(record["exact"]), dict(record["soft"]), dict(record["time_scales"]),
            {name: evolution for name, evolution in evolved.items() if evolution is not None},
        )  # fmt: skip

    def record(self) -> Mapping[str, Any]:
        return {
            "exact": list(self.exact),
            "soft": dict(self.soft),
            "time_scales": dict(self.time_scales),
            "evolved": list(self.evolved),
        }

    @property
    def inputs(self) -> Mapping[str, nn.Module]:
        return self.evolved

    def at(self, x: Coordinates, values: Mapping[str, Value]) -> Affine:
        data = _Data(self.problem, x, values)
        offset, factor = {}, {}
        for unknown in self.problem.equation.unknowns:
            pieces = self._pieces[unknown.name]
            for scalar, component in zip(unknown.scalars, unknown.components or (None,), strict=True):
                offset[scalar] = pieces.offset(data, component)
                factor[scalar] = pieces.factor(data)
        return Affine(offset, factor)

    @cached_property
    def _pieces(self) -> dict[str, Pieces]:
        held = {name: c for name, c in self.problem.named_conditions.items() if name in self.exact}
        return {
            unknown.name: Pieces.of(
                self.problem,
                {n: c for n, c in held.items() if getattr(c, "unknown", None) == unknown.name},
                self.time_scales.get(unknown.name, 1.0),
                self.evolved.get(unknown.name),
            )
            for unknown in self.problem.equation.unknowns
        }


@dataclass(frozen=True)
class Pieces:
    """What is held of one unknown: `sides` by axis and end (-1, 1), the value and the rate it starts with."""

    sides: Mapping[str, Mapping[int, Dirichlet]]
    value: InitialValue | None
    rate: InitialRate | None
    time_scale: float
    evolution: LinearEvolution | None = None

    @staticmethod
    def of(
        problem: Problem, held: Mapping[str, Condition], time_scale: float, evolution: LinearEvolution | None = None
    ) -> Pieces:
        """The pieces that conditions of one unknown make."""
        sides: dict[str, dict[int, Dirichlet]] = {}
        value = rate = None
        for condition in held.values():
            if isinstance(condition, Dirichlet):
                for part in condition.parts(problem):
                    face = problem.domain.boundaries[part]
                    assert isinstance(face, Face)
                    sides.setdefault(face.axis, {})[face.side] = condition
            elif isinstance(condition, InitialValue):
                value = condition
            elif isinstance(condition, InitialRate):
                rate = condition
        return Pieces(sides, value, rate, time_scale, evolution)

    @property
    def evaluations(self) -> int:
        """How often values on sides, edges and corners are asked for: some 3^d times."""
        return math.prod(1 + len(ends) for ends in self.sides.values()) - 1

    def factor(self, data: _Data) -> Any:
        """D: zero where the conditions hold, of order one elsewhere."""
        total: Any = 1.0
        for name, ends in self.sides.items():
            below, above = (data.part(name, end) for end in (-1, 1))
            total = total * (4.0 * below * above if len(ends) == 2 else below if -1 in ends else above)
        return total * self._growth(data) if self.value is not None else total

    def offset(self, data: _Data, component: str | None) -> Any:
        """g: a state that obeys the conditions."""
        if self.value is None and self.constant is not None:
            return self.constant
        terms = [self._start(data, {}, component)]
        for choice in itertools.product(*[(0, *ends) for ends in self.sides.values()]):
            sides = {axis: end for axis, end in zip(self.sides, choice, strict=True) if end}
            if not sides:
                continue
            fixed = {axis: data.end(axis, end) for axis, end in sides.items()}
            axis, end = next(iter(sides.items()))
            gap = data.given(self.sides[axis][end].value, fixed, component) - self._start(data, fixed, component)
            for axis, end in sides.items():
                if len(self.sides[axis]) == 2 and not _is_zero(gap):
                    gap = gap * data.part(axis, -end)
            terms.append(gap if len(sides) % 2 else -gap)
        return _total([term for term in terms if not _is_zero(term)])

    @property
    def constant(self) -> float | None:
        """The one number that is given on all sides, if it is."""
        given = {c.value for ends in self.sides.values() for c in ends.values() if isinstance(c.value, (int, float))}
        held = [c for ends in self.sides.values() for c in ends.values()]
        if len(given) == 1 and all(isinstance(c.value, (int, float)) for c in held):
            return float(next(iter(given)))
        return None

    def _growth(self, data: _Data) -> Any:
        """e: what of the solution is free at each time, from nothing at first to all of it."""
        s = data.elapsed / self.time_scale
        if self.evolution is not None:
            return s
        if self.rate is not None:
            s = s**2
        return s / (1.0 + s)

    def _start(self, data: _Data, fixed: Fixed, component: str | None) -> Any:
        """w: the state that starts as it must, on the sides where axes are fixed."""
        if self.value is None:
            return 0.0
        if self.evolution is not None:
            return data.evolved(self.evolution)
        fixed = {**fixed, TIME: data.end(TIME, -1)}
        state = data.given(self.value.value, fixed, component)
        if not _is_zero(state):
            state = state * (1.0 - self._growth(data))
        rate = 0.0 if self.rate is None else data.given(self.rate.value, fixed, component)
        if _is_zero(rate):
            return state
        return state + rate * data.elapsed / (1.0 + (data.elapsed / self.time_scale) ** 2)


class _Data:
    """What conditions give at the feet of places on sides, edges, corners, and at the initial time; asked for once."""

    def __init__(self, problem: Problem, x: Coordinates, values: Mapping[str, Value]) -> None:
        self.problem, self.x, self.values = problem, x, values
        self._found: dict[tuple[Any, ...], Any] = {}

    @property
    def elapsed(self) -> Any:
        """t - t0."""
        return self._once(("elapsed",), lambda: self.x[TIME] - self.end(TIME, -1))

    def end(self, axis: str, end: int) -> float:
        """The coordinate of an end of an axis."""
        return self.problem.axes[axis].lower if end < 0 else self.problem.axes[axis].upper

    def part(self, axis: str, end: int) -> Any:
        """The distance from an end of an axis as a part of its length."""
        member = self.problem.axes[axis]
        distance = (lambda: self.x[axis] - member.lower) if end < 0 else (lambda: member.upper - self.x[axis])
        return self._once((axis, end), lambda: distance() / member.length)

    def given(self, value: Given, fixed: Fixed, component: str | None) -> Any:
        """A number, or a field that is constant along the axes that are fixed."""
        if isinstance(value, (int, float)):
            return float(value)
        field = self._once((id(value), *sorted(fixed.items())), lambda: self._evaluate(value, fixed))
        return field[component] if isinstance(field, Vector) and component is not None else field

    def evolved(self, evolution: LinearEvolution) -> Field:
        """What linear evolution makes of the initial value."""
        evolution.to(device=self.x.device, dtype=self.x.dtype)
        return self.x.outputs(evolution, [Quantity("linear evolution")])["linear evolution"]

    def _evaluate(self, value: Given, fixed: Fixed) -> Any:
        y = self.x.projected(fixed)
        return evaluate(value, self.problem.bind(y, self.values) if callable(value) else {}, y)

    def _once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        if key not in self._found:
            self._found[key] = make()
        return self._found[key]


def _is_zero(term: Any) -> bool:
    return isinstance(term, float) and term == 0.0


def _total(terms: list[Any]) -> Any:
    """The sum of the terms, half by half: one after the other is too deep for fields that are formulas."""
    if len(terms) <= 2:
        return terms[0] + terms[1] if len(terms) == 2 else terms[0] if terms else 0.0
    half = len(terms) // 2
    return _total(terms[:half]) + _total(terms[half:])
