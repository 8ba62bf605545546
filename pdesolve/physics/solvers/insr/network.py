"""The networks of one instant: sine networks, as the paper has them, or perceptrons of tanh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import nn

from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry import Axes
from pdesolve.nn import Affine, PeriodicEmbedding, Rescale, mlp
from pdesolve.nn.mlp import Sine

NetworkName = Literal["siren", "tanh"]


def instant_network(
    axes: Axes, scales: Sequence[float], *, kind: NetworkName, width: int, depth: int, frequency: float,
    generator: torch.Generator,
) -> nn.Sequential:  # fmt: skip
    """A network (point, axis of space) -> (point, scalar), outputs of the sizes `scales`, periodic where axes are.

    Raises:
        InputError: an unknown kind, a width or a depth below one, a frequency that is not positive.
    """
    if kind not in get_args(NetworkName):
        raise unknown_name("network", kind, get_args(NetworkName))
    if not frequency > 0:
        raise InputError(f"the frequency of a sine network is a positive factor such as 30, got {frequency}")
    first: list[nn.Module] = [Rescale(axes)]
    inputs = len(axes)
    if any(axis.periodic for axis in axes):
        embedding = PeriodicEmbedding(axes)
        first, inputs = [*first, embedding], embedding.outputs
    if kind == "siren":
        body = siren(inputs, len(scales), width=width, depth=depth, frequency=frequency, generator=generator)
    else:
        body = mlp(inputs, len(scales), width=width, depth=depth, generator=generator)
    return nn.Sequential(*first, *body, Affine([0.0] * len(scales), list(scales)))


@torch.no_grad()
def siren(
    inputs: int, outputs: int, *, width: int, depth: int, frequency: float, generator: torch.Generator
) -> nn.Sequential:
    """h ← sin(ω (W h + b)) with a linear output: weights of the first layer in ±1/n, of the others in ±(6/n)^½ / ω.

    Biases are in ±n^-½, n a layer's inputs. Sitzmann et al., 2020, arXiv 2006.09661.
    """
    if width < 1 or depth < 1:
        raise InputError(f"a network needs at least one layer of one unit, got depth {depth} and width {width}")
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise([inputs, *[width] * depth, outputs])):
        layer = nn.Linear(fan_in, fan_out, dtype=torch.float64)
        bound = 1 / fan_in if i == 0 else math.sqrt(6 / fan_in) / frequency
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-(fan_in**-0.5), fan_in**-0.5, generator=generator)
        layers += [layer, Sine(frequency)]
    return nn.Sequential(*layers[:-1])
