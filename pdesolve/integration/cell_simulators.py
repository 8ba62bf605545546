"""Batches of evolutions on the cells of boxes as data sets: balance laws with waves, diffusion, and formulas."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdesolve.data.dataset import Dataset
from pdesolve.equation import FluxForm
from pdesolve.errors import InputError
from pdesolve.family import Simulator
from pdesolve.fields import Coordinates, GridField
from pdesolve.geometry import Grid, GridAxis
from pdesolve.integration import finite_volume, legendre
from pdesolve.integration.finite_volume import FiniteVolumes
from pdesolve.integration.initial import initial_values
from pdesolve.integration.lines import Lines
from pdesolve.integration.reconstruction import Limiter
from pdesolve.integration.tracing import Replays
from pdesolve.problem import Problem, Value
from pdesolve.simulation import simulated

_AT_ONCE = {"cpu": 2**16, "cuda": 2**25}  # values of a state: caches hold these, or the memory of a card fifty of them
# cells times those along an axis, as the work of a sample goes, from which rates are compiled: the sample alone
# decides, since it is to be the same in any batch
_DEAR = 2**20


class CellSimulator(Simulator):
    """Evolutions whose state is one number for each cell of the evaluation set, or of a grid finer by a whole factor.

    Initial values are averaged over `subcells` points along each axis of a cell. Samples are followed in chunks, each
    with steps of its own, in float64.
    """

    refinement: int
    subcells: int

    @abstractmethod
    def system(self, problem: Problem, grid: Grid, values: Mapping[str, Value], y: Tensor) -> Lines | FiniteVolumes:
        """The semi-discrete evolution of states like y on a grid of space."""

    @abstractmethod
    def frames(
        self, system: Lines | FiniteVolumes, times: Sequence[float], y: Tensor, *, shortened: float, replay: Replays
    ) -> Iterator[Tensor]:
        """The state at each of the times, with steps that are a part of those that would do."""

    def simulate(self, problem: Problem, *, device: str = "cpu") -> Dataset:
        grid = _cells(problem)
        with torch.no_grad():
            start = self._start(problem, _refined(grid, self.refinement), device)
            states = self._states(problem, start, problem.evaluation.times, device, shortened=1.0)
        return simulated(problem, _named(problem, states))

    def defect(self, problem: Problem, data: Dataset, *, device: str = "cpu") -> np.ndarray:
        """As the contract says; where the grid is refined frames are no states, and the whole is followed again."""
        grid, times = _cells(problem), problem.evaluation.times
        with torch.no_grad():
            if self.refinement == 1 and len(times) > 2:
                start, times = _stored(problem, data, -2).to(device), times[-2:]
            else:
                start = self._start(problem, _refined(grid, self.refinement), device)
            # where a step goes from frame to frame a shorter limit alone would change nothing
            halves = np.interp(np.arange(2 * len(times) - 1) / 2, np.arange(len(times)), times).tolist()
            again = self._states(problem, start, halves, device, shortened=0.5)[:, -1]
            last = _stored(problem, data, -1)
        return _gap(problem, last, again)

    def _start(self, problem: Problem, grid: Grid, device: str) -> Tensor:
        """The initial state (sample, scalar, *cells): averages over the points of each cell."""
        n, d = self.subcells, len(grid.members)
        # fields that are given on a grid are where they were made
        y = initial_values(problem, Coordinates(_refined(grid, n), device=device)).to(device)
        if n > 1:
            y = _averaged(y, d, n)
        return y if y.ndim == d + 2 else y.expand(_samples(problem), *y.shape)

    def _states(
        self, problem: Problem, start: Tensor, times: Sequence[float], device: str, *, shortened: float
    ) -> Tensor:
        """The states (sample, time, scalar, *cells) from one at the first time, on the cells of the evaluation set."""
        d = len(_cells(problem).members)
        grid = _refined(_cells(problem), self.refinement)
        n, most = len(start), max(1, _AT_ONCE[torch.device(device).type] // math.prod(start.shape[1:]))
        size = math.ceil(n / math.ceil(n / most))
        replay = Replays("compiled" if math.prod(grid.shape) * max(grid.shape) >= _DEAR else "traced")
        system: Lines | FiniteVolumes | None = None
        found = []
        for first in range(0, n, size):
            # the last chunk is filled up with its last sample: functions are made for one shape
            part = torch.arange(first, first + size).clamp_max(n - 1)
            y, values = start[part.to(start.device)], {n: _of(value, part) for n, value in problem.values.items()}
            if system is None or any(value is not problem.values[name] for name, value in values.items()):
                system = self.system(problem, grid, values, y)
            states = self.frames(system, times, y, shortened=shortened, replay=replay)
            chunk = torch.stack([_averaged(y, d, self.refinement).cpu() for y in states], 1)
            found.append(chunk[: n - first])
        return torch.cat(found)


@dataclass(frozen=True)
class WaveSimulator(CellSimulator):
    """Finite volumes with limited slopes and explicit steps, for balance laws whose solutions may jump.

    Attributes:
        refinement: cells along each axis for one of the data (1 to 4); data are averages over them.
        subcells: points along each axis of a cell over which initial values are averaged (8 where they jump).
        limiter: of the slopes.
        courant: part of the longest stable steps.
    """

    refinement: int = 1
    subcells: int = 1
    limiter: Limiter = "van_leer"
    courant: float = 1.0

    def system(self, problem: Problem, grid: Grid, values: Mapping[str, Value], y: Tensor) -> FiniteVolumes:
        return FiniteVolumes(problem, grid, values=values, limiter=self.limiter, state=y, device=y.device)

    def frames(
        self, system: Lines | FiniteVolumes, times: Sequence[float], y: Tensor, *, shortened: float, replay: Replays
    ) -> Iterator[Tensor]:
        assert isinstance(system, FiniteVolumes)
        return finite_volume.frames(system, times, y, courant=shortened * self.courant, replay=replay)


@dataclass(frozen=True)
class DiffusionSimulator(CellSimulator):
    """Stabilised steps of order 2 with their error under control, for what diffuses and reacts.

    Balance laws become finite volumes, other evolutions finite differences of order 2 between the centres of cells.

    Attributes:
        tolerance: error of a step relative to the largest value (1e-7 to 1e-4).
        refinement: cells along each axis for one of the data (1 to 4); data are averages over them.
        subcells: points along each axis of a cell over which initial values are averaged (8 where they jump).
    """

    tolerance: float = 1e-6
    refinement: int = 1
    subcells: int = 1

    def system(self, problem: Problem, grid: Grid, values: Mapping[str, Value], y: Tensor) -> Lines | FiniteVolumes:
        if isinstance(problem.equation, FluxForm):
            return FiniteVolumes(problem, grid, values=values, state=y, device=y.device)
        return Lines(problem, Grid(grid.members, accuracy=2), values=values, device=y.device)

    def frames(
        self, system: Lines | FiniteVolumes, times: Sequence[float], y: Tensor, *, shortened: float, replay: Replays
    ) -> Iterator[Tensor]:
        return legendre.frames(system, times, y, tolerance=self.tolerance, shortened=shortened, replay=replay)


def _cells(problem: Problem) -> Grid:
    """The evaluation set of space.

    Raises:
        InputError: it has no cells, or times that do not begin at the initial one.
    """
    grid, time = problem.evaluation_set, problem.time
    if not isinstance(grid, Grid) or time is None or problem.evaluation.times[0] != time.lower:
        raise InputError(f"{problem.name}: cells need an evolution on a box that is judged from its initial time on")
    space = grid.without("t")
    if any(member.placement not in ("cells", "periodic") for member in space.members):
        raise InputError(f"{problem.name}: cells are wanted, write Evaluation(..., bounded='cells')")
    return space


def _refined(grid: Grid, factor: int) -> Grid:
    """Every cell divided along each axis; those of periodic axes lie around their points."""
    if factor == 1:
        return grid
    members = []
    for member in grid.members:
        if member.placement == "cells":
            members.append(GridAxis(member.axis, "cells", factor * member.size))
            continue
        width = member.axis.length / (factor * member.size)
        fine = member.points[0] + width * (np.arange(factor * member.size) - 0.5 * (factor - 1))
        members.append(GridAxis.at(member.axis, fine.tolist()))
    return Grid(tuple(members), grid.accuracy)


def _averaged(y: Tensor, dimension: int, factor: int) -> Tensor:
    """Means over blocks of cells, `factor` along each axis."""
    if factor == 1:
        return y
    for dim in range(-dimension, 0):
        y = y.unflatten(dim, (-1, factor)).mean(dim)
    return y


def _samples(problem: Problem) -> int:
    """The number of samples that the parameters tell, one where none does."""
    values = [value for value in problem.values.values() if isinstance(value, Tensor) and value.ndim]
    return len(values[0]) if values else 1


def _of(value: Value, part: Tensor) -> Value:
    """A parameter for some of the samples."""
    if isinstance(value, Tensor) and value.ndim:
        return value[part.to(value.device)]
    if isinstance(value, GridField) and value.sample_shape:
        return value.like(value.values[part.to(value.values.device)], value.quantity)
    return value


def _named(problem: Problem, states: Tensor) -> dict[str, Tensor]:
    d = problem.domain.dimension
    return dict(zip(problem.equation.scalars, states.unbind(-d - 1), strict=True))


def _stored(problem: Problem, data: Dataset, frame: int) -> Tensor:
    """The state (sample, scalar, *cells) of a data set at one of its frames."""
    parts = []
    for unknown in problem.equation.unknowns:
        values = torch.as_tensor(np.asarray(data.read(unknown.name, {"t": frame}), dtype=float))
        parts.append(values if unknown.components else values.unsqueeze(1))
    return torch.cat(parts, 1)


def _gap(problem: Problem, found: Tensor, wanted: Tensor) -> np.ndarray:
    """(sample,): the largest relative L2 of an unknown, where that has a size at all beside the others."""
    counts = [len(unknown.scalars) for unknown in problem.equation.unknowns]

    def norms(y: Tensor) -> Tensor:
        return torch.stack([part.flatten(1).square().sum(1).sqrt() for part in y.split(counts, 1)], 1)

    size = norms(wanted)
    least = 1e-6 * size.amax(1, keepdim=True).clamp_min(1e-300)
    return (norms(found - wanted) / torch.maximum(size, least)).amax(1).numpy()
