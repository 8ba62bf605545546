"""Error measures, one definition each."""

from __future__ import annotations

import torch
from torch import Tensor


def relative_l2(u: Tensor, reference: Tensor) -> float:
    """||u - reference||_2 / ||reference||_2 over all entries (of an evaluation set: all times and places).

    For a reference that is zero everywhere the absolute norm is returned, since nothing can be divided by.
    """
    norm = float(torch.linalg.vector_norm(reference))
    error = float(torch.linalg.vector_norm(u - reference))
    return error / norm if norm > 0 else error


def max_error(u: Tensor, reference: Tensor) -> float:
    """max |u - reference| over all entries, in the unit of u."""
    return float((u - reference).abs().max())


def errors(u: Tensor, reference: Tensor, last: tuple[Tensor, Tensor] | None = None) -> dict[str, float | None]:
    """What proofs and data sets say of an error: `relative_l2`, `max`, and `final`, the relative L2 error of the pair
    `last`, both at the last time; None where there is no time."""
    final = None if last is None else relative_l2(*last)
    return {"relative_l2": relative_l2(u, reference), "max": max_error(u, reference), "final": final}


def root_mean_square(values: Tensor, weights: Tensor | None = None) -> float:
    """sqrt(mean(values^2)); with quadrature weights sqrt(sum(w values^2) / sum(w))."""
    if weights is None:
        return float(values.square().mean().sqrt())
    return float(((values.square() * weights).sum() / weights.expand_as(values).sum()).sqrt())
