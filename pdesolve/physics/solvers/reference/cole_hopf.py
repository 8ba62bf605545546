"""The solution of the Burgers equation by the Cole-Hopf transform, for states that are periodic or vanish at walls."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pdesolve.equation import State, Values
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Field
from pdesolve.integration.reflection import Reflection, homogeneous
from pdesolve.physics.equations.burgers import Burgers
from pdesolve.problem import Problem, Value

_SAMPLES = 4096  # of the initial state
_MODES = 128  # more than these make stepping the cheaper way
_ENTRIES = 2**20  # of the integrand at once
_TAIL = 6.4  # standard variables beyond which exp(-s^2) < 2e-18


class ColeHopf:
    """u(t, x) = integral of u0(y) exp(-G / 2 nu) dy / integral of exp(-G / 2 nu) dy, called as a formula of (p, x).

    G(y) = U0(y) + (x - y)^2 / 2t with U0' = u0. With y = x - 2 sqrt(nu t) s both are integrals of exp(-s^2) f(s), taken
    by the trapezoidal rule in s: it converges exponentially, and its nodes reach as far as the wave travels, which
    Gauss-Hermite nodes do not for small nu. The largest exponent is subtracted first, or both would overflow. U0 comes
    from the Fourier coefficients of u0 (of its odd reflection between walls), so that the mean of u0 may be anything.
    E. Hopf, Comm. Pure Appl. Math. 3 (1950) 201; J. D. Cole, Quart. Appl. Math. 9 (1951) 225.

    Raises:
        InputError: an initial state with more than 128 Fourier modes.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        values: Mapping[str, Value] | None = None,
        device: torch.device | str = "cpu",
        refinement: float = 1.0,
    ) -> None:
        assert problem.time is not None
        (axis,) = problem.domain.axes
        periodic = axis.periodic
        grid = problem.grid(_SAMPLES if periodic else _SAMPLES // 2 + 1)
        x = Coordinates(grid, device=device)
        u0 = problem.initial_state(x, values)["u"].values
        if not periodic:
            u0 = Reflection(grid, {}).extend(u0, {axis.name: -1})
        self.axis, self.lower, self.start = axis.name, axis.lower, problem.time.lower
        self.wavenumber = 2 * math.pi / (axis.length if periodic else 2 * axis.length)
        coefficients = torch.fft.rfft(u0) / u0.shape[-1]
        sizes = coefficients.detach().abs()
        last = int((sizes > 4e-16 * sizes.max()).nonzero()[:, -1].max()) if bool(sizes.max() > 0) else 0
        if last > _MODES:
            raise InputError(
                f"{problem.name}: the initial state has {last} Fourier modes, Cole-Hopf takes {_MODES} at most: "
                "take --method.scheme etdrk4"
            )
        self.mean = coefficients[..., 0].real
        k = self.wavenumber * torch.arange(1, last + 1, dtype=torch.float64, device=device)
        self.wave = 2 * coefficients[..., 1 : last + 1]
        self.antiderivative = self.wave / (1j * k)

        length = problem.time.length
        p = problem.bind(x.at_instant(problem.time.lower), values)
        least = float(p["viscosity"].values.detach().min())
        orders = torch.arange(sizes.shape[-1], device=device)
        slopes = torch.fft.irfft(torch.fft.rfft(u0.detach()) * 1j * self.wavenumber * orders)
        steepest = max(0.0, float(slopes.max()))
        # exp(-G / 2 nu) has standard deviations of at least `narrowest` and its peaks lie within `reach`
        narrowest = math.sqrt(0.5 / (1 + length * steepest))
        reach = float(u0.detach().abs().max()) * math.sqrt(length / (4 * least)) + _TAIL
        count = math.ceil(2 * reach / (0.5 * narrowest) * refinement) + 1
        self.nodes = torch.linspace(-reach, reach, count, dtype=torch.float64, device=device)
        self.shortest = 1e-14 * length

    def __call__(self, p: Values, x: Coordinates) -> State:
        t, place, nu = x["t"], x[self.axis], p["viscosity"]
        shape = np.broadcast_shapes(t.values.shape, place.values.shape)
        times, places = t.values.expand(shape), place.values.expand(shape)
        viscosity = _aligned(nu, len(shape))
        samples = max(viscosity.numel(), self.mean.numel())
        row = max(1, math.prod(shape[1:]) * samples * len(self.nodes))
        chunk = max(1, _ENTRIES // row)
        parts = [
            self._integrals(times[i : i + chunk], places[i : i + chunk], viscosity) for i in range(0, shape[0], chunk)
        ]
        return {"u": x.field(torch.cat(parts, -len(shape)), "u")}

    def _integrals(self, t: Tensor, x: Tensor, nu: Tensor) -> Tensor:
        """u (*sample, *places) at times and places of one shape."""
        dimension = t.ndim + 1
        # at t = 0 the square root has no derivative
        width = 2 * (nu * (t - self.start).clamp(min=self.shortest)).sqrt()
        y = x.unsqueeze(-1) - width.unsqueeze(-1) * self.nodes
        angle = self.wavenumber * (y - self.lower)
        z = torch.complex(torch.cos(angle), torch.sin(angle))
        wave, antiderivative = _series(self.wave, z, dimension), _series(self.antiderivative, z, dimension)
        mean = self.mean.reshape(*self.mean.shape, *[1] * dimension)
        exponent = -self.nodes.square() - (mean * (y - self.lower) + antiderivative) / (2 * nu.unsqueeze(-1))
        weight = torch.exp(exponent - exponent.detach().amax(-1, keepdim=True))
        return ((mean + wave) * weight).sum(-1) / weight.sum(-1)


def _series(coefficients: Tensor, z: Tensor, dimension: int) -> Tensor:
    """Re sum_k a_k z^k, k from 1, for coefficients (*sample, mode) and z (*sample, *`dimension` axes), by Horner."""
    total = torch.zeros_like(z)
    for a in reversed(coefficients.unbind(-1)):
        total = (total + a.reshape(*a.shape, *[1] * dimension)) * z
    return total.real


def _aligned(field: Field, dimension: int) -> Tensor:
    values = field.values
    return values.reshape(*values.shape, *[1] * dimension)


def applies(problem: Problem, values: Mapping[str, Value] | None) -> bool:
    """Whether the problem is Burgers' equation on a periodic interval, or one with zero values at both ends."""
    if type(problem.equation) is not Burgers or problem.domain.dimension != 1 or not problem.domain.is_box:
        return False
    assert problem.time is not None
    x = Coordinates(problem.grid(9)).at_instant(problem.time.lower)
    viscosity = problem.bind(x, values)["viscosity"]
    if len(viscosity.axes) or not bool((viscosity.values > 0).all()):
        return False
    if problem.domain.axes.members[0].periodic:
        return True
    a, b = problem.time.lower, problem.time.upper
    parities = homogeneous(problem, problem.grid(9), values, (a, a + 0.31 * (b - a), b))
    return parities is not None and all(sign < 0 for sign in parities["u"].values())
