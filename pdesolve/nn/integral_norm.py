"""Normalisation by integrals over the domain, so that it is the same on every grid and at any points."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pdesolve.errors import InputError


class IntegralNorm(nn.Module):
    """Group normalisation with integrals in the place of sums over points:

        w_c = γ_c (v_c - μ) / sqrt(σ² + ε) + β_c,   μ = ∫ v dx / |D|,   σ² = ∫ (v - μ)² dx / |D|

    mean over the channels of a group. With one group all channels share μ and σ, with as many as channels each has its
    own (instance normalisation).

    Source: Wu and He, 2018, arXiv 1803.08494, with quadrature weights.
    """

    def __init__(self, channels: int, *, groups: int = 1, epsilon: float = 1e-5) -> None:
        super().__init__()
        if channels % groups:
            raise InputError(f"{channels} channels do not make {groups} groups of one size: give a multiple of them")
        self.groups, self.epsilon = groups, epsilon
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, weights: Tensor | None = None) -> Tensor:
        """(sample, channel, *space) to the same. weights: (sample or 1, place), which sum to one; None where all places
        weigh alike."""
        if weights is None:
            return functional.group_norm(x, self.groups, self.weight, self.bias, self.epsilon)
        flat = x.flatten(2).unflatten(1, (self.groups, -1))
        w = weights[:, None, None]
        mean = (flat * w).sum(-1).mean(2)[..., None, None]
        around = flat - mean
        square = (around.square() * w).sum(-1).mean(2)[..., None, None]
        standard = (around * (square + self.epsilon).rsqrt()).flatten(1, 2)
        return (standard * self.weight[:, None] + self.bias[:, None]).view_as(x)
