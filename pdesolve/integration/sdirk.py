"""Implicit steps for stiff systems with a mass matrix, which may be singular."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from pdesolve.errors import Diverged
from pdesolve.integration.factors import saddle_factors

_DIAGONAL = 1 / 4
STAGES = (
    (1 / 4,),
    (1 / 2, 1 / 4),
    (17 / 50, -1 / 25, 1 / 4),
    (371 / 1360, -137 / 2720, 15 / 544, 1 / 4),
    (25 / 24, -49 / 48, 125 / 16, -85 / 12, 1 / 4),
)
NODES = (1 / 4, 3 / 4, 11 / 20, 1 / 2, 1.0)
_EMBEDDED = (59 / 48, -17 / 96, 225 / 32, -85 / 12, 0.0)
_ITERATIONS = 10  # of Newton's method for a stage
_SHORTEST = 1e-12  # of the duration: shorter steps end the integration


class System(ABC):
    """M y_t = f(t, y); rows without mass are equations that hold at every instant.

    Errors are those of the entries of y that have mass: a pressure follows from them, and is not as accurate.
    """

    name: str
    mass: csr_array

    @abstractmethod
    def rate(self, t: float, y: np.ndarray) -> np.ndarray:
        """f (row,)."""

    @abstractmethod
    def jacobian(self, t: float, y: np.ndarray) -> csr_array:
        """df/dy (row, row)."""

    @abstractmethod
    def sizes(self, y: np.ndarray) -> np.ndarray:
        """What errors of y are measured against (row,)."""


def integrate(system: System, y: np.ndarray, times: Sequence[float], *, tolerance: float) -> np.ndarray:
    """y (time, row) by singly diagonally implicit Runge-Kutta steps of order 4 that end at each time.

    SDIRK4 of E. Hairer, G. Wanner, Solving Ordinary Differential Equations II (1996), table 6.5: L-stable and stiffly
    accurate, so that rows without mass hold at the end of every step; the embedded method is of order 3. Steps are as
    long as keeps the error of each below `tolerance` times `system.sizes`, and halved where Newton's method fails.
    The factors of M - h J / 4 are kept as long as the step and the convergence allow.

    Raises:
        Diverged: steps that became too small.
    """
    stepper = _Stepper(system, tolerance)
    states, wanted, span = [y], 1e-3 * (times[-1] - times[0]), times[-1] - times[0]
    t = times[0]
    for end in times[1:]:
        while end - t > 1e-12 * span:
            count = math.ceil((end - t) / wanted - 1e-6)
            h = stepper.kept((end - t) / count)
            after, error = stepper.step(t, y, h)
            if error <= 1.0:
                t, y = (t + h, after) if count > 1 or h < end - t else (end, after)
            factor = 0.9 * max(error, 1e-8) ** -0.25 if math.isfinite(error) else 0.25
            # a longer step must be worth its new factors
            if error > 1.0 or factor > 1.5:
                wanted = h * min(4.0, max(0.2, factor))
            if wanted < _SHORTEST * span:
                raise Diverged(
                    f"{system.name}: steps in time become too small at t = {t:.4g}: does the solution exist?"
                )
        t = end
        states.append(y)
    return np.stack(states)


class _Stepper:
    def __init__(self, system: System, tolerance: float) -> None:
        self.system, self.tolerance = system, tolerance
        self.moving = system.mass.diagonal() != 0
        self.h, self.factors, self.fresh = math.nan, None, False

    def kept(self, h: float) -> float:
        """The step that has factors already, where it is the same but for rounding."""
        return self.h if abs(h - self.h) <= 1e-9 * h else h

    def step(self, t: float, y: np.ndarray, h: float) -> tuple[np.ndarray, float]:
        """y at t + h and its error in units of the tolerance; infinite where Newton's method fails."""
        for _ in range(2):
            if h != self.h or self.factors is None:
                self._factorise(t, y, h)
            found = self._stages(t, y, h)
            if found is not None:
                return found
            if self.fresh:
                break
            self.factors = None
        self.factors = None
        return y, math.inf

    def _factorise(self, t: float, y: np.ndarray, h: float) -> None:
        matrix = self.system.mass - _DIAGONAL * h * self.system.jacobian(t, y)
        try:
            self.factors: Any = saddle_factors(matrix)
        except RuntimeError as error:
            raise Diverged(f"{self.system.name}: at t = {t:.4g} a step has no solution, {error}") from error
        self.h, self.fresh = h, True

    def _stages(self, t: float, y: np.ndarray, h: float) -> tuple[np.ndarray, float] | None:
        system, sizes = self.system, self.tolerance * self.system.sizes(y)
        slopes: list[np.ndarray] = []
        stage = y
        for weights, c in zip(STAGES, NODES, strict=True):
            base = y + h * sum((a * k for a, k in zip(weights, slopes, strict=False)), np.zeros_like(y))
            found = self._newton(t + c * h, base, stage, h, sizes)
            if found is None:
                return None
            stage = found
            slopes.append((stage - base) / (_DIAGONAL * h))
        gaps = [b - e for b, e in zip(STAGES[-1], _EMBEDDED, strict=True)]
        error = h * sum((gap * k for gap, k in zip(gaps, slopes, strict=True)), np.zeros_like(y))
        # the factors damp what the stiff components of the embedded method, which is not L-stable, overstate
        error = self.factors.solve(system.mass @ error)
        self.fresh = False
        return stage, self._norm(error / sizes)

    def _newton(self, t: float, base: np.ndarray, y: np.ndarray, h: float, sizes: np.ndarray) -> np.ndarray | None:
        """The stage y with M (y - base) = h f(t, y) / 4."""
        before = math.inf
        for _ in range(_ITERATIONS):
            rows = self.system.mass @ (y - base) - _DIAGONAL * h * self.system.rate(t, y)
            step = -self.factors.solve(rows)
            y = y + step
            change = self._norm(step / sizes)
            if not math.isfinite(change) or change > 2 * before:
                return None
            ratio = change / before
            # what is left after this step, as the ratio of the last two foretells
            if change <= 1e-4 or (before < math.inf and ratio < 1 and change * ratio / (1 - ratio) <= 0.02):
                return y
            before = change
        return None

    def _norm(self, relative: np.ndarray) -> float:
        return float(np.sqrt(np.mean(relative[self.moving] ** 2)))
