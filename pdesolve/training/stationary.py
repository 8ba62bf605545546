"""Whether a method that finds nothing better has arrived, or has only given up."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pdesolve.training.objective import sum_of

_RESIDUAL = 1e6  # roundings: a residual of that part of the first one is rounding, derivatives and all
_LITTLE = 1e-10  # of the loss: less is not worth another step
_HALVINGS = 60


def stationary(objective: nn.Module, batch: Any, first: float) -> bool:
    """Whether the loss is rounding, or no step along −g lowers it by more than that. first: the first of all losses.

    Where the gradient g is more than rounding, two neighbouring lengths t = 2^-k loss/|g|² lower the loss by t |g|²
    within a half. One alone may do so by chance where the loss is noise.
    """
    parameters = [p for p in objective.parameters() if p.requires_grad]
    eps = torch.finfo(parameters[0].dtype).eps
    with torch.enable_grad():
        value = sum_of(objective(batch))
        gradient = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
    loss, square = float(value.detach()), sum(float(g.square().sum()) for g in gradient)
    if loss <= (_RESIDUAL * eps) ** 2 * first or not square:
        return True
    start = [p.detach().clone() for p in parameters]
    before = False
    length = abs(loss) / square
    try:
        for _ in range(_HALVINGS):
            with torch.no_grad():
                for p, old, g in zip(parameters, start, gradient, strict=True):
                    p.copy_(old - length * g)
            with torch.enable_grad():  # derivatives of the unknowns are taken by autograd
                gain = loss - float(sum_of(objective(batch)).detach())
            predicted = length * square
            if predicted < max(_LITTLE, 8 * eps) * abs(loss):
                return True
            descends = abs(gain - predicted) <= predicted / 2
            if descends and before:
                return False
            before, length = descends, length / 2
        return True
    finally:
        with torch.no_grad():
            for p, old in zip(parameters, start, strict=True):
                p.copy_(old)
