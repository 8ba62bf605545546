"""The initial state of an evolution as one tensor, reduced to order 1."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pdesolve.equation import flatten, velocity_name
from pdesolve.fields import Coordinates
from pdesolve.problem import Problem, Value


def initial_values(problem: Problem, x: Coordinates, values: Mapping[str, Value] | None = None) -> Tensor:
    """Values (*sample, scalar, *places) at coordinates of space: the scalars of u, then for order 2 those of u_t."""
    equation = problem.evolution()
    state = flatten(problem.initial_state(x, values))
    names = [name for unknown in equation.evolving for name in unknown.scalars]
    if equation.order == 2:
        for unknown in equation.evolving:
            velocity = velocity_name(unknown.name)
            names += [f"{velocity}_{component}" for component in unknown.components] or [velocity]
    return torch.stack(torch.broadcast_tensors(*[state[name].values for name in names]), -len(x.axes) - 1)
