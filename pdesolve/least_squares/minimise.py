"""Minimisation of an objective from a start: the loop for problems without a network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.least_squares.form import Form, available_bytes, choose
from pdesolve.least_squares.objective import Objective
from pdesolve.least_squares.step import Method, keep


@dataclass(frozen=True)
class Minimum:
    """Where a minimisation ended. theta (*batch, parameter); loss, converged, steps (*batch)."""

    theta: Tensor
    loss: Tensor
    converged: Tensor
    steps: Tensor
    form: Form


def minimise(
    objective: Objective,
    theta: Tensor,
    method: Method,
    *,
    steps: int = 200,
    tolerance: float = 1e-12,
    form: Form | None = None,
    target: Tensor | float = -math.inf,
) -> Minimum:
    """Minimise from theta (*batch, parameter), each problem of the batch until it has converged.

    A problem has converged when |g| <= tolerance |g at the start|, when its loss is at most the target (*batch), or
    when no step lowers it any more; it then stays as it is while the others go on. form: of the linear solves; chosen
    by size where None.

    Raises:
        Diverged: the objective is not finite at the start, with its term and row.
    """
    theta = theta.detach()
    here = objective.linearise(theta)
    loss = here.loss
    first = here.slope
    form = form or choose(
        here.jacobian.rows, theta.shape[-1], memory=available_bytes(theta.device), itemsize=theta.element_size()
    )
    state = method.start(theta)
    active = (first > 0) & (loss > target)
    counts = torch.zeros_like(loss, dtype=torch.int64)
    for _ in range(steps):
        if not bool(active.any()):
            break
        step = method.step(objective, theta, state, form=form)
        theta = keep(active, step.theta, theta)
        loss = torch.where(active, step.loss, loss)
        state = {name: keep(active, step.state[name], old) for name, old in state.items()}
        counts = counts + active
        small = step.slope <= tolerance * first
        active = active & step.moved & ~small & (loss > target)
    return Minimum(theta, loss, ~active, counts, form)
