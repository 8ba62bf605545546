"""Gauss-Newton steps from a linearisation made before: what a residual that moves little asks for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.least_squares.factor import Factor
from pdesolve.least_squares.jacobian import Jacobian


@dataclass(frozen=True, eq=False)
class Chord:
    """d = −(J₀ᵀJ₀ + λ)⁻¹ J₀ᵀ r(θ) with J₀ and its factors from another θ₀: products and triangular solves, no new ones.

    The residual falls by |J − J₀|/σ a step, σ the singular value of its direction, so that nearby a step of rows times
    parameters work does what one of rows times parameters² did.
    """

    jacobian: Jacobian
    factor: Factor
    damping: Tensor

    def direction(self, r: Tensor) -> Tensor:
        """d (parameter,) for the residual r (row,)."""
        return -self.factor.solve(self.damping, r)

    def expected(self, r: Tensor, d: Tensor) -> Tensor:
        """|r + J₀ d|², what the linearisation says the squared residual will be."""
        return (r + self.jacobian.times(d)).square().sum(-1)


def chord(jacobian: Jacobian, factor: Factor) -> Chord | None:
    """The chord of a step that was just made from these factors; None where they were not used."""
    return None if factor.damping is None else Chord(jacobian, factor, torch.clone(factor.damping))
