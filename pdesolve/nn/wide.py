"""Networks of one wide hidden layer that is drawn at the scales of a problem and need not be trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from pdesolve.geometry import Axes
from pdesolve.nn.features import PeriodicEmbedding, Rescale
from pdesolve.nn.mlp import Activation, activation_layer, linear
from pdesolve.nn.radial import Basis, radial_units

Units = Activation | Basis | Literal["additive"]


def wide(
    axes: Axes, outputs: int, *, width: int, units: Units, scales: Sequence[float],
    generator: torch.Generator,
) -> nn.Sequential:  # fmt: skip
    """Coordinates in [-1, 1], `width` random features of them, and an output layer of zeros: it alone is trained.

    Feature j is f(w_j · (s - c_j)) with w_ji ~ N(0, scales_i^2) and centres c_j spread evenly over the box, so that
    features turn everywhere; a sine gets an even phase. Periodic axes become a cosine and a sine first, which share the
    axis' scale. The same draws at other scales make similar features. Radial functions have such centres too, and the
    width 1 / scale. additive: tanh of one coordinate each, all coordinates in turn, for sums of functions of single
    coordinates: with few features nothing else is as fine along each of many axes.

    G.-B. Huang, Q.-Y. Zhu, C.-K. Siew, Neurocomputing 70 (2006) 489; for equations: V. Dwivedi, B. Srinivasan,
    Neurocomputing 391 (2020) 96, arXiv 1907.03507.
    """
    layers: list[nn.Module] = [Rescale(axes)]
    spread = [scale for axis, scale in zip(axes, scales, strict=True) if not axis.periodic]
    if any(axis.periodic for axis in axes):
        layers.append(PeriodicEmbedding(axes, 1))
        spread += [scale for axis, scale in zip(axes, scales, strict=True) if axis.periodic for _ in range(2)]
    last = linear(width, outputs, before=None, generator=generator)
    with torch.no_grad():
        last.weight.zero_()
    if units != "tanh" and units != "silu" and units != "sine" and units != "additive":
        return nn.Sequential(*layers, radial_units(spread, width, units, generator), last)
    activation: Activation = "tanh" if units == "additive" else units
    hidden = linear(len(spread), width, before=activation, generator=generator)
    with torch.no_grad():
        hidden.weight.normal_(generator=generator).mul_(torch.tensor(spread, dtype=torch.float64))
        if units == "additive":
            hidden.weight.mul_(torch.arange(width)[:, None] % len(spread) == torch.arange(len(spread)))
        if units == "sine":
            hidden.bias.uniform_(0.0, 2 * math.pi, generator=generator)
        else:
            centres = torch.rand(width, len(spread), dtype=torch.float64, generator=generator)
            hidden.bias.copy_(-(hidden.weight * (2 * centres - 1)).sum(1))
    hidden.requires_grad_(False)
    return nn.Sequential(*layers, hidden, activation_layer(activation), last)
