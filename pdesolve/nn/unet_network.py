"""The network of the U-Net between functions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from pdesolve.errors import InputError
from pdesolve.nn.constants import constant
from pdesolve.nn.convolution import Extension, LocalConvolution, spacings
from pdesolve.nn.filters import Lattice
from pdesolve.nn.integral_norm import IntegralNorm
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import GridPlaces, Places
from pdesolve.nn.positions import position_channels, with_positions
from pdesolve.nn.resampling import Layout, interpolated, resampled
from pdesolve.nn.resolution import check_spacing

SMALLEST = 4  # points of an axis on the coarsest scale
WIDEST = 4  # times the width of the finest scale
_EMBEDDED = 64  # channels of the parameters


class UNetNetwork(OperatorNetwork):
    """Residual blocks at scales of spacing s, 2s, 4s, ... of a base grid, down and up again, with skips between them.

    base: points of each axis of the grid whose spacing is s. kinds: how the points of each axis lie. width: channels of
    the finest scale. depth: scales, as far as the base grid has points for them. blocks: at each scale, on either way.
    placed: whether it reads coordinates.
    """

    def __init__(
        self, inputs: int, outputs: int, parameters: int, *, base: Sequence[int], kinds: Sequence[Layout], width: int,
        depth: int, blocks: int = 1, extension: Extension = "zero", placed: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.base, self.kinds = tuple(base), tuple(kinds)
        self.scales = scales(self.base, self.kinds, depth)
        widths = [min(2**level, WIDEST) * width for level in range(len(self.scales))]
        filters = [Lattice(spacings(self.kinds, shape)) for shape in self.scales]
        channels = inputs + (position_channels(tuple(kind == "periodic" for kind in self.kinds)) if placed else 0)
        self.placed = placed

        def block(given: int, wanted: int, level: int) -> Block:
            convolutions = [
                LocalConvolution(a, wanted, filters[level], kinds=self.kinds, extension=extension)
                for a in (given, wanted)
            ]
            return Block(given, wanted, convolutions, _EMBEDDED if parameters else 0)

        self.lift = LocalConvolution(channels, width, filters[0], kinds=self.kinds, extension=extension)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, wide in enumerate(widths):
            above = widths[max(level - 1, 0)]
            self.down.append(nn.ModuleList(block(above if i == 0 else wide, wide, level) for i in range(blocks)))
        for level, (wide, below) in reversed(list(enumerate(pairwise(widths)))):
            self.up.append(nn.ModuleList(block(wide + below if i == 0 else wide, wide, level) for i in range(blocks)))
        self.norm = IntegralNorm(width)
        self.head = nn.Conv1d(width, outputs, 1)
        self.embedding = None
        if parameters:
            self.embedding = nn.Sequential(
                nn.Linear(parameters, _EMBEDDED), nn.GELU(), nn.Linear(_EMBEDDED, _EMBEDDED), nn.GELU()
            )

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        assert isinstance(given, GridPlaces)
        if self.placed:
            x = with_positions(x, given)
        shape = x.shape[2:]
        finest = tuple(max(n, base) for n, base in zip(shape, self.base, strict=True))
        x = self.lift(interpolated(x, finest, self.kinds))
        embedded = None if self.embedding is None else self.embedding(parameters)
        passed = []
        for level, row in enumerate(self.down):
            assert isinstance(row, nn.ModuleList)
            if level:
                passed.append(x)
                x = resampled(x, self.scales[level], self.kinds)
            x = self._through(row, x, embedded)
        for row in self.up:
            assert isinstance(row, nn.ModuleList)
            skip = passed.pop()
            x = self._through(row, torch.cat([skip, interpolated(x, skip.shape[2:], self.kinds)], 1), embedded)
        x = functional.gelu(self.norm(x, self._weights(x)))
        return interpolated(self.head(x.flatten(2)).unflatten(2, finest), shape, self.kinds)

    def _through(self, row: nn.ModuleList, x: Tensor, embedded: Tensor | None) -> Tensor:
        weights = self._weights(x)
        for block in row:
            x = block(x, weights, embedded)
        return x

    def _weights(self, x: Tensor) -> Tensor | None:
        """Quadrature weights of the grid of x, where they differ."""
        if "nodes" not in self.kinds:
            return None
        return constant(x, _weights, (self.kinds, tuple(x.shape[2:])))

    def check(self, given: Places) -> None:
        if not isinstance(given, GridPlaces):
            raise InputError("unet needs values on a grid, got points: take transformer or gino")
        check_spacing(given, self.kinds, method="unet")
        for axis, size in zip(given.axes, given.shape, strict=True):
            if size < SMALLEST:
                raise InputError(f"unet needs at least {SMALLEST} points along {axis.name}, got {size}")


class Block(nn.Module):
    """v' = W v + C₂ σ(γ(p) N₂ C₁ σ(N₁ v) + β(p)), with convolutions C, normalisation N and the parameters p."""

    def __init__(self, given: int, wanted: int, convolutions: Sequence[LocalConvolution], embedded: int) -> None:
        super().__init__()
        self.first, self.second = convolutions
        self.norms = nn.ModuleList([IntegralNorm(given), IntegralNorm(wanted)])
        self.past = nn.Identity() if given == wanted else nn.Conv1d(given, wanted, 1)
        self.modulation = None
        if embedded:
            self.modulation = nn.Linear(embedded, 2 * wanted)
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, weights: Tensor | None, embedded: Tensor | None) -> Tensor:
        """(sample, channel, *space) to the same. embedded: (sample, channel), of the parameters."""
        y = self.first(functional.gelu(self.norms[0](x, weights)))
        y = self.norms[1](y, weights)
        if self.modulation is not None and embedded is not None:
            scale, shift = self.modulation(embedded).view(-1, 2 * y.shape[1], *[1] * (y.ndim - 2)).chunk(2, 1)
            y = y * (1 + scale) + shift
        return self.past(x.flatten(2)).unflatten(2, x.shape[2:]) + self.second(functional.gelu(y))


def scales(base: Sequence[int], kinds: Sequence[Layout], depth: int) -> tuple[tuple[int, ...], ...]:
    """The shapes of so many grids, each with half the intervals of the one before, down to a few points an axis."""
    found = [tuple(base)]
    while len(found) < depth:
        halved = tuple(_halved(n, kind) for n, kind in zip(found[-1], kinds, strict=True))
        if halved == found[-1]:
            break
        found.append(halved)
    return tuple(found)


def _halved(n: int, kind: Layout) -> int:
    ends = int(kind == "nodes")
    return max((n - ends + 1) // 2 + ends, min(n, SMALLEST))


def _weights(kinds: tuple[Layout, ...], shape: tuple[int, ...]) -> Tensor:
    """Weights (1, place) that sum to one, those of ends half as large."""
    rows = []
    for kind, n in zip(kinds, shape, strict=True):
        row = torch.ones(n, dtype=torch.float64)
        if kind == "nodes":
            row[0] = row[-1] = 0.5
        rows.append(row / row.sum())
    return reduce(lambda a, b: (a[:, None] * b).flatten(), rows)[None]
