"""Stabilised explicit steps for diffusion: many stages, so that steps may be as long as accuracy allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from pdesolve.errors import Diverged
from pdesolve.integration.finite_volume import FiniteVolumes
from pdesolve.integration.lines import Lines
from pdesolve.integration.tracing import traced

_STAGES = 199  # the most of a step: rounding grows with their square
_FIRST_ITERATIONS, _LATER_ITERATIONS = 30, 5  # of the power method
_MARGIN = 1.2  # what the power method misses


def frames(
    f: Lines | FiniteVolumes,
    times: Sequence[float],
    y: Tensor,
    *,
    tolerance: float = 1e-6,
    shortened: float = 1.0,
    replay: Callable[..., Callable[..., Tensor]] = traced,
) -> Iterator[Tensor]:
    """y (*sample, scalar, *grid) of y_t = f(t, y) at each of the times, the first given; every sample has own steps.

    The Runge-Kutta-Legendre method of order 2: s stages are stable for steps h with h rho <= (s^2 + s - 2) / 2, rho the
    largest of the eigenvalues of -df/dy, which are real where there is diffusion, and what is monotone stays so.
    `tolerance` is the error of a step, in the mean square over each scalar relative to its largest value (1e-7 to
    1e-4); `shortened` is the part of the steps that would do to take; `replay` makes a fast copy of f. rho comes from
    the power method, at each output and after a step that failed. C. D. Meyer, D. S. Balsara, T. D. Aslam, J. Comput.
    Phys. 257 (2014) 594, with the error estimate of B. P. Sommeijer, L. F. Shampine, J. G. Verwer, J. Comput. Appl.
    Math. 88 (1998) 315.

    Raises:
        Diverged: a value that is not finite, or steps that became too small.
    """
    with torch.no_grad():
        t = torch.full(y.shape[: -f.dimension - 1], times[0], dtype=y.dtype, device=y.device)
        yield from _follow(f, replay(f, t, y), times, y, tolerance, shortened)


def _follow(
    f: Lines | FiniteVolumes,
    rate: Callable[..., Tensor],
    times: Sequence[float],
    y: Tensor,
    tolerance: float,
    shortened: float,
) -> Iterator[Tensor]:
    space, duration = f.dimension + 1, times[-1] - times[0]
    everywhere = tuple(range(-f.dimension, 0))
    t = torch.full(y.shape[:-space], times[0], dtype=y.dtype, device=y.device)
    size = y.abs().amax(everywhere, keepdim=True).clamp_min(1e-3)
    slope = rate(t, y)
    limit = torch.full_like(t, duration)
    yield y
    radius = _Radius(rate, y, space)
    for number, end in enumerate(times[1:]):
        rho = radius(t, y, slope)
        if number == 0:
            limit = torch.minimum(limit, shortened / rho)
        left = end - t
        while bool((left > 1e-12 * duration).any()):
            moving = left > 1e-12 * duration
            most = 0.5 * (_STAGES**2 + _STAGES - 2) / rho
            count = torch.ceil(left / torch.minimum(limit, most)).clamp_min(1.0)
            h = torch.where(moving, left / count, 0.0)
            if not bool(((h > 1e-13 * duration) | ~moving).all()):
                raise Diverged(f"{f.problem.name}: stabilised steps cannot go on at t = {float(t.min()):.4g}")
            wide = h.reshape(*h.shape, *[1] * space)
            new = _step(rate, t, y, slope, h, h * rho, space)
            after = rate(t + h, new)
            gap = 0.8 * (y - new) + 0.4 * wide * (slope + after)
            scale = tolerance * torch.maximum(size, new.abs().amax(everywhere, keepdim=True))
            error = (gap / scale).square().mean(everywhere).amax(-1).sqrt()
            factor = (0.8 * error.clamp_min(1e-6) ** (-1 / 3)).nan_to_num(0.1, posinf=0.1).clamp(0.1, 5.0)
            taken, failed = moving & (error <= 1.0), moving & ~(error <= 1.0)
            proposed = shortened * h * torch.where(failed, factor.clamp_max(0.8), factor)
            # a step that was cut to end at an output does not shorten the next
            proposed = torch.where(taken & (factor >= 1.0), torch.maximum(limit, proposed), proposed)
            limit = torch.where(moving, proposed, limit)
            if bool(failed.any()):
                rho = torch.where(failed, torch.maximum(1.2 * rho, radius(t, y, slope, only=failed)), rho)
            chosen = taken.reshape(wide.shape)
            y, slope = torch.where(chosen, new, y), torch.where(chosen, after, slope)
            t = torch.where(taken, torch.where(count <= 1, end, t + h), t)
            left = end - t
        yield y


def _step(
    rate: Callable[..., Tensor], t: Tensor, y: Tensor, slope: Tensor, h: Tensor, stiffness: Tensor, space: int
) -> Tensor:
    """y after a step of h, with as many stages for each sample as h rho asks for."""
    stages = torch.ceil(0.5 * (torch.sqrt(9.0 + 8.0 * stiffness) - 1.0)).clamp(3, _STAGES).long()
    stages = (stages + 1 - stages % 2).reshape(-1).tolist()  # odd numbers damp the shortest waves
    tables = np.stack([_coefficients(s, max(stages)) for s in stages], -1)
    wide = (*h.shape, *[1] * space)
    table = torch.as_tensor(tables, dtype=y.dtype, device=y.device).reshape(*tables.shape[:-1], *wide)
    step = h.reshape(wide)
    before, stage = y, y + table[0, 3] * step * slope
    for j in range(1, max(stages)):
        mu, nu, rest, forward, back, place = table[j]
        found = rate(t + place.reshape(h.shape) * h, stage)
        before, stage = stage, rest * y + mu * stage + nu * before + step * (forward * found + back * slope)
    return stage


@lru_cache(maxsize=256)
def _coefficients(s: int, rows: int) -> np.ndarray:
    """(rows, 6): of each stage the weights of the stage before, of that before it, of y, of h f of the stage before and
    of h f(y), and where that stage is as a part of the step; beyond s stages they keep what there is."""
    j = np.arange(s + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        b = np.where(j < 2, 1 / 3, (j**2 + j - 2) / (2.0 * j * (j + 1)))
    place = (j**2 + j - 2) / (s**2 + s - 2)
    first = 4 / (s**2 + s - 2)
    place[:2] = 0.0, b[1] * first
    table = np.zeros((rows, 6))
    table[s:, 0] = 1.0
    table[0, 3] = b[1] * first
    for k in range(2, s + 1):
        mu, nu = (2 * k - 1) / k * b[k] / b[k - 1], -(k - 1) / k * b[k] / b[k - 2]
        table[k - 1] = mu, nu, 1 - mu - nu, mu * first, -(1 - b[k - 1]) * mu * first, place[k - 1]
    return table


class _Radius:
    """A little more than the largest |eigenvalue| of df/dy of each sample, by the power method with differences.

    It goes on from the vectors it found before.
    """

    def __init__(self, rate: Callable[..., Tensor], like: Tensor, space: int) -> None:
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(like.shape[-space:], generator=generator, dtype=torch.float64)
        self.rate, self.dims = rate, tuple(range(-space, 0))
        self.v = noise.to(like).expand_as(like)
        self.iterations = _FIRST_ITERATIONS

    def __call__(self, t: Tensor, y: Tensor, slope: Tensor, *, only: Tensor | None = None) -> Tensor:
        """(*sample) at a state and its rate; where `only` is given the vectors of other samples stay as they are."""
        small, v = 1e-6 * (1.0 + self._norm(y)), self.v
        found = self._norm(v)
        for _ in range(self.iterations):
            v = (self.rate(t, y + small / found * v) - slope) / small
            found = self._norm(v)
        unit = v / found
        self.v = unit if only is None else torch.where(only.reshape(found.shape), unit, self.v)
        self.iterations = _LATER_ITERATIONS
        return _MARGIN * found.reshape(t.shape)

    def _norm(self, z: Tensor) -> Tensor:
        return z.square().sum(self.dims, keepdim=True).sqrt().clamp_min(1e-300)
