"""Input features: rescaled coordinates, periodic embeddings, random and learned Fourier features."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pdesolve.fields.jets import Jet, compose, concatenated, linear, scaled, shifted
from pdesolve.fields.propagation import propagate
from pdesolve.fields.smooth import cosine, sine
from pdesolve.geometry import Axes
from pdesolve.nn.mlp import Sine


class Rescale(nn.Module):
    """Each coordinate mapped from its bounds to [-1, 1]. (point, axis) -> (point, axis)."""

    def __init__(self, axes: Axes) -> None:
        super().__init__()
        self.register_buffer("centre", torch.tensor([(a.lower + a.upper) / 2 for a in axes], dtype=torch.float64))
        self.register_buffer("scale", torch.tensor([2 / a.length for a in axes], dtype=torch.float64))

    centre: Tensor
    scale: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.centre) * self.scale


@propagate.register
def _(layer: Rescale, jet: Jet) -> Jet:
    return scaled(shifted(jet, -layer.centre), layer.scale)


class PeriodicEmbedding(nn.Module):
    """Periodic axes, rescaled to [-1, 1], become cos(pi k x), sin(pi k x) for k = 1..harmonics; the others pass.

    Any network on these features is periodic, with all derivatives (Dong and Ni, 2021, arXiv 2007.07442).
    """

    def __init__(self, axes: Axes, harmonics: int = 1) -> None:
        super().__init__()
        self.periodic = [i for i, axis in enumerate(axes) if axis.periodic]
        self.plain = [i for i, axis in enumerate(axes) if not axis.periodic]
        self.harmonics = harmonics
        self.outputs = len(self.plain) + 2 * harmonics * len(self.periodic)

    def forward(self, x: Tensor) -> Tensor:
        angles = [math.pi * k * x[:, i : i + 1] for i in self.periodic for k in range(1, self.harmonics + 1)]
        waves = [wave for angle in angles for wave in (torch.cos(angle), torch.sin(angle))]
        return torch.cat([x[:, self.plain], *waves], 1)


@propagate.register
def _(layer: PeriodicEmbedding, jet: Jet) -> Jet:
    waves = [
        compose(jet.feature(i), wave(math.pi * k))
        for i in layer.periodic
        for k in range(1, layer.harmonics + 1)
        for wave in (cosine, sine)
    ]
    return concatenated([jet.feature(layer.plain), *waves])


class Waves(nn.Module):
    """cos(pi m s), sin(pi m s) of each axis rescaled to s in [-1, 1], for the whole numbers m given for it.

    (point, axis) -> (point, 2 for each m). For solutions that are known to oscillate so, slowly modulated.
    """

    def __init__(self, axes: Axes, frequencies: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.rescale = Rescale(axes)
        self.frequencies = [(i, m) for i, some in enumerate(frequencies) for m in some]
        self.outputs = 2 * len(self.frequencies)

    def forward(self, x: Tensor) -> Tensor:
        s = self.rescale(x)
        angles = [math.pi * m * s[:, i : i + 1] for i, m in self.frequencies]
        return torch.cat([wave(angle) for angle in angles for wave in (torch.cos, torch.sin)], 1)


@propagate.register
def _(layer: Waves, jet: Jet) -> Jet:
    s = propagate(layer.rescale, jet)
    return concatenated(
        [compose(s.feature(i), wave(math.pi * m)) for i, m in layer.frequencies for wave in (cosine, sine)]
    )


class Beside(nn.Module):
    """The outputs of two modules side by side, (point, axis) -> (point, those of the first and of the second)."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.first(x), self.second(x)], -1)


@propagate.register
def _(layer: Beside, jet: Jet) -> Jet:
    return concatenated([propagate(layer.first, jet), propagate(layer.second, jet)])


class FourierFeatures(nn.Module):
    """cos(B x), sin(B x) with a fixed random matrix B ~ N(0, scale^2), (point, inputs) -> (point, 2 count).

    Tancik et al., 2020, arXiv 2006.10739. `scale` is the typical angular frequency on inputs in [-1, 1]; 1 to 10.
    """

    def __init__(self, inputs: int, count: int, scale: float, generator: torch.Generator) -> None:
        super().__init__()
        self.outputs = 2 * count
        self.register_buffer(
            "frequencies", scale * torch.randn(inputs, count, dtype=torch.float64, generator=generator)
        )

    frequencies: Tensor

    def forward(self, x: Tensor) -> Tensor:
        angles = x @ self.frequencies
        return torch.cat([torch.cos(angles), torch.sin(angles)], 1)


@propagate.register
def _(layer: FourierFeatures, jet: Jet) -> Jet:
    angles = linear(jet, layer.frequencies.mT)
    return concatenated([compose(angles, cosine()), compose(angles, sine())])


class LearnedFourierFeatures(nn.Module):
    """cos(B x), sin(B x), B trained from a draw B ~ N(0, scale^2), (point, inputs) -> (point, 2 count).

    For solutions whose frequencies are not known: training moves those that are near to where they belong, not over
    large distances, so that `scale` should be of the right size (1 to 10 on inputs in [-1, 1]).
    """

    def __init__(self, inputs: int, count: int, scale: float, generator: torch.Generator) -> None:
        super().__init__()
        self.outputs = 2 * count
        self.angles = nn.Linear(inputs, count, bias=False, dtype=torch.float64)
        with torch.no_grad():
            self.angles.weight.normal_(0.0, scale, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        angles = self.angles(x)
        return torch.cat([torch.cos(angles), torch.sin(angles)], -1)


@propagate.register
def _(layer: LearnedFourierFeatures, jet: Jet) -> Jet:
    angles = propagate(layer.angles, jet)
    return concatenated([compose(angles, cosine()), compose(angles, sine())])


def sine_features(inputs: int, count: int, scale: float, generator: torch.Generator) -> nn.Sequential:
    """sin(B x + b), trained from B ~ N(0, scale^2) and phases b of a whole turn: (point, inputs) -> (point, count).

    The first layer of a sine network (Sitzmann et al., 2020, arXiv 2006.09661) with its frequencies as weights.
    """
    angles = nn.Linear(inputs, count, dtype=torch.float64)
    with torch.no_grad():
        angles.weight.normal_(0.0, scale, generator=generator)
        angles.bias.uniform_(-math.pi, math.pi, generator=generator)
    return nn.Sequential(angles, Sine())
