"""The network of one instant: learned periodic units, or plain coordinates, and a perceptron."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError
from pdesolve.fields.jets import Jet, compose, concatenated, scaled
from pdesolve.fields.propagation import propagate
from pdesolve.fields.smooth import cosine
from pdesolve.geometry import Axes
from pdesolve.least_squares.tape import copied, taped
from pdesolve.nn import Affine
from pdesolve.nn.features import Rescale
from pdesolve.nn.mlp import mlp

_SLOPE = 2.0


class PeriodicUnits(nn.Module):
    """a cos(k x + phi) + c for each unit of each periodic axis, k one turn a period; the other axes pass, rescaled.

    (point, axis) -> (point, others + units of each periodic axis). a, phi and c are trained, from truncated normals;
    with a slope from |a| = slope / 2, the mean slope of a unit over half a period, phases and places c = -a cos(z)
    where a unit is zero spread evenly.
    """

    def __init__(self, axes: Axes, units: int, slope: float | None, generator: torch.Generator) -> None:
        super().__init__()
        self.rescale = Rescale(axes)
        self.periodic = [i for i, axis in enumerate(axes) if axis.periodic]
        self.plain = [i for i, axis in enumerate(axes) if not axis.periodic]
        self.outputs = len(self.plain) + units * len(self.periodic)
        shape = (len(self.periodic), units)
        self.amplitude, self.phase, self.offset = (
            nn.Parameter(nn.init.trunc_normal_(torch.empty(shape, dtype=torch.float64), a=-2, b=2, generator=generator))
            for _ in range(3)
        )
        if slope is not None:
            even = torch.arange(units, dtype=torch.float64) / units
            turns = torch.stack([torch.randperm(units, generator=generator) for _ in self.periodic]) / units
            with torch.no_grad():
                self.amplitude.copy_(slope / 2 * self.amplitude.sign())
                self.phase.copy_(2 * math.pi * turns)
                self.offset.copy_(-self.amplitude * torch.cos(math.pi * (even + 0.5 / units)))

    def forward(self, x: Tensor) -> Tensor:
        s, n = self.rescale(x), len(x)
        a, phi, c = (copied(p, n) for p in (self.amplitude, self.phase, self.offset))
        waves = a * torch.cos(math.pi * s[:, self.periodic, None] + phi) + c  # (point, axis, unit)
        return torch.cat([s[:, self.plain], waves.flatten(1)], 1)


@taped.register
def _(layer: PeriodicUnits, x: Tensor) -> Tensor:
    return PeriodicUnits.forward(layer, x)


@propagate.register
def _(layer: PeriodicUnits, jet: Jet) -> Jet:
    s = propagate(layer.rescale, jet)
    parts = [s.feature(layer.plain)] if layer.plain else []
    a, phi, c = (copied(p, jet.points) for p in (layer.amplitude, layer.phase, layer.offset))  # (point, axis, unit)
    for k, i in enumerate(layer.periodic):
        turned = scaled(s.feature(i), torch.full_like(layer.phase[k].detach(), math.pi))
        wave = compose(_plus(turned, phi[..., k, :]), cosine())
        parts.append(_plus(scaled(wave, a[..., k, :]), c[..., k, :]))
    return concatenated(parts)


def _plus(jet: Jet, constant: Tensor) -> Jet:
    """u + c, c as it is: `shifted` would put it on the tape once more."""
    return jet.like([jet.channels[0] + constant, *jet.channels[1:]])


def instant_network(
    axes: Axes,
    scales: Sequence[float],
    *,
    units: int,
    width: int,
    depth: int,
    slope: float | None,
    generator: torch.Generator,
) -> nn.Sequential:
    """A tanh network (point, axis of space) -> (point, scalar), outputs of the sizes `scales`.

    slope: of the first units over an axis from -1 to 1; none: 2 for those of axes without a period, and truncated
    normals for those of periodic axes.

    Raises:
        InputError: units, a width or a depth below one; a slope that is not above zero.
    """
    if units < 1:
        raise InputError(f"a periodic axis needs at least one unit, got {units}: 10 to 20 are good")
    if slope is not None and not slope > 0:
        raise InputError(f"--method.slope must be above zero, got {slope:g}: 1 to 5 are good")
    first: list[nn.Module] = [Rescale(axes)]
    inputs = len(axes)
    if any(axis.periodic for axis in axes):
        embedding = PeriodicUnits(axes, units, slope, generator)
        first, inputs = [embedding, nn.Tanh()], embedding.outputs
    body = mlp(inputs, len(scales), width=width, depth=depth, generator=generator)
    if isinstance(first[0], Rescale):
        entrance = body[0]
        assert isinstance(entrance, nn.Linear)
        _spread(entrance, _SLOPE if slope is None else slope, generator)
    return nn.Sequential(*first, *body, Affine([0.0] * len(scales), list(scales)))


def _spread(layer: nn.Linear, slope: float, generator: torch.Generator) -> None:
    """Draw w_j · (s - c_j), |w_j| = slope, the directions at random, the centres c_j spread evenly over [-1, 1]^d.

    Units that turn everywhere, and at the scales of the state, span the rates that a march needs: with Glorot's weights
    and no offsets the tangent space of a network that fits a sine to 1e-7 holds the rate of Burgers' equation only by
    moves ten times as long. Z. Zhang, F. Bao, L. Ju, G. Zhang (2023, arXiv 2301.11701) draw such units in balls.
    """
    seed = int(torch.randint(2**31, (), generator=generator))
    engine = torch.quasirandom.SobolEngine(layer.in_features, scramble=True, seed=seed)
    centres = engine.draw(layer.out_features, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.normal_(generator=generator)
        layer.weight.mul_(slope / layer.weight.norm(dim=1, keepdim=True))
        layer.bias.copy_(-(layer.weight * (2 * centres - 1)).sum(1))
