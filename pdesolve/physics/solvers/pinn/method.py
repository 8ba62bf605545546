"""Settings and procedure of the physics-informed neural network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from pdesolve.condition import Periodic
from pdesolve.constraint import Lift
from pdesolve.errors import InputError
from pdesolve.fields.engines import Engine, engine
from pdesolve.geometry import Adaptive, Adaptivity, PointCloud, Sampler
from pdesolve.method import Solution, Solver
from pdesolve.nn import (
    Activation,
    Affine,
    Architecture,
    Beside,
    Features,
    NetworkSolution,
    Weights,
    network,
    read_network,
    wide,
)
from pdesolve.physics.constraints import BoxLift, lift
from pdesolve.physics.solvers.pinn.checks import check, check_memory
from pdesolve.physics.solvers.pinn.linear import SOLVED, Trials, Wide
from pdesolve.physics.solvers.pinn.model import Residuals, learnable
from pdesolve.physics.solvers.pinn.output_layer import is_linear, residual_root
from pdesolve.physics.solvers.pinn.points import CollocationPoints
from pdesolve.physics.solvers.pinn.weighting import INTERIOR, Emphasis, Weighting
from pdesolve.problem import Problem, Value
from pdesolve.scales import Scales, scales
from pdesolve.training.balance import Balancing
from pdesolve.training.optimisers import FIRST_ORDER, Optimiser
from pdesolve.training.run import Run
from pdesolve.training.stages import Part, Stage, train
from pdesolve.training.windows import Windows, read_windows, window, windows

_DENSE = 4000  # parameters up to which a dense inverse Hessian pays
_REDRAW = 20  # steps of Levenberg-Marquardt between two draws of points: each gets far on its own
_COMPILED = 200.0  # CPU seconds of budget from which on compilation pays
_WIDTH, _DEPTH = 20, 3  # of a network that nobody asked to be of another size


@dataclass(frozen=True)
class Pinn(Solver):
    """Physics-informed neural network whose conditions hold exactly where they can, minimised by the best method known.

    Attributes:
        architecture: mlp; modified_mlp, whose hidden layers are mixed by two gates; piratenet, residual blocks that
            start as the identity.
        width: units in each hidden layer (20 to 128); None for 20.
        depth: hidden layers (1 to 8), of piratenet blocks of three hidden layers each; None for 3. Where neither is
            asked for, linear problems get one wide layer (see `optimiser`).
        activation: tanh, silu or sine. Each is smooth, as second derivatives need.
        weights: factorised gives each unit a trained logarithm of its scale; plain has none.
        features: what the network is given: coordinates, or sines of them (fourier: fixed random frequencies;
            learned_fourier: trained ones; sine: a trained layer of sines).
        feature_count: number of those frequencies.
        feature_scale: their typical angular frequency on axes rescaled to [-1, 1].
        harmonics: cosine and sine pairs on each periodic axis.
        conditions: exact builds Dirichlet, initial and periodic conditions into the state where that can be done (on
            boxes and intervals, for data that are smooth and agree where they meet); soft leaves all but periodic ones
            to the loss.
        collocation: collocation points inside the domain.
        condition_points: points for each condition that is left to the loss, and for each axis that it has.
        sampler: how both are drawn.
        condition_weight: weight of every condition's mean square against the equation's.
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

    architecture: Architecture = "mlp"
    width: int | None = None
    depth: int | None = None
    activation: Activation = "tanh"
    weights: Weights = "plain"
    features: Features = "coordinates"
    feature_count: int = 32
    feature_scale: float = 2.0
    harmonics: int = 1
    conditions: Literal["exact", "soft"] = "exact"
    collocation: int = 3000
    condition_points: int = 200
    sampler: Sampler = "sobol"
    condition_weight: float = 10.0
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

    def solve(
        self, problem: Problem, run: Run, *, values: Mapping[str, Value] | None = None, learn: Sequence[str] = ()
    ) -> Solution:
        check(self, problem, values, learn)
        check_memory(self, run, width=self.width or _WIDTH, depth=self.depth or _DEPTH)
        # refuse bad settings of what a linear problem may never come to use
        self._network(problem, torch.Generator().manual_seed(0))
        Adaptive(self.adaptivity, self.exponent)
        if self.windows == 1:
            return self._train(problem, run, Part(), dict(values or {}), learn, lambda solution: solution, ())
        assert problem.time is not None
        done: list[NetworkSolution] = []
        for k, time in enumerate(windows(problem.time, self.windows)):
            for part in done:
                part.module.requires_grad_(False)  # it is data of the windows after it
            here, earlier = window(problem, time, done[-1] if done else None), [part.module for part in done]
            solution = self._train(
                here, run, Part(k, self.windows), dict(values or {}), learn,
                lambda solution: Windows(problem, [*done, solution]), earlier,
            )  # fmt: skip
            done.append(solution)
        return Windows(problem, done)

    def _train(
        self, problem: Problem, run: Run, part: Part, values: dict[str, Value], learn: Sequence[str],
        whole: Callable[[Solution], Solution], earlier: Sequence[nn.Module],
    ) -> NetworkSolution:  # fmt: skip
        """One network for all of a problem, or for a window of it. whole: what is watched while it is trained."""
        # choices of the run, since a window's are made from a network that a resumed run brings back later only
        sizes = Scales(**run.choose(f"scales{part}", lambda: asdict(self._scales(problem, values, run))))
        made: Lift | None = None
        if self.conditions == "exact":
            record = run.choose(f"lift{part}", lambda: dict(lift(problem, values, learned=learn).record()))
            made = BoxLift.from_record(problem, record, values)
            for name, reason in made.soft.items():
                run.say(f"{name} is left to the loss: {reason}")

        def objective_of(layer: Wide | None, generator: torch.Generator) -> Residuals:
            return self._objective(problem, values, learn, sizes, made, layer, earlier, generator, run)

        linear = False
        if self.optimiser in ("auto", "output_layer") and not learn:
            first = objective_of(Wide(16, "tanh", (1.0,) * len(problem.axes)), torch.Generator().manual_seed(run.seed))
            if self._free and residual_root(first, self._clouds(first, 256, 0)) < SOLVED:
                run.say("what the conditions alone say solves the equation already: nothing is left to train")
                return self._ended(first, run, whole, "converged")
            linear = is_linear(first, self._clouds(first, 16, 0))
        if self.optimiser == "output_layer" and not self._free:
            raise InputError(
                "output_layer finds a layer of its own: leave out width, depth, architecture and features, or take "
                "--method.optimiser levenberg_marquardt"
            )
        if self.optimiser == "output_layer" and not linear:
            raise InputError(
                f"output_layer solves linear problems without learned values, {problem.name} is none: take "
                "--method.optimiser auto"
            )
        shallow: Residuals | None = None
        if linear and self._free:
            trials = Trials(
                lambda layer: objective_of(layer, torch.Generator().manual_seed(run.seed)),
                self._clouds,
                len(problem.axes),
            )
            found = trials.solve(run, f"features{part}")
            if found is not None and (found[1] or self.optimiser == "output_layer"):
                return self._ended(found[0], run, whole, "converged" if found[1] else "features")
            shallow = None if found is None else found[0]

        objective = objective_of(None, run.generator)
        solution = objective.solution
        if not linear:  # least squares have their Jacobian from a tape, which is never compiled
            objective.engine = self._engine(run)
        points = CollocationPoints(
            problem, objective, count=self.collocation, condition_count=self._on_conditions(problem),
            sampler=self.sampler, adaptive=Adaptive(self.adaptivity, self.exponent), generator=run.generator,
        )  # fmt: skip
        outcome = train(
            objective, points, self.stages(solution.parameters, linear=linear), run=run, solution=whole(solution),
            learning_rate=self.learning_rate, memory=self.memory, part=part,
        )  # fmt: skip
        if shallow is not None:
            elsewhere = [residual_root(each, self._clouds(each, 1000, 2)) for each in (shallow, objective)]
            if elsewhere[0] < elsewhere[1]:
                run.say(
                    f"random features leave a residual of {elsewhere[0]:.1e} elsewhere, training {elsewhere[1]:.1e}"
                )
                return self._ended(shallow, run, whole, "features")
        solution.converged = outcome.reason in ("converged", "target")
        solution.notes["stopped by"] = outcome.reason
        return solution

    def _ended(
        self, objective: Residuals, run: Run, whole: Callable[[Solution], Solution], reason: str
    ) -> NetworkSolution:
        """The solution of an objective that needs no training."""
        solution = objective.solution
        solution.converged = reason == "converged"
        solution.notes["stopped by"] = reason
        batch = {name: objective.coordinates(name, cloud) for name, cloud in self._clouds(objective, 256, 2).items()}
        losses = {name: float(term.detach()) for name, term in objective(batch).items()}
        run.watch(whole(solution), stage="output_layer", step=1, losses=losses)
        return solution

    def _engine(self, run: Run) -> Engine:
        """How derivatives are computed: a choice of the run, since compiled sums differ in their last digits."""
        name = self.engine
        if name == "auto":
            pays = run.steps is None and run.budget.left > (_COMPILED if run.device.type == "cpu" else _COMPILED / 4)
            name = run.choose("engine", lambda: "whole" if pays else "eager")
        return engine(name, run.device)

    @property
    def _free(self) -> bool:
        """Whether nobody asked for a network of their own."""
        return (
            self.width is None and self.depth is None and self.architecture == "mlp" and self.features == "coordinates"
        )

    def _objective(
        self, problem: Problem, values: dict[str, Value], learn: Sequence[str], sizes: Scales, made: Lift | None,
        layer: Wide | None, earlier: Sequence[nn.Module], generator: torch.Generator, run: Run,
    ) -> Residuals:  # fmt: skip
        """What is minimised for a new network, by its settings or of one wide layer."""
        solution = self._solution(problem, values, sizes, made, layer, generator, run.device, run.dtype)
        learned = {}
        for name in learn:
            start = solution.values.get(name, problem.values.get(name, _default(problem, name)))
            solution.values[name] = learned[name] = learnable(problem, name, start, solution)
        # periodic conditions hold by the embedding
        held = () if made is None else made.exact
        conditions = {
            name: condition
            for name, condition in problem.named_conditions.items()
            if not isinstance(condition, Periodic) and name not in held
        }
        weighting = Weighting(self.condition_weight, self.balancing, self.emphasis, problem.time)
        return Residuals(problem, solution, conditions, weighting, sizes, learned=learned, earlier=earlier)

    def _on_conditions(self, problem: Problem) -> int:
        """Points of each condition: so many along each axis that it has."""
        return self.condition_points * max(1, len(problem.axes) - 1)

    def _clouds(self, objective: Residuals, count: int, seed: int) -> dict[str, PointCloud]:
        """Points of every term, always the same of one seed: `count` inside, those of conditions in proportion."""
        generator = torch.Generator().manual_seed(seed)
        problem = objective.problem
        some = max(16, count * self._on_conditions(problem) // self.collocation)
        clouds = {n: c.sample(problem, some, self.sampler, generator) for n, c in objective.conditions.items()}
        return {INTERIOR: problem.sample(count, self.sampler, generator), **clouds}

    def _scales(self, problem: Problem, values: Mapping[str, Value], run: Run) -> Scales:
        found = scales(problem, values)
        for line in found.lines():
            run.say(line)
        if (warning := found.warning()) is not None:
            run.say(f"warning: {warning}")
        return found

    def stages(self, parameters: int, *, linear: bool) -> tuple[Stage, ...]:
        """The procedure: Adam finds the valley, then goes on what follows its floor, on points that move.

        Linear problems have no valley to be found: least squares from the start.
        """
        redraw = 0 if self.adaptivity == "none" else self.redraw
        if self.optimiser in FIRST_ORDER:
            return (Stage(self.optimiser, redraw=redraw),)
        if self.optimiser in ("auto", "output_layer"):
            if linear and parameters <= _DENSE:
                return (Stage("levenberg_marquardt", redraw=min(redraw, _REDRAW)),)
            optimiser = "self_scaled_broyden" if parameters <= _DENSE else "lbfgs"
        else:
            optimiser = self.optimiser
        return Stage("adam", self.adam_share), Stage(optimiser, 1 - self.adam_share, redraw)

    def operation_size(self, problem: Problem) -> int:
        return self.collocation * (self.width or _WIDTH)

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
        layer = Wide(**{**stored.built, "scales": tuple(stored.built["scales"])}) if stored.built else None
        made = None if stored.lift is None else BoxLift.from_record(problem, stored.lift, values)
        solution = self._solution(problem, values, some, made, layer, generator, torch.device(device), torch.float64)
        solution.take(stored)
        return solution

    def _solution(
        self, problem: Problem, values: Mapping[str, Value] | None, sizes: Scales, made: Lift | None,
        layer: Wide | None, generator: torch.Generator, device: torch.device, dtype: torch.dtype,
    ) -> NetworkSolution:  # fmt: skip
        if layer is None:
            body = self._network(problem, generator, None if made is None else _known(made, sizes))
        else:
            body = wide(
                problem.axes, len(problem.equation.scalars), width=layer.width, scales=layer.scales,
                activation="tanh" if layer.kind == "tanh" else "sine", generator=generator,
            )  # fmt: skip
        offsets, factors = zip(*(sizes.unknowns[name] for name in problem.equation.scalars), strict=True)
        module = nn.Sequential(*body, Affine(offsets, factors)).to(device=device, dtype=dtype)
        built = None if layer is None else asdict(layer)
        return NetworkSolution(problem, module, values, lift=made, built=built, dtype=dtype, device=device)

    def _network(
        self, problem: Problem, generator: torch.Generator, beside: tuple[nn.Module, int] | None = None
    ) -> nn.Sequential:
        """The network of the settings, from coordinates to scalars of the size of one."""
        return network(
            problem.axes, len(problem.equation.scalars), architecture=self.architecture,
            width=_WIDTH if self.width is None else self.width, depth=_DEPTH if self.depth is None else self.depth,
            activation=self.activation, weights=self.weights, features=self.features, harmonics=self.harmonics,
            feature_count=self.feature_count, feature_scale=self.feature_scale, beside=beside, generator=generator,
        )  # fmt: skip


def _known(made: Lift, sizes: Scales) -> tuple[nn.Module, int] | None:
    """What a lift has for the network to see, of the size of one, and how many numbers."""
    inputs: list[nn.Module] = []
    for name, module in made.inputs.items():
        offset, scale = sizes.unknowns[name]
        inputs.append(nn.Sequential(module, Affine([-offset / scale], [1 / scale])))
    return (reduce(Beside, inputs), len(inputs)) if inputs else None


def _default(problem: Problem, name: str) -> float:
    for parameter in problem.equation.parameters:
        if parameter.name == name and parameter.default is not None:
            return parameter.default
    raise InputError(f"{problem.name}: parameter {name!r} has no value to start from")
