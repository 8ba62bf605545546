"""Characteristic states: how large the unknowns of a problem are, and smooth states of that size.

What is given says it: initial and boundary values and observations, never the solution. Unknowns of which nothing but
zeros is given (a source drives them; a pressure) are as large as balances their equation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor

from pdesolve.condition import BoundaryCondition, Condition, InitialRate, InitialValue, Observed, evaluate
from pdesolve.equation import State, Unknown, flatten
from pdesolve.fields import Coordinates, Field, Vector, d
from pdesolve.problem import Problem, Value
from pdesolve.terms import root_mean_square

_POINTS = 256  # at which rows are looked at
_DATA_POINTS = 1024
_WAVES = 6
_DECADES = 40  # to either side, in which an amplitude is sought

Range = tuple[float, float]


def given_ranges(problem: Problem, values: Mapping[str, Value] | None) -> dict[str, Range]:
    """The least and the greatest value that conditions give of each scalar, zeros alone being nothing.

    Rates and slopes count where no value is given but zeros, times the length of time or of space.
    """
    found: dict[str, list[Tensor]] = {}
    indirect: dict[str, list[Tensor]] = {}
    length = problem.domain.measure ** (1 / problem.domain.dimension)
    for condition in problem.conditions:
        if isinstance(condition, Observed):
            found.setdefault(condition.unknown, []).append(torch.as_tensor(condition.values, dtype=torch.float64))
            continue
        if isinstance(condition, InitialValue):
            into, factor = found, 1.0
        elif isinstance(condition, InitialRate):
            assert problem.time is not None
            into, factor = indirect, problem.time.length
        elif isinstance(condition, BoundaryCondition):
            alpha, beta = condition.coefficients
            into, factor = (found, 1 / alpha) if alpha else (indirect, length / beta)
        else:
            continue
        for name, data in _data(problem, condition, values).items():
            into.setdefault(name, []).append(factor * data)
    ranges = {}
    for name in problem.equation.scalars:
        for source in (found, indirect):
            data = torch.cat([part.flatten() for part in source.get(name, [])] or [torch.zeros(1)])
            data = data[torch.isfinite(data)]
            if name not in ranges and len(data) and bool((data != 0).any()):
                ranges[name] = (float(data.min()), float(data.max()))
    return ranges


def _data(problem: Problem, condition: Condition, values: Mapping[str, Value] | None) -> dict[str, Tensor]:
    """What a condition gives of each scalar of its unknown."""
    cloud = condition.sample(problem, _DATA_POINTS, "sobol", torch.Generator().manual_seed(0))
    x = Coordinates(cloud, gradients=False)
    given = getattr(condition, "value")  # noqa: B009  of boundary and initial conditions
    unknown = problem.unknown(getattr(condition, "unknown"))  # noqa: B009
    value = evaluate(given, problem.bind(x, values), x)
    if unknown.components and isinstance(value, Field):
        value = Vector(dict.fromkeys(unknown.components, value))
    return {name: x.expand(field).values.detach().cpu() for name, field in flatten({unknown.name: value}).items()}


class Characteristic:
    """Smooth random states of a problem at points (on a grid for equations that need one): sums of a few plane waves.

    Axes are rescaled: waves have up to one period along a bounded axis and up to two along a periodic one.
    """

    def __init__(self, problem: Problem, values: Mapping[str, Value] | None, *, seed: int) -> None:
        self.problem = problem
        self.generator = torch.Generator().manual_seed(seed)
        if "point" in problem.equation.kinds:
            self.x = Coordinates(problem.sample(_POINTS, "sobol", self.generator))
        else:
            times = None
            if problem.time is not None:
                times = torch.linspace(problem.time.lower, problem.time.upper, 9).tolist()
            self.x = Coordinates(problem.grid(16, times))
        self.p = problem.bind(self.x, values)
        axes = problem.axes
        table = self.x.columns()
        self.places = torch.stack([(c - a.lower) / a.length for c, a in zip(table.unbind(1), axes, strict=True)], 1)
        self.shapes = {name: self._smooth() for name in problem.equation.scalars}

    def state(self, ranges: Mapping[str, Range]) -> State:
        """Every scalar within its range; zero where it has none."""
        fields = {}
        for name, shape in self.shapes.items():
            low, high = ranges.get(name, (0.0, 0.0))
            fields[name] = (low + high) / 2 + (high - low) / 2 * shape
        return self.problem.state(fields, self.x)

    def rows(self, ranges: Mapping[str, Range]) -> dict[str, Field]:
        """The residual of such a state."""
        return flatten(self.problem.equation.residual(self.state(ranges), self.p, self.x))

    def follow(self, unknown: Unknown, row: Field) -> None:
        """Give an unknown the wave numbers of a row: of the source that drives it."""
        size = root_mean_square(self.x.expand(row).values.detach())
        numbers = []
        for axis in self.problem.axes:
            least = 1.0 if axis.name == "t" else 2 * math.pi if axis.periodic else math.pi
            slope = root_mean_square(self.x.expand(d(row, axis.name)).values.detach()) * axis.length / size
            numbers.append(max(least, slope))
        for name in unknown.scalars:
            phase = 2 * math.pi * torch.rand((), generator=self.generator, dtype=torch.float64)
            self.shapes[name] = self._unit(torch.cos(self.places @ torch.tensor(numbers, dtype=torch.float64) + phase))

    def _smooth(self) -> Tensor:
        axes = self.problem.axes
        orders = torch.randint(0, 3, (len(axes), _WAVES), generator=self.generator)
        orders[:, 0] = 1
        factors = torch.tensor([2 * math.pi if axis.periodic else math.pi for axis in axes], dtype=torch.float64)
        phases = 2 * math.pi * torch.rand(_WAVES, generator=self.generator, dtype=torch.float64)
        amplitudes = _signs(_WAVES, self.generator) / (1 + orders.sum(0))
        return self._unit(torch.cos(self.places @ (factors[:, None] * orders) + phases) @ amplitudes)

    def _unit(self, values: Tensor) -> Tensor:
        """Within -1 and 1, in the layout of the places."""
        return (values / values.detach().abs().max()).reshape(self.x.discretisation.shape)


def _signs(count: int, generator: Generator) -> Tensor:
    return 2.0 * torch.randint(0, 2, (count,), generator=generator).double() - 1.0


def balanced(problem: Problem, ranges: Mapping[str, Range], state: Characteristic) -> dict[str, Range]:
    """The ranges with those of unknowns of which nothing was given: ±U so that they change rows by their own size.

    The rows are the unknown's own (a source is balanced), or those of other unknowns (a pressure, whose row is the
    divergence); the geometric mean of both where both know of it, as the momentum that a jump of density sets off.
    """
    ranges = dict(ranges)
    for unknown in problem.equation.unknowns:
        if any(name in ranges for name in unknown.scalars):
            ranges = {**_shared(unknown, ranges), **ranges}
            continue
        rows = {name: row for name, row in state.rows(ranges).items() if _size(row, state) > 0}
        own = {name: row for name, row in rows.items() if name in unknown.scalars}
        if own:
            state.follow(unknown, next(iter(own.values())))
        others = {name: row for name, row in rows.items() if name not in own}
        found = [_amplitude(unknown, part, ranges, state) for part in (own, others)]
        sizes = [size for size in found if size is not None]
        amplitude = math.prod(sizes) ** (1 / len(sizes)) if sizes else 1.0
        ranges |= dict.fromkeys(unknown.scalars, (-amplitude, amplitude))
    return ranges


def _shared(unknown: Unknown, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """All components of a vector are as large as the largest."""
    top = max(max(map(abs, ranges[name])) for name in unknown.scalars if name in ranges)
    return dict.fromkeys(unknown.scalars, (-top, top))


def _size(row: Field, state: Characteristic) -> float:
    return root_mean_square(state.x.expand(row).values.detach())


def _amplitude(
    unknown: Unknown, rows: Mapping[str, Field], ranges: Mapping[str, Range], state: Characteristic
) -> float | None:
    """The amplitude at which the unknown changes one of the rows by its size, the others less; None: it never does."""
    before = {name: state.x.expand(row).values.detach() for name, row in rows.items()}
    sizes = {name: root_mean_square(values) for name, values in before.items()}

    def response(amplitude: float) -> float:
        moved = state.rows({**ranges, **dict.fromkeys(unknown.scalars, (-amplitude, amplitude))})
        changes = {name: state.x.expand(moved[name]).values.detach() - values for name, values in before.items()}
        return max((root_mean_square(change) / sizes[name] for name, change in changes.items()), default=0.0)

    return _unit_response(response)


def _unit_response(response: Callable[[float], float]) -> float | None:
    """The amplitude at which a response that grows with it by whatever power is 1; None where it never is."""
    low = high = 1.0
    for _ in range(_DECADES):
        if response(high) >= 1:
            break
        high *= 10
    else:
        return None
    for _ in range(_DECADES):
        if response(low) < 1:
            break
        low /= 10
    else:
        return None
    while high > (1 + 1e-6) * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if response(middle) >= 1 else (middle, high)
    return high
