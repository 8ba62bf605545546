"""Means over space of values (sample, time, component, *space), and what every measure asks of its arguments."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry import Grid, GridAxis

LEADING = 3  # dimensions before those of space: sample, time, component


def compared(prediction: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """A prediction and the truth of one shape (sample, time, component, *space), in float32 at least.

    Raises:
        InputError: other shapes, or no dimension of space.
    """
    if prediction.shape != truth.shape or truth.ndim <= LEADING:
        raise InputError(
            f"a prediction and its truth have one shape (sample, time, component, *space), got "
            f"{tuple(prediction.shape)} and {tuple(truth.shape)}: without times or components there is one of them"
        )
    dtype = torch.promote_types(torch.promote_types(prediction.dtype, truth.dtype), torch.float32)
    return prediction.to(dtype), truth.to(dtype)


def spatial_mean(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """sum_x w f / sum_x w over the dimensions of space: (sample, time, component).

    weights: None for equal ones, else not negative: (*space), or (sample, 1, 1, *space) where each sample has its own.
    Places of weight 0 are not there, whatever the values at them: those of padding.
    """
    if weights is None:
        return values.flatten(LEADING).mean(-1)
    weights = weights.to(values)
    total = weights.flatten(LEADING).sum(-1) if weights.ndim == values.ndim else weights.sum()
    return present(values * weights, weights).flatten(LEADING).sum(-1) / total


def present(values: Tensor, weights: Tensor | None) -> Tensor:
    """The values with 0 at places of weight 0."""
    return values if weights is None else torch.where(weights.to(values.device) > 0, values, 0.0)


def quadrature_weights(grid: Grid, *, like: Tensor) -> Tensor | None:
    """The quadrature weights (*space) of a grid of space, in the dtype and on the device of a tensor.

    None where the points of all axes are equally spaced: then every point counts alike, the ends of closed axes too, as
    in all packages that measure on such grids.
    """
    if all(spacing(member) is not None for member in grid.members):
        return None
    whole = np.ones(())
    for member in grid.members:
        whole = np.multiply.outer(whole, member.weights / member.weights.sum())
    return torch.as_tensor(whole).to(like)


def spacing(member: GridAxis) -> float | None:
    """The distance between the points of an axis, None where it differs."""
    if member.placement in ("periodic", "cells") or member.size == 1:
        return member.axis.length / member.size
    gaps = np.diff(member.points)
    # listed coordinates may come from a file in float32
    return float(gaps.mean()) if np.allclose(gaps, gaps.mean(), rtol=1e-4, atol=0) else None
