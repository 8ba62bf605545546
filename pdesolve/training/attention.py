"""Residual-based attention: each point is weighed by how large its residual has been."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.training.reduction import largest

# λ of every point of a term (point,), by the name of the term: all there is to keep for an exact resume
Attended = Mapping[str, Tensor]


@dataclass(frozen=True)
class Attention:
    """λ ← γ λ + η |r| / max |r| at every point; the loss is the mean of (λ r)².

    A bounded memory of the residual, λ <= η / (1 − γ): with the defaults 10, after about a thousand steps. |r| is the
    root of the sum of squares over the rows of a term. Points that move carry their weights by `carried`.

    Attributes:
        memory: γ (0.99 to 0.9999).
        rate: η (1e-3 to 0.1). Least-squares methods take few steps and need a shorter memory: 0.9 with a rate of 0.1.
        first: λ of new points (0: they come in slowly, and the first loss is zero unless `update` comes before; 1).

    S. J. Anagnostopoulos, J. D. Toscano, N. Stergiopulos, G. E. Karniadakis, Comput. Methods Appl. Mech. Eng. 421
    (2024) 116805, arXiv 2307.00379.
    """

    memory: float = 0.999
    rate: float = 0.01
    first: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.memory < 1 or not self.rate > 0 or not self.first >= 0:
            raise InputError(
                "attention needs 0 <= memory < 1, rate > 0 and first >= 0, got "
                f"{self.memory}, {self.rate} and {self.first}"
            )

    def start(self, residuals: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """λ of the points of residuals (*component, point), before any update."""
        return {
            name: torch.full_like(r.detach().reshape(-1, r.shape[-1])[0], self.first) for name, r in residuals.items()
        }

    def update(self, state: Attended, residuals: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """λ brought up to date with residuals as they are (*component, point): unweighted, in any scale."""
        new = dict(state)
        for name, weight in state.items():
            size = magnitude(residuals[name]).to(weight)
            top = largest(size.max()).clamp_min(torch.finfo(size.dtype).tiny)
            new[name] = self.memory * weight + self.rate * size / top
        return new

    def carried(self, state: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """λ of moved points (point,): points that stayed at their place in the list keep theirs, others get the mean.

        before, after: points (point, axis); `after` may have more of them, at its end.
        """
        n = min(len(before), len(after))
        same = torch.zeros(len(after), dtype=torch.bool, device=state.device)
        same[:n] = (before[:n] == after[:n]).all(-1).to(state.device)
        kept = state.new_zeros(len(after))
        kept[:n] = state[:n]
        return torch.where(same, kept, state.mean())


def squared(state: Attended) -> dict[str, Tensor]:
    """λ², the weight of r² at each point."""
    return {name: weight.square() for name, weight in state.items()}


def magnitude(residual: Tensor) -> Tensor:
    """|r| at each point (point,) of a residual (*component, point)."""
    return residual.detach().reshape(-1, residual.shape[-1]).norm(dim=0)
