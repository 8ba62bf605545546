"""Time windows: an evolution solved one piece of time after the other, each from where the one before ended.

    solution = march(problem, windows(problem.time, 4), lambda part, before: method.solve(part, run))

Long times, fronts that form and fields that forget their start are learned in pieces where they cannot be at once.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from pdesolve.condition import Condition, InitialRate, InitialValue, Observed
from pdesolve.equation import State, Values, assemble, flatten
from pdesolve.errors import InputError
from pdesolve.fields import Constant, Coordinates, Vector, d
from pdesolve.fields.propagation import differentiated, propagate
from pdesolve.geometry import Axis, PointCloud
from pdesolve.method import Solution
from pdesolve.problem import Problem
from pdesolve.training.run import write_aside

INDEX = "windows.json"
Part = TypeVar("Part", bound=Solution)


def windows(time: Axis, count: int) -> tuple[Axis, ...]:
    """Equal pieces of the time axis.

    Raises:
        InputError: less than one.
    """
    if count < 1:
        raise InputError(f"time is split into one window or more, got {count}")
    ends = [time.lower + time.length * i / count for i in range(count)] + [time.upper]
    return tuple(replace(time, lower=a, upper=b) for a, b in pairwise(ends))


def window(problem: Problem, time: Axis, before: Solution | None) -> Problem:
    """The problem on one piece of its time axis, from what the solution before it ended with (None: its own start).

    Initial values and rates are functions of the coordinates, made from that solution and differentiable as it is. Of
    observations those within the piece stay.
    """
    problem.evolution()  # refuses a stationary one
    conditions = [_within(condition, problem, time, before) for condition in problem.conditions]
    slack = 1e-9 * time.length
    times = tuple(t for t in problem.evaluation.times if time.lower - slack <= t <= time.upper + slack)
    with warnings.catch_warnings():
        # what the whole problem has been warned of, and corners to the error of the window before
        warnings.simplefilter("ignore")
        return replace(
            problem,
            time=time,
            conditions=[condition for condition in conditions if condition is not None],
            evaluation=replace(problem.evaluation, times=times or (time.upper,)),
        )


def _within(condition: Condition, problem: Problem, time: Axis, before: Solution | None) -> Condition | None:
    if isinstance(condition, Observed):
        t = condition.points[:, 0]
        first = problem.time is not None and time.lower <= problem.time.lower
        inside = (t <= time.upper) & ((t > time.lower) | first)
        return (
            replace(condition, points=condition.points[inside], values=condition.values[inside])
            if inside.any()
            else None
        )
    if before is None or not isinstance(condition, (InitialValue, InitialRate)):
        return condition
    return replace(
        condition, value=Final(before, condition.unknown, time.lower, int(isinstance(condition, InitialRate)))
    )


@dataclass(frozen=True, eq=False)
class Final:
    """An unknown of a solution at one time, or its rate there (order 1), as a function of (p, x): a Given.

    It is a function of space: constant along the time of the coordinates it is given.
    """

    solution: Solution
    unknown: str
    time: float
    order: int = 0

    def __call__(self, p: Values, x: Coordinates) -> Any:
        problem = self.solution.problem
        unknown = problem.unknown(self.unknown)
        table = Table(self.solution, unknown.scalars, time=self.time, order=self.order, timed="t" in x.axes)
        fields = x.outputs(table, [problem.quantity(name) for name in unknown.scalars])
        if not unknown.components:
            return fields[unknown.name]
        return Vector({c: fields[name] for c, name in zip(unknown.components, unknown.scalars, strict=True)})


class Table(nn.Module):
    """Scalars of a solution, or their rates (order 1), as a function of points (point, axis) -> (point, scalar).

    time: all points are taken to that time; None: each to its own. timed: whether the points have a column of times.
    It has no parameters: the solution is what it is, and can be differentiated in the points.
    """

    def __init__(
        self,
        solution: Solution,
        scalars: Sequence[str],
        *,
        time: float | None = None,
        order: int = 0,
        timed: bool = True,
    ) -> None:
        super().__init__()
        self.solution, self.scalars, self.time, self.order, self.timed = solution, scalars, time, order, timed

    def forward(self, columns: Tensor) -> Tensor:
        if self.time is not None:
            times = torch.full_like(columns[:, :1], self.time)
            columns = torch.cat([times, columns[:, 1:] if self.timed else columns], 1)
        cloud = PointCloud(self.solution.problem.axes, columns)
        x = Coordinates.of_functions(cloud, dtype=columns.dtype, device=columns.device)
        state = flatten(self.solution.state(x))
        fields = [d(state[name], "t") if self.order else state[name] for name in self.scalars]
        return torch.stack([x.expand(field).values for field in fields], 1)


class Windows(Solution):
    """Solutions of windows that follow one another, as one: at each time the window it is in.

    The end of a window belongs to it, not to the next one. While the last windows are still to come, the last one there
    is stands for them.
    """

    def __init__(self, problem: Problem, parts: Sequence[Solution]) -> None:
        if not parts:
            raise InputError(f"{problem.name}: a solution in windows has one window at least, got none")
        last = parts[-1]
        super().__init__(problem, last.values, last.device)
        self.parts = list(parts)
        self.dtype = last.dtype
        self.parameters = sum(part.parameters for part in parts)
        self.converged = all(part.converged for part in parts)
        self.smooth = all(part.smooth for part in parts)
        self.notes = {"windows": len(self.parts), **last.notes}

    def state(self, x: Coordinates) -> State:
        time = x["t"].values
        owner = self._owner(time)
        first = int(owner.min())
        if isinstance(x["t"], Constant) or bool((owner == first).all()):
            return self.parts[first].state(x)
        equation = self.problem.equation
        quantities = [self.problem.quantity(name) for name in equation.scalars]
        return assemble(equation.unknowns, x.outputs(_Joined(self), quantities))

    def _owner(self, times: Tensor) -> Tensor:
        """The window that each time is in."""
        owner = torch.zeros_like(times, dtype=torch.long)
        for part in self.parts[:-1]:
            assert part.problem.time is not None
            owner = owner + (times.detach() > part.problem.time.upper).long()
        return owner

    def write(self, folder: Path) -> None:
        for k, part in enumerate(self.parts):
            place = folder / _name(k)
            place.mkdir(exist_ok=True)
            part.write(place)
        times = [part.problem.time for part in self.parts]
        write_aside(folder / INDEX, json.dumps([[time.lower, time.upper] for time in times if time]) + "\n")


class _Joined(nn.Module):
    """The scalars of all windows as a function of points (point, axis) -> (point, scalar)."""

    def __init__(self, joined: Windows) -> None:
        super().__init__()
        self.joined = joined

    def forward(self, columns: Tensor) -> Tensor:
        owner = self.joined._owner(columns[:, 0])
        scalars = self.joined.problem.equation.scalars
        places, values = [], []
        for k, part in enumerate(self.joined.parts):
            where = (owner == k).nonzero()[:, 0]
            if len(where):
                places.append(where)
                values.append(Table(part, scalars)(columns[where]))
        return torch.cat(values)[torch.cat(places).argsort()]


# solutions of windows are evaluated once for a set of points, where autograd is as good as rules
propagate.register(Table, differentiated)
propagate.register(_Joined, differentiated)


def march(problem: Problem, times: Sequence[Axis], solve: Callable[[Problem, Sequence[Part]], Part]) -> Windows:
    """Solve window after window. solve: (the problem of a window, the solutions of those before it) -> its own."""
    parts: list[Part] = []
    for time in times:
        parts.append(solve(window(problem, time, parts[-1] if parts else None), tuple(parts)))
    return Windows(problem, parts)


def read_windows(problem: Problem, folder: Path, read: Callable[[Problem, Path], Solution]) -> Windows:
    """What `Windows.write` stored. read: the solution of one window's problem from its folder, as `Solver.restore`.

    Raises:
        InputError: no windows there.
    """
    try:
        bounds = json.loads((folder / INDEX).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the windows in {folder / INDEX}: {str(error)[:120]}") from error
    assert problem.time is not None
    times = [replace(problem.time, lower=lower, upper=upper) for lower, upper in bounds]
    return march(problem, times, lambda part, before: read(part, folder / _name(len(before))))


def _name(k: int) -> str:
    return f"window_{k + 1}"
