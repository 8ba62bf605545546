"""What remains of surfaces, and of end points, when domains are combined."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from pdesolve.geometry.curve import Keep
from pdesolve.geometry.domain import Boundary

_SAMPLES = 2**12  # Sobol points of a chart that estimate how much of it remains
_CHUNK = 512  # points at once whose distance from those samples is taken


@dataclass(frozen=True)
class Patch(Boundary):
    """What remains of a part of another domain's boundary, in other than two dimensions; `side` -1 turns its normals.

    Where all remains, everything is that part's. Else the measure is an estimate from 4096 points of its chart, to
    about 1e-3 of the whole chart, and the distance is that from the nearest of those points that remain, so that it is
    too great by at most their spacing.
    """

    name: str
    base: Boundary
    keep: Keep | None = field(default=None, repr=False)
    side: int = 1

    @property
    def dimension(self) -> int:
        return self.base.dimension

    @cached_property
    def samples(self) -> tuple[Tensor, float]:
        """Points of the part, and the share that it is of its base."""
        n = _SAMPLES if self.dimension else 1
        unit = torch.zeros(n, 0, dtype=torch.float64)
        if self.dimension:
            unit = torch.quasirandom.SobolEngine(self.dimension, scramble=True, seed=0).draw(n, dtype=torch.float64)
        x, normals = self.place(unit)
        before = self.base.keeps(x, self.side * normals)
        kept = self.keeps(x, normals)
        return x[kept], float(kept.sum() / before.sum().clamp_min(1))

    @property
    def whole(self) -> bool:
        """Whether all of its base remains, as far as samples can tell."""
        return self.samples[1] == 1.0 and not (isinstance(self.base, Patch) and not self.base.whole)

    @property
    def measure(self) -> float:
        return self.base.measure * self.samples[1]

    def place(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        x, normals = self.base.place(unit)
        return x, self.side * normals

    def keeps(self, x: Tensor, normals: Tensor) -> Tensor:
        kept = self.base.keeps(x, self.side * normals)
        return kept if self.keep is None else kept & self.keep(x, normals)

    def distance(self, x: Tensor) -> Tensor:
        if self.whole:
            return self.base.distance(x)
        samples = self.samples[0].to(x)
        return torch.cat([torch.cdist(part, samples).amin(1) for part in x.split(_CHUNK)])
