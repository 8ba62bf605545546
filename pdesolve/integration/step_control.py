"""How long a step of an embedded Runge-Kutta pair may be."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.integration.runge_kutta import Rate, RungeKutta, instant


@dataclass(frozen=True)
class StepControl:
    """The proportional-integral rule: h+ = h min(growth, max(shrinkage, safety q^(-a/p) r^(b/p))), p the order.

    q is the scaled error of the step, r that of the accepted step before. After a rejection h is not raised, and the
    rule is that of q alone (a = 1, b = 0). K. Gustafsson, ACM Trans. Math. Softw. 17 (1991) 533; the exponents are
    those of Hairer and Wanner's DOPRI5; `StepControl(present=1.0, before=0.0)` is close to torchdiffeq's rule.
    """

    safety: float = 0.9
    shrinkage: float = 0.2
    growth: float = 10.0
    present: float = 0.85
    before: float = 0.2

    def after_success(self, error: float, *, previous: float, order: int) -> float:
        """h+ / h after an accepted step."""
        factor = (
            self.safety * max(error, 1e-10) ** (-self.present / order) * max(previous, 1e-4) ** (self.before / order)
        )
        return min(self.growth, max(self.shrinkage, factor))

    def after_rejection(self, error: float, *, order: int) -> float:
        """h+ / h after a rejected step, whose error need not be finite."""
        return max(self.shrinkage, self.safety * error ** (-1 / order))  # max(0.2, nan) is 0.2


@torch.no_grad()
def starting_length(
    f: Rate, t: float, y: Tensor, slope: Tensor, *, end: float, method: RungeKutta, relative: float, absolute: float
) -> Tensor:
    """|h| of a first step towards `end`, by one more evaluation of f; a scalar that knows no gradient.

    Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I (1993), section II.4: an explicit Euler step that
    changes y by a hundredth shows the second derivative, and h^p max(|y'|, |y''|) = 0.01 in the norm of the tolerance.
    """
    y, slope = y.detach(), slope.detach()
    scale = absolute + relative * y.abs()
    size, first = ((value / scale).abs().square().mean().sqrt() for value in (y, slope))
    small = (size < 1e-5) | (first < 1e-5)
    guess = torch.where(small, 1e-6, 0.01 * size / torch.where(small, 1.0, first)).clamp(max=abs(end - t))
    signed = guess if end >= t else -guess
    there = f(instant(t, y) + signed, y + signed * slope)
    second = ((there - slope) / scale).abs().square().mean().sqrt() / guess
    most = torch.maximum(first, second)
    still = most <= 1e-15
    length = torch.where(
        still, (guess * 1e-3).clamp(min=1e-6), (0.01 / torch.where(still, 1.0, most)) ** (1 / method.order)
    )
    return torch.minimum(100 * guess, length).clamp(max=abs(end - t))
