"""Errors in norms of values: root mean squares and their scalings, relative L2, maxima, boundaries, conserved means."""

from __future__ import annotations

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry import Grid
from pdesolve.metrics.means import LEADING, compared, present, spatial_mean


def relative_l2(u: Tensor, reference: Tensor) -> float:
    """||u - reference||_2 / ||reference||_2 over all entries (of an evaluation set: all times and places).

    For a reference that is zero everywhere the absolute norm is returned, since nothing can be divided by. Tensors of
    any one shape; every entry counts alike.
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


def rmse(prediction: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """sqrt(mean_x (u - v)^2), (sample, time, component), in the unit of u.

    The figure of a test set is the mean of these roots over samples, times and components, as in PDEBench and the Well.
    APEBench integrates in the place of the mean (a factor L^(D/2)) and sums over components.

    Sources: M. Takamoto et al. (2022), PDEBench, arXiv 2210.07182; R. Ohana et al. (2024), The Well, arXiv 2412.00568;
    F. Koehler et al. (2024), APEBench, arXiv 2411.00180.
    """
    prediction, truth = compared(prediction, truth)
    return spatial_mean((prediction - truth).square(), weights).sqrt()


def nrmse(prediction: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """sqrt(mean_x (u - v)^2 / mean_x v^2), (sample, time, component): mean of ratios over a test set.

    PDEBench's and APEBench's (which sums over components), and the Well's but for the 1e-7 that it adds to the
    denominator. Where v is zero the RMSE stands, since nothing can be divided by. Sources: see `rmse`.
    """
    prediction, truth = compared(prediction, truth)
    scale = spatial_mean(truth.square(), weights).sqrt()
    return over(rmse(prediction, truth, weights), scale)


def vrmse(prediction: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """sqrt(mean_x (u - v)^2 / mean_x (v - mean_x v)^2), (sample, time, component): mean of ratios over a test set.

    1 is what the mean of the truth would reach. The Well divides the variance by N - 1 in the place of N points and
    adds 1e-7 to it: ours is sqrt(N / (N - 1)) of its value. Where v is constant (to rounding) the RMSE stands.

    Source: R. Ohana et al. (2024), The Well, arXiv 2412.00568.
    """
    prediction, truth = compared(prediction, truth)
    mean = spatial_mean(truth, weights)
    spread = spatial_mean((truth - expanded(mean, truth)).square(), weights).sqrt()
    rounding = 8 * torch.finfo(truth.dtype).eps * mean.abs()
    return over(rmse(prediction, truth, weights), torch.where(spread <= rounding, 0.0, spread))


def sample_relative_l2(prediction: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """||u - v||_2 / ||v||_2 of each sample over its times, components and places, (sample,).

    The figure of a test set is the mean over samples: that of the FNO's papers and of neuraloperator's LpLoss.
    `relative_l2` divides only once, all samples together. Where v is zero the absolute norm stands, per place.

    Source: Z. Li et al. (2020), Fourier neural operator, arXiv 2010.08895.
    """
    return _relative(prediction, truth, weights, (1, 2))


def frame_relative_l2(prediction: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """||u - v||_2 / ||v||_2 of each frame over its components and places, (sample, time); else `sample_relative_l2`."""
    return _relative(prediction, truth, weights, (2,))


def max_errors(prediction: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """max_x |u - v|, (sample, time, component). A test set's is the largest of all; PDEBench's is the largest of all
    samples, then the mean over times and components, and the Well's is the mean over all of these."""
    prediction, truth = compared(prediction, truth)
    return present((prediction - truth).abs(), weights).flatten(LEADING).amax(-1)


def boundary_rmse(prediction: Tensor, truth: Tensor, *, grid: Grid) -> Tensor:
    """sqrt(integral of (u - v)^2 over the boundary / its area), (sample, time, component), of a grid of space.

    The boundary are the first and last points of the axes that are not periodic (of cells: half a cell from it), each
    face integrated by the quadrature of its axes, so that corners count in every face they belong to. A test set's is
    the mean of roots. PDEBench's on a square or a cube of equal cells; PDEBench counts points in the place of areas,
    and takes the ends of periodic axes for a boundary.

    Raises:
        InputError: a grid of another shape, or without a boundary.
    """
    prediction, truth = compared(prediction, truth)
    same_places(truth, grid)
    squares, area = truth.new_zeros(truth.shape[:LEADING]), 0.0
    for dim, member in enumerate(grid.members):
        if member.axis.periodic:
            continue
        others = [other for other in grid.members if other is not member]
        face = 2 * float(torch.tensor([other.weights.sum() for other in others], dtype=torch.float64).prod())
        for end in (0, -1):
            part = (prediction - truth).select(LEADING + dim, end).square()
            for other in others:
                part = (part.movedim(LEADING, -1) * torch.as_tensor(other.weights).to(part)).sum(-1)
            squares = squares + part
        area += face
    if not area:
        raise InputError(
            f"{', '.join(axis.name for axis in grid.axes)} are periodic: without a boundary there is no error at it"
        )
    return (squares / area).sqrt()


def conserved_error(prediction: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """mean_x u - mean_x v, (sample, time, component): what a conserved quantity is off by, per volume.

    PDEBench's cRMSE of a test set is sqrt(mean over samples of its square), then the mean over times and components.
    """
    prediction, truth = compared(prediction, truth)
    return spatial_mean(prediction - truth, weights)


def over(error: Tensor, scale: Tensor) -> Tensor:
    """error / scale, and the error itself where the scale is zero."""
    zero = scale == 0
    return error / torch.where(zero, 1.0, scale)


def expanded(reduced: Tensor, values: Tensor) -> Tensor:
    """What space was reduced to, with dimensions of space again."""
    return reduced.reshape(*reduced.shape, *[1] * (values.ndim - reduced.ndim))


def same_places(values: Tensor, grid: Grid) -> None:
    """Refuse a grid of space of another shape than that of the values."""
    if tuple(values.shape[LEADING:]) != grid.shape:
        raise InputError(
            f"values on {tuple(values.shape[LEADING:])} points need a grid of this shape, got one of "
            f"{grid.shape} ({', '.join(axis.name for axis in grid.axes)}): without its axis of time?"
        )


def _relative(prediction: Tensor, truth: Tensor, weights: Tensor | None, together: tuple[int, ...]) -> Tensor:
    prediction, truth = compared(prediction, truth)
    error = spatial_mean((prediction - truth).square(), weights).sum(together).sqrt()
    return over(error, spatial_mean(truth.square(), weights).sum(together).sqrt())
