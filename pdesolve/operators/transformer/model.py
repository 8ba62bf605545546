"""The network of the operator transformer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError
from pdesolve.nn.kernel_integral import KernelIntegral, Pairs, around_lattice, scattered
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import Places
from pdesolve.nn.weighted_attention import Attention, Kernel, Rotary

Positions = Literal["coordinates", "none"]
_HARMONICS = 4  # of coordinates, that tell tokens where they are


class TransformerNetwork(OperatorNetwork):
    """Integrals from places to tokens, blocks of attention between tokens, integrals from tokens to places.

    tokens: of the lattice along each axis. periodic: axes that go around. moments: channels of the integrals to and
    from tokens, which should exceed the points of a grid to each token. positions: none where nothing but differences
    of places counts, coordinates where tokens also know where they are.
    """

    lattice: Tensor

    def __init__(
        self, inputs: int, outputs: int, parameters: int, *, tokens: Sequence[int], periodic: Sequence[bool],
        width: int, depth: int, heads: int, moments: int = 32, kernel: Kernel = "softmax",
        positions: Positions = "coordinates",
    ) -> None:  # fmt: skip
        super().__init__()
        axes = len(tokens)
        self.tokens, self.periodic = tuple(tokens), tuple(periodic)
        self.register_buffer("lattice", lattice(self.tokens, self.periodic), persistent=False)
        self.lift = nn.Sequential(nn.Linear(inputs, moments), nn.GELU(), nn.Linear(moments, moments))
        self.encoder = KernelIntegral(moments, axes)
        self.into = nn.Linear(moments, width)
        self.place = nn.Linear(2 * axes * _HARMONICS, width) if positions == "coordinates" else None
        self.given = nn.Linear(parameters, width) if parameters else None
        self.rotary = Rotary(width // heads, self.periodic, highest=max(2, max(self.tokens) // 2))
        self.blocks = nn.ModuleList(Block(width, heads, kernel) for _ in range(depth))
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, moments))
        self.decoder = KernelIntegral(moments, axes, total=True)
        self.head = nn.Sequential(nn.Linear(moments, 2 * moments), nn.GELU(), nn.Linear(2 * moments, outputs))

        for part in (self.lift, self.into, self.out, self.head):
            for layer in part.modules():
                if isinstance(layer, nn.Linear):
                    nn.init.xavier_normal_(layer.weight)  # what is given must not fade beside positions

    @property
    def elsewhere(self) -> bool:
        return True

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        tokens, weights = self._encoded(x.flatten(2).transpose(1, 2), given)
        if self.place is not None:
            tokens = tokens + self.place(_harmonics(self.lattice, self.periodic))
        if self.given is not None:
            tokens = tokens + self.given(parameters)[:, None]
        turns = self.rotary(self.lattice)
        for block in self.blocks:
            tokens = block(tokens, weights, turns)
        y = self.head(self.decoder(self.out(tokens), self._pairs(wanted), torch.ones_like(weights[:1])))
        return y.transpose(1, 2).unflatten(2, wanted.shape)

    def _encoded(self, x: Tensor, given: Places) -> tuple[Tensor, Tensor]:
        """Tokens (sample, token, channel) of values (sample, place, channel), and their weights, which sum to one."""
        pairs = self._pairs(given).turned(math.prod(self.tokens))
        weights = given.weights()
        share = pairs.window * weights.expand(len(pairs.sources), -1).gather(1, pairs.sources)
        mass = scattered(share[..., None], pairs.targets, pairs.count)[..., 0]
        return self.into(self.encoder(self.lift(x), pairs, weights)), mass

    def _pairs(self, places: Places) -> Pairs:
        return around_lattice(places.columns(), self.tokens, self.periodic)

    def check(self, given: Places) -> None:
        if len(given.axes) != len(self.tokens):
            raise InputError(
                f"the transformer was made for {len(self.tokens)} axes of space, got {len(given.axes)}: give data as "
                "in training"
            )


class Block(nn.Module):
    """t ← t + A(N t), t ← t + F(N t): attention A, a perceptron F at each token, normalisations N of channels."""

    def __init__(self, width: int, heads: int, kernel: Kernel) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention = Attention(width, heads=heads, kernel=kernel)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, tokens: Tensor, weights: Tensor, turns: Tensor) -> Tensor:
        """(sample, token, channel) to the same. weights: (sample or 1, token). turns: rotary angles."""
        normed = self.norms[0](tokens)
        tokens = tokens + self.attention(normed, normed, weights, (turns, turns))
        return tokens + self.feed(self.norms[1](tokens))


def lattice(tokens: Sequence[int], periodic: Sequence[bool]) -> Tensor:
    """Coordinates (1, token, axis) of a lattice in the unit box, the ends among them where an axis is not periodic."""
    rows = [torch.arange(n) / (n if around else n - 1) for n, around in zip(tokens, periodic, strict=True)]
    return torch.cartesian_prod(*rows).reshape(1, -1, len(tokens))


def token_counts(along: int, lengths: Sequence[float], periodic: Sequence[bool], shape: Sequence[int]) -> list[int]:
    """Tokens along each axis for so many intervals of the longest one, four points of a grid to each at least."""
    limits = shape or [4 * along] * len(lengths)
    found = []
    for length, around, n in zip(lengths, periodic, limits, strict=True):
        cells = max(1, min(round(along * length), n // 4))
        found.append(max(cells, 2) if around else cells + 1)
    return found


def _harmonics(x: Tensor, periodic: Sequence[bool]) -> Tensor:
    """cos and sin of k turns of each coordinate, of k half turns where an axis is not periodic."""
    k = torch.arange(1, _HARMONICS + 1, device=x.device)
    turn = torch.tensor([2.0 if around else 1.0 for around in periodic], device=x.device).to(x)
    angle = (math.pi * turn * x)[..., None] * k
    return torch.cat([angle.cos(), angle.sin()], -1).flatten(-2)
