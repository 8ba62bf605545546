"""What rows weigh near the corners in which boundary values jump: there no network has a small residual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.geometry import Axes

_ORDER = 2  # of the derivatives that grow like r^-2 where values jump


@dataclass(frozen=True, eq=False)
class Jumps:
    """w(x) = min(1, r / ℓ)^k, r the distance from the nearest place of a jump, axes of the length of one.

    Rows of the equation are multiplied by w with k = 2: next to a jump derivatives of second order grow like 1 / r^2,
    so that rows without w have no finite mean square, and points that follow them gather there. Rows of conditions have
    k = 1. Least squares in such a norm: E. Lee, T. A. Manteuffel, C. R. Westphal, SIAM J. Numer. Anal. 44 (2006) 1974.

    places: coordinates that are fixed at each. radius: ℓ (0.1 to 0.3); 0 for no weights.
    """

    axes: Axes
    places: tuple[Mapping[str, float], ...]
    radius: float

    def __bool__(self) -> bool:
        return bool(self.places) and self.radius > 0

    def weights(self, x: Tensor, *, inside: bool) -> Tensor:
        """w at points x (point, axis), of rows of the equation or of a condition: (point,)."""
        nearest = torch.stack([self._distance(x, place) for place in self.places]).amin(0)
        return (nearest / self.radius).clamp(max=1.0) ** (_ORDER if inside else _ORDER / 2)

    def _distance(self, x: Tensor, place: Mapping[str, float]) -> Tensor:
        away = [(x[:, i] - place[axis.name]) / axis.length for i, axis in enumerate(self.axes) if axis.name in place]
        return torch.stack(away).norm(dim=0)
