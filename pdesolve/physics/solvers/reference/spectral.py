"""Fourier, sine and cosine series: periodic boxes, and walls with zero values or zero slopes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.fields import Coordinates
from pdesolve.integration.exponential import etdrk4, exact_series
from pdesolve.integration.fourier import FourierBasis
from pdesolve.integration.initial import initial_values
from pdesolve.integration.reflection import Parity, Reflection, homogeneous
from pdesolve.integration.spectral import SpectralEvolution
from pdesolve.physics.solvers.reference.scheme import Scheme, misplaced, on_grid, unfit
from pdesolve.physics.solvers.reference.solution import GridSolution
from pdesolve.physics.solvers.reference.task import Task

_TAIL = 1e-12  # relative size of the shortest waves kept, below which a finer grid changes nothing


class Series(Scheme):
    """Exact exponentials of linear evolutions with constant coefficients, wave number by wave number."""

    name = "series"
    intervals = ((256, 4096), (64, 512), (16, 64))
    snapshots = (200, 100, 20)

    def refusal(self, task: Task) -> str | None:
        found = _coarse(task)
        if isinstance(found, str):
            return found
        return None if found.affine else "its rate is not linear with constant coefficients"

    def compute(self, task: Task, intervals: Mapping[str, int], steps: int) -> tuple[GridSolution, bool]:
        reflection, system = spectral_system(task, intervals)
        return _solution(task, reflection, system, exact_series(system, _start(task, reflection, system), task.times))


class ETDRK4(Scheme):
    """Exponential time differencing of fourth order for nonlinear evolutions with a stiff linear part."""

    name = "etdrk4"
    intervals = ((256, 4096), (64, 256), (16, 64))
    snapshots = (200, 100, 20)
    doublings = 4
    reserve = ((0, 4), (0, 4), (0, 1))

    def refusal(self, task: Task) -> str | None:
        found = _coarse(task)
        return found if isinstance(found, str) else None

    def compute(self, task: Task, intervals: Mapping[str, int], steps: int) -> tuple[GridSolution, bool]:
        reflection, system = spectral_system(task, intervals)
        assert task.problem.time is not None
        step = task.problem.time.length / steps * (1 + 1e-9)
        return _solution(task, reflection, system, etdrk4(system, _start(task, reflection, system), task.times, step))


def _coarse(task: Task) -> SpectralEvolution | str:
    """The evolution in Fourier space on a coarse grid, or why there is none."""
    torus = all(axis.periodic for axis in task.problem.domain.axes)
    reason = (misplaced if torus else unfit)(task.problem, evolution=True)
    if reason is not None:
        return reason
    try:
        with torch.no_grad():
            return spectral_system(task, dict.fromkeys(task.problem.domain.axes.names, 16))[1]
    except InputError as error:
        return str(error)


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
        raise InputError("not all of its walls have zero values or zero slopes")
    reflection = Reflection(task.grid(intervals), found)
    basis = FourierBasis(reflection.doubled, device=task.device, dealiasing=task.dealiasing)
    assert problem.time is not None
    span = (problem.time.lower, problem.time.upper)
    system = SpectralEvolution(
        problem.evolution(), basis, lambda x: reflection.bind(problem, x, task.values), time=span
    )
    if reflection.walls and not _keeps_symmetry(system, reflection, span):
        raise InputError(f"{type(problem.equation).__name__} does not keep the symmetry of its walls")
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


def _start(task: Task, reflection: Reflection, system: SpectralEvolution) -> Tensor:
    """The initial state in Fourier space, continued beyond the walls."""
    basis, d = system.basis, system.basis.dimension
    x = Coordinates(reflection.grid, device=task.device)
    start = initial_values(task.problem, x, task.values).unbind(-d - 1)
    names = system.scalars * system.equation.order
    whole = [reflection.extend(part, reflection.parities[name]) for part, name in zip(start, names, strict=True)]
    return system.constrained(basis.forward(torch.stack(whole, -d - 1)))


def _solution(
    task: Task, reflection: Reflection, system: SpectralEvolution, states: Tensor
) -> tuple[GridSolution, bool]:
    basis, d = system.basis, system.basis.dimension
    states = states.narrow(-d - 1, 0, len(system.scalars))
    values = reflection.restrict(basis.backward(states)).movedim(0, -d - 1)
    fields = dict(zip(system.scalars, values.unbind(-d - 2), strict=True))
    if system.algebraic:
        found = [basis.backward(system.recovered(v, t)) for v, t in zip(states, task.times, strict=True)]
        names = [name for unknown in system.algebraic for name in unknown.scalars]
        fields |= dict(zip(names, torch.stack(found, -d - 1).unbind(-d - 2), strict=True))
    return on_grid(task, reflection.grid, fields), _resolved(states.detach(), basis)


def _resolved(states: Tensor, basis: FourierBasis) -> bool:
    """Whether the shortest waves that survive the 2/3 rule are as small as rounding on every axis, at all times."""
    sizes = states.abs()
    largest = sizes.amax()
    for i, member in enumerate(basis.grid.members):
        k = torch.arange(basis.shape[i], device=states.device)
        k = torch.minimum(k, member.size - k)
        edge = member.size / (3.0 if basis.kept is not None else 2.0)
        short = ((k > 0.8 * edge) & (k < edge)).nonzero().squeeze(-1)
        # a grid too coarse for such waves resolves nothing
        if not len(short) or bool(sizes.index_select(sizes.ndim - basis.dimension + i, short).amax() > _TAIL * largest):
            return False
    return True
