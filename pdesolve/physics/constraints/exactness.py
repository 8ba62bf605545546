"""Which conditions of a problem a lift can hold exactly, and why others are left to the loss."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pdesolve.condition import (
    BoundaryCondition,
    Condition,
    Dirichlet,
    Impermeable,
    InitialRate,
    InitialValue,
    Periodic,
    Traction,
    evaluate,
)
from pdesolve.equation import Evolution, flatten
from pdesolve.errors import unknown_name
from pdesolve.fields import Constant, Coordinates, Field, Vector, d
from pdesolve.geometry import TIME, Face, PointCloud
from pdesolve.physics.constraints.box import BoxLift, Pieces
from pdesolve.physics.constraints.linear_evolution import LinearEvolution, linear_evolution
from pdesolve.physics.constraints.smoothness import flaw
from pdesolve.problem import Problem, Value

_AGREEMENT = 1e-9  # of the size of the data, where conditions meet
_MOST = 1000  # evaluations of boundary values at sides, edges and corners: 3^6 of a box in six dimensions
_POINTS = 64

# A place where a condition holds: the axes that are fixed there.
Place = dict[str, float]


def lift(problem: Problem, values: Mapping[str, Value] | None = None, *, learned: Collection[str] = ()) -> BoxLift:
    """The lift that holds as many of the problem's conditions as it can.

    values: those that take the place of the problem's own. learned: names of parameters that are trained; conditions
    whose data depend on them stay soft. Conditions that contradict one another cannot all hold: initial rates give way
    first, then initial values, then the side conditions on the fewest parts.

    The decision takes some seconds at most and is made in float64 whatever the network is in.
    """
    for name in learned:
        if name not in (known := [parameter.name for parameter in problem.equation.parameters]):
            raise unknown_name("parameter", name, known)
    fixed = {name: value for name, value in (values or {}).items() if name not in learned}
    data = Data(problem, fixed, tuple(learned))
    soft: dict[str, str] = {}
    exact: dict[str, Condition] = {}
    for name, condition in problem.named_conditions.items():
        reason = _of_another_kind(problem, condition)
        if reason is None:
            exact[name] = condition
        else:
            soft[name] = reason
    evolved: dict[str, LinearEvolution] = {}
    for unknown in problem.equation.unknowns:
        # the costly first, so that nothing is looked at in vain
        for reasons in (_costly, _unsuitable, _disagreements):
            own = {name: c for name, c in exact.items() if getattr(c, "unknown", None) == unknown.name}
            for name, reason in reasons(data, own).items():
                smoothed = None
                if isinstance(own[name], InitialValue) and not learned:
                    smoothed = linear_evolution(problem, fixed)
                if smoothed is not None:
                    evolved[unknown.name] = smoothed
                else:
                    soft[name] = reason
                    del exact[name]
    names = [name for name in problem.named_conditions if name in exact]
    scales = time_scales(problem, fixed)
    if problem.time is not None:
        scales |= dict.fromkeys(evolved, problem.time.length)
    return BoxLift(problem, tuple(names), {n: soft[n] for n in problem.named_conditions if n in soft}, scales, evolved)


class Data:
    """What conditions give at points where they hold."""

    def __init__(self, problem: Problem, values: Mapping[str, Value], learned: tuple[str, ...]) -> None:
        self.problem, self.values, self.learned = problem, values, learned

    def fields(self, condition: Any, x: Coordinates) -> list[Field]:
        """The scalar fields that a condition gives."""
        unknown = self.problem.unknown(condition.unknown)
        field = evaluate(condition.value, self.problem.bind(x, self.values), x)
        fields = list(field) if isinstance(field, Vector) else [field]
        return fields * len(unknown.scalars) if len(fields) == 1 else fields

    def places(self, condition: Any) -> list[Place]:
        """The sides a condition holds on, or the initial instant."""
        if not isinstance(condition, BoundaryCondition):
            assert self.problem.time is not None
            return [{TIME: self.problem.time.lower}]
        faces = [self.problem.domain.boundaries[part] for part in condition.parts(self.problem)]
        return [{face.axis: face.coordinate} for face in faces if isinstance(face, Face)]

    def coordinates(self, place: Place) -> Coordinates:
        """Points of a place, its corners and some between."""
        axes = self.problem.axes
        free = [axis for axis in axes if axis.name not in place]
        engine = torch.quasirandom.SobolEngine(max(1, len(free)), scramble=True, seed=0)
        parts = engine.draw(_POINTS, dtype=torch.float64)[:, : len(free)]
        if len(free) <= 6:
            corners = torch.tensor(list(itertools.product((0.0, 1.0), repeat=len(free))), dtype=torch.float64)
            parts = torch.cat([corners.reshape(2 ** len(free), len(free)), parts])
        column = iter(parts.unbind(1))
        columns = [
            torch.full((len(parts),), place[a.name], dtype=torch.float64)
            if a.name in place
            else a.lower + a.length * next(column)
            for a in axes
        ]
        return Coordinates(PointCloud(axes, torch.stack(columns, 1)))

    def size(self, condition: Any) -> float:
        """The greatest absolute value of what a condition gives."""
        return max(
            float(field.values.detach().abs().max())
            for place in self.places(condition)
            for field in self.fields(condition, self.coordinates(place))
        )

    def trained(self, condition: Any) -> str | None:
        """The learned parameter that the data of a condition depend on, if any."""
        if not callable(condition.value):
            return None
        x = Coordinates(self.coordinates(self.places(condition)[0]).discretisation, gradients=False)
        for name in self.learned:
            own = self.problem.bind(x, self.values)[name].values
            watched = own.detach().clone().requires_grad_()
            field = evaluate(condition.value, self.problem.bind(x, {**self.values, name: watched}), x)
            if any(f.values.requires_grad for f in flatten({"": field}).values()):
                return name
        return None


def _of_another_kind(problem: Problem, condition: Condition) -> str | None:
    """Why a condition is of no kind that a lift can hold; None where it is of one."""
    if isinstance(condition, Periodic):
        return None
    if not problem.domain.is_box:
        return "the domain is no box"
    if isinstance(condition, BoundaryCondition) and not isinstance(condition, Dirichlet):
        return "it holds a slope, a lift holds values"
    if isinstance(condition, Impermeable):
        return "it holds one component of a vector, a lift holds values"
    if isinstance(condition, Traction):
        return "it holds forces, a lift holds values"
    if not isinstance(condition, (Dirichlet, InitialValue, InitialRate)):
        return "measurements need not be exact"
    return None


def _costly(data: Data, own: Mapping[str, Any]) -> dict[str, str]:
    """The side conditions of one unknown, if values on all edges and corners are too many to ask for."""
    pieces = Pieces.of(data.problem, own, 1.0)
    if pieces.evaluations <= _MOST or (pieces.value is None and pieces.constant is not None):
        return {}
    reason = f"its lift takes {pieces.evaluations:.4g} evaluations on sides, edges and corners, {_MOST} at most"
    return {name: reason for name, condition in own.items() if isinstance(condition, Dirichlet)}


def _unsuitable(data: Data, own: Mapping[str, Any]) -> dict[str, str]:
    """The conditions whose data are learned or not smooth."""
    found: dict[str, str] = {}
    for name, condition in own.items():
        if isinstance(condition.value, (int, float)):
            continue
        trained = data.trained(condition)
        if trained is not None:
            found[name] = f"its data depend on {trained}, which is learned"
            continue
        flaws = (flaw(partial(data.fields, condition), data.problem.axes, place) for place in data.places(condition))
        first = next((words for words in flaws if words is not None), None)
        if first is not None:
            found[name] = first
    return found


def _disagreements(data: Data, own: Mapping[str, Any]) -> dict[str, str]:
    """The conditions of one unknown that give way to others, until all that are left agree."""
    sides = {name: c for name, c in own.items() if isinstance(c, Dirichlet)}
    value = next((name for name, c in own.items() if isinstance(c, InitialValue)), None)
    rate = next((name for name, c in own.items() if isinstance(c, InitialRate)), None)
    size = max([data.size(c) for c in own.values() if not isinstance(c, InitialRate)], default=0.0)
    given_up: dict[str, str] = {}

    pairs = {
        (a, b): gap
        for a, b in itertools.combinations(sides, 2)
        if (gap := next((gap for _, gap in _side_gaps(data, sides[a], sides[b], size)), None)) is not None
    }
    while pairs:
        involved = [name for pair in pairs for name in pair]
        # the one on the fewest parts, of equals the later one
        loser = min(reversed(list(sides)), key=lambda n: (n not in involved, len(sides[n].parts(data.problem))))
        pair = next(pair for pair in pairs if loser in pair)
        other = pair[0] if pair[1] == loser else pair[1]
        given_up[loser] = f"it disagrees with {other} {pairs[pair]}"
        del sides[loser]
        pairs = {pair: gap for pair, gap in pairs.items() if loser not in pair}
    if value is not None:
        for name, side in sides.items():
            gap = _instant_gap(data, side, own[value], size, order=0)
            if gap is not None:
                given_up[value] = f"it disagrees with {name} {gap}"
                break
    if rate is not None and (value is None or value in given_up):
        given_up[rate] = "the initial value is not exact"
    elif rate is not None:
        assert data.problem.time is not None
        speed = max(data.size(own[rate]), size / data.problem.time.length)
        for name, side in sides.items():
            gap = _instant_gap(data, side, own[rate], speed, order=1)
            if gap is not None:
                given_up[rate] = f"it disagrees with the rate of {name} {gap}"
                break
    return given_up


def jumps(problem: Problem, values: Mapping[str, Value] | None = None) -> list[Place]:
    """The edges of a box, its corners in the plane, where values on two sides differ: {"x": 0.0, "y": 1.0}.

    The solution depends on the direction there, and its derivatives are unbounded.
    """
    if not problem.domain.is_box:
        return []
    data, found = Data(problem, values or {}, ()), []
    sides = [c for c in problem.named_conditions.values() if isinstance(c, Dirichlet)]
    for first, second in itertools.combinations(sides, 2):
        if first.unknown == second.unknown:
            size = max(data.size(first), data.size(second))
            found += [place for place, _ in _side_gaps(data, first, second, size) if place not in found]
    return found


def _side_gaps(data: Data, first: Dirichlet, second: Dirichlet, size: float) -> Iterator[tuple[Place, str]]:
    """The edges where two conditions differ, and by what."""
    for one, other in itertools.product(data.places(first), data.places(second)):
        if set(one) & set(other):
            continue
        x = data.coordinates({**one, **other})
        found = _gap(x, data.fields(first, x), data.fields(second, x), size)
        if found is not None:
            yield {**one, **other}, found


def _instant_gap(data: Data, side: Dirichlet, initial: Any, size: float, *, order: int) -> str | None:
    """Where a side condition (its rate, for order 1) differs from what holds at the initial time, if it does."""
    assert data.problem.time is not None
    for place in data.places(side):
        x = data.coordinates({**place, TIME: data.problem.time.lower})
        fields = [d(f, TIME) if order else f for f in data.fields(side, x)]
        found = _gap(x, fields, data.fields(initial, x), size)
        if found is not None:
            return found
    return None


def _gap(x: Coordinates, ours: list[Field], theirs: list[Field], size: float) -> str | None:
    for a, b in zip(ours, theirs, strict=True):
        left, right = (_values(x, field) for field in (a, b))
        gap = (left - right).abs().reshape(-1, len(x.columns())).amax(0)
        if not bool((gap <= _AGREEMENT * size).all()):
            i = int(gap.nan_to_num(torch.inf).argmax())
            point = x.columns().detach()[i].tolist()
            where = ", ".join(f"{name} = {place:.4g}" for name, place in zip(x.axes.names, point, strict=True))
            return f"by {float(gap[i]):.2g} at {where}"
    return None


def _values(x: Coordinates, field: Field) -> Tensor:
    return (x.expand(field) if isinstance(field, Constant) else field).values.detach()


def time_scales(problem: Problem, values: Mapping[str, Value]) -> dict[str, float]:
    """For each unknown the time in which it changes by its own size at first, at most the whole time.

    (|u0| / |rate(u0)|)^(1 / order) in root mean squares over the domain, by the equation's own rate.
    """
    if problem.time is None:
        return {}
    scales = {unknown.name: problem.time.length for unknown in problem.equation.unknowns}
    equation = problem.equation
    if not isinstance(equation, Evolution) or "point" not in equation.kinds:
        return scales
    if any(unknown.algebraic for unknown in equation.unknowns):
        return scales
    inside = problem.sample(512, "sobol", torch.Generator().manual_seed(0))
    x = Coordinates(PointCloud(problem.domain.axes, inside.x[:, 1:]))
    state, x = problem.initial_state(x, values), x.at_instant(problem.time.lower)
    rate = equation.rate(state, problem.bind(x, values), x)
    for unknown in equation.evolving:
        sizes = []
        for whole in (state, rate):
            fields = flatten({unknown.name: whole[unknown.name]}).values()
            sizes.append(sum(float(_values(x, field).square().mean()) for field in fields) ** 0.5)
        if 0 < sizes[0] < torch.inf and 0 < sizes[1] < torch.inf:
            scale = (sizes[0] / sizes[1]) ** (1 / equation.order)
            scales[unknown.name] = min(max(scale, 1e-3 * problem.time.length), problem.time.length)
    return scales
