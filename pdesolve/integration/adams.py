"""Exponential Adams-Bashforth steps for v_t = L v + N(v) with L diagonal in Fourier space: one N a step.

S. P. Norsett, Lecture Notes in Mathematics 109 (1969) 214; M. Hochbruck, A. Ostermann, Acta Numerica 19 (2010) 209.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.integration.exponential import PURIFY, Linear, etdrk4, of_real_fields, phi_functions, plan
from pdesolve.integration.spectral import SpectralEvolution
from pdesolve.integration.tracing import kept_trace

_BEFORE = 3  # steps that the next one remembers
_STARTING = 2  # steps of ETDRK4 in each of the first steps


def etdab4(system: SpectralEvolution, start: Tensor, times: Sequence[float], longest: float) -> Tensor:
    """Coefficients (time, *sample, scalar, *wave) at ascending times, the first of which is that of `start`.

        v(t + h) = exp(h L) v + h (w_0 N_0 + w_1 N_-1 + w_2 N_-2 + w_3 N_-3),
        w_0 = phi_1 + 11/6 phi_2 + 2 phi_3 + phi_4,   w_1 = -3 phi_2 - 5 phi_3 - 3 phi_4,
        w_2 = 3/2 phi_2 + 4 phi_3 + 3 phi_4,          w_3 = -1/3 phi_2 - phi_3 - phi_4

    of h L, N_-j that of j steps ago. Order 4 at a quarter of the cost of a step of ETDRK4: cheaper where the linear
    part damps the waves that N excites, as in Kuramoto-Sivashinsky; where waves travel undamped it is stable for steps
    four to seven times shorter only. Steps are whole between the times and no longer than `longest`; the first three,
    and three after the length has changed, are taken as two of ETDRK4 each.

    Raises:
        InputError: a system whose linear part is no diagonal, or whose N changes in time.
    """
    linear = Linear.of(system)
    if not (linear.diagonal and system.autonomous):
        raise InputError(
            f"{type(system.equation).__name__}: steps of Adams need scalars uncoupled and no time in rates"
        )
    given = system.numbers()
    v = start.expand(torch.broadcast_tensors(start, linear.values)[0].shape).clone()
    whole = kept_trace(("rate", system.identity()), lambda v, *n: system.given(n).nonlinear(v, 0.0), v, *given)
    weights: tuple[float, Tensor, list[Tensor]] | None = None
    rates: list[Tensor] = []
    states = [v.clone()]
    with torch.no_grad():
        for count, h in plan(times, longest):
            if weights is None or weights[0] != h:
                weights, rates = (h, *_weights(linear, h)), []
            _, decay, factors = weights
            for i in range(count):
                rates.insert(0, whole(v, *given))
                if len(rates) <= _BEFORE:
                    v = etdrk4(system, v, (0.0, h), h / _STARTING * (1 + 1e-9))[-1]
                    continue
                v *= decay
                for factor, rate in zip(factors, rates, strict=True):
                    v.addcmul_(factor, rate)
                rates.pop()
                v = of_real_fields(system, v) if i % PURIFY == PURIFY - 1 or i == count - 1 else v
            states.append(v.clone())
    return torch.stack(states)


def _weights(linear: Linear, h: float) -> tuple[Tensor, list[Tensor]]:
    whole, one, two, three, four = phi_functions(h * linear.values, 4)
    return whole, [
        h * (one + 11 / 6 * two + 2 * three + four),
        -h * (3 * two + 5 * three + 3 * four),
        h * (1.5 * two + 4 * three + 3 * four),
        -h * (two / 3 + three + four),
    ]
