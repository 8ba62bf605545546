"""Solvers that minimise residuals at collocation points: what all of them share, whatever their network is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from pdesolve.fields.engines import Engine, engine
from pdesolve.geometry import Adaptive, Adaptivity, PointCloud, Sampler
from pdesolve.method import Solution, Solver
from pdesolve.nn import NetworkSolution, read_network
from pdesolve.physics.collocation.checks import check, check_memory
from pdesolve.physics.collocation.linear import Kind
from pdesolve.physics.collocation.model import Residuals
from pdesolve.physics.collocation.points import CollocationPoints
from pdesolve.physics.collocation.shallow import better, ended, without_training
from pdesolve.physics.collocation.task import Task, collocation, new_solution, recorded
from pdesolve.physics.collocation.weighting import Emphasis
from pdesolve.physics.constraints import BoxLift
from pdesolve.problem import Problem, Value
from pdesolve.scales import Scales
from pdesolve.training.balance import Balancing
from pdesolve.training.optimisers import FIRST_ORDER, LEAST_SQUARES, Optimiser
from pdesolve.training.run import Run
from pdesolve.training.stages import Part, Stage, train
from pdesolve.training.windows import Windows, march, read_windows, windows

_DENSE = 4000  # parameters up to which a dense inverse Hessian pays
_FEW_AXES, _FEWEST, _EACH = 3, 400, 3
_REDRAW = 20  # steps of Levenberg-Marquardt between two draws of points: each gets far on its own
_COMPILED = 200.0  # CPU seconds of budget from which on compilation pays


@dataclass(frozen=True)
class CollocationSolver(Solver):
    """A network whose conditions hold exactly where they can, minimised at collocation points by the best method known.

    A method says by `network` what is trained, by `kinds` with what random features linear problems are tried first,
    and by `following` what comes after Adam where nothing was asked for.

    Attributes:
        conditions: exact builds Dirichlet, initial and periodic conditions into the state where that can be done (on
            boxes and intervals, for data that are smooth and agree where they meet); soft leaves all but periodic ones
            to the loss.
        collocation: collocation points inside the domain. None for 3000 that move; linear problems in up to three axes
            get three for each parameter, at least 400, that stay: least squares goes on converging on those.
        condition_points: points for each condition that is left to the loss, and for each axis that it has.
        sampler: how both are drawn; chebyshev: denser towards walls and the initial time, for layers there.
        condition_weight: weight of every condition's mean square against the equation's.
        jump_radius: distance from where values on two sides disagree, as a part of each axis, within which rows weigh
            less: (r / radius)^2 (0.1 to 0.3); 0: none.
        balancing: how weights of terms are found: none, gradient_statistics, gradient_norm or tangent_kernel.
        emphasis: what weighs points: none, attention (residual-based), causal (chunks of time in their order), gate (a
            front that moves on in time).
        adaptivity: how collocation points move: rad (drawn anew where the residual is large), rar_d (added there), r3
            (points of large residual stay), none.
        exponent: k of rad's and rar_d's density |r|^k / mean(|r|^k) + 1 (1 to 2).
        redraw: steps between two moves of the collocation points, after Adam.
        windows: pieces of time that are solved one after the other, each from where the one before ended.
        optimiser: what follows Adam, or goes all the way (adam, soap). self_scaled_broyden and self_scaled_bfgs keep a
            dense inverse Hessian, 8 P^2 bytes for P parameters; lbfgs keeps `memory` pairs of vectors. Least squares on
            the Jacobian of the residual rows: levenberg_marquardt, gauss_newton for the last digits, spring where
            points move often; thermodynamic and adaptive_energy are for comparison. output_layer is for problems that
            are linear in the unknowns: one wide layer of random features, of which the output layer is solved for.
            auto: output_layer for linear problems if its residual falls far enough at points it has not seen, else
            levenberg_marquardt for them; for others self_scaled_broyden; lbfgs beyond 4000 parameters.
        learning_rate: of adam and soap (1e-3 to 1e-2); it falls along a cosine to a hundredth.
        adam_share: part of the budget (or of the steps) that Adam gets before another optimiser; 0 for none.
        memory: pairs of vectors that lbfgs keeps.
        engine: how a network's derivatives are computed: eager, fused (activations compiled) or whole (all of it
            compiled, which takes ten to forty seconds of the budget). auto: whole for the long runs that it pays in.
    """

    conditions: Literal["exact", "soft"] = "exact"
    collocation: int | None = None
    condition_points: int = 200
    sampler: Sampler = "sobol"
    condition_weight: float = 10.0
    jump_radius: float = 0.2
    balancing: Balancing = "none"
    emphasis: Emphasis = "none"
    adaptivity: Adaptivity = "rad"
    exponent: float = 1.0
    redraw: int = 500
    windows: int = 1
    optimiser: Literal["auto", "output_layer"] | Optimiser = "auto"
    learning_rate: float = 5e-3
    adam_share: float = 0.1
    memory: int = 50
    engine: Literal["auto", "eager", "fused", "whole"] = "auto"

    @abstractmethod
    def network(
        self, problem: Problem, generator: torch.Generator, beside: tuple[nn.Module, int] | None = None
    ) -> nn.Sequential:
        """The network of the settings, from coordinates to scalars of the size of one.

        beside: further inputs, a module of coordinates and how many numbers it gives.
        """

    @property
    @abstractmethod
    def units(self) -> int:
        """Numbers that the network holds for each point and partial, all layers together."""

    @property
    @abstractmethod
    def largest(self) -> int:
        """Units of its widest layer."""

    @property
    @abstractmethod
    def kinds(self) -> tuple[Kind, ...]:
        """Random features that linear problems are tried with, in turn; none where a network was asked for."""

    @property
    @abstractmethod
    def remedies(self) -> Mapping[str, bool]:
        """What else helps with thin layers and fast waves, as it is written, and whether it is not on yet."""

    @property
    @abstractmethod
    def form(self) -> Literal["normal"] | None:
        """The form of Levenberg-Marquardt's linear solves; by size where None."""

    @abstractmethod
    def refuse(self, problem: Problem) -> None:
        """Refuse settings of its own that cannot be, before any time is spent.

        Raises:
            InputError: one line.
        """

    @abstractmethod
    def moved(self, objective: Residuals, cloud: PointCloud, run: Run) -> None:
        """What the network does where collocation points were drawn anew."""

    @abstractmethod
    def following(self, parameters: int) -> Optimiser:
        """What comes after Adam for so many parameters where nothing was asked for."""

    def solve(
        self, problem: Problem, run: Run, *, values: Mapping[str, Value] | None = None, learn: Sequence[str] = ()
    ) -> Solution:
        check(self, problem, values, learn)
        check_memory(self, run)
        # refuse bad settings of what a linear problem may never come to use
        self.refuse(problem)
        self.network(problem, torch.Generator().manual_seed(0))
        Adaptive(self.adaptivity, self.exponent)
        if self.windows == 1:
            return self._train(Task.of(self, problem, run=run, values=values, learn=learn), lambda solution: solution)
        assert problem.time is not None

        def solve(here: Problem, before: Sequence[NetworkSolution]) -> NetworkSolution:
            earlier = [part.module.requires_grad_(False) for part in before]  # they are data of the windows after them
            part = Part(len(before), self.windows)
            task = Task.of(self, here, run=run, values=values, learn=learn, part=part, earlier=earlier)
            return self._train(task, lambda solution: Windows(problem, [*before, solution]))

        return march(problem, windows(problem.time, self.windows), solve)

    def _train(self, task: Task, whole: Callable[[Solution], Solution]) -> NetworkSolution:
        """One network for all of a problem, or for a window of it. whole: what is watched while it is trained."""
        shallow = without_training(task)
        if shallow.reason:
            return ended(shallow.objective, task, whole, shallow.reason)
        run = task.run
        if shallow.oscillation is not None:
            task = replace(task, lift=None)
        objective = task.objective(shallow.oscillation, run.generator)
        solution = objective.solution
        linear = shallow.linear
        stages = self.stages(task.problem, solution.parameters, linear)
        # least squares have their Jacobian from a tape, and their memory counted, where nothing is compiled
        if not any(stage.optimiser in LEAST_SQUARES for stage in stages):
            objective.engine = self._engine(run)
        points = CollocationPoints(
            task.problem, objective, count=self._count(task.problem, solution.parameters, linear),
            condition_count=task.on_conditions, sampler=self.sampler,
            adaptive=Adaptive(self.adaptivity, self.exponent), generator=run.generator,
            moved=lambda cloud: self.moved(objective, cloud, run),
        )  # fmt: skip
        outcome = train(
            objective, points, stages, run=run,
            solution=whole(solution), learning_rate=self.learning_rate, memory=self.memory, part=task.part,
        )  # fmt: skip
        if better(shallow, objective, task):
            return ended(shallow.objective, task, whole, "features")
        solution.converged = outcome.reason in ("converged", "target")
        solution.notes["stopped by"] = outcome.reason
        return solution

    def _engine(self, run: Run) -> Engine:
        """How derivatives are computed: a choice of the run, since compiled sums differ in their last digits."""
        name = self.engine
        if name == "auto":
            pays = run.steps is None and run.budget.left > (_COMPILED if run.device.type == "cpu" else _COMPILED / 4)
            name = run.choose("engine", lambda: "whole" if pays else "eager")
        return engine(name, run.device)

    def _stay(self, problem: Problem, linear: bool) -> bool:
        """Whether points stay where they are: in few dimensions a few for each parameter leave no room between them."""
        return linear and self.collocation is None and len(problem.axes) <= _FEW_AXES

    def _count(self, problem: Problem, parameters: int, linear: bool) -> int:
        if self._stay(problem, linear):
            return max(_FEWEST, _EACH * parameters)
        return collocation(self)

    def stages(self, problem: Problem, parameters: int, linear: bool) -> tuple[Stage, ...]:
        """The procedure: Adam finds the valley, then goes on what follows its floor, on points that move.

        Linear problems have no valley to be found: least squares from the start.
        """
        redraw = 0 if self.adaptivity == "none" else self.redraw
        if self.optimiser in FIRST_ORDER:
            return (Stage(self.optimiser, redraw=redraw),)
        if self.optimiser in ("auto", "output_layer"):
            if linear and parameters <= _DENSE:
                redraw = 0 if self._stay(problem, linear) else min(redraw, _REDRAW)
                return (Stage("levenberg_marquardt", redraw=redraw, form=self.form),)
            optimiser = self.following(parameters)
        else:
            optimiser = self.optimiser
        begin, rest = Stage("adam", self.adam_share), 1 - self.adam_share
        if optimiser == "gauss_newton":  # its steps are right near a solution only
            return begin, Stage("levenberg_marquardt", rest / 2, redraw), Stage(optimiser, rest / 2, redraw)
        return begin, Stage(optimiser, rest, redraw, self.form)

    def operation_size(self, problem: Problem) -> int:
        return collocation(self) * self.largest

    def restore(
        self, problem: Problem, folder: Path, *, values: Mapping[str, Value] | None = None, device: str = "cpu"
    ) -> Solution:
        if self.windows > 1:
            return read_windows(problem, folder, lambda part, place: self._restored(part, place, values, device))
        return self._restored(problem, folder, values, device)

    def _restored(
        self, problem: Problem, folder: Path, values: Mapping[str, Value] | None, device: str
    ) -> NetworkSolution:
        # sizes are buffers of the network, so that any will do
        some = Scales(dict.fromkeys(problem.equation.scalars, (0.0, 1.0)), {}, {})
        generator = torch.Generator().manual_seed(0)
        stored = read_network(folder, device)
        layer = recorded(stored.built)
        made = None if stored.lift is None else BoxLift.from_record(problem, stored.lift, values)
        place, dtype = torch.device(device), torch.float64
        solution = new_solution(self, problem, values, some, made, layer, generator, place, dtype)
        solution.take(stored)
        return solution
