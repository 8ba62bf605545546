"""Line searches along a direction, for each problem of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from pdesolve.least_squares.objective import Objective


def grid_search(
    objective: Objective, theta: Tensor, direction: Tensor, loss: Tensor, *, powers: int = 31
) -> tuple[Tensor, Tensor]:
    """The best of theta + 2^-k direction, k = 0 .. powers - 1: lengths (*batch), 0 where none is lower, and losses.

    All are tried: far from the solution the loss along a Gauss-Newton direction has several minima.
    """
    best, length = loss, torch.zeros_like(loss)
    for k in range(powers):
        trial = objective.loss(theta + 0.5**k * direction)
        lower = trial < best
        best, length = torch.where(lower, trial, best), torch.where(lower, 0.5**k, length)
    return length, best


def backtracking(
    objective: Objective, theta: Tensor, direction: Tensor, loss: Tensor, slope: Tensor, *, powers: int = 31
) -> tuple[Tensor, Tensor]:
    """The first of 2^-k with loss(theta + 2^-k d) <= loss + 1e-4 2^-k slope (Armijo), and the loss; 0 where none."""
    best, length = loss, torch.zeros_like(loss)
    for k in range(powers):
        open_ = length == 0
        if not bool(open_.any()):
            break
        trial = objective.loss(theta + 0.5**k * direction)
        found = open_ & (trial < loss) & (trial <= loss + 1e-4 * 0.5**k * slope)
        best, length = torch.where(found, trial, best), torch.where(found, 0.5**k, length)
    return length, best
