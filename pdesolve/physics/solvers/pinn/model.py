"""The network and the objective of a physics-informed neural network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pdesolve.condition import Condition
from pdesolve.equation import flatten
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Field, GridField, Vector
from pdesolve.geometry import Axes, PointCloud
from pdesolve.method import Solution
from pdesolve.nn import Activation, FourierFeatures, PeriodicEmbedding, Rescale, mlp
from pdesolve.problem import Problem, Value
from pdesolve.training.objective import ResidualObjective

Batch = Mapping[str, Coordinates]
INTERIOR = "equation"
_CHUNK = 4096  # candidates at once, so that memory stays that of a training step


def network(
    axes: Axes,
    outputs: int,
    *,
    width: int,
    depth: int,
    activation: Activation,
    fourier_features: int,
    fourier_scale: float,
    harmonics: int,
    generator: torch.Generator,
) -> nn.Sequential:
    """Rescaled coordinates, periodic embedding, Fourier features where asked for, then the perceptron."""
    layers: list[nn.Module] = [Rescale(axes)]
    inputs = len(axes)
    if any(axis.periodic for axis in axes):
        embedding = PeriodicEmbedding(axes, harmonics)
        layers.append(embedding)
        inputs = embedding.outputs
    if fourier_features:
        features = FourierFeatures(inputs, fourier_features, fourier_scale, generator)
        layers.append(features)
        inputs = features.outputs
    layers += mlp(inputs, outputs, width=width, depth=depth, activation=activation, generator=generator)
    return nn.Sequential(*layers)


class Residuals(ResidualObjective):
    """The rows whose squares are minimised: the equation's residual, and what each condition leaves over.

    A term of weight w has the rows √(w q_i / Σ q) r_i, q the quadrature weights of its points where they have any, else
    √(w/n) r_i: its sum of squares is w times the mean of r². Learnable parameter values are parameters of this module
    and so travel with the network's.
    """

    def __init__(
        self, problem: Problem, solution: Solution, module: nn.Module, learned: Mapping[str, nn.Parameter],
        conditions: Mapping[str, Condition], condition_weight: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.problem, self.solution = problem, solution
        self.module = module
        self.learned = nn.ParameterDict(learned)
        self.conditions = conditions
        self.condition_weight = condition_weight
        self._bound: dict[int, tuple[Coordinates, Mapping[str, Field]]] = {}

    def rows(self, batch: Batch) -> dict[str, Tensor]:
        x = batch[INTERIOR]
        residual = self.problem.equation.residual(self.solution.state(x), self._bind(x), x)
        found = {INTERIOR: self._weighted(INTERIOR, residual, x)}
        for name, condition in self.conditions.items():
            y = batch[name]
            left_over = condition.residual(self.problem, self.solution.state, y, self._bind(y))
            found[name] = self._weighted(name, {name: left_over}, y)
        return found

    def coordinates(self, cloud: PointCloud) -> Coordinates:
        """The coordinates at which terms are taken: in the solution's dtype, on its device, to be differentiated."""
        return self.solution.coordinates(cloud, gradients=True)

    def residual_size(self, cloud: PointCloud) -> Tensor:
        """|r| of the equation at points (point,): the root of the sum of squares of its rows."""
        sizes = []
        for part in cloud.x.split(_CHUNK):
            x = self.coordinates(PointCloud(cloud.axes, part))
            rows = self.problem.equation.residual(self.solution.state(x), self.problem.bind(x, self.solution.values), x)
            squares = [row.values.detach().square() for row in flatten(rows).values()]
            sizes.append(torch.stack(squares).sum(0).sqrt().cpu())
        return torch.cat(sizes)

    def _weighted(self, name: str, rows: Mapping[str, Field | Vector], x: Coordinates) -> Tensor:
        """The components of a term (component, point), each point times the root of its weight."""
        values = torch.stack([x.expand(field).values for field in flatten(rows).values()])
        weight = 1.0 if name == INTERIOR else self.condition_weight
        weights = x.places.weights if x.places is not None else None
        if weights is None:
            return values * (weight / values.shape[-1]) ** 0.5
        return values * (weight / weights.sum() * weights).sqrt()

    def _bind(self, x: Coordinates) -> Mapping[str, Field]:
        """The parameters at x; computed once for each set of points unless some of them are being learned."""
        if self.learned:
            return self.problem.bind(x, self.solution.values)
        if id(x) not in self._bound:
            while len(self._bound) > len(self.conditions):
                self._bound.pop(next(iter(self._bound)))
            # x is kept beside what was bound to it, so that no other points can get its id
            self._bound[id(x)] = (x, self.problem.bind(x, self.solution.values))
        return self._bound[id(x)][1]


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
