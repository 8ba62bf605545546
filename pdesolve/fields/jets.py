"""Jets: values with some of their partial derivatives, carried through a network in one forward pass.

A partial derivative D^α is named by its multi-index α, the order along each axis in axis order. With u the jet of a
layer's input, D^α of a linear layer's output is that layer without its bias applied to D^α u, so that one matrix
product serves all partials; D^α f(u) = Σ c f⁽ᵏ⁾(u) D^β₁u ... D^βₖu over the ways to share α out (Faà di Bruno), and
D^α(a b) = Σ (α over β) D^βa D^(α-β)b (Leibniz). Only terms that are not zero by structure are made.

Forward propagation of derivatives: Griewank, Utke, Walther, Math. Comp. 69 (2000) 1117; Bettencourt, Johnson, Duvenaud,
"Taylor-mode automatic differentiation for higher-order derivatives in JAX" (2019).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from functools import lru_cache

import torch
from torch import Tensor

from pdesolve.fields import kernels
from pdesolve.fields.composition import Composed, composed
from pdesolve.fields.multi_index import (
    Channel,
    Combination,
    closure,
    composition,
    order_of,
    products,
    union,
    unit,
    zero,
)
from pdesolve.fields.smooth import Smooth
from pdesolve.least_squares import tape

_MANY = 10  # axes, from which on slopes of coordinates are stored thin


class Jet:
    """Partials of a tensor (point, feature): one channel for each multi-index of `indices`, the value first.

    `wanted` is what is to be carried, closed downwards; those of it that are not in `indices` vanish. Combinations of
    partials may be channels too. The channels are given stacked, (channel, point, feature), or as a sequence, and are
    had both ways: rules take what suits them. `asked` is what of `wanted` is to come out at the end of a network.
    """

    def __init__(
        self, content: Tensor | Sequence[Tensor], indices: tuple[Channel, ...], wanted: tuple[Channel, ...],
        asked: tuple[Channel, ...] | None = None,
    ) -> None:  # fmt: skip
        self.indices, self.wanted, self.asked = indices, wanted, wanted if asked is None else asked
        self._values = content if isinstance(content, Tensor) else None
        self._channels = None if isinstance(content, Tensor) else tuple(content)

    @staticmethod
    def of_points(x: Tensor, wanted: Iterable[Channel], *, constant: Iterable[int] = ()) -> Jet:
        """The jet of the coordinates (point, axis) themselves, to carry what is wanted and what that needs.

        Along the axes in `constant` nothing changes.
        """
        axes = x.shape[1]
        carried = closure(frozenset(wanted) | {zero(axes)})
        moving = [i for i in range(axes) if i not in set(constant)]
        slopes: dict[Channel, Tensor] = {}  # the derivative of every axis
        for channel in carried[1:]:
            terms = dict(channel.terms) if isinstance(channel, Combination) else {channel: 1.0}
            row = [terms.get(unit(axes, i), 0.0) if i in moving else 0.0 for i in range(axes)]
            if any(row):
                slopes[channel] = x.new_tensor(row).expand_as(x)
        channels = [x, *slopes.values()]
        # thin: slopes are the same everywhere, and axes² numbers for each point are many
        return Jet(channels if axes > _MANY else torch.stack(channels), (zero(axes), *slopes), carried)

    # no cached_property: compilers do not trace its lock

    @property
    def values(self) -> Tensor:
        """The channels stacked, (channel, point, feature)."""
        if self._values is None:
            assert self._channels is not None
            self._values = torch.stack(self._channels)
        return self._values

    @property
    def channels(self) -> tuple[Tensor, ...]:
        """The channels (point, feature)."""
        if self._channels is None:
            assert self._values is not None
            self._channels = self._values.unbind(0)
        return self._channels

    @property
    def thin(self) -> bool:
        """Whether channels that are the same at all points are stored once."""
        return self._values is None and any(map(_same, self.channels))

    def extremes(self) -> tuple[list[list[float]], list[list[float]]]:
        """The least and the greatest value of each channel and feature over the points."""
        ends = [(channel[:1] if _same(channel) else channel).aminmax(dim=0) for channel in self.channels]
        lowest, highest = (torch.stack(side).tolist() for side in zip(*ends, strict=True))
        return lowest, highest

    def split(self, points: int) -> list[Jet]:
        """Jets of so many points each."""
        if self._values is not None:
            return [self.like(values) for values in self._values.split(points, 1)]
        return [self.like(part) for part in zip(*(c.split(points) for c in self.channels), strict=True)]

    @property
    def order(self) -> int:
        """The highest order that is carried."""
        return max(map(order_of, self.wanted))

    @property
    def points(self) -> int:
        return self.channels[0].shape[0]

    @property
    def features(self) -> int:
        return self.channels[0].shape[1]

    def partial(self, index: Channel) -> Tensor | None:
        """D^α (point, feature); None where it vanishes."""
        for held, channel in zip(self.indices, self.channels, strict=True):  # compilers do not trace tuple.index
            if held == index:
                return channel
        return None

    def like(self, content: Tensor | Sequence[Tensor]) -> Jet:
        """Other channels of the same multi-indices."""
        return Jet(content, self.indices, self.wanted, self.asked)

    def asking(self, channels: Set[Channel]) -> Jet:
        """This jet, of which these and the value are to come out at the end."""
        value = zero(len(self.wanted[0]))
        asked = tuple(channel for channel in self.wanted if channel in channels or channel == value)
        return Jet(self._content, self.indices, self.wanted, asked)

    def carrying(self, wanted: tuple[Channel, ...]) -> Jet:
        """This jet, of which these are carried on, and all of them asked for."""
        return Jet(self._content, self.indices, wanted)

    @property
    def _content(self) -> Tensor | tuple[Tensor, ...]:
        return self.channels if self._values is None else self._values

    def feature(self, where: int | slice | list[int]) -> Jet:
        """Some of the features (a number: that one, as one feature)."""
        where = slice(where, where + 1) if isinstance(where, int) else where
        return self.like([channel[:, where] for channel in self.channels])


def linear(jet: Jet, weight: Tensor, bias: Tensor | None = None) -> Jet:
    """u Wᵀ + b with W (out, in), b (out): one matrix product over all channels, on the tape where one is written."""
    if torch.compiler.is_compiling() or tape.active():
        moved = jet.like(tape.product(jet.values, weight))
        return moved if bias is None else shifted(moved, bias)
    if bias is None:
        return jet.like(jet.values.matmul(weight.mT))
    y: Tensor = _Affine.apply(jet.values, weight, bias)  # type: ignore[assignment]
    return jet.like(y)


class _Affine(torch.autograd.Function):
    """A matrix product whose bias goes to the first channel, without a copy of the others."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        y = x.matmul(weight.mT)
        y[0] += bias
        return y

    @staticmethod
    def backward(ctx, g: Tensor):  # type: ignore[override]
        x, weight = ctx.saved_tensors
        inputs = g.matmul(weight) if ctx.needs_input_grad[0] else None
        return inputs, g.flatten(0, 1).mT @ x.flatten(0, 1), g[0].sum(0)


def compose(jet: Jet, function: Smooth) -> Jet:
    """f(u) of every feature, f without trained parameters: scale and shift u before for those."""
    plan = composition(jet.indices, jet.wanted)
    if torch.compiler.is_compiling() or _trained(function):
        return Jet(composed(jet.channels, function(jet.channels[0], plan.order), plan), plan.indices, jet.wanted)
    out: Tensor = Composed.apply(jet.values, plan, function, kernels.current())  # type: ignore[assignment]
    return Jet(out, plan.indices, jet.wanted)


@lru_cache(maxsize=256)
def _trained(function: Smooth) -> bool:
    """Whether the function depends on something trained after all, so that autograd has to see it."""
    with torch.enable_grad():
        return any(f.requires_grad for f in function(torch.ones(1), 1))


def product(a: Jet, b: Jet) -> Jet:
    """a b, feature by feature (one feature of either serves all)."""
    found = products(a.indices, b.indices, a.wanted)
    channels = []
    for terms in found.values():
        total: Tensor | None = None
        for coefficient, i, j in terms:
            part = a.channels[i] * b.channels[j]
            if total is None:
                total = part if coefficient == 1 else coefficient * part
            else:
                total = torch.add(total, part, alpha=coefficient)
        assert total is not None
        channels.append(total)
    return Jet(channels, tuple(found), a.wanted)


def add(a: Jet, b: Jet) -> Jet:
    """a + b."""
    if a.indices == b.indices:
        return a.like(a.values + b.values)
    partials = [(a.partial(index), b.partial(index)) for index in union((a.indices, b.indices), a.wanted)]
    sums = [u + v if u is not None and v is not None else u if v is None else v for u, v in partials]
    return Jet([s for s in sums if s is not None], union((a.indices, b.indices), a.wanted), a.wanted)


def subtract(a: Jet, b: Jet) -> Jet:
    """a - b."""
    return add(a, scaled(b, -1.0))


def scaled(jet: Jet, factor: Tensor | float) -> Jet:
    """c u with c the same everywhere: a number, (feature), or a copy for each point (point, feature) of the tape's."""
    if jet.thin and not (isinstance(factor, Tensor) and factor.ndim > 1):
        value, *slopes = jet.channels
        return jet.like([value * factor, *((s[:1] * factor).expand_as(s) if _same(s) else s * factor for s in slopes)])
    return jet.like(jet.values * factor)


def _same(channel: Tensor) -> bool:
    """Whether it is stored once for all points."""
    return channel.stride(0) == 0


def shifted(jet: Jet, constant: Tensor | float) -> Jet:
    """u + c with c the same everywhere: a parameter (feature) is put on the tape where one is written."""
    if isinstance(constant, Tensor) and constant.requires_grad:
        constant = tape.copied(constant, jet.points)
    return jet.like([jet.channels[0] + constant, *jet.channels[1:]])


def concatenated(jets: Sequence[Jet]) -> Jet:
    """The features of several jets side by side."""
    if all(jet.indices == jets[0].indices for jet in jets):
        return jets[0].like(torch.cat([jet.values for jet in jets], -1))
    indices = union([jet.indices for jet in jets], jets[0].wanted)
    partials = [[jet.partial(index) for jet in jets] for index in indices]
    columns = [
        torch.cat([torch.zeros_like(jet.channels[0]) if p is None else p for p, jet in zip(row, jets, strict=True)], 1)
        for row in partials
    ]
    return Jet(columns, indices, jets[0].wanted)
