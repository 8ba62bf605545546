"""How fast the rate's fastest direction is: what an explicit step must resolve."""

from __future__ import annotations

import torch
from torch import Tensor

from pdesolve.least_squares.modular import Modular
from pdesolve.marching.instant import Instant
from pdesolve.physics.solvers.teng.solves import Solve
from pdesolve.physics.solvers.teng.stages import parameters, put

_NUDGE = 1e-5  # part of the parameters' norm over which the rate is differenced
_MOST = 40
_SETTLED = 0.02  # relative change at which the estimate has


def spectral_radius(instant: Instant, by: Solve, *, damping: float, time: float) -> float:
    """About the largest |eigenvalue| of w -> J⁺ (dL/du) J w, the rate as the projections of a march let it act.

    Power iteration: J is factorised once, the rate is differenced along w. Directions that the damping or the cut-off
    hold still do not count, so that it is the wavenumbers the network carries that are measured, not the grid's. The
    growth over two iterations, for pairs of complex eigenvalues.
    """
    theta = parameters(instant)
    with torch.no_grad():
        u = instant.values(time)
    objective = Modular(instant.module, lambda: {"rate": instant.rows(u, time)})
    here = objective.linearise(theta)
    rate = instant.rate(time)

    def rows(values: Tensor) -> Tensor:
        put(instant, theta)
        with torch.no_grad():
            return instant.rows(u - values, time).reshape(-1)

    noise = torch.randn(u.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).to(u)
    first = rows(noise)
    onto = by.linear(here.jacobian, first, damping)
    w = onto(first)
    growths: list[float] = []
    estimate = 0.0
    for _ in range(_MOST):
        before = float(here.jacobian.times(w).norm())
        if not before > 0:
            break
        h = _NUDGE * float(theta.norm() / w.norm())
        put(instant, theta + h * w)
        w = onto(rows((instant.rate(time) - rate) / h)) / before
        growths.append(float(here.jacobian.times(w).norm()))
        if len(growths) > 1:
            last, estimate = estimate, (growths[-1] * growths[-2]) ** 0.5
            if abs(estimate - last) <= _SETTLED * estimate and len(growths) > 4:
                break
    put(instant, theta)
    return estimate
