"""Multilayer perceptrons."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError, unknown_name
from pdesolve.fields import smooth
from pdesolve.fields.jets import Jet, compose
from pdesolve.fields.propagation import propagate

Activation = Literal["tanh", "silu", "sine"]


class Sine(nn.Module):
    """sin(frequency x), the activation of sine networks (Sitzmann et al., 2020, arXiv 2006.09661)."""

    def __init__(self, frequency: float = 1.0) -> None:
        super().__init__()
        self.frequency = frequency

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.frequency * x)


@propagate.register
def _(layer: Sine, jet: Jet) -> Jet:
    return compose(jet, smooth.sine(layer.frequency))


def mlp(
    inputs: int, outputs: int, *, width: int, depth: int, activation: Activation = "tanh", generator: torch.Generator
) -> nn.Sequential:
    """`depth` hidden layers of `width` units; biases zero, weights drawn from the generator: Glorot normal for tanh.

    SiLU halves small signals, so that its hidden weights get the variance 2.8 / fan_in (1 / E[silu(z)^2] of a standard
    normal z). Sine networks draw uniform weights of bound sqrt(6 / fan_in) instead, which keeps the distribution of the
    activations through the layers (Sitzmann et al., 2020); the factor 30 of that paper on the first layer is left to
    input features.
    """
    if activation not in get_args(Activation):
        raise unknown_name("activation", activation, get_args(Activation))
    if width < 1 or depth < 1:
        raise InputError(f"a network needs at least one layer of one unit, got depth {depth} and width {width}")
    sizes = [inputs, *[width] * depth, outputs]
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        linear = nn.Linear(fan_in, fan_out, dtype=torch.float64)
        with torch.no_grad():
            if activation == "sine" and i < depth:
                bound = math.sqrt(6 / fan_in)
                linear.weight.uniform_(-bound, bound, generator=generator)
            elif activation == "silu" and i < depth:
                linear.weight.normal_(0.0, math.sqrt(2.8 / fan_in), generator=generator)
            else:
                linear.weight.normal_(0.0, math.sqrt(2 / (fan_in + fan_out)), generator=generator)
            linear.bias.zero_()
        layers.append(linear)
        if i < depth:
            layers.append({"tanh": nn.Tanh, "silu": nn.SiLU, "sine": Sine}[activation]())
    return nn.Sequential(*layers)
