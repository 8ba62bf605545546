"""Integrals against learned kernels, between any two sets of places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError


@dataclass(frozen=True, eq=False)
class Pairs:
    """Which places an integral at other places reads, each pair of them with a window.

    targets, sources: (sample or 1, pair), numbers of places. offsets: (sample or 1, pair, axis), from target to source
    in units of the window's reach. window: (sample or 1, pair), zero where a pair fills a row up. count: targets.
    """

    targets: Tensor
    sources: Tensor
    offsets: Tensor
    window: Tensor
    count: int

    def turned(self, count: int) -> Pairs:
        """The same pairs with sources and targets exchanged; `count` are the targets then."""
        return Pairs(self.sources, self.targets, -self.offsets, self.window, count)


class KernelIntegral(nn.Module):
    """An integral against a kernel of the offset, a multilayer perceptron, within a window:

        u(x) = ∫ χ(y - x) κ(y - x) ⊙ v(y) dy / ∫ χ(y - x) dy ≈ Σ_j w_j χ_j κ_j ⊙ v_j / Σ_j w_j χ_j

    The division takes the place of what a window lacks over a boundary, and of the density of points; without it
    (`total`) the integral itself is what comes out. Outcomes are zero where a window is empty. The perceptron reads
    offsets alone, without waves of them: kernels that a grid of training cannot resolve would be right on it only.

    channels: of v and u. hidden: units of the perceptron's two layers.

    Source: Li et al., 2020, arXiv 2003.03485, with quadrature weights.
    """

    def __init__(self, channels: int, axes: int, *, hidden: int = 64, total: bool = False) -> None:
        super().__init__()
        self.total = total
        first, last = nn.Linear(axes, hidden), nn.Linear(hidden, channels)
        for layer in (first, last):
            # kernels of size one, each of its own shape: the usual start leaves them small, smooth and much alike
            nn.init.normal_(layer.weight, std=1.5 / math.sqrt(layer.in_features))
            nn.init.normal_(layer.bias, std=0.5)
        self.kernel = nn.Sequential(first, nn.GELU(), last)

    def forward(self, v: Tensor, pairs: Pairs, weights: Tensor) -> Tensor:
        """(sample, source, channel) to (sample, target, channel). weights: (sample or 1, source), of a quadrature."""
        share = pairs.window * weights.expand(len(pairs.sources), -1).gather(1, pairs.sources)
        kernel = self.kernel(pairs.offsets) * share[..., None]
        found = gathered(v, pairs.sources) * kernel
        u = scattered(found, pairs.targets, pairs.count)
        if self.total:
            return u
        mass = scattered(share[..., None], pairs.targets, pairs.count)
        return u / torch.where(mass > 0, mass, 1.0)


class LowRankIntegral(nn.Module):
    """An integral over the whole domain against a kernel of low rank, q and p multilayer perceptrons of coordinates:

        u(x) = Σ_c q_c(x) ⊙ ∫ p_c(y) ⊙ v(y) dy

    channels: of v and u. rank: terms of the sum. Its cost grows as the number of places.

    Source: Kovachki et al., 2023, arXiv 2108.08481, section 4.2.
    """

    def __init__(self, channels: int, axes: int, *, rank: int = 8, hidden: int = 64) -> None:
        super().__init__()
        self.shape = (rank, channels)
        self.left, self.right = (
            nn.Sequential(nn.Linear(axes, hidden), nn.GELU(), nn.Linear(hidden, rank * channels)) for _ in range(2)
        )

    def forward(self, v: Tensor, at: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
        """(sample, source, channel) to (sample, target, channel).

        at, wanted: coordinates (sample or 1, place, axis). weights: (sample or 1, source), of a quadrature.
        """
        right = self.right(at).unflatten(-1, self.shape) * weights[..., None, None]
        moments = (right * v[:, :, None]).sum(1)
        left = self.left(wanted).unflatten(-1, self.shape)
        return (left * moments[:, None]).sum(2)


def within(
    wanted: Tensor, given: Tensor, radii: Sequence[float], periodic: Sequence[bool], *, mask: Tensor | None = None
) -> Pairs:
    """The pairs of places in an ellipsoid, a ball where lengths are physical: ρ² = Σ_a (x_a / R_a)² < 1, windows one.

    wanted, given: (sample or 1, place, axis) in the unit box. radii: R, in the same units. periodic: axes that go
    around. mask: (sample, place) of those given, False where there is padding.

    Raises:
        InputError: a ball wider than a period.
    """
    if any(around and R > 0.5 for around, R in zip(periodic, radii, strict=True)):
        raise InputError(f"a ball of the radii {tuple(radii)} is wider than a period: 0.5 is the most")
    samples = max(len(wanted), len(given), 1 if mask is None else len(mask))
    apart = given[:, None] - wanted[:, :, None]
    around = torch.tensor(list(periodic), device=given.device)
    apart = torch.where(around, apart - apart.round(), apart) / apart.new_tensor(list(radii))
    near = (apart.square().sum(-1) < 1).expand(samples, -1, -1)
    if mask is not None:
        near = near & mask[:, None]
    sample, target, source = near.nonzero(as_tuple=True)
    counts = near.flatten(1).sum(1)
    longest = int(counts.max())
    place = torch.arange(len(sample), device=sample.device) - (counts.cumsum(0) - counts)[sample]
    rows = [torch.zeros(samples, longest, dtype=torch.long, device=sample.device) for _ in range(2)]
    rows[0][sample, place], rows[1][sample, place] = target, source
    offsets = given.new_zeros(samples, longest, given.shape[-1])
    offsets[sample, place] = apart.expand(samples, -1, -1, -1)[sample, target, source]
    window = given.new_zeros(samples, longest)
    window[sample, place] = 1.0
    return Pairs(rows[0], rows[1], offsets, window, wanted.shape[1])


def around_lattice(points: Tensor, sizes: Sequence[int], periodic: Sequence[bool]) -> Pairs:
    """The pairs of points (targets) and the corners (sources) of the cells of a lattice that they lie in.

    Windows are products of hat functions, which sum to one at each point: multilinear interpolation, by 2^d corners.
    Along an axis corners are i / n around a period, i / (n - 1) else; the last axis is the fastest.

    points: (sample or 1, point, axis) in the unit box. sizes: corners along each axis.
    """
    corners: list[list[tuple[Tensor, Tensor]]] = [[], []]
    for a, (size, around) in enumerate(zip(sizes, periodic, strict=True)):
        cells = size if around else size - 1
        x = points[..., a] * cells
        below = x.floor().clamp(0, cells - 1)
        for up in (0, 1):
            number = below.long() + up
            corners[up].append((number % size if around else number, below + up - x))
    strides = [math.prod(sizes[a + 1 :]) for a in range(len(sizes))]
    targets = torch.arange(points.shape[1], device=points.device).expand(points.shape[:2])
    sources, offsets, windows = [], [], []
    for ups in product((0, 1), repeat=len(sizes)):
        chosen = [corners[up][a] for a, up in enumerate(ups)]
        sources.append(sum(s * number for s, (number, _) in zip(strides, chosen, strict=True)))
        offset = torch.stack([o for _, o in chosen], -1)
        offsets.append(offset)
        windows.append((1 - offset.abs()).clamp_min(0).prod(-1))
    return Pairs(
        torch.cat([targets] * len(sources), 1), torch.cat(sources, 1), torch.cat(offsets, 1), torch.cat(windows, 1),
        points.shape[1],
    )  # fmt: skip


def gathered(v: Tensor, numbers: Tensor) -> Tensor:
    """Rows (sample, pair, channel) of v (sample, place, channel) by their numbers (sample or 1, pair)."""
    if len(numbers) == 1:
        return v.index_select(1, numbers[0])
    return v.gather(1, numbers[..., None].expand(-1, -1, v.shape[-1])) if len(v) > 1 else v[0][numbers]


def scattered(rows: Tensor, numbers: Tensor, count: int) -> Tensor:
    """Sums (sample, count, channel) of rows (sample, pair, channel) of the same number."""
    found = rows.new_zeros(len(rows), count, rows.shape[-1])
    if len(numbers) == 1:
        return found.index_add(1, numbers[0], rows)
    return found.scatter_add(1, numbers[..., None].expand_as(rows), rows)
