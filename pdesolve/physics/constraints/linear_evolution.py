"""What the linear part of an evolution alone makes of an initial value: a kink in it is smooth at all later times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from pdesolve.equation import Evolution, flatten
from pdesolve.errors import InputError
from pdesolve.fields.jets import Jet
from pdesolve.fields.multi_index import Combination, Index, indices_of
from pdesolve.fields.propagation import propagate
from pdesolve.integration.fourier import FourierBasis
from pdesolve.integration.spectral import SpectralEvolution
from pdesolve.problem import Problem, Value

_MODES = 2**13
_GONE = -37.0  # e^-37 is below the rounding of float64
_TAIL = 1e-3  # of the whole series, its upper half: of a kink 1e-4, of a jump 0.1
_WAVES = 2**20  # waves at once, so that memory stays bounded


class LinearEvolution(nn.Module):
    """w(t, x) = Re Σ_k c_k exp(i k (x - a) + λ_k (t - t0)), (point, axis) -> (point, 1): w_t = Λ w, w(t0) = u0.

    Λ is the linear part of the equation's rate without what does not differentiate, so that λ_0 = 0 and Re λ_k <= 0;
    c_k are the Fourier coefficients of u0. Waves that have faded at a time are not summed there: with λ_k = -D k² there
    are some 6 / √(D (t - t0)) left.
    """

    def __init__(self, origin: tuple[float, float], wavenumbers: Tensor, rates: Tensor, coefficients: Tensor) -> None:
        super().__init__()
        # made again from the problem: not stored with a network
        for name, values in (
            ("origin", torch.tensor(origin, dtype=torch.float64)), ("wavenumbers", wavenumbers),
            ("growth", rates.real), ("frequency", rates.imag),
            ("cosines", coefficients.real), ("sines", -coefficients.imag),
        ):  # fmt: skip
            self.register_buffer(name, values.contiguous(), persistent=False)
        self._seen: tuple[Tensor, Tensor] | None = None  # points, and the values there

    origin: Tensor
    wavenumbers: Tensor
    growth: Tensor
    frequency: Tensor
    cosines: Tensor
    sines: Tensor

    def forward(self, points: Tensor) -> Tensor:
        value = [[((0, 0), 1.0)]]
        if points.requires_grad:
            return self.sums(points, value)[0]
        # a solution is judged at the same points again and again, and asks twice: in the lift and as an input
        if self._seen is None or not _same(points, self._seen[0]):
            self._seen = points.clone(), self.sums(points, value)[0]
        return self._seen[1]

    def sums(self, points: Tensor, rows: Sequence[Sequence[tuple[Index, float]]]) -> list[Tensor]:
        """Σ c ∂_t^a ∂_x^b w of each row at points (point, axis), as (point, 1): every wave times Σ c λ^a (i k)^b."""
        factors = [self._factors(row) for row in rows]
        order = points[:, 0].detach().argsort()
        elapsed, place = (points[order] - self.origin).unbind(1)
        found = []
        start = 0
        while start < len(order):
            left = 1 + int((self.growth * elapsed[start].detach() > _GONE).nonzero()[-1, 0])
            some = slice(start, start + max(1, _WAVES // left))
            angles = place[some, None] * self.wavenumbers[:left] + elapsed[some, None] * self.frequency[:left]
            size = torch.exp(elapsed[some, None] * self.growth[:left])
            cosines, sines = size * angles.cos(), size * angles.sin()
            found.append(torch.stack([cosines @ a[:left] + sines @ b[:left] for a, b in factors]))
            start = some.stop
        back = order.argsort()
        return [part[back, None] for part in torch.cat(found, 1)]

    def _factors(self, row: Sequence[tuple[Index, float]]) -> tuple[Tensor, Tensor]:
        """What cosines and sines are multiplied by: A - i B, the coefficient times Σ c λ^a (i k)^b."""
        rate = torch.complex(self.growth, self.frequency)
        slope = torch.complex(torch.zeros_like(self.wavenumbers), self.wavenumbers)
        symbol = torch.stack([c * rate**times * slope**places for (times, places), c in row]).sum(0)
        total = torch.complex(self.cosines, -self.sines) * symbol
        return total.real, -total.imag


def _same(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)


@propagate.register
def _(layer: LinearEvolution, jet: Jet) -> Jet:
    """Of points themselves: a series that stands first in a network."""
    fixed = [i for i in (0, 1) if not any(index[i] for c in jet.indices for index in indices_of(c))]
    rows = {}
    for channel in jet.wanted:
        terms = channel.terms if isinstance(channel, Combination) else ((channel, 1.0),)
        moving = [(index, c) for index, c in terms if not any(index[i] for i in fixed)]
        if moving:
            rows[channel] = moving
    return Jet(layer.sums(jet.channels[0], [*rows.values()]), (*rows,), jet.wanted)


def linear_evolution(problem: Problem, values: Mapping[str, Value] | None = None) -> LinearEvolution | None:
    """The linear evolution of a problem's initial value; None where there is none, or where it smooths nothing.

    For one scalar of an evolution of first order on a periodic interval, whose highest waves fade within the time.
    """
    equation, time = problem.equation, problem.time
    if not isinstance(equation, Evolution) or time is None or equation.order != 1 or "grid" not in equation.kinds:
        return None
    axis, *others = problem.domain.axes
    if others or not axis.periodic or not problem.domain.is_box or len(equation.scalars) != 1:
        return None
    grid = problem.grid(2 * _MODES)
    basis = FourierBasis(grid)
    try:
        system = SpectralEvolution(
            equation, basis, lambda x: problem.bind(x, values or {}), time=(time.lower, time.upper)
        )
    except InputError:
        return None
    rates = system.linear[0, 0] - system.linear[0, 0, 0]
    if not bool((rates.real <= 1e-12 * rates.abs()).all()) or rates.real[_MODES - 1] * time.length > _GONE:
        return None
    (start,) = flatten(problem.initial_state(system.x, values or {})).values()
    c = basis.forward(start.values.expand(grid.shape)) / (2 * _MODES)
    c = torch.cat([c[:1], 2 * c[1:]])[:_MODES]
    if c[_MODES // 2 :].abs().sum() > _TAIL * c.abs().sum():
        return None
    wavenumbers = 2 * math.pi / axis.length * torch.arange(_MODES, dtype=torch.float64)
    return LinearEvolution((time.lower, axis.lower), wavenumbers, rates[:_MODES], c)
