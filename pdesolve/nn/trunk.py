"""Trunks: functions of coordinates that span an operator's outputs, and the sum over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pdesolve.data.signature import Signature
from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis
from pdesolve.nn.mlp import Activation
from pdesolve.nn.network import Features, network
from pdesolve.settings import check_values

_PIECE = 2**16  # places at once where no gradient is wanted


@dataclass(frozen=True)
class TrunkShape:
    """What a trunk looks like.

    Attributes:
        width: units of hidden layers; 64 to 256.
        depth: hidden layers.
        activation: tanh, silu or sine.
        features: of coordinates, before the first layer: coordinates, fourier, learned_fourier or sine.
        feature_scale: typical angular frequency of these on an axis from -1 to 1; 1 to 10.
        harmonics: pairs of cosine and sine of a periodic axis.
    """

    width: int = 128
    depth: int = 3
    activation: Activation = "silu"
    features: Features = "coordinates"
    feature_scale: float = 2.0
    harmonics: int = 4

    def __post_init__(self) -> None:
        check_values(self)
        if min(self.width, self.depth, self.harmonics) < 1 or not self.feature_scale > 0:
            raise InputError(
                "a trunk needs width, depth and harmonics from 1 on and feature_scale above 0, got "
                f"{self.width}, {self.depth}, {self.harmonics} and {self.feature_scale}"
            )


class Trunk(nn.Module):
    """Functions t_1, ..., t_count of coordinates from 0 to 1: (set, place, axis) -> (set, place, count).

    Periodic axes enter as cos(2 pi k x) and sin(2 pi k x), k = 1..harmonics: the outputs are periodic with all
    derivatives (harmonic features: Lu et al., 2022, arXiv 2111.05512).
    """

    def __init__(self, axes: Axes, count: int, *, shape: TrunkShape, generator: torch.Generator) -> None:
        super().__init__()
        unit = Axes(tuple(Axis(axis.name, 0.0, 1.0, periodic=axis.periodic) for axis in axes))
        self.layers = network(
            unit, count, width=shape.width, depth=shape.depth, activation=shape.activation, features=shape.features,
            feature_count=max(1, shape.width // 2), feature_scale=shape.feature_scale, harmonics=shape.harmonics,
            generator=generator,
        )  # fmt: skip

    def forward(self, columns: Tensor) -> Tensor:
        flat = columns.flatten(0, 1)
        if torch.is_grad_enabled() or len(flat) <= _PIECE:
            return self.layers(flat).unflatten(0, columns.shape[:2])
        return torch.cat([self.layers(piece) for piece in flat.split(_PIECE)]).unflatten(0, columns.shape[:2])


def spanned(coefficients: Tensor, functions: Tensor) -> Tensor:
    """sum_k b_k t_k(x): (sample, channel, place) of b (sample, channel, count) and t (sample or 1, place, count)."""
    if len(functions) == 1:
        return coefficients @ functions[0].T
    return coefficients @ functions.mT


def held(values: Tensor, columns: Tensor, axes: Axes, wall: Tensor) -> Tensor:
    """Values (sample, channel, place) that are `wall` (channel,) at the ends of all axes that are not periodic.

    u = w + l (N - w), l = prod_i 4 x_i (1 - x_i): zero at the walls, one in the middle (Lu et al., 2022).
    """
    x = columns[..., [i for i, axis in enumerate(axes) if not axis.periodic]]
    inside = (4 * x * (1 - x)).prod(-1)[:, None]
    level = wall.to(values)[:, None]
    return level + inside * (values - level)


def standardised_walls(signature: Signature, wall: float | None, *, increment: bool) -> Sequence[float] | None:
    """One value of all targets at the walls, as each channel of a network's output has it there; None for None.

    increment: targets that are also inputs are predicted as what is added to these, which is nothing at the walls.

    Raises:
        InputError: all axes are periodic.
    """
    if wall is None:
        return None
    if all(signature.periodic):
        raise InputError(f"the axes {', '.join(a.name for a in signature.axes)} are periodic: leave wall out")
    added = {slot.name for slot in signature.inputs if slot.moving} if increment else set()
    return [
        0.0 if slot.name in added else (wall - mean) / std
        for slot in signature.targets
        for _ in range(slot.frames)
        for mean, std in zip(slot.mean, slot.std, strict=True)
    ]
