"""Measures of ensembles (member, sample, time, component, *space) and of bands."""

from __future__ import annotations

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.metrics.means import compared, spatial_mean
from pdesolve.metrics.norms import over, rmse


def crps(members: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """mean_x [ mean_i |u_i - v| - sum_ij |u_i - u_j| / (2 M (M - 1)) ], (sample, time, component), in the unit of u.

    The fair form: its expectation does not depend on the number M of members. The form of the empirical
    distribution, as in properscoring, divides by 2 M^2. A test set's is the mean. The sum over pairs comes from sorted
    members.

    Raises:
        InputError: fewer than two members.

    Sources: T. Gneiting and A. E. Raftery (2007), Strictly proper scoring rules; C. A. T. Ferro (2014), Fair scores for
    ensemble forecasts.
    """
    count = _counted(members)
    compared(members[0], truth)
    distance = (members - truth).abs().mean(0)
    ranks = torch.arange(count, device=members.device, dtype=members.dtype)
    factors = (2 * ranks - (count - 1)).reshape(-1, *[1] * truth.ndim)
    pairs = (members.sort(0).values * factors).sum(0)  # sum over i < j of |u_i - u_j|
    # NaN sorts last and would leave the other members' pairs alone; the distance has it already
    return spatial_mean(distance - pairs / (count * (count - 1)), weights)


def coverage(lower: Tensor, upper: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """The fraction of places where lower <= v <= upper: (sample, time, component); NaN where a bound or v is NaN."""
    inside = ((truth >= lower) & (truth <= upper)).to(truth.dtype)
    unknown = lower.isnan() | upper.isnan() | truth.isnan()
    return spatial_mean(torch.where(unknown, torch.nan, inside), weights)


def spread(members: Tensor, weights: Tensor | None = None) -> Tensor:
    """sqrt(mean_x var_i u_i), the variance over members divided by M - 1: (sample, time, component)."""
    _counted(members)
    return spatial_mean(members.var(0), weights).sqrt()


def spread_skill(members: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """sqrt((M + 1) / M) sqrt(<spread^2>) / sqrt(<rmse(mean)^2>), (time, component), < > the mean over samples.

    1 for members that are drawn as the truth is; below it the ensemble is too sure of itself. A ratio of roots of
    means. Where the mean has no error the numerator stands.

    Source: V. Fortin et al. (2014), Why should ensemble spread match the RMSE of the ensemble mean?
    """
    count = _counted(members)
    skill = rmse(members.mean(0), truth, weights).square().mean(0).sqrt()
    wide = ((count + 1) / count * spread(members, weights).square().mean(0)).sqrt()
    return over(wide, skill)


def _counted(members: Tensor) -> int:
    if len(members) < 2:
        raise InputError(f"an ensemble has two members at least, got {len(members)}")
    return len(members)
