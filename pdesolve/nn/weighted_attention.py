"""Attention as an integral over the domain: every place counts by its quadrature weight, not as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from pdesolve.errors import InputError

Kernel = Literal["softmax", "linear"]


def softmax_attention(query: Tensor, key: Tensor, value: Tensor, weights: Tensor) -> Tensor:
    """u(x) = ∫ exp(q(x)·k(y)/√c) v(y) dy / ∫ exp(q(x)·k(y)/√c) dy: softmax with log w_j added to the logits.

    query (sample, head, target, channel), key and value (sample, head, source, channel), weights (sample or 1, source),
    zero for padding. So a place of twice the weight is the same as two of them.
    """
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=weights.log().to(query.dtype)[:, None, None]
    )


def linear_attention(query: Tensor, key: Tensor, value: Tensor, weights: Tensor) -> Tensor:
    """u(x) = q(x) · ∫ k(y) ⊗ v(y) dy. Shapes as of `softmax_attention`.

    The cost grows as the number of places, not as its square. Keys and values must be standardised: as a product of
    three it grows with depth and channels.

    Source: Cao, 2021, arXiv 2105.14995 (Galerkin-type attention), with quadrature weights.
    """
    return query @ (key.transpose(-1, -2) @ (value * weights[:, None, :, None]))


def standardised(x: Tensor, weights: Tensor, epsilon: float = 1e-5) -> Tensor:
    """(x - ∫ x) / sqrt(∫ (x - ∫ x)² + ε) over the places (..., place, channel). weights: (..., place, 1)."""
    around = x - (x * weights).sum(-2, keepdim=True)
    return around * ((around.square() * weights).sum(-2, keepdim=True) + epsilon).rsqrt()


class Attention(nn.Module):
    """Attention of several heads between places, queries and keys turned by where they lie.

    kernel: softmax, or linear, whose keys and values are standardised over the domain, each channel of each head.
    """

    def __init__(self, width: int, *, heads: int, kernel: Kernel = "softmax") -> None:
        super().__init__()
        if width % heads:
            raise InputError(f"a width of {width} does not make {heads} heads of one size: give a multiple of them")
        self.heads, self.kernel = heads, kernel
        self.query, self.both, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, y: Tensor, weights: Tensor, turns: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """(sample, target, channel) of queries x (sample, target, channel) and sources y (sample, source, channel).

        weights: (sample or 1, source), which sum to one. turns: the rotary angles of targets and sources.
        """
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query(x), *self.both(y).chunk(2, -1))
        )
        attend = {"softmax": softmax_attention, "linear": linear_attention}[self.kernel]
        if self.kernel == "linear":
            key, value = (standardised(part, weights[:, None, :, None]) for part in (key, value))
        if turns is not None:
            query, key = turned(query, turns[0]), turned(key, turns[1])
        return self.out(attend(query, key, value, weights).transpose(1, 2).flatten(-2))


class Rotary(nn.Module):
    """Rotary position encoding by coordinates: channels 2i and 2i + 1 are turned by the angle f_i x of one axis.

    So products of queries and keys depend on differences of places alone.

    Frequencies are whole numbers of turns of a periodic axis, and go geometrically from half a turn to `highest` turns
    over the length of others. Channels are shared out among the axes in turn.

    Source: Su et al., 2021, arXiv 2104.09864; Li, Meidani and Farimani, 2022, arXiv 2205.13671 (of coordinates).
    """

    turns: Tensor

    def __init__(self, channels: int, periodic: Sequence[bool], *, highest: int = 16) -> None:
        super().__init__()
        axes = len(periodic)
        if channels % 2 or channels // 2 < axes:
            raise InputError(
                f"{channels} channels of a head are no {axes} pairs or more: give fewer heads or more width"
            )
        rows = torch.zeros(channels // 2, axes)
        for a, around in enumerate(periodic):
            count = len(range(a, channels // 2, axes))
            for i in range(count):
                f = highest ** (i / max(count - 1, 1)) if around else 0.5 * (2 * highest) ** (i / max(count - 1, 1))
                rows[a + i * axes, a] = round(f) if around else f
        self.register_buffer("turns", rows, persistent=False)

    def forward(self, places: Tensor) -> Tensor:
        """The angles (sample or 1, 1, place, channel / 2) of coordinates (sample or 1, place, axis) in the unit box."""
        return 2 * math.pi * (places @ self.turns.T)[:, None]


def turned(x: Tensor, angles: Tensor) -> Tensor:
    """Pairs of channels of x (sample, head, place, channel), turned by angles (sample or 1, 1, place, channel / 2)."""
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    c, s = angles.cos(), angles.sin()
    return torch.stack([a * c - b * s, a * s + b * c], -1).flatten(-2)
