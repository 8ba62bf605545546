"""Batches of evolutions on periodic boxes by Fourier series, at a resolution and a step that were chosen before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from pdesolve.data.dataset import Dataset
from pdesolve.equation import Values
from pdesolve.errors import InputError
from pdesolve.family import Simulator
from pdesolve.fields import Coordinates, Field
from pdesolve.geometry import Grid
from pdesolve.integration.adams import etdab4
from pdesolve.integration.exponential import etdrk4, plan
from pdesolve.integration.fourier import FourierBasis
from pdesolve.integration.initial import initial_values
from pdesolve.integration.spectral import SpectralEvolution
from pdesolve.problem import Problem
from pdesolve.simulation import simulated

_FRAMES = 2**29  # bytes of all frames of the samples that are solved at once
_STATE = 2**20  # bytes of one state of theirs on a CPU: each step goes through it a hundred times, in the cache
_BLOCK = 31 * 2**20  # bytes of the largest block that glibc takes as a measure for others


_SCHEMES = {"etdrk4": etdrk4, "etdab4": etdab4}

Scheme = Literal["etdrk4", "etdab4"]


@dataclass(frozen=True)
class SpectralSimulator(Simulator):
    """Exponential time differencing of fourth order with the 2/3 rule, in double precision.

    The first frame is the initial state itself, where it is stored; in all others are the waves that the rule keeps.

    Attributes:
        scheme: etdrk4; or etdab4 where the linear part damps short waves, three times cheaper there.
        step: the longest time step; steps are whole between the frames.
        refinement: points of the computation for each stored point, along each axis.
    """

    step: float
    refinement: int = 1
    scheme: Scheme = "etdrk4"

    def simulate(self, problem: Problem, *, device: str = "cpu") -> Dataset:
        times, first = problem.evaluation.times, _first(problem)
        begun = times[0] - first <= 1e-12 * (times[-1] - first)
        start = initial_values(problem, Coordinates(self._grid(problem), device=device))
        found = self._solved(problem, start, times if begun else (first, *times), self.step)
        if begun:
            # a state that all samples share has no dimension of them
            found[:, 0] = start.narrow(-len(problem.domain.axes) - 1, 0, found.shape[2])[self._stored(problem)]
        found = found if begun else found[:, 1:]
        return simulated(problem, dict(zip(_scalars(problem), found.unbind(2), strict=True)))

    def defect(self, problem: Problem, data: Dataset, *, device: str = "cpu") -> np.ndarray:
        """The change of the last frame by half steps: since the frame before, or, where the computation has more points
        than are stored, since the start."""
        times = problem.evaluation.times
        if len(times) < 2 or problem.evolution().order == 2:
            raise InputError(f"{problem.name}: steps are judged between two frames of u: store two, of order 1 in time")
        before, last = (
            torch.stack([torch.as_tensor(data.read(n, {"t": i}), dtype=torch.float64) for n in _scalars(problem)], 1)
            for i in (-2, -1)
        )
        start, span = before.to(device), times[-2:]
        if self.refinement > 1:
            start = initial_values(problem, Coordinates(self._grid(problem), device=device))
            span = (_first(problem), *times[-2:])
        longest = max(h for _, h in plan(span, self.step))
        change = self._solved(problem, start, span, 0.5 * longest)[:, -1].cpu() - last
        places = tuple(range(1, change.ndim))
        return (change.square().sum(places) / last.square().sum(places)).sqrt().numpy()

    def _grid(self, problem: Problem) -> Grid:
        """The points of the computation."""
        grid = problem.evaluation_set
        assert isinstance(grid, Grid)
        sizes = {m.axis.name: self.refinement * m.size for m in grid.members if m.axis.name != "t"}
        return Grid.regular(problem.domain.axes, sizes)

    def _solved(self, problem: Problem, start: Tensor, times: Sequence[float], step: float) -> Tensor:
        """Values (sample, time, scalar, *stored points) at ascending times, from those at the first of them."""
        grid = self._grid(problem)
        basis = FourierBasis(grid, device=start.device, dealiasing="truncated")
        x = Coordinates(grid, device=start.device)
        batch = _batch(problem, start, x)
        start = start.expand(batch, *start.shape[-len(grid.members) - 1 :])
        parts = []
        # glibc gives memory above twice the largest block that was freed back to the system, and faults on every page
        # when it is wanted again: most of the time of a step, without this block
        torch.empty(_BLOCK, dtype=torch.uint8)
        for chunk in _chunks(batch, start[0].numel() * start.element_size(), len(times), start.device):

            def bind(x: Coordinates, chunk: slice = chunk) -> Values:
                return {name: _some(field, chunk) for name, field in problem.bind(x).items()}

            with torch.no_grad():
                system = SpectralEvolution(problem.evolution(), basis, bind, time=(times[0], times[-1]))
                states = _SCHEMES[self.scheme](system, basis.forward(start[chunk]), times, step)
                values = basis.backward(states.narrow(2, 0, len(system.scalars)))
            parts.append(values[self._stored(problem)].movedim(0, 1))
        return torch.cat(parts)

    def _stored(self, problem: Problem) -> tuple[Any, ...]:
        """The stored points among those of the computation."""
        return (..., *(slice(None, None, self.refinement) for _ in problem.domain.axes))


def _first(problem: Problem) -> float:
    assert problem.time is not None
    return problem.time.lower


def _scalars(problem: Problem) -> list[str]:
    return [name for unknown in problem.evolution().evolving for name in unknown.scalars]


def _batch(problem: Problem, start: Tensor, x: Coordinates) -> int:
    """The number of samples in the initial states and the parameters."""
    shapes = [start.shape[: -len(x.axes) - 1]]
    shapes += [field.sample_shape for field in problem.bind(x.at_instant(_first(problem))).values()]
    return math.prod(np.broadcast_shapes(*shapes))


def _some(field: Field, chunk: slice) -> Field:
    """The field for some of the samples."""
    return field.like(field.values[chunk], field.quantity) if field.sample_shape else field


def _chunks(samples: int, state: int, frames: int, device: torch.device) -> Iterator[slice]:
    """Samples that go together, by the bytes of one state of a sample and the number of frames."""
    at_once = max(1, min(_FRAMES // (3 * frames * state), samples if device.type != "cpu" else _STATE // state))
    size = -(-samples // -(-samples // at_once))  # parts of one size, so that one trace serves them
    return (slice(i, i + size) for i in range(0, samples, size))
