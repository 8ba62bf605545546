"""Batches of problems that have a solution in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pdesolve.data.dataset import Dataset
from pdesolve.equation import flatten
from pdesolve.errors import InputError
from pdesolve.family import Simulator
from pdesolve.fields import Coordinates
from pdesolve.geometry import Grid
from pdesolve.problem import Problem
from pdesolve.simulation import simulated


@dataclass(frozen=True)
class ExactSimulator(Simulator):
    """The problem's own exact solution, evaluated at the places and times that are stored."""

    def simulate(self, problem: Problem, *, device: str = "cpu") -> Dataset:
        grid = problem.evaluation_set
        if problem.exact is None or not isinstance(grid, Grid):
            raise InputError(f"{problem.name} has no exact solution on a grid")
        x = Coordinates(grid, device=device)
        with torch.no_grad():
            state = flatten(problem.exact.formula(problem.bind(x), x))
            return simulated(problem, {name: x.expand(field).values for name, field in state.items()})

    def defect(self, problem: Problem, data: Dataset, *, device: str = "cpu") -> np.ndarray:
        """The largest difference to the formula at the last frame, relative to the largest value of the sample."""
        fresh = self.simulate(problem, device=device)
        names = problem.equation.scalars
        pairs = [(data.read(name, {"t": -1}), fresh.read(name, {"t": -1}), data.read(name)) for name in names]
        gaps = [
            np.abs(a - b).reshape(len(a), -1).max(1) / np.abs(whole).reshape(len(a), -1).max(1) for a, b, whole in pairs
        ]
        return np.max(gaps, axis=0)
