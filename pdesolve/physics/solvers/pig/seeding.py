"""Gaussians that do nothing go where the residual is large."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pdesolve.nn import RadialBasis

_DEAD = 1e-4  # of the largest contribution in a group
_NARROWER = 0.5  # of the group's typical width, where something was missed


@torch.no_grad()
def contributions(layer: RadialBasis, inputs: Tensor) -> Tensor:
    """The root mean square of what each function adds to its features at inputs (point, axis): (group, function)."""
    total = torch.zeros_like(layer.sizes[..., 0])
    form = layer.form(layer.sizes, layer.turns)
    for x in inputs.split(256):
        away = x[:, None, None, :] - layer.centres
        moved = away * form if form.ndim == away.ndim - 1 else (form @ away[..., None])[..., 0]
        q = (away * moved).sum(-1) / 2
        total += layer.radial.function(q, 0)[0].square().sum(0)
    return (total / len(inputs)).sqrt() * layer.weights.abs().amax(-1)


@torch.no_grad()
def reseed(module: nn.Sequential, x: Tensor, residual: Tensor, *, part: float, generator: torch.Generator) -> int:
    """Move dead functions to points x (point, axis) drawn in proportion to |r| (point,); how many were moved.

    Dead are those that add less than 1e-4 of what the largest of their group adds, `part` of a group at most. They
    start there at half of the group's typical width with weights of zero: the field stays what it is to 1e-4.
    """
    moved = 0
    if not float(residual.sum()) > 0:
        return moved
    for layer in [m for m in module.modules() if isinstance(m, RadialBasis)]:
        given = module[0](x.to(layer.centres))
        if given.shape[1] != layer.centres.shape[-1]:
            continue  # functions of single coordinates
        adds = contributions(layer, given)
        for group, mine in enumerate(adds):
            order = mine.argsort()[: int(part * len(mine))]
            dead = order[mine[order] < _DEAD * mine.max()]
            if not len(dead):
                continue
            typical = layer.deviations()[group].log().mean(0).exp() * _NARROWER
            there = torch.multinomial(residual.cpu(), len(dead), replacement=True, generator=generator)
            layer.centres[group, dead] = given[there.to(given.device)]
            layer.sizes[group, dead] = typical.log() if layer.widths == "logarithm" else typical
            layer.weights[group, dead] = 0.0
            moved += len(dead)
    return moved
