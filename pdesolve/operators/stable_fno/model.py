"""The network of the stabilised Fourier neural operator: nonlinearities before bounded filters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from pdesolve.errors import InputError
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import GridPlaces, Places
from pdesolve.nn.positions import position_channels, with_positions
from pdesolve.operators.stable_fno.bounded import Mixing
from pdesolve.operators.stable_fno.extension import DoubleFourierSphere, Ends, Extension, Reflection
from pdesolve.operators.stable_fno.filters import BoundedFilter, DynamicFilter, as_real, low_pass

Filtering = Literal["static", "dynamic"]
Residual = Literal["sum", "gated"]
Surface = Literal["box", "sphere"]


@dataclass(frozen=True)
class Layout:
    """The sizes and kinds of a network's parts: see the settings of the method.

    placed: whether coordinates are channels beside the values. tangent_inputs, tangent_outputs: the channels
    that are components of tangent vectors of a sphere.
    """

    modes: int = 32
    width: int = 48
    depth: int = 4
    expansion: int = 2
    amplitude: float = 3.0
    filtering: Filtering = "static"
    residual: Residual = "sum"
    surface: Surface = "box"
    placed: bool = True
    evaluation_filter: float = 0.0
    tangent_inputs: tuple[int, ...] = ()
    tangent_outputs: tuple[int, ...] = ()

    @property
    def highest(self) -> int:
        """The highest wave along each axis."""
        return (self.modes - 1) // 2


class Block(nn.Module):
    """h -> h + S(M(h)), or (1 - g) S(M(h)) + g h with a learned g = sigmoid(gamma).

    M: two mixings with a SiLU between, at each place; S: a bounded filter and a mixing. What the nonlinearity aliases
    is damped before it joins the stream.
    """

    def __init__(self, layout: Layout, axes: int) -> None:
        super().__init__()
        hidden = layout.expansion * layout.width
        self.widen, self.narrow = Mixing(layout.width, hidden), Mixing(hidden, layout.width)
        kind = BoundedFilter if layout.filtering == "static" else DynamicFilter
        self.filter = kind(layout.width, (layout.highest,) * axes)
        self.mixing = Mixing(layout.width, layout.width)
        self.gate = nn.Parameter(torch.zeros(())) if layout.residual == "gated" else None

    def forward(self, h: Tensor, extension: Extension) -> Tensor:
        change = self.filter(self.narrow(functional.silu(self.widen(h))))
        change = self.mixing(extension.trim(change)).to(h.dtype)
        return h + change if self.gate is None else torch.lerp(change, h, torch.sigmoid(self.gate))


class StableFourierNetwork(OperatorNetwork):
    """Lift L, blocks B_i and projection P, all of whose matrices have norms of at most one,

        u' = P B_n ... B_1 s L u / s,   s = amplitude sqrt(width / outputs),

    so that without blocks no wave could grow. The coordinates of the places may be channels of u. ends: for each axis
    None where it is periodic, True where its ends are points, else False.
    """

    def __init__(self, inputs: int, outputs: int, ends: Ends, layout: Layout) -> None:
        super().__init__()
        self.layout, self.ends = layout, ends
        periodic = tuple(end is None for end in ends)
        self.scale = layout.amplitude * math.sqrt(layout.width / outputs)
        inputs += position_channels(periodic) if layout.placed else 0
        self.lift, self.project = Mixing(inputs, layout.width), Mixing(layout.width, outputs)
        self.blocks = nn.ModuleList([Block(layout, len(periodic)) for _ in range(layout.depth)])

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        assert isinstance(given, GridPlaces)
        extension = self._extension(self.layout.tangent_inputs)
        if self.layout.placed:
            x = with_positions(x, given)
        h = self.scale * as_real(self.lift(extension.extend(x)))
        for block in self.blocks:
            h = block(h, extension)
        y = as_real(self.project(h)) / self.scale
        if self.layout.evaluation_filter and not self.training:
            y = low_pass(y, [self.layout.evaluation_filter * self.layout.highest] * len(given.points))
        return self._extension(self.layout.tangent_outputs).restrict(y)

    def check(self, given: Places) -> None:
        if not isinstance(given, GridPlaces):
            raise InputError("stable_fno needs values on a grid, got points: take gino")
        if self.layout.surface == "sphere":
            DoubleFourierSphere.of(given)
        sizes = self._extension(()).shape(given.shape)
        for axis, size, points in zip(given.axes, sizes, given.shape, strict=True):
            if size < self.layout.modes:
                around = "" if size == points else f" ({size} where they are continued over its ends)"
                raise InputError(
                    f"stable_fno has {self.layout.modes} modes and {axis.name} has {points} points{around}: give finer "
                    f"data, or train with --method.modes {size} or fewer"
                )

    def _extension(self, tangent: tuple[int, ...]) -> Extension:
        """The torus on which the network works: of what is known without a look at the coordinates."""
        if self.layout.surface == "box":
            return Reflection(self.ends)
        longitude = self.ends.index(None)
        latitude = 1 - longitude
        return DoubleFourierSphere(
            latitude, longitude, bool(self.ends[latitude]), tangent, finest=float(self.layout.highest)
        )
