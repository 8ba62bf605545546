"""Implicit and implicit-explicit Runge-Kutta steps of order 4 for stiff systems that come from grids with walls.

The pair ARK4(3)6L[2]SA: six stages, an explicit table and one that is implicit with a single number, 1/4, on its
diagonal (after an explicit first stage), both of order 4 with the same weights, an embedded order 3 for the error; the
implicit table is L-stable and stiffly accurate. C. A. Kennedy, M. H. Carpenter, Appl. Numer. Math. 44 (2003) 139.
Departures: the linear part may be taken anew where it has grown old, and a solve filters the error, as in Radau codes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import csc_matrix, identity
from torch import Tensor

from pdesolve.errors import Diverged
from pdesolve.integration.factors import factorise
from pdesolve.integration.jacobian import sparse_jacobian
from pdesolve.integration.lines import Lines
from pdesolve.integration.tracing import traced

GAMMA = 0.25
NODES = np.array([0, 1 / 2, 83 / 250, 31 / 50, 17 / 20, 1])
EXPLICIT = np.zeros((6, 6))
EXPLICIT[1, :1] = 1 / 2
EXPLICIT[2, :2] = 13861 / 62500, 6889 / 62500
EXPLICIT[3, :3] = (
    -116923316275 / 2393684061468,
    -2731218467317 / 15368042101831,
    9408046702089 / 11113171139209,
)
EXPLICIT[4, :4] = (
    -451086348788 / 2902428689909,
    -2682348792572 / 7519795681897,
    12662868775082 / 11960479115383,
    3355817975965 / 11060851509271,
)
EXPLICIT[5, :5] = (
    647845179188 / 3216320057751,
    73281519250 / 8382639484533,
    552539513391 / 3454668386233,
    3354512671639 / 8306763924573,
    4040 / 17871,
)
IMPLICIT = np.zeros((6, 6))
IMPLICIT[1, :2] = 1 / 4, 1 / 4
IMPLICIT[2, :3] = 8611 / 62500, -1743 / 31250, 1 / 4
IMPLICIT[3, :4] = 5012029 / 34652500, -654441 / 2922500, 174375 / 388108, 1 / 4
IMPLICIT[4, :5] = (
    15267082809 / 155376265600,
    -71443401 / 120774400,
    730878875 / 902184768,
    2285395 / 8070912,
    1 / 4,
)
IMPLICIT[5] = 82889 / 524892, 0, 15625 / 83664, 69875 / 102672, -2260 / 8211, 1 / 4
WEIGHTS = IMPLICIT[5].copy()
EMBEDDED = np.array(
    [
        4586570599 / 29645900160,
        0,
        178811875 / 945068544,
        814220225 / 1159782912,
        -3700637 / 11593932,
        61727 / 225920,
    ]
)


class Stepper(ABC):
    """Adaptive steps of y_t = f(t, y) for y (*sample, scalar, *grid), all samples with one step length.

    `each` has the system of every sample on its own, for their Jacobians. Factors of 1 - h J / 4 are kept while the
    step length stays, and lengths are chosen to stay: they divide the interval to the next output, and grow by half or
    not at all. Not differentiable.
    """

    def __init__(self, f: Lines, each: Sequence[Lines], *, tolerance: float) -> None:
        self.f, self.each, self.tolerance = f, each, max(tolerance, 1e-13)
        start = f.start().detach()
        d = len(f.grid.members)
        self.shape, self.like = start.shape, start
        self.free = torch.nonzero(f.free.reshape(-1)).squeeze(-1).to(start.device)
        self.whole = start.reshape(-1, math.prod(start.shape[-d - 1 :]))
        self.size = max(float(start.abs().max()), 1e-3)
        self.replay: Callable[..., Tensor] = traced(f, self._time(0.0), start)
        self.jacobians: list[csc_matrix] = []
        self.age = 0
        self._factors: dict[float, list[Any]] = {}
        self.solves = self.factorisations = self.rejections = self.steps = 0

    @abstractmethod
    def prepare(self, t: float, y: Tensor) -> None:
        """Get ready for steps with the present Jacobians."""

    @abstractmethod
    def stage(self, t: float, known: Tensor, guess: Tensor, h: float) -> tuple[Tensor, Tensor, Tensor] | None:
        """Y = known + h/4 implicit(t, Y), with implicit(t, Y) and explicit(t, Y); None where Newton's method fails."""

    @abstractmethod
    def rates(self, t: float, y: Tensor) -> tuple[Tensor, Tensor]:
        """implicit(t, y) and explicit(t, y), whose sum is f."""

    def run(self, times: Sequence[float]) -> Tensor:
        """y (time, *sample, scalar, *grid) at the times.

        Raises:
            Diverged: steps that became too small.
        """
        y = self.whole[:, self.free]
        with torch.no_grad():
            self._renew(times[0], y)
            states, t, h = [self._tensor(y)], times[0], self._first(times[0], y, times[-1] - times[0])
            for end in times[1:]:
                while end - t > 1e-12 * (times[-1] - times[0]):
                    pieces = math.ceil((end - t) / h - 1e-3)
                    length = (end - t) / pieces
                    after, error = self._step(t, y, length)
                    if error > 1.0 or not math.isfinite(error):
                        self.rejections += 1
                        if self.age:
                            self._renew(t, y)
                        h = length * (max(0.2, 0.9 * error**-0.25) if math.isfinite(error) else 0.25)
                        if h < 1e-12 * (times[-1] - times[0]):
                            name = self.f.problem.name
                            raise Diverged(f"{name}: implicit steps cannot go on at t = {t:.4g}, they became too small")
                        continue
                    self.steps, self.age = self.steps + 1, self.age + 1
                    t, y = (end if pieces == 1 else t + length), after
                    growth = min(4.0, 0.9 * max(error, 1e-8) ** -0.25)
                    if growth > 1.5 or growth < 0.9:
                        h = length * growth
                states.append(self._tensor(y))
        return torch.stack(states)

    def rate(self, t: float, y: Tensor) -> Tensor:
        """f of the values that evolve, (sample, value)."""
        return self.replay(self._time(t), self._tensor(y)).reshape(len(y), -1)[:, self.free]

    def solve(self, right: Tensor, h: float) -> Tensor:
        """(1 - h J / 4)^-1 of (sample, value)."""
        if h not in self._factors:
            if len(self._factors) > 3:
                self._factors.pop(next(iter(self._factors)))
            one, name = identity(len(self.free), format="csc"), self.f.problem.name
            self._factors[h] = [factorise(csc_matrix(one - GAMMA * h * j), name) for j in self.jacobians]
            self.factorisations += len(self.jacobians)
        self.solves += 1
        columns = right.cpu().numpy()
        factors = self._factors[h]
        solved = (
            factors[0].solve(columns.T).T
            if len(factors) == 1
            else np.stack([one.solve(column) for one, column in zip(factors, columns, strict=True)])
        )
        return torch.as_tensor(np.ascontiguousarray(solved), dtype=right.dtype, device=right.device)

    def _step(self, t: float, y: Tensor, h: float) -> tuple[Tensor, float]:
        """y after a step, and its error in units of the tolerance."""
        implicit, explicit = ([part] for part in self.rates(t, y))
        guess = y
        for i in range(1, 6):
            known = y
            for j in range(i):
                known = known + (h * IMPLICIT[i, j]) * implicit[j] + (h * EXPLICIT[i, j]) * explicit[j]
            found = self.stage(t + h * float(NODES[i]), known, guess, h)
            if found is None:
                return y, math.inf
            guess = found[0]
            implicit.append(found[1])
            explicit.append(found[2])
        rates = [a + b for a, b in zip(implicit, explicit, strict=True)]
        after, error = y, torch.zeros_like(y)
        for weight, other, k in zip(WEIGHTS, EMBEDDED, rates, strict=True):
            after = after + (h * weight) * k
            error = error + (h * (weight - other)) * k
        scale = self.tolerance * (self.size + torch.maximum(y.abs(), after.abs()))
        return after, float((self.solve(error, h) / scale).square().mean(-1).amax().sqrt())

    def _renew(self, t: float, y: Tensor) -> None:
        """The Jacobians at a state."""
        time, states = self._time(t), self._tensor(y).reshape(len(y), *self.shape[-len(self.f.grid.members) - 1 :])
        free = self.free.cpu().numpy()
        self.jacobians = [
            sparse_jacobian(lambda z, g=g: g(time, z), state, g.grid)[free][:, free]
            for g, state in zip(self.each, states, strict=True)
        ]
        self._factors.clear()
        self.age = 0
        self.prepare(t, y)

    def _first(self, t: float, y: Tensor, duration: float) -> float:
        """A first step that changes the state by a hundredth or so."""
        speed = float(self.solve(self.rate(t, y), 1e-4 * duration).abs().max())
        return min(1e-2 * duration, max(1e-6 * duration, 1e-2 * self.size * self.tolerance**0.1 / max(speed, 1e-300)))

    def _tensor(self, y: Tensor) -> Tensor:
        whole = self.whole.clone()
        whole[:, self.free] = y
        return whole.reshape(self.shape)

    def _time(self, t: float) -> Tensor:
        return torch.tensor(t, dtype=self.like.dtype, device=self.like.device)


class Implicit(Stepper):
    """Every stage by Newton's method, f all implicit: for systems that are stiff and nonlinear."""

    def prepare(self, t: float, y: Tensor) -> None:
        pass

    def rates(self, t: float, y: Tensor) -> tuple[Tensor, Tensor]:
        k = self.rate(t, y)
        return k, torch.zeros_like(k)

    def stage(self, t: float, known: Tensor, guess: Tensor, h: float) -> tuple[Tensor, Tensor, Tensor] | None:
        y, before = guess, math.inf
        scale = self.tolerance * (self.size + known.abs())
        for _ in range(8):
            step = self.solve(known + (h * GAMMA) * self.rate(t, y) - y, h)
            y, change = y + step, float((step / scale).square().mean(-1).amax().sqrt())
            if not math.isfinite(change) or change > 2 * before:
                return None
            # as if the errors went on to fall like this
            falling = min(0.99, change / before) if math.isfinite(before) else 0.1
            if change * falling / (1 - falling) < 1e-2:
                k = (y - known) / (h * GAMMA)
                return y, k, torch.zeros_like(k)
            before = change
        return None


class Additive(Stepper):
    """The part L y + f(t, 0) implicit, one solve a stage, the rest explicit: for a stiff part that is nearly linear.

    L is the Jacobian at some state; it is taken anew after a step that failed.
    """

    def prepare(self, t: float, y: Tensor) -> None:
        self.zero = torch.zeros_like(y)
        self.steady = self.f.autonomous
        self.offset = self.rate(t, self.zero)

    def rates(self, t: float, y: Tensor) -> tuple[Tensor, Tensor]:
        linear = self._linear(y) + self._offset(t)
        return linear, self.rate(t, y) - linear

    def stage(self, t: float, known: Tensor, guess: Tensor, h: float) -> tuple[Tensor, Tensor, Tensor] | None:
        y = self.solve(known + (h * GAMMA) * self._offset(t), h)
        implicit = (y - known) / (h * GAMMA)
        return y, implicit, self.rate(t, y) - implicit

    def _offset(self, t: float) -> Tensor:
        return self.offset if self.steady else self.rate(t, self.zero)

    def _linear(self, y: Tensor) -> Tensor:
        columns = y.cpu().numpy()
        product = np.stack([j @ column for j, column in zip(self.jacobians, columns, strict=True)])
        return torch.as_tensor(product, dtype=y.dtype, device=y.device)
