"""Gauss-Newton steps whose factors were made before: what a fit of a step costs where J has hardly changed."""

from __future__ import annotations

import copy

from torch import Tensor

from pdesolve.least_squares.factor import Factor
from pdesolve.least_squares.modular import Modular

_LESS = 0.3  # factor of what is reducible above which a step from kept factors has not lowered it
_DAMPED = 0.3  # part of what is reducible above which λ, not the network, says how much that is
_LEFT = 0.3  # part of |r| that may stay though it could go: of what is left over it is the smaller part
_MORE, _TRIES = 10.0, 6  # by what, and how often, the damping of a last step is raised


class Kept:
    """d = −(J₀ᵀJ₀ + λ)⁻¹ Jᵀr with the factors of J₀ from an `origin` before: no new J, no new factors.

    √(−dᵀJᵀr) is what of |r| the network can still remove. The rest is not in its tangent space, and no step lowers it:
    a fit is over when the first is small beside the second. `last` is the damping of last steps: there a small λ moves
    parameters far along directions that hardly count, in which the network is not linear.
    """

    def __init__(self, factor: Factor, origin: Tensor, damping: float, *, last: float | None = None) -> None:
        self.origin, self.damping, self.last = origin, damping, last or damping
        self._factor = factor
        self._of_last = copy.copy(factor)  # each keeps the triangle of its own damping

    def improve(self, objective: Modular, theta: Tensor, *, enough: float) -> tuple[Tensor, float, bool]:
        """Steps while each leaves less than a third of what is reducible: θ, |r|², and whether the fit is over.

        enough: what of |r| may stay though it could go.
        """
        found, least, left = theta, float("inf"), float("inf")
        while True:
            r, g = objective.gradient(theta)
            square = float(r @ r)
            if not square < least:
                return found, least, False
            found, least = theta, square
            d = -self._factor.normal(g, g.new_tensor(self.damping))
            before, reducible = left, max(0.0, -float(g @ d))
            left = reducible**0.5
            trusted = self.damping * float(d @ d) <= _DAMPED * reducible
            if trusted and left <= max(enough, _LEFT * square**0.5):
                return *self._end(objective, theta, g, square), True
            if not left <= _LESS * before:
                return theta, square, False
            theta = theta + d

    def _end(self, objective: Modular, theta: Tensor, g: Tensor, square: float) -> tuple[Tensor, float]:
        """A last step, without which a march would leave the same out again and again."""
        for _ in range(_TRIES):
            end = theta - self._of_last.normal(g, g.new_tensor(self.last))
            trial = 2 * float(objective.loss(end))
            if trial <= square:
                return end, trial
            self.last *= _MORE
        return theta, square
