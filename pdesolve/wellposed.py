"""Checks of a problem before an hour is spent on it."""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from numbers import Number
from typing import TYPE_CHECKING, Any

import torch

from pdesolve.condition import (
    BoundaryCondition,
    Condition,
    Dirichlet,
    Impermeable,
    InitialRate,
    InitialValue,
    Observed,
    Periodic,
    Traction,
    evaluate,
)
from pdesolve.equation import Elastic, Equation, Evolution, flatten, velocity_name
from pdesolve.errors import InputError, unknown_name
from pdesolve.fields import Coordinates, GridField, Vector, d
from pdesolve.geometry import TIME, Domain, Face, PointCloud
from pdesolve.orders import check_boundary_counts

if TYPE_CHECKING:
    from pdesolve.problem import Problem


def check(problem: Problem) -> None:
    """Refuse what cannot work: conditions missing, doubled, elsewhere or not finite.

    Boundaries without any condition or with too few, and corners where conditions disagree, are warned of.

    Raises:
        InputError: naming what was expected, what came and what to write.
    """
    _check_kinds(problem)
    _check_time(problem)
    _check_names(problem)
    _check_counts(problem)
    _check_finite(problem)
    _check_rows(problem)
    check_boundary_counts(problem)
    _warn_of_open_boundaries(problem)
    _warn_of_corners(problem)


def _check_kinds(problem: Problem) -> None:
    for what, value, kind in (("equation", problem.equation, Equation), ("domain", problem.domain, Domain)):
        if not isinstance(value, kind):
            raise InputError(f"{problem.name}: the {what} must be a {kind.__name__}, got {value!r}")
    if isinstance(problem.conditions, Condition):
        raise InputError(f"{problem.name}: conditions is a list, got one condition: put it in brackets")
    for condition in problem.conditions:
        if not isinstance(condition, Condition):
            raise InputError(f"{problem.name}: a condition is Dirichlet, InitialValue or another, got {condition!r}")


def _check_time(problem: Problem) -> None:
    evolution = isinstance(problem.equation, Evolution)
    kind = type(problem.equation).__name__
    if evolution and problem.time is None:
        raise InputError(f"{problem.name}: {kind} evolves in time: give time=Axis('t', 0, 1)")
    if not evolution and problem.time is not None:
        raise InputError(f"{problem.name}: {kind} is stationary: leave time out")
    if problem.time is None:
        return
    if problem.time.name != TIME:
        raise InputError(
            f"{problem.name}: the time axis is called {TIME!r}, got {problem.time.name!r}: write Axis({TIME!r}, "
            f"{problem.time.lower}, {problem.time.upper})"
        )
    times = problem.evaluation.times
    if not times:
        raise InputError(f"{problem.name}: the evaluation set has no times: write Evaluation(points, times=(0.5, 1.0))")
    slack = 1e-9 * problem.time.length
    if min(times) < problem.time.lower - slack or max(times) > problem.time.upper + slack:
        raise InputError(
            f"{problem.name}: evaluation times from {min(times)} to {max(times)} leave the time axis "
            f"[{problem.time.lower}, {problem.time.upper}]"
        )


def _check_names(problem: Problem) -> None:
    if isinstance(problem.evaluation.points, Mapping):
        for name in problem.evaluation.points:
            problem.domain.axes.index(name)
    unknowns = [unknown.name for unknown in problem.equation.unknowns]
    for name in problem.up_to_constant:
        if name not in problem.equation.scalars:
            raise unknown_name("unknown", name, problem.equation.scalars)
    for condition in problem.conditions:
        unknown = getattr(condition, "unknown", None)
        known = problem.equation.scalars if isinstance(condition, Observed) else unknowns
        if unknown is not None and unknown not in known:
            raise unknown_name("unknown", unknown, known)
        if isinstance(condition, Periodic):
            raise InputError(
                f"{problem.name}: write Axis({condition.axis!r}, ..., periodic=True) instead of a Periodic condition; "
                "the problem then has that condition by itself"
            )
        if isinstance(condition, Impermeable) and not problem.unknown(condition.unknown).components:
            raise InputError(f"{problem.name}: {condition.name} is about a vector: write Dirichlet or Neumann")
        if isinstance(condition, Traction) and not isinstance(problem.equation, Elastic):
            raise InputError(
                f"{problem.name}: {condition.name} is about an elastic body, and {type(problem.equation).__name__} has "
                "no stress: write Dirichlet or Neumann"
            )
        if isinstance(condition, (BoundaryCondition, Impermeable, Traction)):
            known = problem.domain.boundaries
            if not known:
                raise InputError(
                    f"{problem.name}: {condition.name} cannot hold, the domain has no boundary: every axis is periodic"
                )
            for part in condition.parts(problem):
                if part not in known:
                    raise unknown_name("boundary", part, known)
        if isinstance(condition, (InitialValue, InitialRate)) and problem.time is None:
            raise InputError(f"{problem.name}: {condition.name} needs an evolution in time")
        if isinstance(condition, Observed) and condition.points.shape[1] != len(problem.axes):
            raise InputError(
                f"{condition.name}: points need the {len(problem.axes)} columns {problem.axes}, "
                f"got {condition.points.shape[1]}"
            )
        if isinstance(condition, Observed):
            _check_inside(problem, condition)


def _check_inside(problem: Problem, condition: Observed) -> None:
    for column, axis in zip(condition.points.T, problem.axes, strict=True):
        slack = 1e-9 * axis.length
        if column.size and (column.min() < axis.lower - slack or column.max() > axis.upper + slack):
            raise InputError(
                f"{problem.name}: {condition.name}: {axis.name} runs from {column.min():.6g} to {column.max():.6g}, "
                f"outside of [{axis.lower:.6g}, {axis.upper:.6g}]: leave those observations out"
            )


def _check_counts(problem: Problem) -> None:
    for kind, what in ((InitialValue, "initial value"), (InitialRate, "initial rate")):
        given = Counter(c.unknown for c in problem.conditions if isinstance(c, kind))
        for unknown, count in given.items():
            if count > 1:
                raise InputError(f"{problem.name}: {count} conditions give the {what} of {unknown}, expected one")
    pulled = [(c.unknown, part) for c in problem.conditions if isinstance(c, Traction) for part in c.parts(problem)]
    given = [
        (c.unknown, part)
        for c in problem.conditions
        if isinstance(c, (BoundaryCondition, Traction))
        for part in c.parts(problem)
    ]
    for unknown, part in pulled:
        if given.count((unknown, part)) > 1:
            raise InputError(f"{problem.name}: {unknown} has a traction and another condition at {part}, expected one")
    equation = problem.equation
    if not isinstance(equation, Evolution):
        return
    values = {c.unknown for c in problem.conditions if isinstance(c, InitialValue)}
    rates = {c.unknown for c in problem.conditions if isinstance(c, InitialRate)}
    for unknown in equation.evolving:
        if unknown.name not in values:
            raise InputError(
                f"{problem.name}: {unknown.name} has no initial value: add InitialValue({unknown.name!r}, ...)"
            )
        if equation.order == 2 and unknown.name not in rates:
            raise InputError(
                f"{problem.name}: {type(equation).__name__} is of second order in time and {unknown.name} has no "
                f"initial rate: add InitialRate({unknown.name!r}, 0.0)"
            )
    if equation.order == 1 and rates:
        raise InputError(
            f"{problem.name}: {type(equation).__name__} is of first order in time: its initial value determines it, "
            f"leave out the initial rate of {', '.join(sorted(rates))}"
        )


def _check_finite(problem: Problem) -> None:
    for name, value in problem.values.items():
        _check_given(problem, f"the parameter {name}", value)
    for condition in problem.conditions:
        if isinstance(condition, (BoundaryCondition, Traction, InitialValue, InitialRate)):
            if condition.value is None:
                raise InputError(f"{problem.name}: {condition.name} has no value, got None: write 0.0")
            _check_given(problem, f"the value of {condition.name}", condition.value)
    x: Coordinates
    if problem.domain.is_box:
        x = Coordinates(problem.grid(17 if problem.domain.dimension < 4 else 3))
    else:
        generator = torch.Generator().manual_seed(0)
        inside = problem.sample(256, "sobol", generator)
        start = 1 if problem.time else 0
        x = Coordinates(PointCloud(problem.domain.axes, inside.x[:, start:]))
    if problem.time is not None:
        state = problem.initial_state(x)
        for name, field in flatten(state).items():
            bad = ~torch.isfinite(x.expand(field).values.reshape(-1, *field.values.shape[-len(x.axes) :]))
            if bad.any():
                where = bad.any(0).reshape(-1).nonzero()[0]
                place = ", ".join(
                    f"{a} = {float(v):.4g}" for a, v in zip(x.axes.names, x.columns()[where][0], strict=True)
                )
                raise InputError(f"{problem.name}: the initial state {name} is not finite at {place}")
    generator = torch.Generator().manual_seed(0)
    _check_fields(problem, "the parameter", Coordinates(problem.sample(64, "sobol", generator)), problem.bind)
    for condition in problem.conditions:
        if isinstance(condition, (BoundaryCondition, Traction)) and callable(condition.value):
            value = partial(_boundary_value, problem, condition)
            cloud = condition.sample(problem, 64, "regular", generator)
            _check_fields(problem, "the value of", Coordinates(cloud), value)


def _boundary_value(problem: Problem, condition: BoundaryCondition | Traction, x: Coordinates) -> dict[str, Any]:
    return {condition.name: evaluate(condition.value, problem.bind(x), x)}


def _check_fields(
    problem: Problem, what: str, x: Coordinates, values: Callable[[Coordinates], Mapping[str, Any]]
) -> None:
    """Functions of (p, x) at points x."""
    for name, field in flatten(values(x)).items():
        bad = ~torch.isfinite(x.expand(field).values.detach()).reshape(-1, len(x.columns()))
        if bad.any():
            point = x.columns()[bad.any(0).nonzero()[0, 0]].tolist()
            place = ", ".join(f"{a} = {v:.4g}" for a, v in zip(x.axes.names, point, strict=True))
            raise InputError(f"{problem.name}: {what} {name} is not finite at {place}")


def _check_rows(problem: Problem) -> None:
    """A dry run at three points: rows of the right names, fields that may be added, units that agree."""
    equation = problem.equation
    if "point" not in equation.kinds:
        return
    x = Coordinates(problem.sample(3, "sobol", torch.Generator().manual_seed(0)))
    total = sum((field.values for field in x.values()), torch.zeros(()))
    u = problem.state(dict.fromkeys(equation.scalars, total), x)
    kind = type(equation).__name__
    given: Any = None
    if isinstance(equation, Evolution):
        velocities = {velocity_name(v.name): d(u[v.name], "t") for v in equation.evolving}
        given = equation.rate({**u, **velocities} if equation.order == 2 else u, problem.bind(x), x)
        expected, method = {unknown.name for unknown in equation.evolving}, "rate"
    else:
        given = equation.residual(u, problem.bind(x), x)
        expected, method = {unknown.name for unknown in equation.unknowns}, "residual"
    if not isinstance(given, Mapping) or set(given) != expected:
        found = ", ".join(given) if isinstance(given, Mapping) else f"a {type(given).__name__}"
        names = ", ".join(f"{name!r}: ..." for name in sorted(expected))
        raise InputError(f"{problem.name}: {kind}.{method} must return {{{names}}}, got {found or 'nothing'}")
    if isinstance(equation, Evolution):
        equation.residual(u, problem.bind(x), x)
    _check_range(problem)


def _check_range(problem: Problem) -> None:
    """The rows are finite for some state, at every place: formulas of the coordinates stay in their range."""
    equation = problem.equation
    x = Coordinates(problem.sample(64, "sobol", torch.Generator().manual_seed(0)))
    total = sum((field.values for field in x.values()), torch.zeros(()))
    ever = torch.zeros(len(total), dtype=torch.bool)
    for values in (0.0 * total, 1.0 + 0.0 * total, total):
        u = problem.state(dict.fromkeys(equation.scalars, values), x)
        rows = flatten(equation.residual(u, problem.bind(x), x)).values()
        parts = [torch.isfinite(x.expand(row).values.detach()).reshape(-1, len(total)).all(0) for row in rows]
        ever = ever | torch.stack(parts).all(0)
    if not bool(ever.all()):
        point = x.columns()[(~ever).nonzero()[0, 0]].tolist()
        place = ", ".join(f"{a} = {v:.4g}" for a, v in zip(x.axes.names, point, strict=True))
        raise InputError(
            f"{problem.name}: the equation is not finite at {place}: a logarithm, a root or a quotient in it leaves "
            "its range there"
        )


def _check_given(problem: Problem, what: str, value: Any) -> None:
    """Every number and every value of a grid field, since a coarse look may miss one."""
    if isinstance(value, GridField):
        bad = ~torch.isfinite(value.values.expand(*value.sample_shape, *value.grid.shape))
        if bad.any():
            place = bad.nonzero()[0, -len(value.grid.members) :].tolist()
            where = zip(value.grid.members, place, strict=True)
            raise InputError(
                f"{problem.name}: {what} is not finite at "
                + ", ".join(f"{member.axis.name} = {member.points[i]:.4g}" for member, i in where)
            )
    elif isinstance(value, (Number, torch.Tensor)) and not bool(torch.isfinite(torch.as_tensor(value)).all()):
        raise InputError(f"{problem.name}: {what} is not finite, got {value}")
    elif value is not None and not callable(value) and not isinstance(value, (Number, torch.Tensor)):
        raise InputError(
            f"{problem.name}: {what} must be a number, a function of (p, x) or a field, got {value!r}: write 0.1, or "
            "torch.tensor([...]) for one per sample"
        )


def _warn_of_open_boundaries(problem: Problem) -> None:
    """An unknown with no condition on any boundary part: right for pure outflow, else something was forgotten."""
    held = {
        (condition.unknown, part)
        for condition in problem.conditions
        if isinstance(condition, (BoundaryCondition, Impermeable, Traction))
        for part in condition.parts(problem)
    }
    for unknown in problem.equation.unknowns:
        open_parts = [part for part in problem.domain.boundaries if (unknown.name, part) not in held]
        # an evolution may well flow out through some of its boundary
        some = problem.time is None or len(open_parts) == len(problem.domain.boundaries)
        parts = ", ".join(open_parts)
        if parts and some and not unknown.algebraic:
            warnings.warn(
                f"{problem.name}: {unknown.name} has no condition on the boundary ({parts}): "
                f"unless everything flows out there, give a value or a slope: {_example(problem, unknown.name)}",
                stacklevel=5,
            )


def _example(problem: Problem, unknown: str) -> str:
    """A condition as one would write it down: in Python, or in the file that the problem comes from."""
    return f"boundary: {{elsewhere: {unknown} = 0}}" if problem.file else f"Dirichlet({unknown!r}, 'all', 0.0)"


def _warn_of_corners(problem: Problem) -> None:
    """Dirichlet values that disagree with one another, or with the initial value, where their places meet."""
    if not problem.domain.is_box:
        return
    dirichlet = [c for c in problem.conditions if isinstance(c, Dirichlet)]
    sides = [(c, part) for c in dirichlet for part in c.parts(problem)]
    for condition, part in sides:
        for initial in problem.conditions:
            if isinstance(initial, InitialValue) and initial.unknown == condition.unknown and problem.time:
                _compare(problem, (condition, part), (initial, None))
    for first, second in itertools.combinations(sides, 2):
        if first[0] is second[0]:
            continue  # one value where both hold
        if first[0].unknown == second[0].unknown and first[1].rsplit("_", 1)[0] != second[1].rsplit("_", 1)[0]:
            _compare(problem, first, second)


def _compare(problem: Problem, first: tuple[Any, str], second: tuple[Any, str | None]) -> None:
    fixed: dict[str, float] = {}
    for _, part in (first, second):
        if part is None:
            assert problem.time is not None
            fixed["t"] = problem.time.lower
        else:
            face = problem.domain.boundaries[part]
            assert isinstance(face, Face)
            fixed[face.axis] = face.coordinate
    # along the edge where both hold: its ends and three points between, for each free axis; fewer where there are many
    count = 5 if len(problem.axes) < 5 else 2 if len(problem.axes) < 12 else 1
    columns = [
        torch.tensor([fixed[a.name]], dtype=torch.float64)
        if a.name in fixed
        else torch.linspace(a.lower, a.upper, count, dtype=torch.float64)
        for a in problem.axes
    ]
    points = torch.cartesian_prod(*columns).reshape(-1, len(problem.axes))
    x = Coordinates(PointCloud(problem.axes, points))
    p = problem.bind(x)
    a, b = evaluate(first[0].value, p, x), evaluate(second[0].value, p, x)
    pairs = [(a[n], b[n]) for n in a.names] if isinstance(a, Vector) and isinstance(b, Vector) else [(a, b)]
    for left, right in pairs:
        if isinstance(left, Vector) or isinstance(right, Vector):
            continue
        va, vb = x.expand(left).values.detach(), x.expand(right).values.detach()
        gap = (va - vb).abs()
        if bool((gap > 1e-6 * (1 + va.abs().max())).any()):
            i = int(gap.reshape(-1, gap.shape[-1]).amax(0).argmax())
            corner = ", ".join(f"{name} = {v:.4g}" for name, v in zip(x.axes.names, points[i].tolist(), strict=True))
            second_name = second[0].name if second[1] is None else f"{second[0].unknown} at {second[1]}"
            warnings.warn(
                f"{problem.name}: at the corner {corner} the condition {first[0].unknown} at {first[1]} gives "
                f"{float(va.reshape(-1, va.shape[-1])[0, i]):.4g} and {second_name} gives "
                f"{float(vb.reshape(-1, vb.shape[-1])[0, i]):.4g}",
                stacklevel=5,
            )
