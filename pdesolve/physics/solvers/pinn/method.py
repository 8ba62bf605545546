"""Settings and procedure of the physics-informed neural network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from pdesolve.condition import Observed, Periodic
from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry import Sampler
from pdesolve.method import Solution, Solver
from pdesolve.nn import Activation, NetworkSolution
from pdesolve.physics.solvers.pinn.model import Residuals, learnable, network
from pdesolve.physics.solvers.pinn.points import CollocationPoints
from pdesolve.problem import Problem, Value
from pdesolve.training.optimisers import FIRST_ORDER, Optimiser
from pdesolve.training.run import Run
from pdesolve.training.stages import Stage, train

_DENSE = 4000  # parameters up to which a dense inverse Hessian pays


@dataclass(frozen=True)
class Pinn(Solver):
    """Physics-informed neural network with soft conditions, trained by Adam and then by a quasi-Newton method.

    Attributes:
        width: units in each hidden layer (20 to 128).
        depth: hidden layers (2 to 8).
        activation: tanh, silu or sine. Each is smooth, as second derivatives need.
        harmonics: cosine and sine pairs on each periodic axis.
        fourier_features: number of random Fourier features of the inputs; 0 for none.
        fourier_scale: typical angular frequency of those features on axes rescaled to [-1, 1].
        collocation: collocation points inside the domain.
        condition_points: points for each condition.
        sampler: how both are drawn.
        condition_weight: weight of every condition's mean square against the equation's.
        learning_rate: of adam and soap (1e-3 to 1e-2); it falls along a cosine to a hundredth.
        adam_share: part of the budget (or of the steps) that Adam gets before another optimiser; 0 for none.
        optimiser: what follows Adam, or goes all the way (adam, soap). self_scaled_broyden and self_scaled_bfgs keep a
            dense inverse Hessian, 8 P^2 bytes for P parameters; lbfgs keeps `memory` pairs of vectors. Least squares on
            the Jacobian of the residual rows: levenberg_marquardt, gauss_newton for the last digits, spring where
            points move often; thermodynamic and adaptive_energy are for comparison. auto: self_scaled_broyden up to
            4000 parameters, else lbfgs.
        memory: pairs of vectors that lbfgs keeps.
        redraw: steps between two draws of the collocation points, after Adam.
        adaptivity: exponent k of residual-adaptive points (1 to 2), drawn with a density of |r|^k / mean(|r|^k) + 1;
            0 keeps the first points.
    """

    width: int = 20
    depth: int = 3
    activation: Activation = "tanh"
    harmonics: int = 1
    fourier_features: int = 0
    fourier_scale: float = 2.0
    collocation: int = 3000
    condition_points: int = 200
    sampler: Sampler = "sobol"
    condition_weight: float = 10.0
    learning_rate: float = 5e-3
    adam_share: float = 0.1
    optimiser: Literal["auto"] | Optimiser = "auto"
    memory: int = 50
    redraw: int = 500
    adaptivity: float = 1.0

    def solve(
        self, problem: Problem, run: Run, *, values: Mapping[str, Value] | None = None, learn: Sequence[str] = ()
    ) -> Solution:
        self._check(problem, values, learn)
        solution = self._solution(problem, values, run.generator, run.device, run.dtype)
        learned = {}
        for name in learn:
            start = solution.values.get(name, problem.values.get(name, _default(problem, name)))
            solution.values[name] = learned[name] = learnable(problem, name, start, solution)
        # periodic conditions hold by the embedding
        conditions = {name: c for name, c in problem.named_conditions.items() if not isinstance(c, Periodic)}
        objective = Residuals(problem, solution, solution.module, learned, conditions, self.condition_weight)
        points = CollocationPoints(
            problem, objective, count=self.collocation, condition_count=self.condition_points, sampler=self.sampler,
            adaptivity=self.adaptivity, generator=run.generator,
        )  # fmt: skip
        stages = self.stages(sum(p.numel() for p in objective.parameters()))
        outcome = train(
            objective, points, stages, run=run, solution=solution, learning_rate=self.learning_rate, memory=self.memory
        )
        solution.converged = outcome.reason in ("converged", "target")
        solution.notes["stopped by"] = outcome.reason
        return solution

    def stages(self, parameters: int) -> tuple[Stage, ...]:
        """The procedure: Adam finds the valley, then goes on what follows its floor, on points that move."""
        redraw = self.redraw if self.adaptivity else 0
        if self.optimiser in FIRST_ORDER:
            return (Stage(self.optimiser, redraw=redraw),)
        optimiser = self.optimiser
        if optimiser == "auto":
            optimiser = "self_scaled_broyden" if parameters <= _DENSE else "lbfgs"
        return Stage("adam", self.adam_share), Stage(optimiser, 1 - self.adam_share, redraw)

    def operation_size(self, problem: Problem) -> int:
        return self.collocation * self.width

    def restore(
        self, problem: Problem, folder: Path, *, values: Mapping[str, Value] | None = None, device: str = "cpu"
    ) -> Solution:
        solution = self._solution(problem, values, torch.Generator().manual_seed(0), torch.device(device))
        solution.read(folder)
        return solution

    def _solution(
        self, problem: Problem, values: Mapping[str, Value] | None, generator: torch.Generator, device: torch.device,
        dtype: torch.dtype = torch.float64,
    ) -> NetworkSolution:  # fmt: skip
        module = network(
            problem.axes,
            len(problem.equation.scalars),
            width=self.width,
            depth=self.depth,
            activation=self.activation,
            fourier_features=self.fourier_features,
            fourier_scale=self.fourier_scale,
            harmonics=self.harmonics,
            generator=generator,
        ).to(device=device, dtype=dtype)
        return NetworkSolution(problem, module, values, dtype=dtype, device=device)

    def _check(self, problem: Problem, values: Mapping[str, Value] | None, learn: Sequence[str]) -> None:
        if "point" not in problem.equation.kinds:
            raise InputError(
                f"pinn needs an equation on point fields, {type(problem.equation).__name__} supports "
                f"{', '.join(problem.equation.kinds)}"
            )
        for name, value in (values or {}).items():
            if isinstance(value, torch.Tensor) and value.ndim:
                raise InputError(
                    f"pinn solves one problem at a time, {name} has {len(value)} values: solve them one after the "
                    "other, or all at once by the method reference"
                )
        self._check_settings()
        declared = [parameter.name for parameter in problem.equation.parameters]
        for name in learn:
            if name not in declared:
                raise unknown_name("parameter", name, declared)
        if learn and not any(isinstance(c, Observed) for c in problem.conditions):
            raise InputError(
                f"learning {', '.join(learn)} needs observations: add an Observed condition, or --observe data.csv"
            )

    def _check_settings(self) -> None:
        for name in ("collocation", "condition_points", "harmonics", "memory", "redraw"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "fourier_scale"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be more than zero, got {getattr(self, name)}")
        for name in ("condition_weight", "adaptivity", "fourier_features"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} must be zero or more, got {getattr(self, name)}")
        if not 0 <= self.adam_share <= 1:
            raise InputError(f"adam_share is a part between 0 and 1, got {self.adam_share}")


def _default(problem: Problem, name: str) -> float:
    for parameter in problem.equation.parameters:
        if parameter.name == name and parameter.default is not None:
            return parameter.default
    raise InputError(f"{problem.name}: parameter {name!r} has no value to start from")
