"""The output layer of a network whose rows are linear in it: recognised, linearised, solved for."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pdesolve.fields import Coordinates
from pdesolve.geometry import PointCloud
from pdesolve.least_squares.factor import augmented
from pdesolve.least_squares.modular import Modular
from pdesolve.physics.collocation.model import Residuals

_MANY = 10  # axes, beyond which points hold more numbers than features do
_CHUNK = 2**25  # bytes of the features' partials at once

Clouds = Mapping[str, PointCloud]


def is_linear(objective: Residuals, clouds: Clouds) -> bool:
    """Whether the rows are affine in the weights of the output layer."""
    layer = output_layer(objective)
    batch = {name: objective.coordinates(name, cloud.some(slice(0, 16))) for name, cloud in clouds.items()}
    start = [p.detach().clone() for p in layer.parameters()]
    draw = [torch.randn(p.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) for p in start]
    found = []
    for factor in (0.0, 1.0, 2.0):
        with torch.no_grad():
            for p, value in zip(layer.parameters(), draw, strict=True):
                p.copy_(factor * value)
        found.append(torch.cat([rows.detach().flatten() for rows in objective.rows(batch).values()]))
    with torch.no_grad():
        for p, value in zip(layer.parameters(), start, strict=True):
            p.copy_(value)
    zero, once, twice = found
    rounding = torch.finfo(zero.dtype).eps ** 0.58  # 1e-9 in float64, 1e-4 in float32
    return bool((twice - 2 * once + zero).norm() <= rounding * (once - zero).norm())


def residual_root(objective: Residuals, clouds: Clouds) -> float:
    """The root of the loss at these points."""
    batch = {name: objective.coordinates(name, cloud) for name, cloud in clouds.items()}
    with torch.no_grad():
        return math.sqrt(sum(float(term) for term in objective(batch).values()))


def fit_output_layer(objective: Residuals, clouds: Clouds) -> None:
    """Add to the weights of the output layer what minimises the loss, by QR of A with columns of length one.

    The damping of 1e-14 settles directions that rounding leaves open.
    """
    layer = output_layer(objective)
    matrices, rows = [], []
    for name, cloud in clouds.items():
        for part in _chunks(objective, cloud):
            x = objective.coordinates(name, part)
            scale = (len(part.x) / len(cloud.x)) ** 0.5
            matrix, r = linearised(objective, layer, name, x)
            matrices.append(scale * matrix)
            rows.append(scale * r)
    matrix, r = torch.cat(matrices), torch.cat(rows)
    lengths = matrix.norm(dim=0).clamp_min(torch.finfo(matrix.dtype).tiny ** 0.5)
    matrix /= lengths
    step = augmented(matrix, -r, torch.full((), 1e-28, dtype=matrix.dtype, device=matrix.device)) / lengths
    with torch.no_grad():
        for p, part in zip(layer.parameters(), step.split([p.numel() for p in layer.parameters()]), strict=True):
            p.add_(part.view_as(p))


def linearised(objective: Residuals, layer: nn.Linear, name: str, x: Coordinates) -> tuple[Tensor, Tensor]:
    """A (row, weight) and r of one term, for weights and bias of the output layer."""
    modular = Modular(layer, lambda: {name: objective.term(name, x)})
    modular.pointwise = True  # fields at points are
    here = modular.linearise(modular.theta())
    return here.jacobian.dense(), here.rows("the output layer")


def output_layer(objective: Residuals) -> nn.Linear:
    """The last linear layer of the network."""
    return [m for m in objective.module.modules() if isinstance(m, nn.Linear)][-1]


def _chunks(objective: Residuals, cloud: PointCloud) -> list[PointCloud]:
    """Points that go at once, so that the partials of all features fit."""
    width = output_layer(objective).in_features
    axes = len(cloud.axes)
    # in many dimensions the features are the last that partials are composed of: sums of these alone come out
    numbers = width * (2 * axes + 1) if axes <= _MANY else 5 * width + axes**2
    some = max(64, _CHUNK // (8 * numbers))
    return [cloud.some(slice(i, i + some)) for i in range(0, len(cloud.x), some)]
