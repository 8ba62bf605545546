"""Convolutions with kernels of a fixed place in space, and learned derivatives, on regular grids of any resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from pdesolve.errors import InputError
from pdesolve.nn.constants import constant
from pdesolve.nn.filters import Filters, Lattice
from pdesolve.nn.resampling import Layout

Extension = Literal["odd", "even", "zero"]
_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


class LocalConvolution(nn.Module):
    """Discrete-continuous convolution: an integral against a kernel that does not know of the grid.

        w_o(x) = Σ_i ∫ κ_oi(y) v_i(x + y) dy + b_o ≈ Σ_i Σ_j h^d κ_oi(j h) v_i(x + j h) + b_o,   κ_oi = Σ_l θ_oil φ_l

    On a grid this is an ordinary convolution whose weights are the samples of κ. Periodic axes go on around; over the
    other ends functions are extended: `odd` about the value at the end, v(-x) = 2 v(0) - v(x), which keeps linear
    functions linear; `even`, v(-x) = v(x); `zero`, where the sum is the integral over the domain alone.

    filters: φ. kinds: how the points of each axis lie. Without a bias where `bias` is None, a start of it else.
    groups: of channels that see one another alone; as many as inputs convolve each channel by itself.

    Source: Ocampo, Price and McEwen, 2022, arXiv 2209.13603; Liu-Schiaffini et al., 2024, arXiv 2402.16845. Departures:
    filters are normalised on every grid rather than once; boundaries.
    """

    def __init__(
        self, inputs: int, outputs: int, filters: Filters, *, kinds: Sequence[Layout], extension: Extension = "odd",
        bias: float | None = 0.0, groups: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.filters, self.kinds, self.groups = filters, tuple(kinds), groups
        self.extension: Extension = extension
        bound = 1 / math.sqrt(inputs // groups * filters.count)
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, filters.count).uniform_(-bound, bound))
        self.bias = None if bias is None else nn.Parameter(torch.full((outputs,), bias))

    def forward(self, x: Tensor) -> Tensor:
        """(sample, channel, *space) to (sample, channel, *space)."""
        shape = tuple(x.shape[2:])
        ratios = _ratios(self.filters, self.kinds, shape)
        if ratios is not None:
            return self._apart(x, ratios)
        kernel = self.kernel(shape)
        x = self._extended(x, [side // 2 for side in kernel.shape[2:]])
        return _CONVOLUTIONS[len(self.kinds)](x, kernel, self.bias, groups=self.groups)

    def kernel(self, shape: Sequence[int]) -> Tensor:
        """The weights (output, input of its group, *side) on a grid of this shape."""
        sampled = constant(self.weight, _sampled, (self.filters, self.kinds, tuple(shape)))
        return (self.weight @ sampled.flatten(1)).unflatten(2, sampled.shape[1:])

    def _apart(self, x: Tensor, ratios: Sequence[int]) -> Tensor:
        """On a grid whole times finer than a lattice: κ * v = Σ_m θ_m (Λ * v)(x + m s), whose cost for each point is
        that of the lattice's own grid."""
        axes, channels = len(ratios), x.shape[1]
        x = self._extended(x, [r * self._reach + r - 1 for r in ratios])
        for i, r in enumerate(ratios):
            if r > 1:
                hat = (r - torch.arange(1 - r, r, device=x.device).abs()).to(x) / r**2
                hat = hat.view(1, 1, *[-1 if i == j else 1 for j in range(axes)]).expand(channels, -1, *[-1] * axes)
                x = _CONVOLUTIONS[axes](x, hat, groups=channels)
        weight = self.weight.unflatten(2, (2 * self._reach + 1,) * axes)
        return _CONVOLUTIONS[axes](x, weight, self.bias, dilation=tuple(ratios), groups=self.groups)

    @property
    def _reach(self) -> int:
        assert isinstance(self.filters, Lattice)
        return self.filters.reach

    def _extended(self, x: Tensor, reaches: Sequence[int]) -> Tensor:
        for i, (kind, reach) in enumerate(zip(self.kinds, reaches, strict=True)):
            x = extended(x, i + 2, reach, kind, self.extension)
        return x


class Derivative(nn.Module):
    """A learned derivative of first order: differences between neighbours, divided by their distance.

        w_o(x) = Σ_i (1/h) Σ_j (θ_oij - mean_j θ_oij) v_i(x + j h) + b_o → Σ_i b_oi · ∇v_i + b_o,   h → 0

    with j over the 3^d neighbours and h the largest spacing of an axis. In the unit box; linear functions are
    differentiated exactly, at boundaries too (`odd` extension).

    steps: spacings of a base grid, whose plain differences these are then: its largest spacing is the unit of length,
    and B is the same on grids whose spacings have other proportions, where central differences make up for these.

    Source: Liu-Schiaffini et al., 2024, arXiv 2402.16845.
    """

    def __init__(
        self, inputs: int, outputs: int, *, kinds: Sequence[Layout], steps: Sequence[float] | None = None,
        bias: float | None = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kinds, self.steps = tuple(kinds), None if steps is None else tuple(steps)
        sides = [3] * len(self.kinds)
        bound = 1 / math.sqrt(inputs * math.prod(sides))
        self.weight = nn.Parameter(torch.empty(outputs, inputs, *sides).uniform_(-bound, bound))
        self.bias = None if bias is None else nn.Parameter(torch.full((outputs,), bias))

    def forward(self, x: Tensor) -> Tensor:
        """(sample, channel, *space) to (sample, channel, *space)."""
        kernel = self.kernel(x.shape[2:])
        for i, kind in enumerate(self.kinds):
            x = extended(x, i + 2, 1, kind, "odd")
        return _CONVOLUTIONS[len(self.kinds)](x, kernel, self.bias)

    def kernel(self, shape: Sequence[int]) -> Tensor:
        """The weights (output, input, *side) on a grid of this shape."""
        own = spacings(self.kinds, shape)
        around = tuple(range(2, self.weight.ndim))
        differences = self.weight - self.weight.mean(around, keepdim=True)
        if self.steps is None:
            return differences / max(own)
        scale = max(self.steps) / max(own)
        kernel = scale * differences
        for i, (step, h) in enumerate(zip(self.steps, own, strict=True)):
            missing = step / h - scale
            if abs(missing) > 1e-9 * scale:
                moment = (differences * _slope(self.weight, i)).sum(around, keepdim=True)
                kernel = kernel + missing * moment * _central(self.weight, i)
        return kernel


def spacings(kinds: Sequence[Layout], shape: Sequence[int]) -> tuple[float, ...]:
    """The distance between points along each axis, of length one."""
    return tuple(1 / max(n - (kind == "nodes"), 1) for kind, n in zip(kinds, shape, strict=True))


def extended(x: Tensor, dim: int, reach: int, kind: Layout, extension: Extension) -> Tensor:
    """x with so many more points of a dimension at both ends: around where it is periodic, else by an extension.

    Raises:
        InputError: more than the function has to offer.
    """
    if reach == 0:
        return x
    size = x.shape[dim]
    most = size if kind != "nodes" else size - 1
    if reach > most:
        raise InputError(
            f"a kernel reaches over {reach} points and an axis has {size}: give finer data or a smaller kernel"
        )
    if kind == "periodic":
        return torch.cat([x.narrow(dim, size - reach, reach), x, x.narrow(dim, 0, reach)], dim)
    if extension == "zero":
        first = x.narrow(dim, 0, 1).new_zeros(1).expand(*x.shape[:dim], reach, *x.shape[dim + 1 :])
        if kind == "nodes":  # the quadrature weight of an end is half that of others
            inner = x.narrow(dim, 1, size - 2)
            x = torch.cat([x.narrow(dim, 0, 1) / 2, inner, x.narrow(dim, size - 1, 1) / 2], dim)
        return torch.cat([first, x, first], dim)
    skip = 1 if kind == "nodes" else 0
    before = x.narrow(dim, skip, reach).flip(dim)
    after = x.narrow(dim, size - skip - reach, reach).flip(dim)
    if extension == "odd":
        ends = [_end(x, dim, kind, 0), _end(x, dim, kind, -1)]
        before, after = 2 * ends[0] - before, 2 * ends[1] - after
    return torch.cat([before, x, after], dim)


def _slope(like: Tensor, axis: int) -> Tensor:
    """-1, 0, 1 along an axis of a stencil, to be broadcast over (output, input, *side)."""
    return (
        torch.arange(-1, 2, device=like.device).to(like).view(*[-1 if i == axis + 2 else 1 for i in range(like.ndim)])
    )


def _central(like: Tensor, axis: int) -> Tensor:
    """The stencil (*side) of half the difference of both neighbours along an axis."""
    found = _slope(like, axis)[0, 0] / 2
    for i in range(like.ndim - 2):
        if i != axis:
            found = found * (_slope(like, i)[0, 0] == 0)
    return found


def _end(x: Tensor, dim: int, kind: Layout, which: int) -> Tensor:
    """The value at an end of the axis; half a spacing from the last centre of a cell, linearly."""
    size = x.shape[dim]
    last, next_to_it = (0, 1) if which == 0 else (size - 1, size - 2)
    if kind == "nodes" or size == 1:
        return x.narrow(dim, last, 1)
    return 1.5 * x.narrow(dim, last, 1) - 0.5 * x.narrow(dim, next_to_it, 1)


def _sampled(filters: Filters, kinds: tuple[Layout, ...], shape: tuple[int, ...]) -> Tensor:
    return filters.sampled(spacings(kinds, shape))


def _ratios(filters: Filters, kinds: tuple[Layout, ...], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """How many times finer the grid is than a lattice, where these are whole numbers."""
    if not isinstance(filters, Lattice):
        return None
    exact = [s / h for s, h in zip(filters.spacing, spacings(kinds, shape), strict=True)]
    whole = tuple(round(ratio) for ratio in exact)
    fits = all(r >= 1 and abs(r - ratio) < 1e-9 * ratio for r, ratio in zip(whole, exact, strict=True))
    return whole if fits else None
