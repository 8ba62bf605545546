"""The contract of methods that march a network of one instant in time."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Generator, nn

from pdesolve.constraint import Lift
from pdesolve.geometry import Axes
from pdesolve.marching.joined import joined
from pdesolve.marching.trajectory import MarchedSolution, Trajectory, columns_of
from pdesolve.method import Solution, Solver
from pdesolve.problem import Problem, Value
from pdesolve.settings import settings_of


class Marching(Solver):
    """A method whose solution is networks at successive instants; the settings that all of them have.

    time_steps: steps from the initial to the final time. points: in space, None for as many as the network needs.
    damping, tolerance: of the fit in each step. adam_steps, fit_steps, fit_share, fit_tolerance: of the
    initial fit.
    """

    time_steps: int
    points: int | None
    damping: float
    tolerance: float
    adam_steps: int
    fit_steps: int
    fit_share: float
    fit_tolerance: float

    def resolved(self, problem: Problem, values: Mapping[str, Value]) -> Self:
        """These settings, with what is left to the problem found from it; the same whenever it is asked for."""
        return self

    @abstractmethod
    def system(self, problem: Problem) -> Problem:
        """The problem whose state the networks hold."""

    @abstractmethod
    def new_network(self, axes: Axes, scales: Sequence[float], generator: Generator) -> nn.Module:
        """A network (point, axis of space) -> (point, scalar) before any fit, for scalars of the sizes `scales`."""

    @abstractmethod
    def lift(self, problem: Problem, values: Mapping[str, Value]) -> Lift | None:
        """What holds conditions of the problem at all times; None where nothing does."""

    def unfitted(
        self, problem: Problem, values: Mapping[str, Value], scales: Mapping[str, float],
        *, generator: Generator, dtype: torch.dtype, device: torch.device,
    ) -> MarchedSolution:  # fmt: skip
        """The solution before any fit; `scales` are the sizes of the scalars of the system."""
        system = self.system(problem)
        module = joined(
            system,
            lambda unknowns: self.new_network(
                problem.domain.axes, [scales[name] for unknown in unknowns for name in unknown.scalars], generator
            ),
        )
        return MarchedSolution(
            problem, Trajectory(module.to(device=device, dtype=dtype)), self.lift(problem, values), values,
            columns=columns_of(system), dtype=dtype, device=device,
        )  # fmt: skip

    def restore(
        self, problem: Problem, folder: Path, *, values: Mapping[str, Value] | None = None, device: str = "cpu"
    ) -> Solution:
        # parameters and scales are those stored, so that any will do
        solution = self.resolved(problem, values or {}).unfitted(
            problem, dict(values or {}), dict.fromkeys(self.system(problem).equation.scalars, 1.0),
            generator=Generator().manual_seed(0), dtype=torch.float64, device=torch.device(device),
        )  # fmt: skip
        solution.take(folder)
        return solution

    def no_target(self) -> str:
        known = settings_of(type(self))
        names = ("time_steps", "step_tolerance", "tolerance", "fit_tolerance", "fit_goal")
        return (
            "it ends at the final time, and how large the error gets on the way there is not known before: leave out "
            f"--target, and write {', '.join(f'--method.{name}' for name in names if name in known)}"
        )

    def after_divergence(self, solution: Solution) -> Mapping[str, Any]:
        # from its last accepted state a march goes the same way again
        told = re.search(r"give --method\.time_steps (\d+)", solution.notes.get("diverged", ""))
        return {"time_steps": max(2 * self.time_steps, int(told[1]) if told else 0)}
