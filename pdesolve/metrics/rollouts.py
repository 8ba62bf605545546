"""How errors grow along a rollout: curves over lead time, correlation, and how long it lasts."""

from __future__ import annotations

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.metrics.means import compared, spatial_mean
from pdesolve.metrics.norms import expanded

THRESHOLD = 0.8  # of the correlation that lasts


def correlation(prediction: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """cov_x(u, v) / (std_x u std_x v), Pearson's over space: (sample, time, component). A test set's is their mean.

    NaN where u or v is constant. APEBench takes no means off, which is the same for fields of mean zero; the Well's is
    (N - 1) / N of ours, as it divides the covariance by N points and the variances by N - 1.
    """
    prediction, truth = compared(prediction, truth)
    u = prediction - expanded(spatial_mean(prediction, weights), prediction)
    v = truth - expanded(spatial_mean(truth, weights), truth)
    scale = (spatial_mean(u.square(), weights) * spatial_mean(v.square(), weights)).sqrt()
    return spatial_mean(u * v, weights) / scale


def correlation_time(curve: Tensor, times: Tensor, *, threshold: float = THRESHOLD) -> Tensor:
    """The first of the times (time,) at which a curve of correlations (..., time) lies below a threshold: (...).

    Infinite where it never does. NaN, of a prediction that has diverged, lies below it. For a test set the curve is the
    mean over samples and components; the mean of times is another measure, and infinite as soon as one is.

    Source: D. Kochkov et al. (2021), Machine learning-accelerated computational fluid dynamics, arXiv 2102.01010
    (0.95); P. Lippe et al. (2023), PDE-Refiner, arXiv 2308.05732 (0.8).
    """
    below = ~(curve >= threshold)
    first = times.to(curve)[below.to(torch.int8).argmax(-1)]
    return torch.where(below.any(-1), first, torch.inf)


def lead_curve(errors: Tensor, *, given: int = 0) -> Tensor:
    """The mean over samples and components of errors (sample, time, component) or (sample, time): (time - given,).

    given: so many frames at the start are the initial ones, which the prediction was given and has no error at: they
    are left out, from the curve and from every mean over it. PDEBench's means over time count them.

    Raises:
        InputError: no frame is left.
    """
    frames = errors.shape[1]
    if not 0 <= given < frames:
        raise InputError(f"{given} of {frames} frames are given: none is left to be judged")
    return errors[:, given:].flatten(2).mean(-1).mean(0) if errors.ndim > 2 else errors[:, given:].mean(0)
