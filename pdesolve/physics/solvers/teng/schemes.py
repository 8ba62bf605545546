"""Explicit Runge-Kutta schemes whose every stage is a state that can be projected, and their embedded pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pdesolve.errors import unknown_name

SchemeName = Literal["euler", "heun", "rk4", "bogacki_shampine", "dormand_prince", "dopri8"]

_SCAN = 400  # multiples of 0.01 at which stability is looked at


@dataclass(frozen=True)
class Scheme:
    """A tableau: stage i is u + dt Σ_j rows[i][j] k_j at the time t + nodes[i] dt, k_j the rate at stage j.

    The first stage is u itself; the last row gives the state after the step, at the node 1. `order` of accuracy.
    `embedded`: weights of another state of an order less, over the rates of all stages and that of the state after the
    step; empty for none.
    """

    order: int
    nodes: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    embedded: tuple[float, ...] = ()

    def step(
        self, u: Tensor, time: float, dt: float, rate: Callable[[float], Tensor], reach: Callable[[Tensor, float], None]
    ) -> list[Tensor]:
        """One step from u at `time`; the rates that it has used.

        rate(t) is that of the state as it is held now; reach(target, t) makes what holds it hold the target.
        """
        rates, now = [rate(time)], time
        for node, row in zip(self.nodes[1:], self.rows[1:], strict=True):
            if len(rates) < len(row):
                rates.append(rate(now))
            now = time + node * dt
            reach(combined(u, rates, row, dt), now)
        return rates

    def error(self, rates: Sequence[Tensor], dt: float) -> Tensor:
        """dt Σ_j (b_j − b̂_j) k_j, the state after the step less the embedded one; rates: all, with that at the end."""
        weights = (*self.rows[-1], 0.0)
        difference = [b - other for b, other in zip(weights, self.embedded, strict=True)]
        return combined(torch.zeros_like(rates[0]), rates, difference, dt)

    @property
    def limit(self) -> float:
        """The largest ρ dt at which u_t = −ρ u does not grow, to 0.01."""
        z = torch.arange(1, _SCAN, dtype=torch.float64) / 100
        held = torch.ones_like(z)

        def reach(target: Tensor, time: float) -> None:
            nonlocal held
            held = target

        self.step(held, 0.0, 1.0, lambda time: -z * held, reach)
        grown = (held.abs() > 1 + 1e-9).nonzero()
        return float(z[int(grown[0]) - 1]) if len(grown) else float(z[-1])


def combined(u: Tensor, rates: Sequence[Tensor], row: Sequence[float], dt: float) -> Tensor:
    """u + dt Σ_j row_j k_j."""
    for weight, k in zip(row, rates, strict=True):
        u = u + (dt * weight) * k if weight else u
    return u


_SCHEMES = {
    "euler": Scheme(1, (0.0, 1.0), ((), (1.0,))),
    "heun": Scheme(2, (0.0, 1.0, 1.0), ((), (1.0,), (1 / 2, 1 / 2))),
    "rk4": Scheme(
        4,
        (0.0, 1 / 2, 1 / 2, 1.0, 1.0),
        ((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
    ),
    "bogacki_shampine": Scheme(
        3,
        (0.0, 1 / 2, 3 / 4, 1.0),
        ((), (1 / 2,), (0.0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)),
        (7 / 24, 1 / 4, 1 / 3, 1 / 8),
    ),
    "dormand_prince": Scheme(
        5,
        (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
        (
            (),
            (1 / 5,),
            (3 / 40, 9 / 40),
            (44 / 45, -56 / 15, 32 / 9),
            (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
            (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
            (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
        ),
        (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40),
    ),
}


def scheme(name: str) -> Scheme:
    """The scheme of that name: euler, heun, rk4, or a pair (bogacki_shampine 3(2), dormand_prince 5(4)).

    P. Bogacki, L. F. Shampine, Appl. Math. Lett. 2 (1989) 321; J. R. Dormand, P. J. Prince, J. Comput. Appl. Math. 6
    (1980) 19.

    Raises:
        InputError: an unknown name.
    """
    if name not in _SCHEMES:
        raise unknown_name("scheme", name, _SCHEMES)
    return _SCHEMES[name]
