"""Branches: networks from a function's values at sensors, and from numbers, to coefficients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from pdesolve.errors import InputError
from pdesolve.nn.mlp import Activation, activation_layer, linear, mlp
from pdesolve.nn.sensors import Sensors
from pdesolve.settings import check_values

_LAST = 4  # points an axis at which halving ends


@dataclass(frozen=True)
class BranchShape:
    """What a branch looks like.

    Attributes:
        kind: convolutional, layers of stride 2 until 4 points an axis are left, or perceptron, whose first layer reads
            all sensors at once; convolutions need less data.
        sensors: places an axis, at most, at which inputs are read.
        width: units of hidden layers, and four times the channels of the first convolution; 64 to 512.
        depth: hidden layers, behind the convolutions where there are any; 0 makes the rest one affine layer.
        activation: tanh, silu or sine.
    """

    kind: Literal["convolutional", "perceptron"] = "convolutional"
    sensors: int = 128
    width: int = 128
    depth: int = 2
    activation: Activation = "silu"

    def __post_init__(self) -> None:
        check_values(self)
        if self.sensors < 2 or self.width < 4 or self.depth < 0:
            raise InputError(
                "a branch needs sensors from 2, width from 4 and depth from 0 on, got "
                f"{self.sensors}, {self.width} and {self.depth}"
            )


def branch(
    channels: int, numbers: int, outputs: int, *, shape: BranchShape, sensors: Sensors, generator: torch.Generator
) -> Branch:
    """A branch of float64 weights for functions of some channels at sensors, and for numbers beside them.

    Raises:
        InputError: nothing to read.
    """
    if not channels + numbers:
        raise InputError("a branch reads functions or parameters, and the task gives none: name inputs")
    convolutions: nn.Module = nn.Identity()
    places = sensors.shape
    if shape.kind == "convolutional" and channels:
        convolutions = Halving(
            channels, sensors, width=shape.width // 4, activation=shape.activation, generator=generator
        )
        channels, places = convolutions.channels, convolutions.shape
    inputs = channels * math.prod(places) + numbers
    if not shape.depth:
        return Branch(convolutions, linear(inputs, outputs, before=None, generator=generator))
    made = mlp(
        inputs, outputs, width=shape.width, depth=shape.depth, activation=shape.activation, generator=generator
    )  # fmt: skip
    return Branch(convolutions, made)


class Branch(nn.Module):
    """Coefficients (sample, output) of a function (sample, channel, *sensors) and of numbers (sample, number)."""

    def __init__(self, convolutions: nn.Module, dense: nn.Module) -> None:
        super().__init__()
        self.convolutions, self.dense = convolutions, dense

    def forward(self, values: Tensor, numbers: Tensor) -> Tensor:
        parts = [self.convolutions(values).flatten(1)] if values.shape[1] else []
        if numbers.shape[1]:
            parts.append(numbers)
        return self.dense(torch.cat(parts, 1) if len(parts) > 1 else parts[0])


class Halving(nn.Module):
    """Convolutions of 3 points an axis, each with stride 2 and twice the channels, until 4 points an axis are left.

    Periodic axes go round; beyond the ends of others lie zeros, the mean of standardised values.
    """

    def __init__(
        self, channels: int, sensors: Sensors, *, width: int, activation: Activation, generator: torch.Generator
    ) -> None:
        super().__init__()
        dimensions = len(sensors.shape)
        kinds = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
        if dimensions not in kinds:
            raise InputError(
                f"convolutions take up to three axes, the data have {dimensions}: write --method.branch.kind perceptron"
            )
        self.periodic = [axis.periodic for axis in sensors.axes]
        self.layers = nn.ModuleList()
        self.activation = activation_layer(activation)
        shape, outputs = sensors.shape, width
        while max(shape) > _LAST:
            stride = [2 if size > _LAST else 1 for size in shape]
            layer = kinds[dimensions](channels, outputs, 3, stride=stride, dtype=torch.float64)
            with torch.no_grad():
                layer.weight.normal_(0.0, (2 / (channels * 3**dimensions)) ** 0.5, generator=generator)
                assert layer.bias is not None
                layer.bias.zero_()
            self.layers.append(layer)
            channels, outputs = outputs, 2 * outputs
            shape = tuple((size - 1) // step + 1 for size, step in zip(shape, stride, strict=True))
        self.channels, self.shape = channels, shape

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            for i, goes_round in enumerate(reversed(self.periodic)):
                sides = [0] * (2 * i) + [1, 1]
                x = functional.pad(x, sides, mode="constant") if not goes_round else _round(x, x.ndim - 1 - i)
            x = self.activation(layer(x))
        return x


def _round(x: Tensor, dim: int) -> Tensor:
    last = x.shape[dim] - 1
    return torch.cat([x.narrow(dim, last, 1), x, x.narrow(dim, 0, 1)], dim)
