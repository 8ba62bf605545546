"""Batches of problems whose solution is a formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pdesolve.data import Dataset
from pdesolve.equation import flatten
from pdesolve.errors import InputError
from pdesolve.family import Simulator
from pdesolve.fields import Coordinates
from pdesolve.problem import Problem
from pdesolve.simulation import simulated


@dataclass(frozen=True)
class ClosedForm(Simulator):
    """The exact solution of each problem at the places of its evaluation set. Its defect is the distance from it."""

    def simulate(self, problem: Problem, *, device: str = "cpu") -> Dataset:
        if problem.exact is None:
            raise InputError(f"{problem.name} states no exact solution: give it one, or another simulator")
        with torch.no_grad():
            x = Coordinates(problem.evaluation_set, device=device)
            state = flatten(problem.exact.formula(problem.bind(x), x))
            return simulated(problem, {name: x.expand(field).values for name, field in state.items()})

    def defect(self, problem: Problem, data: Dataset, *, device: str = "cpu") -> np.ndarray:
        exact = self.simulate(problem, device=device)
        gaps = []
        for name in exact.variables:
            true, found = (np.asarray(one.read(name), dtype=float) for one in (exact, data))
            rows = tuple(range(1, true.ndim))
            size = np.sqrt((true**2).sum(rows))
            gaps.append(np.sqrt(((found - true) ** 2).sum(rows)) / np.maximum(size, np.finfo(float).tiny))
        return np.max(gaps, 0)
