"""The schemes on grids: each computes all snapshots of a problem at one resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pdesolve.equation import flatten
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, GridField
from pdesolve.geometry import Grid
from pdesolve.integration.elliptic import GridEquations, sparse_newton, transformed
from pdesolve.integration.exponential import etdrk4, exact_series
from pdesolve.integration.fourier import Dealiasing, FourierBasis
from pdesolve.integration.initial import initial_values
from pdesolve.integration.lines import Lines, explicit, implicit, spectral_radius
from pdesolve.integration.reflection import Parity, Reflection, homogeneous
from pdesolve.integration.spectral import SpectralEvolution
from pdesolve.problem import Problem, Value

_STIFF = 2000.0  # spectral radius times duration above which implicit steps are the cheaper ones
_TAIL = 1e-12  # relative size of the shortest waves kept, below which a finer grid changes nothing


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be solved, on what machine, and at which snapshots."""

    problem: Problem
    values: Mapping[str, Value]
    times: tuple[float, ...]
    device: torch.device
    dealiasing: Dealiasing
    accuracy: int
    tolerance: float

    def grid(self, intervals: Mapping[str, int]) -> Grid:
        """The grid of space with so many intervals on each axis."""
        axes = self.problem.domain.axes
        points = {a.name: intervals[a.name] + (0 if a.periodic else 1) for a in axes}
        return self.problem.grid(points, accuracy=self.accuracy)

    @property
    def instants(self) -> tuple[float | None, ...]:
        """Instants at which time-dependent data are looked at."""
        time = self.problem.time
        return (None,) if time is None else (time.lower, time.lower + 0.31 * time.length, time.upper)


@dataclass(frozen=True, eq=False)
class Snapshots:
    """Fields (*sample, *time, *space) of each scalar on a grid of space. `resolved`: a finer grid changes nothing."""

    grid: Grid
    fields: dict[str, Tensor]
    resolved: bool = False


def parities(task: Task) -> dict[str, Parity] | None:
    """How the unknowns continue beyond the walls, where reflections fit the conditions."""
    grid = task.grid({axis.name: 8 for axis in task.problem.domain.axes})
    return homogeneous(task.problem, grid, task.values, task.instants)


def spectral_system(task: Task, intervals: Mapping[str, int]) -> tuple[Reflection, SpectralEvolution]:
    """The evolution in Fourier space, between walls on the doubled box.

    Raises:
        InputError: walls without homogeneous conditions, or an equation that does not keep their symmetry.
    """
    problem = task.problem
    found = parities(task)
    if found is None:
        raise InputError(
            f"{problem.name}: not all of its walls have zero values or zero slopes: take --method.scheme lines"
        )
    reflection = Reflection(task.grid(intervals), found)
    basis = FourierBasis(reflection.doubled, device=task.device, dealiasing=task.dealiasing)
    assert problem.time is not None
    span = (problem.time.lower, problem.time.upper)
    system = SpectralEvolution(
        problem.evolution(), basis, lambda x: reflection.bind(problem, x, task.values), time=span
    )
    if reflection.walls and not _keeps_symmetry(system, reflection, span):
        raise InputError(
            f"{problem.name}: {type(problem.equation).__name__} does not keep the symmetry of its walls: "
            "take --method.scheme lines"
        )
    return reflection, system


def _keeps_symmetry(system: SpectralEvolution, reflection: Reflection, span: tuple[float, float]) -> bool:
    generator = torch.Generator().manual_seed(1)
    basis, names = system.basis, system.scalars * system.equation.order
    noise = torch.randn(len(names), *reflection.grid.shape, generator=generator, dtype=basis.dtype).to(basis.device)

    def continued(values: Tensor) -> Tensor:
        parts = zip(values.unbind(-basis.dimension - 1), names, strict=True)
        return torch.stack([reflection.extend(v, reflection.parities[n]) for v, n in parts], -basis.dimension - 1)

    with torch.no_grad():
        state = continued(noise)
        for time in (span[0], 0.5 * (span[0] + span[1]), span[1]):
            fields = system.rate(basis.forward(state), time)
            rate = torch.stack(torch.broadcast_tensors(*[field.values for field in fields]), -basis.dimension - 1)
            if not bool((rate - continued(reflection.restrict(rate))).abs().max() <= 1e-9 * rate.abs().max()):
                return False
    return True


def spectral(task: Task, intervals: Mapping[str, int], steps: int) -> Snapshots:
    """Fourier, sine or cosine series: exact steps for linear evolutions, ETDRK4 for the others."""
    reflection, system = spectral_system(task, intervals)
    basis, problem = system.basis, task.problem
    d = basis.dimension
    x = Coordinates(reflection.grid, device=task.device)
    start = initial_values(problem, x, task.values).unbind(-d - 1)
    names = system.scalars * system.equation.order
    whole = [reflection.extend(part, reflection.parities[name]) for part, name in zip(start, names, strict=True)]
    v = basis.forward(torch.stack(whole, -d - 1))
    if system.affine:
        states = exact_series(system, v, task.times)
    else:
        assert problem.time is not None
        states = etdrk4(system, v, task.times, problem.time.length / steps * (1 + 1e-9))
    states = states.narrow(-d - 1, 0, len(system.scalars))
    values = reflection.restrict(basis.backward(states)).movedim(0, -d - 1)
    fields = dict(zip(system.scalars, values.unbind(-d - 2), strict=True))
    return Snapshots(reflection.grid, fields, _resolved(states.detach(), basis))


def _resolved(states: Tensor, basis: FourierBasis) -> bool:
    """Whether the shortest waves that survive the 2/3 rule are as small as rounding on every axis, at all times."""
    sizes = states.abs()
    largest = sizes.amax()
    for i, member in enumerate(basis.grid.members):
        k = torch.arange(basis.shape[i], device=states.device)
        k = torch.minimum(k, member.size - k)
        edge = member.size / (3.0 if basis.kept is not None else 2.0)
        short = ((k > 0.8 * edge) & (k < edge)).nonzero().squeeze(-1)
        if bool(sizes.index_select(sizes.ndim - basis.dimension + i, short).amax() > _TAIL * largest):
            return False
    return True


def lines(task: Task, intervals: Mapping[str, int], steps: int) -> Snapshots:
    """The method of lines, by explicit steps or, where those would be too many, by implicit ones sample by sample."""
    problem = task.problem
    assert problem.time is not None
    grid = task.grid(intervals)
    f = Lines(problem, grid, values=task.values, device=task.device)
    start = f.start()
    tolerance = 1e-3 * task.tolerance
    count = samples(task)
    if spectral_radius(f, problem.time.lower, start) * problem.time.length <= _STIFF or differentiable(task):
        states = explicit(f, task.times, tolerance=tolerance)
    elif count is None:
        states = implicit(f, task.times, tolerance=tolerance)
    else:
        each = [Lines(problem, grid, values=one(task, i).values, device=task.device) for i in range(count)]
        states = torch.stack([implicit(g, task.times, tolerance=tolerance) for g in each], 1)
    d, n = len(grid.members), len(f.scalars)
    states = states.narrow(-d - 1, 0, n)
    values = torch.stack([f.obeying(t, y) for t, y in zip(task.times, states, strict=True)]).movedim(0, -d - 1)
    return Snapshots(grid, dict(zip(f.scalars, values.unbind(-d - 2), strict=True)))


def fft(task: Task, intervals: Mapping[str, int], steps: int) -> Snapshots:
    """A stationary problem with constant coefficients by fast transforms.

    Raises:
        InputError: walls, or an equation, that do not allow it.
    """
    found, problem = parities(task), task.problem
    reflection = Reflection(task.grid(intervals), found or {})
    u = None
    if found is not None:
        u = transformed(problem, reflection, values=task.values, device=task.device)
    if u is None:
        raise InputError(
            f"{problem.name}: fast transforms need a linear equation with constant coefficients and zero values or "
            "slopes at walls: take --method.scheme sparse"
        )
    return Snapshots(
        reflection.grid, dict(zip(problem.equation.scalars, u.unbind(-len(reflection.grid.members) - 1), strict=True))
    )


def sparse(task: Task, intervals: Mapping[str, int], steps: int) -> Snapshots:
    """A stationary problem on a grid by Newton's method with sparse factors, sample by sample."""
    grid, count = task.grid(intervals), samples(task)
    tasks = [task] if count is None else [one(task, i) for i in range(count)]
    found = [sparse_newton(GridEquations(t.problem, grid, values=t.values, device=task.device)) for t in tasks]
    u = found[0] if count is None else torch.stack(found)
    return Snapshots(grid, dict(zip(task.problem.equation.scalars, u.unbind(-len(grid.members) - 1), strict=True)))


def samples(task: Task) -> int | None:
    """The number of problems in the batch; None where there is no batch."""
    sizes = {shape[0] for shape in (f.sample_shape for f in _data(task)) if shape}
    if len(sizes) > 1:
        numbers = ", ".join(map(str, sorted(sizes)))
        raise InputError(f"{task.problem.name}: values for different numbers of samples ({numbers}): give one number")
    return sizes.pop() if sizes else None


def differentiable(task: Task) -> bool:
    """Whether anything given asks for gradients."""
    return any(field.values.requires_grad for field in _data(task))


def _data(task: Task) -> list:
    """Everything given, as fields on a small grid."""
    problem = task.problem
    x = Coordinates(task.grid({axis.name: 8 for axis in problem.domain.axes}), device=task.device)
    if problem.time is None:
        return list(problem.bind(x, task.values).values())
    p = problem.bind(x.at_instant(problem.time.lower), task.values)
    return [*p.values(), *flatten(problem.initial_state(x, task.values)).values()]


def one(task: Task, sample: int) -> Task:
    """The task of one sample."""
    values: dict[str, Value] = {}
    for name, value in task.values.items():
        if isinstance(value, Tensor):
            values[name] = value[sample] if value.ndim else value
        elif isinstance(value, GridField) and value.sample_shape:
            values[name] = GridField(value.values[sample], value.grid, value.quantity, value.edges)
        else:
            values[name] = value
    return replace(task, values=values)
