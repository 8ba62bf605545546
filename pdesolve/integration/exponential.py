"""Exponential time steps for v_t = L v + N(t, v) with L diagonal, or small blocks, in Fourier space.

Cox and Matthews, J. Comput. Phys. 176 (2002) 430 (ETDRK4); A.-K. Kassam and L. N. Trefethen, SIAM J. Sci. Comput. 26
(2005) 1214 (contour means for the coefficients). Departure: blocks take their functions from one exponential of an
augmented matrix, and outputs fall on whole steps whatever their times are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pdesolve.integration.spectral import SpectralEvolution, multiply
from pdesolve.integration.tracing import kept_trace

PURIFY = 32  # steps after which, and at outputs, what rounding has made of real fields is taken away
_CONTOUR = 32  # points on the full circle: imaginary spectra (KdV) need both halves
_RADIUS = 2.0  # keeps the points off zero wherever the centre lies; the 32-point mean is exact to 2^32/32!

Coefficients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def phi_functions(z: Tensor, highest: int = 3) -> tuple[Tensor, ...]:
    """exp(z), phi_1(z), phi_2(z), phi_3(z), ... of complex numbers, phi_(k+1)(z) = (phi_k(z) - 1/k!) / z.

    Means over a circle about each z (Cauchy), since the formula loses all digits near z = 0. Differentiable.
    """
    angles = torch.arange(_CONTOUR, device=z.device, dtype=z.real.dtype)
    circle = torch.polar(torch.full_like(angles, _RADIUS), 2 * torch.pi / _CONTOUR * (angles + 0.5))
    points = z.unsqueeze(-1) + circle
    values, factorial, means = torch.exp(points), 1.0, []
    for k in range(1, highest + 1):
        values = (values - 1.0 / factorial) / points
        factorial *= k
        means.append(values.mean(-1))
    return torch.exp(z), *means


def block_phi_functions(a: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """exp(A), phi_1(A), phi_2(A), phi_3(A) of matrices (..., m, m): the first row of the exponential of

    [A I 0 0]
    [0 0 I 0]
    [0 0 0 I]
    [0 0 0 0]
    """
    m = a.shape[-1]
    shift = torch.diag(torch.ones(3 * m, dtype=a.dtype, device=a.device), m)
    below = torch.zeros(*a.shape[:-2], 3 * m, m, dtype=a.dtype, device=a.device)
    left = torch.cat([a, below], -2)
    whole = torch.cat([left, shift[:, m:].expand(*a.shape[:-2], 4 * m, 3 * m)], -1)
    row = torch.linalg.matrix_exp(whole)[..., :m, :]
    return row[..., :m], row[..., m : 2 * m], row[..., 2 * m : 3 * m], row[..., 3 * m :]


@dataclass(frozen=True, eq=False)
class Linear:
    """The linear part of a system: its blocks (*sample, m, m, *wave), or the diagonal (*sample, m, *wave) of them.

    Blocks are balanced before they are exponentiated: u_t of a wave is k times larger than u, and scaling and squaring
    loses as many digits as the norm of the block exceeds its spectrum.
    """

    values: Tensor
    diagonal: bool
    dimension: int
    scale: Tensor | None = None

    @staticmethod
    def of(system: SpectralEvolution) -> Linear:
        blocks, dimension = system.linear, system.basis.dimension
        diagonal = torch.diagonal(blocks, dim1=-dimension - 2, dim2=-dimension - 1).movedim(-1, -dimension - 1)
        rest = blocks.detach().abs().sum((-dimension - 2, -dimension - 1)) - diagonal.detach().abs().sum(-dimension - 1)
        if not bool((rest > 0).any()):
            return Linear(diagonal, True, dimension)
        scale = None
        if system.equation.order == 2:
            n = system.size // 2
            # s ~ the largest frequency of each wave number: u_t = s w makes the block's norm that of its spectrum
            lower = blocks.detach().narrow(-dimension - 2, n, n).narrow(-dimension - 1, 0, n).abs()
            size = lower.sum((-dimension - 2, -dimension - 1)).sqrt().clamp(min=1e-3)
            ones = torch.ones_like(size)
            scale = torch.stack([ones] * n + [size] * n, -dimension - 1)
        return Linear(blocks, False, dimension, scale)

    def functions(self, h: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """exp(h L), phi_1(h L), phi_2(h L), phi_3(h L)."""
        if self.diagonal:
            whole, one, two, three = phi_functions(h * self.values)
            return whole, one, two, three
        d = self.dimension
        blocks = self.values
        if self.scale is not None:
            blocks = blocks * self.scale.unsqueeze(-d - 2) / self.scale.unsqueeze(-d - 1)
        places = tuple(range(blocks.ndim - d, blocks.ndim))
        first = tuple(range(blocks.ndim - d - 2))
        matrices = blocks.permute(*first, *places, blocks.ndim - d - 2, blocks.ndim - d - 1)
        results = []
        for function in block_phi_functions(h * matrices):
            result = function.permute(*first, blocks.ndim - 2, blocks.ndim - 1, *range(len(first), len(first) + d))
            if self.scale is not None:
                result = result * self.scale.unsqueeze(-d - 1) / self.scale.unsqueeze(-d - 2)
            results.append(result)
        return results[0], results[1], results[2], results[3]

    def product(self) -> Callable[[Tensor, Tensor], Tensor]:
        """How functions of L multiply coefficients (*sample, m, *wave)."""
        if self.diagonal:
            return torch.mul
        return lambda matrix, v: multiply(matrix, v, self.dimension)


def plan(times: Sequence[float], longest: float) -> list[tuple[int, float]]:
    """For each interval between times the number of whole steps, none longer than `longest`, and their length.

    Lengths that agree but for rounding are made one, so that their coefficients are computed once.
    """
    lengths: list[float] = []
    steps = []
    for start, end in pairwise(times):
        count = max(1, int(-(-(end - start) * (1 - 1e-9) // longest)))
        h = (end - start) / count
        known = next((length for length in lengths if abs(length - h) <= 1e-11 * h), None)
        if known is None:
            lengths.append(h)
            known = h
        steps.append((count, known))
    return steps


def of_real_fields(system: SpectralEvolution, v: Tensor) -> Tensor:
    """v without the part that no real field has, on more than one axis: pairs of waves that are both kept.

    Rounding makes such a part, transforms do not see it, and a linear part that amplifies waves lets it grow for good.
    """
    return v if system.basis.dimension == 1 else system.basis.forward(system.basis.backward(v))


def etdrk4(system: SpectralEvolution, start: Tensor, times: Sequence[float], longest: float) -> Tensor:
    """Coefficients (time, *sample, scalar, *wave) at ascending times, the first of which is that of `start`.

    Steps are whole between the times and no longer than `longest`. Order 4 in time. Nothing is looked at on the way:
    a diverged solution is infinite or not a number at the end. Where gradients are asked for, the steps between two
    times are computed again on the way back instead of being kept.
    """
    linear = Linear.of(system)
    product = linear.product()
    first = system.nonlinear(start, times[0])
    v = start.expand(np.broadcast_shapes(start.shape, first.shape, product(linear.values, start).shape))
    gradients = torch.is_grad_enabled() and (v.requires_grad or first.requires_grad or linear.values.requires_grad)
    replay = _replay(system, product, v, linear) if system.autonomous and not gradients else None

    def advance(v: Tensor, start: float, h: float, count: int, c: Coefficients) -> Tensor:
        for i in range(count):
            v = replay(v, *c) if replay else _step(system.nonlinear, product, v, start + i * h, h, c)
            v = of_real_fields(system, v) if i % PURIFY == PURIFY - 1 or i == count - 1 else v
        return v

    coefficients: dict[float, Coefficients] = {}
    states = [v]
    for t, (count, h) in zip(times, plan(times, longest), strict=False):
        if h not in coefficients:
            coefficients[h] = _coefficients(linear, h)
        if gradients:
            v = checkpoint(advance, v, t, h, count, coefficients[h], use_reentrant=False)
        else:
            v = advance(v, t, h, count, coefficients[h])
        states.append(v)
    return torch.stack(states)


def _coefficients(linear: Linear, h: float) -> Coefficients:
    whole, one, two, three = linear.functions(h)
    half, half_one, _, _ = linear.functions(0.5 * h)
    return (
        whole, half, 0.5 * h * half_one,
        h * (one - 3 * two + 4 * three), 2 * h * (two - 2 * three), h * (4 * three - two),
    )  # fmt: skip


def _step(
    nonlinear: Callable[[Tensor, float], Tensor],
    product: Callable[[Tensor, Tensor], Tensor],
    v: Tensor,
    t: float,
    h: float,
    coefficients: Coefficients,
) -> Tensor:
    whole, half, quarter, first, middle, last = coefficients

    def add(total: Tensor, matrix: Tensor, w: Tensor, factor: float = 1.0) -> Tensor:
        if product is torch.mul:  # in one pass over the batch
            return torch.addcmul(total, matrix, w, value=factor)
        return total + factor * product(matrix, w)

    n_v = nonlinear(v, t)
    half_v = product(half, v)
    a = add(half_v, quarter, n_v)
    n_a = nonlinear(a, t + 0.5 * h)
    b = add(half_v, quarter, n_a)
    n_b = nonlinear(b, t + 0.5 * h)
    c = add(add(product(half, a), quarter, n_b, 2.0), quarter, n_v, -1.0)
    n_c = nonlinear(c, t + h)
    return add(add(add(product(whole, v), first, n_v), middle, n_a + n_b), last, n_c)


def _replay(
    system: SpectralEvolution, product: Callable[[Tensor, Tensor], Tensor], v: Tensor, linear: Linear
) -> Callable[..., Tensor] | None:
    """A step (v, *coefficients) without Python in it.

    All numbers are arguments of the trace, so that one serves every step length and all parameters of an equation on a
    grid. None for an equation that cannot be told from others, since it is unhashable.
    """
    given = system.numbers()
    example = _coefficients(linear, 1.0)

    def whole(v: Tensor, *numbers: Tensor) -> Tensor:
        there = system.given(numbers[: len(given)])
        c = numbers[len(given) :]
        return _step(there.nonlinear, product, v, 0.0, 0.0, (c[0], c[1], c[2], c[3], c[4], c[5]))

    try:
        replay = kept_trace(("etdrk4", system.identity(), linear.diagonal), whole, v, *given, *example)
    except TypeError:
        return None
    return lambda v, *c: replay(v, *given, *c)


def exact_series(system: SpectralEvolution, start: Tensor, times: Sequence[float]) -> Tensor:
    """Coefficients (time, *sample, scalar, *wave) of v_t = L v + N with constant N: one exact step to each time."""
    linear = Linear.of(system)
    product = linear.product()
    source = system.nonlinear(start, times[0])
    functions: dict[float, tuple[Tensor, Tensor]] = {}
    v, states = start, [start]
    for _, h in plan(times, times[-1] - times[0] + 1.0):
        if h not in functions:
            whole, one, _, _ = linear.functions(h)
            functions[h] = whole, h * one
        whole, one = functions[h]
        v = product(whole, v) + product(one, source)
        states.append(v)
    return torch.stack(torch.broadcast_tensors(*states))
