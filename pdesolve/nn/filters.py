"""Functions of compact support that kernels of convolutions are sums of, sampled on regular grids.

Lengths are in the unit box of the axes: a physical length over that of its axis. So a filter has its place in space,
whatever the grid. Samples hold the quadrature weight h^d, and each filter has integral one on every grid.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product

import torch
from torch import Tensor

from pdesolve.errors import InputError


class Filters(ABC):
    """Some functions φ_l around 0 whose sums κ = Σ_l θ_l φ_l are kernels."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many functions there are."""

    @property
    @abstractmethod
    def middle(self) -> int:
        """The number of the function around 0."""

    @abstractmethod
    def sampled(self, spacing: Sequence[float]) -> Tensor:
        """h^d φ_l at the points of a grid within the support: (count, *side), float64; sides are odd.

        Raises:
            InputError: a grid that is too coarse for the filters.
        """


@dataclass(frozen=True)
class Lattice(Filters):
    """Products of hat functions around the points of a lattice, the kernel of an ordinary convolution made continuous.

        φ_m(x) = Π_a Λ(x_a / s_a - m_a) / s_a,   Λ(z) = max(0, 1 - |z|),   m_a = -r ... r

    On a grid of the spacing s their samples are the unit vectors: this is a convolution of side 2r + 1. On finer grids
    its kernel is interpolated linearly; on coarser ones the function that it acts on.

    spacing: s for each axis. reach: r.
    """

    spacing: tuple[float, ...]
    reach: int = 1

    @property
    def count(self) -> int:
        return (2 * self.reach + 1) ** len(self.spacing)

    @property
    def middle(self) -> int:
        return self.count // 2

    def sampled(self, spacing: Sequence[float]) -> Tensor:
        rows = [_hats(s / h, self.reach) for s, h in zip(self.spacing, spacing, strict=True)]
        return reduce(_outer, rows)


@dataclass(frozen=True)
class Rings(Filters):
    """Hat functions over rings and directions of a ball (an ellipsoid where the radii differ).

        φ_0 = Λ(n ρ),   φ_kb = Λ(n ρ - k) A_b(x / |x|),   ρ² = Σ_a (x_a / R_a)²,   k = 1 ... n - 1

    A_b are hat functions over directions that sum to one: of the angle in the plane, the two sides of an interval, in
    space those of the six half axes that are linear on the octahedron, A = max(0, ±x_a) / Σ_a |x_a|.

    radii: R for each axis. rings: n, the centre counted; 2 to 4. angles: directions in the plane, at least 3.

    Source: Ocampo, Price and McEwen, 2022, arXiv 2209.13603; Liu-Schiaffini et al., 2024, arXiv 2402.16845.
    """

    radii: tuple[float, ...]
    rings: int = 2
    angles: int = 4

    def __post_init__(self) -> None:
        if not 1 <= len(self.radii) <= 3 or min(self.radii) <= 0 or self.rings < 2 or self.angles < 3:
            raise InputError(
                "filters over rings need one to three positive radii, rings >= 2 and angles >= 3, got radii "
                f"{self.radii}, rings {self.rings}, angles {self.angles}"
            )

    @property
    def directions(self) -> int:
        return {1: 2, 2: self.angles, 3: 6}[len(self.radii)]

    @property
    def count(self) -> int:
        return 1 + (self.rings - 1) * self.directions

    @property
    def middle(self) -> int:
        return 0

    def sampled(self, spacing: Sequence[float]) -> Tensor:
        reach = [math.ceil(R / h - 1e-9) - 1 for R, h in zip(self.radii, spacing, strict=True)]
        steps = [torch.arange(-n, n + 1, dtype=torch.float64) * h for n, h in zip(reach, spacing, strict=True)]
        scaled = [x / R for x, R in zip(steps, self.radii, strict=True)]
        y = torch.stack(torch.meshgrid(*scaled, indexing="ij"))
        rho = self.rings * y.square().sum(0).sqrt()
        rows = [_hat(rho)]
        around = self._directions(y)
        for k in range(1, self.rings):
            rows += [_hat(rho - k) * part for part in around]
        found = torch.stack(rows)
        sums = found.sum(tuple(range(1, found.ndim)), keepdim=True)
        # what is traced has no values to ask for; it was refused before
        if not torch.compiler.is_compiling() and (sums < 1e-9).any():
            least = 2 * max(math.ceil(self.rings / (2 * R)) for R in self.radii)
            raise InputError(
                f"filters of {self.rings} rings within the radii {_said(self.radii)} miss the points of a grid of "
                f"spacing {_said(spacing)}: give about {least} points an axis or more, fewer rings or larger radii"
            )
        return found / sums

    def _directions(self, y: Tensor) -> list[Tensor]:
        """A_b at scaled offsets y (axis, *side)."""
        if len(y) == 2:
            turn = torch.atan2(y[1], y[0]) * (self.angles / (2 * math.pi))
            apart = [torch.remainder(turn - b + self.angles / 2, self.angles) - self.angles / 2 for b in self._turns()]
            return [_hat(a) for a in apart]
        size = y.abs().sum(0).clamp_min(1e-300)
        return [(sign * row).clamp_min(0.0) / size for row, sign in product(y, (1, -1))]

    def _turns(self) -> range:
        return range(self.angles)


def _hats(ratio: float, reach: int) -> Tensor:
    """Samples (2 reach + 1, side) of hats, `ratio` the lattice's spacing over the grid's."""
    ratio = 1.0 if abs(ratio - 1) < 1e-9 else ratio
    wide = max(ratio, 1.0)
    side = math.ceil(reach * ratio + wide - 1e-9) - 1
    j = torch.arange(-side, side + 1, dtype=torch.float64)
    m = torch.arange(-reach, reach + 1, dtype=torch.float64)
    found = _hat((j - m[:, None] * ratio) / wide)
    return found / found.sum(1, keepdim=True)


def _hat(z: Tensor) -> Tensor:
    return (1 - z.abs()).clamp_min(0.0)


def _outer(a: Tensor, b: Tensor) -> Tensor:
    """Products of functions (i, *s) and (j, t) of other axes: (i j, *s, t)."""
    found = a[:, None, ..., None] * b.reshape(1, len(b), *[1] * (a.ndim - 1), -1)
    return found.flatten(0, 1)


def _said(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)
