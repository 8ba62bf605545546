"""Linear problems: one wide hidden layer, drawn at random, whose output layer is solved for exactly.

With equation, conditions and lift linear in the unknowns the rows are r = r₀ + A c, c the weights of the output layer:
linear least squares. What is left to find are the scales of the features along the axes and how many they are. Both are
judged by the residual at points that no fit has seen.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pdesolve.fields import Coordinates
from pdesolve.geometry import PointCloud
from pdesolve.least_squares.factor import augmented
from pdesolve.least_squares.modular import Modular
from pdesolve.nn import Activation
from pdesolve.physics.solvers.pinn.model import Residuals
from pdesolve.physics.solvers.pinn.weighting import INTERIOR
from pdesolve.training.run import Run

_FIRST, _LARGEST = 400, 3200  # features
_RATIO = 2.5  # rows for each feature
_BETTER = 0.9  # of the residual: what is worth another scale
_ENOUGH = 0.5  # of the residual: what is worth twice the features
_PART = 1e-4  # of the residual without a network: what counts as solved
SOLVED = 1e-12  # a residual that is nothing, in rows of the size of one
_DIFFERENCE = 1e-3
_SLOWEST = 0.5  # a scale of features that hardly turn
_ROUNDING = 1e-11  # of it: below which nothing is gained
_HOLD = 0.3  # of it: what features must reach before single axes are tried
_SHARE = 0.4  # of the budget that is left, for this
_CHUNK = 2**25  # bytes of the features' partials at once

Clouds = Mapping[str, PointCloud]


@dataclass(frozen=True)
class Wide:
    """A hidden layer: how wide it is, and the scale of its weights along each axis, rescaled to [-1, 1]."""

    width: int
    activation: Activation
    scales: tuple[float, ...]


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


def solve_linear(
    make: Callable[[Wide], Residuals], draw: Callable[[Residuals, int, int], Clouds], *, axes: int, run: Run, name: str
) -> tuple[Residuals, bool] | None:
    """The network of the widest layer that pays, its output layer solved for, and whether it is a solution; or None.

    make: the objective of a network with that layer, its draws always the same. draw: (objective, points, seed) ->
    points of each term. name: of the run's choice, which a run that is repeated obeys.
    """
    chosen = run.choose(name, lambda: _search(make, draw, axes, run))
    if not chosen["width"]:
        run.say("the problem is linear, but random features do not get hold of it: a deep network is trained")
        return None
    layer = Wide(chosen["width"], chosen["activation"], tuple(chosen["scales"]))
    objective, held_out = _fitted(make, draw, layer)
    before = _nothing(make, draw, layer)
    run.say(
        f"the problem is linear: {layer.width} random features ({layer.activation}), scales "
        f"{', '.join(f'{s:.2g}' for s in layer.scales)}, output layer solved for; residual elsewhere {held_out:.1e}, "
        f"without a network {before:.1e}"
    )
    return objective, held_out < max(_PART * before, SOLVED)


def _search(
    make: Callable[[Wide], Residuals], draw: Callable[[Residuals, int, int], Clouds], axes: int, run: Run
) -> dict[str, object]:
    """The layer with the least residual elsewhere; of width 0 where random features do not get hold of the problem."""
    end = run.budget.spent + _SHARE * run.budget.left
    before = _nothing(make, draw, Wide(1, "tanh", (1.0,) * axes))
    start = starting_scales(make(Wide(1, "tanh", (1.0,) * axes)), draw)
    best: tuple[float, Wide] = (math.inf, Wide(0, "tanh", start))
    for activation in ("tanh", "sine"):
        found = _scaled(make, draw, Wide(_FIRST, activation, start), run, end, _HOLD * before)
        # sines know products of sines by heart: only where tanh fails
        if found[0] < best[0]:
            best = found
        if best[0] < 1e-3 * before:
            break
    if best[0] > max(_HOLD * before, SOLVED):
        return {"width": 0, "activation": "tanh", "scales": list(start)}
    while best[1].width < _LARGEST and best[0] > max(_ROUNDING * before, SOLVED):
        begin = run.budget.spent
        wider = [
            replace(best[1], width=2 * best[1].width, scales=tuple(f * s for s in best[1].scales)) for f in (1.0, 1.4)
        ]
        found = min(((_fitted(make, draw, layer)[1], layer) for layer in wider), key=lambda pair: pair[0])
        if not found[0] < _ENOUGH * best[0]:
            break
        best = found
        if run.budget.spent + 8 * (run.budget.spent - begin) > end:
            break
    return {"width": best[1].width, "activation": best[1].activation, "scales": list(best[1].scales)}


def starting_scales(objective: Residuals, draw: Callable[[Residuals, int, int], Clouds]) -> tuple[float, ...]:
    """Along each axis, in [-1, 1], how fast the residual changes that the lift alone leaves: |dr/ds| / |r|.

    It is made of the source and of the data that the lift was made of. By differences of a thousandth of an axis.
    """
    cloud = draw(objective, 512, 3)[INTERIOR]
    there = objective.signed_residual(cloud)
    size = float(there.square().mean().sqrt())
    found = []
    for i, axis in enumerate(cloud.axes):
        x = cloud.x.clone()
        x[:, i] += torch.where(x[:, i] < (axis.lower + axis.upper) / 2, 1.0, -1.0) * _DIFFERENCE * axis.length / 2
        change = objective.signed_residual(PointCloud(cloud.axes, x)) - there
        slope = float(change.square().mean().sqrt()) / _DIFFERENCE
        found.append(max(_SLOWEST, slope / size) if size > SOLVED else 1.0)
    return tuple(found)


def _scaled(
    make: Callable[[Wide], Residuals], draw: Callable[[Residuals, int, int], Clouds], layer: Wide, run: Run, end: float,
    hold: float,
) -> tuple[float, Wide]:  # fmt: skip
    """The best scales by coordinate search: all axes together, then each, by factors of 2.56, then of 1.6.

    Single axes are tried only once the residual is below `hold`.
    """
    tried = {layer.scales: _fitted(make, draw, layer)[1]}
    best = layer.scales
    for step in (2.56, 1.6):
        moved = True
        while moved and run.budget.spent < end:
            moved = False
            single = [[i] for i in range(len(best))] if len(best) > 1 and tried[best] < hold else []
            axes = [list(range(len(best))), *single]
            for some, factor in itertools.product(axes, (step, 1 / step)):
                trial = tuple(s * factor if i in some else s for i, s in enumerate(best))
                key = tuple(round(s, 6) for s in trial)
                if key in {tuple(round(s, 6) for s in t) for t in tried} or run.budget.spent > end:
                    continue
                tried[trial] = _fitted(make, draw, replace(layer, scales=trial))[1]
                if tried[trial] < _BETTER * tried[best]:
                    best, moved = trial, True
    return tried[best], replace(layer, scales=best)


def _fitted(
    make: Callable[[Wide], Residuals], draw: Callable[[Residuals, int, int], Clouds], layer: Wide
) -> tuple[Residuals, float]:
    objective = make(layer)
    fit_output_layer(objective, draw(objective, round(_RATIO * layer.width), 1))
    return objective, residual_root(objective, draw(objective, max(64, layer.width // 2), 2))


def _nothing(make: Callable[[Wide], Residuals], draw: Callable[[Residuals, int, int], Clouds], layer: Wide) -> float:
    """The residual of no network at all."""
    objective = make(layer)
    return residual_root(objective, draw(objective, 256, 2))


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
    channels = 2 * len(cloud.axes) + 1
    some = max(64, _CHUNK // (8 * width * channels))
    return [cloud.some(slice(i, i + some)) for i in range(0, len(cloud.x), some)]
