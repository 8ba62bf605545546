"""Outputs in the units of a problem."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pdesolve.fields.jets import Jet, scaled, shifted
from pdesolve.fields.propagation import compositions, propagate


class Affine(nn.Module):
    """offset + scale y for each output, (point, output) -> (point, output): the last layer of a network of size one.

    Both are fixed. `pdesolve.scales` finds them from what is given of a problem.
    """

    def __init__(self, offset: Sequence[float], scale: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("offset", torch.tensor(offset, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64))

    offset: Tensor
    scale: Tensor

    def forward(self, y: Tensor) -> Tensor:
        return self.offset + self.scale * y


@compositions.register
def _(layer: Affine) -> float:
    return 0


@propagate.register
def _(layer: Affine, jet: Jet) -> Jet:
    return shifted(scaled(jet, layer.scale), layer.offset)
