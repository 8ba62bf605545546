"""Networks of Gaussians with a light perceptron on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError, unknown_name
from pdesolve.fields.jets import Jet, product
from pdesolve.fields.propagation import propagate
from pdesolve.geometry import Axes
from pdesolve.nn import Basis, Covariance, RadialBasis, Widths, mlp
from pdesolve.nn.network import prepared
from pdesolve.nn.radial import drawn

Perceptron = Literal["tanh", "sine", "none"]
Placement = Literal["trained", "fixed"]


def gaussians(
    axes: Axes, outputs: int, *, count: int, channels: int, shared: bool, placement: Placement, covariance: Covariance,
    width: float, widths: Widths, basis: Basis | Literal["separable"], perceptron: Perceptron, hidden: int,
    harmonics: int, chunk_bytes: int, beside: tuple[nn.Module, int] | None, generator: torch.Generator,
) -> nn.Sequential:  # fmt: skip
    """(point, axis) -> (point, output) in float64: coordinates in [-1, 1], Gaussians, perceptron.

    Without a perceptron each output is a channel.

    Raises:
        InputError: an unknown name, a size below one.
    """
    if perceptron not in get_args(Perceptron):
        raise unknown_name("perceptron", perceptron, get_args(Perceptron))
    if placement not in get_args(Placement):
        raise unknown_name("placement", placement, get_args(Placement))
    if min(channels, hidden, harmonics) < 1:
        raise InputError(f"channels, hidden and harmonics are from 1 on, got {channels}, {hidden} and {harmonics}")
    given, inputs = prepared(axes, harmonics=harmonics, beside=beside)
    features = outputs if perceptron == "none" else channels
    kind = {"covariance": covariance, "widths": widths, "width": width, "shared": shared}
    kind |= {"chunk_bytes": chunk_bytes}
    if basis == "separable":
        parts = [drawn(1, channels, count=count, generator=generator, **kind) for _ in range(inputs)]
        bumps: nn.Module = Separable(parts)
        features = channels
    else:
        bumps = drawn(inputs, features, count=count, basis=basis, generator=generator, **kind)
    if placement == "fixed":
        for layer in bumps.modules():
            if isinstance(layer, RadialBasis):
                layer.centres.requires_grad_(False)
    layers: list[nn.Module] = [given, bumps]
    if perceptron != "none":
        layers += mlp(features, outputs, width=hidden, depth=1, activation=perceptron, generator=generator)
    elif basis == "separable":
        layers.append(nn.Linear(features, outputs, dtype=torch.float64))
    return nn.Sequential(*layers)


class Separable(nn.Module):
    """Products of features of single coordinates, (point, axis) -> (point, channel).

    J. Cho, S. Nam, H. Yang, S.-B. Yun, Y. Hong, E. Park, 2023, arXiv 2306.15969.
    """

    def __init__(self, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        found = self.parts[0](x[:, :1])
        for i, part in enumerate(list(self.parts)[1:], 1):
            found = found * part(x[:, i : i + 1])
        return found


@propagate.register
def _(layer: Separable, jet: Jet) -> Jet:
    found = propagate(layer.parts[0], jet.feature(0))
    for i, part in enumerate(list(layer.parts)[1:], 1):
        found = product(found, propagate(part, jet.feature(i)))
    return found
