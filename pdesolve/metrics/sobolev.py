"""Errors in H1: of values and slopes together."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pdesolve.fields.stencils import differentiate_bounded, differentiate_periodic
from pdesolve.geometry import Grid
from pdesolve.metrics.means import LEADING, compared, quadrature_weights, spatial_mean
from pdesolve.metrics.norms import over, same_places


def h1_norm(values: Tensor, grid: Grid) -> Tensor:
    """sqrt(mean_x (u^2 + sum_a (du/da)^2)), (sample, time, component), of values (sample, time, component, *space).

    Slopes along periodic axes by Fourier, along others by differences of the grid's accuracy that are one-sided at the
    ends: a difference over the end of an axis that does not close measures a jump that is not there. Slopes are in the
    units of the axes, so the norm depends on these. APEBench integrates (L^D times the squares) and adds the root of
    the slopes to that of the values; its squares are ours, but for the Nyquist waves of even sizes, whose slope is
    zero here.

    Raises:
        InputError: a grid of another shape, or with fewer points along an axis than its accuracy needs.
    """
    values, _ = compared(values, values)
    same_places(values, grid)
    weights = quadrature_weights(grid, like=values)
    squares = spatial_mean(values.square(), weights)
    for slope in slopes(values, grid):
        squares = squares + spatial_mean(slope.square(), weights)
    return squares.sqrt()


def relative_h1(prediction: Tensor, truth: Tensor, *, grid: Grid) -> Tensor:
    """||u - v||_H1 / ||v||_H1 of each sample over its times and components, (sample,); a test set's is their mean.

    See `h1_norm`. Where v is zero the absolute norm stands.
    """
    prediction, truth = compared(prediction, truth)
    error, scale = (torch.linalg.vector_norm(h1_norm(part, grid), dim=(1, 2)) for part in (prediction - truth, truth))
    return over(error, scale)


def slopes(values: Tensor, grid: Grid) -> Iterator[Tensor]:
    """The derivatives of values (sample, time, component, *space) along the axes of a grid of space, one by one."""
    for dim, member in enumerate(grid.members, start=LEADING):
        if member.placement == "periodic":
            yield differentiate_periodic(values, dim, member, 1)
        else:
            yield differentiate_bounded(values, dim, member, 1, grid.accuracy)
