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
from pdesolve.fields.propagation import compositions, propagate

Activation = Literal["tanh", "silu", "sine"]


class Sine(nn.Module):
    """sin(frequency x), the activation of sine networks (Sitzmann et al., 2020, arXiv 2006.09661)."""

    def __init__(self, frequency: float = 1.0) -> None:
        super().__init__()
        self.frequency = frequency

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.frequency * x)


@compositions.register
def _(layer: Sine) -> float:
    return 1


@propagate.register
def _(layer: Sine, jet: Jet) -> Jet:
    return compose(jet, smooth.sine(layer.frequency))


def mlp(
    inputs: int, outputs: int, *, width: int, depth: int, activation: Activation = "tanh", generator: torch.Generator
) -> nn.Sequential:
    """`depth` hidden layers of `width` units, drawn by `linear`."""
    check_sizes(width, depth)
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise([inputs, *[width] * depth]):
        layers.append(linear(fan_in, fan_out, before=activation, generator=generator))
        layers.append(activation_layer(activation))
    layers.append(linear(width, outputs, before=None, generator=generator))
    return nn.Sequential(*layers)


def linear(inputs: int, outputs: int, *, before: Activation | None, generator: torch.Generator) -> nn.Linear:
    """A linear layer in float64; biases zero, weights drawn for the activation that follows: Glorot normal for tanh.

    SiLU halves small signals, so that weights before it get the variance 2.8 / fan_in (1 / E[silu(z)^2] of a standard
    normal z). Before a sine weights are uniform of bound sqrt(6 / fan_in), which keeps the distribution of the
    activations through the layers (Sitzmann et al., 2020); the factor 30 of that paper on the first layer is left to
    input features.
    """
    if before is not None and before not in get_args(Activation):
        raise unknown_name("activation", before, get_args(Activation))
    layer = nn.Linear(inputs, outputs, dtype=torch.float64)
    with torch.no_grad():
        if before == "sine":
            bound = math.sqrt(6 / inputs)
            layer.weight.uniform_(-bound, bound, generator=generator)
        elif before == "silu":
            layer.weight.normal_(0.0, math.sqrt(2.8 / inputs), generator=generator)
        else:
            layer.weight.normal_(0.0, math.sqrt(2 / (inputs + outputs)), generator=generator)
        layer.bias.zero_()
    return layer


def activation_layer(activation: Activation) -> nn.Module:
    """The activation of that name.

    Raises:
        InputError: an unknown name.
    """
    if activation not in get_args(Activation):
        raise unknown_name("activation", activation, get_args(Activation))
    return {"tanh": nn.Tanh, "silu": nn.SiLU, "sine": Sine}[activation]()


def check_sizes(width: int, depth: int) -> None:
    """Refuse networks without a hidden layer.

    Raises:
        InputError: a width or a depth below one.
    """
    if width < 1 or depth < 1:
        raise InputError(f"a network needs at least one layer of one unit, got depth {depth} and width {width}")
