"""Runge-Kutta schemes whose every stage is a state that can be projected: explicit, with pairs, and implicit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pdesolve.errors import unknown_name
from pdesolve.integration import additive
from pdesolve.integration.sdirk import NODES, STAGES

SchemeName = Literal[
    "euler",
    "heun",
    "rk4",
    "bogacki_shampine",
    "dormand_prince",
    "implicit_midpoint",
    "sdirk3",
    "sdirk4",
    "esdirk4",
    "dopri8",
]
Reach = Callable[[Tensor, float, float], None]

_SCAN = 400  # multiples of 0.01 at which stability is looked at


@dataclass(frozen=True)
class Scheme:
    """A tableau: stage i is U = u + dt Σ_j rows[i][j] k_j + diagonal[i] dt L U at the time t + nodes[i] dt.

    k_j = L U_j is the rate at stage j < i. The first stage of explicit schemes is u itself; the last stage is the state
    after the step, at the node 1. `order` of accuracy. `embedded`: weights of another state of an order less, over the
    rates of all stages and that of the state after the step; empty for none. `diagonal`: empty for explicit schemes.
    """

    order: int
    nodes: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    embedded: tuple[float, ...] = ()
    diagonal: tuple[float, ...] = ()

    def step(self, u: Tensor, time: float, dt: float, rate: Callable[[float], Tensor], reach: Reach) -> list[Tensor]:
        """One step from u at `time`; the rates that it has used.

        rate(t) is that of the state as it is held now; reach(target, t, ahead) makes what holds it hold the U with
        U − ahead L U = target, the target itself where `ahead` is zero.
        """
        rates: list[Tensor] = []
        now = time
        for node, row, own in zip(self.nodes, self.rows, self.diagonal or (0.0,) * len(self.nodes), strict=True):
            if len(rates) < len(row):
                rates.append(rate(now))
            if row or own:
                now = time + node * dt
                reach(combined(u, rates, row, dt), now, own * dt)
        return rates

    @property
    def implicit(self) -> bool:
        """Whether stages are solved for, so that no wave grows however long the step."""
        return any(self.diagonal)

    def error(self, rates: Sequence[Tensor], dt: float) -> Tensor:
        """dt Σ_j (b_j − b̂_j) k_j, the state after the step less the embedded one; rates: all, with that at the end."""
        weights = (*self.rows[-1], 0.0)
        difference = [b - other for b, other in zip(weights, self.embedded, strict=True)]
        return combined(torch.zeros_like(rates[0]), rates, difference, dt)

    @property
    def limit(self) -> float:
        """The largest ρ dt at which u_t = −ρ u does not grow, to 0.01; none of an implicit scheme, all are A-stable."""
        if self.implicit:
            return math.inf
        z = torch.arange(1, _SCAN, dtype=torch.float64) / 100
        held = torch.ones_like(z)

        def reach(target: Tensor, time: float, ahead: float) -> None:
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


_ALEXANDER = 0.4358665215084590  # γ³ − 3 γ² + 3/2 γ = 1/6, the root at which the scheme is L-stable
_WEIGHT = -3 / 2 * _ALEXANDER**2 + 4 * _ALEXANDER - 1 / 4

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
    "implicit_midpoint": Scheme(2, (1 / 2, 1.0), ((), (1.0,)), diagonal=(1 / 2, 0.0)),
    "sdirk3": Scheme(
        3,
        (_ALEXANDER, (1 + _ALEXANDER) / 2, 1.0),
        ((), ((1 - _ALEXANDER) / 2,), (_WEIGHT, 1 - _ALEXANDER - _WEIGHT)),
        diagonal=(_ALEXANDER,) * 3,
    ),
    "sdirk4": Scheme(4, NODES, tuple(row[:-1] for row in STAGES), diagonal=tuple(row[-1] for row in STAGES)),
    "esdirk4": Scheme(
        4,
        tuple(additive.NODES.tolist()),
        tuple(tuple(row[:i]) for i, row in enumerate(additive.IMPLICIT.tolist())),
        diagonal=tuple(additive.IMPLICIT.diagonal().tolist()),
    ),
}


def scheme(name: str) -> Scheme:
    """The scheme of that name: euler, heun, rk4, a pair (bogacki_shampine 3(2), dormand_prince 5(4)), or implicit.

    implicit_midpoint keeps every wave of u_t = i ω u as large as it is; sdirk3, sdirk4 and esdirk4 are L-stable and end
    with their last stage. Stages of esdirk4 are of order 2, those of the others of order 1, so that values on walls
    that move cost it less; its first asks for the rate of the state, which amplifies what is rough in it.

    P. Bogacki, L. F. Shampine, Appl. Math. Lett. 2 (1989) 321; J. R. Dormand, P. J. Prince, J. Comput. Appl. Math. 6
    (1980) 19; R. Alexander, SIAM J. Numer. Anal. 14 (1977) 1006 (sdirk3); E. Hairer, G. Wanner, Solving Ordinary
    Differential Equations II (1996), table 6.5 (sdirk4); C. A. Kennedy, M. H. Carpenter, Appl. Numer. Math. 44 (2003)
    139 (esdirk4).

    Raises:
        InputError: an unknown name.
    """
    if name not in _SCHEMES:
        raise unknown_name("scheme", name, _SCHEMES)
    return _SCHEMES[name]


def is_implicit(name: str) -> bool:
    """Whether a scheme of that name solves for its stages; false for names that are not here."""
    return name in _SCHEMES and _SCHEMES[name].implicit
