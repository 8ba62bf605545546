"""Simulated and checked samples of a family, and the bytes that they will take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pdesolve.data.dataset import Dataset
from pdesolve.datasets.acceptance import Verdict, judged
from pdesolve.datasets.joining import joined
from pdesolve.datasets.parts import Record
from pdesolve.errors import Diverged
from pdesolve.family import Draws, Family
from pdesolve.geometry import Grid, Mesh
from pdesolve.problem import Problem

_PART_BYTES, _PART_SAMPLES = 2**26, 64


def produced(family: Family, seed: int, numbers: range, *, device: str = "cpu") -> tuple[Dataset | None, Record]:
    """The samples of these numbers that pass the checks, in order, and what is to be said of all.

    Where a solver gives up on a batch its halves are tried, so that one sample fails alone. None where all fail.
    """
    kept, failed = [], {}
    defect, drifts = 0.0, {}
    for first, problem, data in _simulated(family, seed, numbers, device, failed):
        verdict = judged(family, problem, data, device=device)
        failed |= {first + i: reason for i, reason in verdict.reasons.items()}
        passed = [i for i in range(data.samples) if i not in verdict.reasons]
        if passed:
            kept.append(data if len(passed) == data.samples else data.isel({"sample": passed}))
        defect = max(defect, verdict.defect)
        drifts = _largest(drifts, verdict)
    record = Record(numbers.start, numbers.stop, dict(sorted(failed.items())), defect, drifts)
    return (joined(kept) if kept else None), record


def _simulated(
    family: Family, seed: int, numbers: range, device: str, failed: dict[int, str]
) -> list[tuple[int, Problem, Dataset]]:
    """Batches: the number of their first sample, their problem, their data. What has no solution goes into `failed`."""
    problems = family.problems(Draws(seed, numbers))
    try:
        found, first = [], numbers.start
        for problem in problems:
            data = family.simulator.simulate(problem, device=device)
            found.append((first, problem, data))
            first += data.samples
        assert first == numbers.stop, f"{len(numbers)} samples were asked for, {first - numbers.start} came"
        return found
    except Diverged as error:
        if len(numbers) == 1:
            failed[numbers.start] = str(error)
            return []
    half = (numbers.start + numbers.stop) // 2
    return [
        batch
        for part in (range(numbers.start, half), range(half, numbers.stop))
        for batch in _simulated(family, seed, part, device, failed)
    ]


def _largest(drifts: dict[str, float], verdict: Verdict) -> dict[str, float]:
    return {name: max(drifts.get(name, 0.0), drift) for name, drift in verdict.drifts.items()}


def numbers_per_sample(family: Family, seed: int) -> int:
    """How many numbers are stored of a sample: by the grid of its problem; where it has none, by simulating one."""
    problem = family.problems(Draws(seed, range(1)))[0]
    grid = problem.evaluation_set if problem.domain.is_box else None
    if not isinstance(grid, Grid):
        return _numbers(family.simulator.simulate(problem))
    space = grid.without("t") if problem.time else grid
    fields = sum(callable(value) for value in problem.values.values())
    return len(problem.equation.scalars) * math.prod(grid.shape) + fields * math.prod(space.shape)


def _numbers(data: Dataset) -> int:
    """Those of its variables and of its meshes, which are stored in double precision."""
    found = sum(math.prod(variable.array.shape) for variable in data.variables.values())
    for mesh in data.meshes:
        if isinstance(mesh, Mesh):
            found += 2 * (mesh.points.numel() + mesh.cells.numel())
    return found


def batch_for(numbers: int) -> int:
    """Samples that are simulated and written together: 64 MB of them in double precision, 64 at most."""
    return max(1, min(_PART_SAMPLES, _PART_BYTES // (8 * numbers)))


def saying(data: Dataset, attributes: Mapping[str, Any]) -> Dataset:
    """The data set with more said of it."""
    return replace(data, attributes={**data.attributes, **attributes})
