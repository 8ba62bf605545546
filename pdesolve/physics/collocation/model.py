"""What is minimised: residuals of an equation and of the conditions at points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.condition import Condition
from pdesolve.equation import flatten
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Field, GridField, Vector
from pdesolve.fields.engines import Eager, Engine
from pdesolve.geometry import PointCloud
from pdesolve.method import Solution
from pdesolve.nn import NetworkSolution
from pdesolve.physics.collocation.jumps import Jumps
from pdesolve.physics.collocation.weighting import INTERIOR, Weighting
from pdesolve.problem import Problem, Value
from pdesolve.scales import Scales
from pdesolve.training.objective import ResidualObjective

Batch = Mapping[str, Coordinates]
_CHUNK = 4096  # candidates at once, so that memory stays that of a training step


class Residuals(ResidualObjective):
    """The rows whose squares are minimised: the equation's residual, and what each condition leaves over.

    A term has the rows √(q_i / Σ q) r_i, q the quadrature weights of its points where they have any, else √(1/n) r_i,
    r divided by its size in `scales` and weighed down near `jumps`: its sum of squares is the mean of r². `weighting`
    then weighs terms and points.
    Learnable parameter values are parameters of this module and so travel with the network's; `earlier` are the
    networks of time windows before this one, which a checkpoint must bring back too. `engine` computes the
    partials of the network.
    """

    def __init__(
        self, problem: Problem, solution: NetworkSolution, conditions: Mapping[str, Condition], weighting: Weighting,
        scales: Scales, jumps: Jumps, *, learned: Mapping[str, nn.Parameter], earlier: Sequence[nn.Module] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.problem, self.solution, self.module = problem, solution, solution.module
        self.learned = nn.ParameterDict(learned)
        self.earlier = nn.ModuleList(earlier)
        self.conditions, self.weighting, self.scales, self.jumps = conditions, weighting, scales, jumps
        self.adapted = 0
        self._kind: dict[str, Any] = {"dtype": solution.dtype, "device": solution.device}
        self.engine: Engine = Eager()
        self._wanted: dict[str, Any] = {}

    def rows(self, batch: Batch) -> dict[str, Tensor]:
        return self.weighting.weigh(self._unweighted(batch), _times(batch[INTERIOR]))

    def term(self, name: str, x: Coordinates) -> Tensor:
        """The rows of one term at other points than those of a batch."""
        return self.weighting.weigh({name: _averaged(self._sized(name, x), x)}, _times(x))[name]

    def adapt(self, batch: Batch) -> bool:
        if self.weighting.fixed:
            return False
        self.weighting.adapt(lambda: self._unweighted(batch), self.module, _times(batch[INTERIOR]), self.adapted)
        self.adapted += 1
        return True

    def coordinates(self, name: str, cloud: PointCloud) -> Coordinates:
        """The coordinates at which a term is taken: a network there gives the partials that the term asks for."""
        if name not in self._wanted:
            self._wanted[name] = Coordinates.sums_wanted_by(lambda x: self._left_over(name, x), cloud, **self._kind)
        return Coordinates.of_jets(cloud, self._wanted[name], engine=self.engine, **self._kind)

    def residual_size(self, cloud: PointCloud) -> Tensor:
        """|r| of the equation at points (point,): the root of the sum of squares of its rows."""
        return self.signed_residual(cloud).square().sum(0).sqrt()

    def signed_residual(self, cloud: PointCloud) -> Tensor:
        """The equation's rows at points (row, point), of the size of one each."""
        parts = (self.coordinates(INTERIOR, PointCloud(cloud.axes, part)) for part in cloud.x.split(_CHUNK))
        with torch.no_grad():
            return torch.cat([self._sized(INTERIOR, x).cpu() for x in parts], 1)

    def get_extra_state(self) -> dict[str, Any]:
        return {"weighting": self.weighting.state, "adapted": self.adapted}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.weighting.state, self.adapted = state["weighting"], state["adapted"]

    def _unweighted(self, batch: Batch) -> dict[str, Tensor]:
        return {name: _averaged(self._sized(name, batch[name]), batch[name]) for name in (INTERIOR, *self.conditions)}

    def _sized(self, name: str, x: Coordinates) -> Tensor:
        """The rows of a term (row, point), of the size of one each, less where values jump."""
        rows = flatten(self._left_over(name, x))
        sizes = self.scales.rows
        found = torch.stack([x.expand(f).values / sizes[row if name == INTERIOR else name] for row, f in rows.items()])
        if not self.jumps:
            return found
        return found * x.once(self.jumps, lambda: self.jumps.weights(x.columns().detach(), inside=name == INTERIOR))

    def _left_over(self, name: str, x: Coordinates) -> Mapping[str, Field | Vector]:
        """What vanishes for a solution: the residual of the equation, or that of a condition."""
        if name == INTERIOR:
            return self.problem.equation.residual(self.solution.state(x), self._bind(x), x)
        condition = self.conditions[name]
        return {name: condition.residual(self.problem, self.solution.state, x, self._bind(x))}

    def _bind(self, x: Coordinates) -> Mapping[str, Field]:
        """The parameters at x; computed once for each set of points unless some of them are being learned."""
        if self.learned:
            return self.problem.bind(x, self.solution.values)
        return x.once(self, lambda: self.problem.bind(x, self.solution.values))


def _averaged(values: Tensor, x: Coordinates) -> Tensor:
    """Values (component, point) times the root of each point's part of the whole."""
    weights = x.places.weights if x.places is not None else None
    part = x.discretisation.part if isinstance(x.discretisation, PointCloud) else 1.0
    if weights is None:
        return values / (values.shape[-1] / (part or 1.0)) ** 0.5
    return values * (part * weights / weights.sum()).sqrt()


def _times(x: Coordinates) -> Tensor | None:
    """The times of points (point,), where there is time."""
    return x["t"].values if "t" in x.axes.names else None


def learnable(problem: Problem, name: str, start: Value, solution: Solution) -> nn.Parameter:
    """A parameter value that starts at a number and is trained.

    Raises:
        InputError: a start that is a field or a function, or outside of the parameter's bounds.
    """
    if isinstance(start, GridField) or callable(start) or (isinstance(start, Tensor) and start.ndim):
        raise InputError(f"{name} of {problem.name} is no single number: learn it from one, as in {name}=1.0")
    number = float(start)
    for parameter in problem.equation.parameters:
        if parameter.name == name:
            parameter.check(number)
    return nn.Parameter(torch.tensor(number, dtype=solution.dtype, device=solution.device))
