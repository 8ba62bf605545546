"""The ladders of the reference: where refinement stops, and what it says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pdesolve.physics.problems import heat_1d
from pdesolve.physics.solvers.reference.refinement import Refinement
from pdesolve.physics.solvers.reference.solution import StoredSolution
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

PROBLEM = heat_1d.problem()


class Known(StoredSolution):
    """One number on the evaluation set: 1 + error."""

    def __init__(self, error: float) -> None:
        super().__init__(PROBLEM)
        self.error = error

    def on(self, discretisation: Any = None) -> dict[str, torch.Tensor]:
        return {"u": torch.tensor([1.0 + self.error], dtype=torch.float64)}

    def state(self, x: Any) -> Any:
        raise NotImplementedError

    def store(self, path: Path, key: str = "") -> None:
        raise NotImplementedError


def climb(space: float, time: float, *, reserve: tuple[int, int] = (2, 3), tolerance: float = 1e-6, resolved: int = 99):
    """Errors that fall by these factors at each doubling, from 0.1."""
    intervals = [{"x": 8 * 2**i} for i in range(4 + reserve[0])]
    steps = [10 * 2**j for j in range(4 + reserve[1])]

    def compute(given, count):
        i, j = given["x"].bit_length() - 4, (count // 10).bit_length() - 1
        return Known(0.1 * space**-i + 0.1 * time**-j), i >= resolved

    run = Run(budget=Budget.from_now(600.0))
    found = Refinement(
        compute, intervals, steps, goal=1e-3 * tolerance, run=run, stage="test", tolerance=tolerance, reserve=reserve
    ).climb()
    return found.intervals["x"], found.steps, found


@pytest.mark.parametrize(
    ("space", "time", "x", "steps"),
    [
        (1e9, 1e9, 32, 40),  # the goal is met on the way
        (400.0, 400.0, 64, 80),  # the usual ladders end between goal and tolerance
        (200.0, 20.0, 128, 320),  # the reserve is climbed until the tolerance is met
        (6.0, 1e9, 256, 40),  # or to its end
        (1.7, 1.7, 64, 80),  # not where doubling gains too little
    ],
)
def test_the_reserve_is_for_what_has_not_converged_yet_but_does(space, time, x, steps) -> None:
    found = climb(space, time)
    assert found[:2] == (x, steps)


def test_the_estimate_is_no_less_than_the_error() -> None:
    for space, time in ((16.0, 6.0), (30.0, 30.0), (4.0, 2.5)):
        *_, found = climb(space, time)
        error = found.solution.on()["u"].item() - 1.0
        assert 0 < error < 2 * found.estimate


def test_what_is_resolved_needs_no_finer_grid() -> None:
    assert climb(4.0, 1e4, resolved=0)[0] == 8
    assert climb(4.0, 1e4, resolved=2)[0] == 32
