"""What one training of a physics-informed network is of: a problem or a window of it, and what is made for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pdesolve.condition import Condition, Periodic
from pdesolve.constraint import Lift
from pdesolve.errors import InputError
from pdesolve.geometry import PointCloud
from pdesolve.nn import Affine, Beside, NetworkSolution, Waves, wide
from pdesolve.physics.collocation.jumps import Jumps
from pdesolve.physics.collocation.linear import MANY, Oscillation, Wide
from pdesolve.physics.collocation.model import Residuals, learnable
from pdesolve.physics.collocation.weighting import INTERIOR, Weighting
from pdesolve.physics.constraints import BoxLift, jumps, lift
from pdesolve.problem import Problem, Value
from pdesolve.scales import Scales, scales
from pdesolve.training.run import Run
from pdesolve.training.stages import Part

if TYPE_CHECKING:
    from pdesolve.physics.collocation.solver import CollocationSolver

Built = Wide | Oscillation | None  # what a network is made by besides the settings
_COLLOCATION = 3000
_UNEQUAL = 1e3  # lengths of axes that differ by more are told
_WHOLE = Part()


@dataclass(frozen=True)
class Task:
    """A problem to be solved by one network.

    settings: the method. values, learn: as `Solver.solve` takes them. sizes: of unknowns and rows. lift: what holds
    exactly; None for soft conditions alone. part: which of the run's trainings this is. earlier: the networks of
    windows before this one.
    """

    settings: CollocationSolver
    problem: Problem
    run: Run
    values: Mapping[str, Value]
    learn: Sequence[str]
    sizes: Scales
    lift: Lift | None
    part: Part
    earlier: Sequence[nn.Module]

    @staticmethod
    def of(
        settings: CollocationSolver, problem: Problem, *, run: Run, values: Mapping[str, Value] | None = None,
        learn: Sequence[str] = (), part: Part = _WHOLE, earlier: Sequence[nn.Module] = (),
    ) -> Task:  # fmt: skip
        """The task with its sizes and lift found, and what is worth reading of them said."""
        values = dict(values or {})
        # choices of the run, since a window's are made from a network that a resumed run brings back later only
        sizes = Scales(**run.choose(f"scales{part}", lambda: asdict(_said(settings, problem, values, run))))
        made = None
        if settings.conditions == "exact":
            record = run.choose(f"lift{part}", lambda: dict(lift(problem, values, learned=learn).record()))
            made = BoxLift.from_record(problem, record, values)
            for name, reason in made.soft.items():
                run.say(f"{name} is left to the loss: {reason}")
        return Task(settings, problem, run, values, learn, sizes, made, part, earlier)

    def objective(self, layer: Built, generator: torch.Generator) -> Residuals:
        """What is minimised for a new network, by the settings, with waves beside, or of one wide layer."""
        problem, settings, run = self.problem, self.settings, self.run
        solution = new_solution(
            settings, problem, self.values, self.sizes, self.lift, layer, generator, run.device, run.dtype
        )
        learned = {}
        for name in self.learn:
            start = solution.values.get(name, problem.values.get(name, _default(problem, name)))
            solution.values[name] = learned[name] = learnable(problem, name, start, solution)
        weighting = Weighting(settings.condition_weight, settings.balancing, settings.emphasis, problem.time)
        return Residuals(
            problem, solution, self.soft, weighting, self.sizes, self.jumps, learned=learned, earlier=self.earlier
        )

    @cached_property
    def jumps(self) -> Jumps:
        """Where values on sides disagree; looked for once, however many networks are tried."""
        return Jumps(self.problem.axes, tuple(jumps(self.problem, self.values)), self.settings.jump_radius)

    @property
    def soft(self) -> dict[str, Condition]:
        """The conditions that are left to the loss: periodic ones hold by the network's embedding."""
        held = () if self.lift is None else self.lift.exact
        return {
            name: condition
            for name, condition in self.problem.named_conditions.items()
            if not isinstance(condition, Periodic) and name not in held
        }

    @property
    def on_conditions(self) -> int:
        """Points of each condition: so many along each axis that it has, ten at most."""
        return self.settings.condition_points * min(max(1, len(self.problem.axes) - 1), MANY)

    def clouds(self, objective: Residuals, count: int, seed: int) -> dict[str, PointCloud]:
        """Points of every term, always the same of one seed: `count` inside, those of conditions in proportion."""
        generator, sampler = torch.Generator().manual_seed(seed), self.settings.sampler
        some = max(16, count * self.on_conditions // collocation(self.settings))
        clouds = {n: c.sample(self.problem, some, sampler, generator) for n, c in objective.conditions.items()}
        return {INTERIOR: self.problem.sample(count, sampler, generator), **clouds}


def collocation(settings: CollocationSolver) -> int:
    """Points inside the domain, where nothing is known that asks for others."""
    return _COLLOCATION if settings.collocation is None else settings.collocation


def _said(settings: CollocationSolver, problem: Problem, values: Mapping[str, Value], run: Run) -> Scales:
    """The sizes of unknowns and rows, said."""
    found = scales(problem, values)
    for line in found.lines():
        run.say(line)
    if (apart := unequal(problem)) is not None:
        run.say(apart)
    if (warning := found.warning(remedies(settings, problem))) is not None:
        run.say(f"warning: {warning}")
    return found


def unequal(problem: Problem) -> str | None:
    """Said of axes that differ much in length: the network sees all of them as [-1, 1]."""
    by_length = sorted(problem.axes, key=lambda axis: axis.length)
    short, long = by_length[0], by_length[-1]
    if long.length < _UNEQUAL * short.length:
        return None
    return (
        f"{long.name} is {long.length / short.length:.2g} times as long as {short.name} ({long.length:.3g} and "
        f"{short.length:.3g}): each axis is rescaled to [-1, 1], widths and frequencies are on that scale"
    )


def remedies(settings: CollocationSolver, problem: Problem) -> list[str]:
    """What helps with thin layers and slow terms, of what is not on yet, as it is written."""
    known = {
        "--method.windows 4": problem.time is not None and settings.windows == 1,
        "--method.conditions exact": settings.conditions != "exact",
        **settings.remedies,
        "--method.adaptivity rad": settings.adaptivity == "none",
    }
    return [written for written, off in known.items() if off]


def new_solution(
    settings: CollocationSolver, problem: Problem, values: Mapping[str, Value] | None, sizes: Scales, made: Lift | None,
    layer: Built, generator: torch.Generator, device: torch.device, dtype: torch.dtype,
) -> NetworkSolution:  # fmt: skip
    """A network before any training: of the settings, with waves beside its coordinates, or of one wide layer."""
    if layer is None:
        body = settings.network(problem, generator, None if made is None else _beside(made, sizes))
    elif isinstance(layer, Oscillation):
        waves = Waves(problem.axes, layer.frequencies)
        body = settings.network(problem, generator, (waves, waves.outputs))
    else:
        units = "sine" if layer.kind == "spectral" else layer.kind
        body = wide(
            problem.axes, len(problem.equation.scalars), width=layer.width, scales=layer.scales, units=units,
            generator=generator,
        )  # fmt: skip
    offsets, factors = zip(*(sizes.unknowns[name] for name in problem.equation.scalars), strict=True)
    module = nn.Sequential(*body, Affine(offsets, factors)).to(device=device, dtype=dtype)
    built = None if layer is None else asdict(layer)
    return NetworkSolution(problem, module, values, lift=made, built=built, dtype=dtype, device=device)


def _beside(made: Lift, sizes: Scales) -> tuple[nn.Module, int] | None:
    """What a lift has for the network to see, of the size of one, and how many numbers."""
    inputs: list[nn.Module] = []
    for name, module in made.inputs.items():
        offset, scale = sizes.unknowns[name]
        inputs.append(nn.Sequential(module, Affine([-offset / scale], [1 / scale])))
    return (reduce(Beside, inputs), len(inputs)) if inputs else None


def recorded(built: Mapping[str, Any]) -> Built:
    """What `NetworkSolution.built` says of a network that was made so."""
    if "frequencies" in built:
        return Oscillation(tuple(map(tuple, built["frequencies"])))
    return Wide(**{**built, "scales": tuple(built["scales"])}) if built else None


def _default(problem: Problem, name: str) -> float:
    for parameter in problem.equation.parameters:
        if parameter.name == name and parameter.default is not None:
            return parameter.default
    raise InputError(f"{problem.name}: parameter {name!r} has no value to start from")
