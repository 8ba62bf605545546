"""Explicit Runge-Kutta schemes whose every stage is a state that can be projected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from pdesolve.errors import unknown_name

SchemeName = Literal["euler", "heun", "rk4"]


@dataclass(frozen=True)
class Scheme:
    """A tableau: stage i is u + dt Σ_j rows[i][j] k_j at the time t + nodes[i] dt, k_j the rate at stage j.

    The first stage is u itself; the last row gives the state after the step, at the node 1. `order` of accuracy.
    """

    order: int
    nodes: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]

    def step(
        self, u: Tensor, time: float, dt: float, rate: Callable[[float], Tensor], reach: Callable[[Tensor, float], None]
    ) -> None:
        """One step from u at `time`.

        rate(t) is that of the state as it is held now; reach(target, t) makes what holds it hold the target.
        """
        rates, now = [rate(time)], time
        for node, row in zip(self.nodes[1:], self.rows[1:], strict=True):
            if len(rates) < len(row):
                rates.append(rate(now))
            now = time + node * dt
            reach(combined(u, rates, row, dt), now)


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
}


def scheme(name: str) -> Scheme:
    """The scheme of that name.

    Raises:
        InputError: an unknown name.
    """
    if name not in _SCHEMES:
        raise unknown_name("scheme", name, _SCHEMES)
    return _SCHEMES[name]
