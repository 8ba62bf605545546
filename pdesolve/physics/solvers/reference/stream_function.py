"""Steady incompressible flow in a box with the velocity given on all of its walls."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from pdesolve.condition import BoundaryCondition, Dirichlet
from pdesolve.errors import Diverged, InputError
from pdesolve.fields import Coordinates
from pdesolve.geometry import Grid, GridAxis
from pdesolve.integration.corners import CornerFlow
from pdesolve.integration.stream_function import Direction, SteadyFlow
from pdesolve.physics.equations.steady_navier_stokes import SteadyNavierStokes
from pdesolve.physics.solvers.reference.scheme import Scheme, misplaced
from pdesolve.physics.solvers.reference.solution import GridSolution
from pdesolve.physics.solvers.reference.task import Task, differentiable, one, samples

_SIDES = ("x_min", "x_max", "y_min", "y_max")
_BALANCE, _WALL_NODES = 1e-8, 129


class StreamFunction(Scheme):
    """A spectral Galerkin method for the stream function, sample by sample, on the CPU."""

    name = "stream_function"
    intervals = ((16, 64), (16, 64), (16, 64))

    def refusal(self, task: Task) -> str | None:
        problem = task.problem
        reason = misplaced(problem, evolution=False)
        if reason is not None:
            return reason
        if type(problem.equation) is not SteadyNavierStokes:
            return "it is no steady incompressible flow"
        if any(axis.periodic for axis in problem.domain.axes) or problem.domain.axes.names != ("x", "y"):
            return "its flow is not one in a box between four walls"
        boundary = [c for c in problem.conditions if isinstance(c, BoundaryCondition)]
        if any(condition.unknown != "velocity" or not isinstance(condition, Dirichlet) for condition in boundary):
            return "more than the velocity is given on its walls"
        if {part for condition in boundary for part in condition.parts(problem)} != set(_SIDES):
            return "its velocity is not given on all four walls"
        if differentiable(task):
            return "it asks for gradients, which its Newton steps do not carry"
        count = samples(task)
        excess = max(
            (_imbalance(t) for t in ([task] if count is None else map(partial(one, task), range(count)))), key=abs
        )
        if abs(excess) > _BALANCE:
            more, less = ("out", "in") if excess > 0 else ("in", "out")
            return f"{100 * abs(excess):.3g} percent more flows {more} through its walls than {less}"
        return None

    def compute(self, task: Task, intervals: Mapping[str, int], steps: int) -> tuple[GridSolution, bool]:
        count = samples(task)
        tasks = [task] if count is None else [one(task, i) for i in range(count)]
        found = [_flow(t, [intervals[name] for name in ("x", "y")]) for t in tasks]
        members = found[0][1]
        stacked = {k: torch.stack([fields[k] for fields, *_ in found]) for k in found[0][0]}
        parts = [corners for *_, corners in found]
        if count is None:
            stacked, corners = {k: field[0] for k, field in stacked.items()}, parts[0]
        else:
            tensors = [torch.stack([getattr(c, k) for c in parts]) for k in ("jumps", "slopes", "viscosity")]
            corners = CornerFlow(parts[0].lower, parts[0].upper, *tensors)
        head = stacked.pop("head")
        stacked["pressure"] = head
        fields = {name: field.to(task.device) for name, field in stacked.items()}
        return GridSolution(task.problem, Grid(members, task.accuracy), fields, task.values, corners=corners), False


def _flow(task: Task, sizes: list[int]) -> tuple[dict[str, Tensor], tuple[GridAxis, ...], CornerFlow]:
    """Fields at the nodes less the flow in corners, the axes of the nodes and that flow, of one sample."""
    viscosity, levels = _viscosity(task), [sizes]
    while min(levels[0]) >= 32:  # Newton's method finds its way on a coarse grid
        levels.insert(0, [n // 2 for n in levels[0]])
    flows, a = [_at_level(task, level) for level in levels], None
    for flow in flows:
        try:
            a = flow.solve(viscosity, a)
        except Diverged as error:
            if flow is flows[-1]:
                raise Diverged(f"{task.problem.name}: {error}: give more --method.resolution") from error
            a = None
    assert a is not None
    flow = flows[-1]
    return flow.fields(a, viscosity), (flow.x.member, flow.y.member), flow.corners.with_viscosity(viscosity)


def _at_level(task: Task, sizes: list[int]) -> SteadyFlow:
    axes = task.problem.domain.axes
    x, y = (Direction(GridAxis(axis, "chebyshev", n + 1)) for axis, n in zip(axes, sizes, strict=True))
    return SteadyFlow(x, y, _walls(task, x, y), _forces(task, x, y))


def _viscosity(task: Task) -> float:
    viscosity = task.problem.bind(Coordinates(task.problem.grid(3)), task.values)["viscosity"]
    if len(viscosity.axes) or not float(viscosity.values) > 0:
        raise InputError(f"{task.problem.name}: the reference needs one viscosity > 0 for all space")
    return float(viscosity.values)


def _forces(task: Task, x: Direction, y: Direction) -> tuple[Tensor, Tensor]:
    """The force at the Gauss points."""
    places = Coordinates(
        Grid((GridAxis.at(x.member.axis, x.points.tolist()), GridAxis.at(y.member.axis, y.points.tolist())))
    )
    p = task.problem.bind(places, task.values)
    return places.expand(p["force_x"]).values.cpu(), places.expand(p["force_y"]).values.cpu()


def _walls(task: Task, x: Direction, y: Direction) -> dict[str, tuple[Tensor, Tensor]]:
    """The velocities at the nodes of each wall."""
    problem, grid = task.problem, Grid((x.member, y.member))
    edges = [problem.edges(f"velocity_{name}", grid, values=task.values) for name in ("x", "y")]
    walls = {}
    for side in _SIDES:
        u, v = (torch.as_tensor(edge[side].value).detach().cpu().reshape(-1) for edge in edges)
        walls[side] = u, v
    return walls


def _imbalance(task: Task) -> float:
    """How much more flows out through the walls than in, relative to all that flows through them."""
    x, y = (Direction(GridAxis(axis, "chebyshev", _WALL_NODES)) for axis in task.problem.domain.axes)
    flux, size = 0.0, 0.0
    for side, (u, v) in _walls(task, x, y).items():
        along, normal = (y, u) if side[0] == "x" else (x, v)
        weights = torch.from_numpy(along.member.weights)
        flux += float(weights @ normal) * (1 if side.endswith("max") else -1)
        size += float(weights @ normal.abs())
    return flux / size if size else 0.0
