"""f(u) of all channels of a jet at once, with a gradient written by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pdesolve.fields.multi_index import Composition
from pdesolve.fields.smooth import Seed, Smooth

_BLOCK = 16_384  # values of one channel at once: some twenty channels and products of them in 1 to 2 MB


def composed(channels: Sequence[Tensor], plan: Composition, function: Smooth) -> list[Tensor]:
    """The channels of f(u), by operations that autograd and compilers see."""
    return _channels(channels, function(channels[0], plan.order), plan)


def _channels(z: Sequence[Tensor], f: Sequence[Tensor], plan: Composition) -> list[Tensor]:
    products = _Products(z)
    found = []
    for terms in plan.channels:
        total: Tensor | None = None
        for k in sorted({len(term.factors) for term in terms}):
            inner: Tensor | None = None
            for term in terms:
                if len(term.factors) == k > 0:
                    inner = products.add(inner, term.coefficient, term.factors)
            if inner is None:
                total = f[0]
            else:
                total = f[k] * inner if total is None else total + f[k] * inner
        assert total is not None
        found.append(total)
    return found


class _Products:
    """Products of channels, each made once."""

    def __init__(self, z: Sequence[Tensor]) -> None:
        self.z = z
        self.made: dict[tuple[int, ...], Tensor] = {}

    def __getitem__(self, factors: tuple[int, ...]) -> Tensor:
        if len(factors) == 1:
            return self.z[factors[0]]
        if factors not in self.made:
            self.made[factors] = self[factors[:-1]] * self.z[factors[-1]]
        return self.made[factors]

    def add(self, total: Tensor | None, coefficient: float, factors: tuple[int, ...]) -> Tensor:
        """total + coefficient times the product."""
        product = self[factors]
        if total is None:
            return product if coefficient == 1 else coefficient * product
        return torch.add(total, product, alpha=coefficient)


class Composed(torch.autograd.Function):
    """(channel, point, feature) -> (channel, point, feature), points in blocks. The gradient

        ∂L/∂u_β = Σ_α Σ_terms c g_α f⁽ᵏ⁾ ∂(u_β₁ ... u_βₖ)/∂u_β,    ∂L/∂u = Σ_α Σ_terms c g_α f⁽ᵏ⁺¹⁾ u_β₁ ... u_βₖ

    is itself made of operations that autograd sees, where it is differentiated.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, plan: Composition, function: Smooth, *seed: Tensor) -> Tensor:
        ctx.plan, ctx.function = plan, function
        out = z.new_empty((len(plan.channels), *z.shape[1:]))
        for rows in _blocks(z):
            f = function.derivatives(tuple(s[rows] for s in seed), plan.order)
            for channel, values in zip(out, _channels([c[rows] for c in z], f, plan), strict=True):
                channel[rows] = values
        ctx.save_for_backward(z, *seed)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (g,) = gradients
        z, *seed = ctx.saved_tensors
        plan, function = ctx.plan, ctx.function
        none = (None,) * (2 + len(seed))
        if torch.is_grad_enabled():
            # differentiated again: the seed as a function of z, which it was not while it was saved
            return torch.stack(_pulled(z.unbind(0), g.unbind(0), function.seed(z[0]), plan, function)), *none
        found = torch.empty_like(z)
        for rows in _blocks(z):
            parts = [c[rows] for c in z], [c[rows] for c in g], tuple(s[rows] for s in seed)
            for channel, values in zip(found, _pulled(*parts, plan, function), strict=True):
                channel[rows] = values
        return found, *none


def _blocks(z: Tensor) -> list[slice]:
    points = z.shape[1]
    if z.device.type != "cpu":
        return [slice(0, points)]
    some = max(1, _BLOCK // max(1, math.prod(z.shape[2:])))
    return [slice(start, min(start + some, points)) for start in range(0, points, some)]


def _pulled(z: Sequence[Tensor], g: Sequence[Tensor], seed: Seed, plan: Composition, function: Smooth) -> list[Tensor]:
    """The gradient in every channel of z."""
    f = function.derivatives(seed, plan.order + 1)
    products = _Products(z)
    totals: list[Tensor | None] = [None] * len(z)
    outer: list[Tensor | None] = [None] * (plan.order + 1)  # Σ c g_α u_β₁ ... u_βₖ for each k

    for terms, error in zip(plan.channels, g, strict=True):
        sloped: dict[int, Tensor] = {}  # g_α f⁽ᵏ⁾
        inner: dict[int, Tensor] = {}
        for term in terms:
            k = len(term.factors)
            if k == 0:
                outer[0] = error
                continue
            inner[k] = products.add(inner.get(k), term.coefficient, term.factors)
            if k not in sloped:
                sloped[k] = error * f[k]
            for beta in set(term.factors):
                others = list(term.factors)
                others.remove(beta)
                factor = term.coefficient * term.factors.count(beta)
                part = sloped[k] * products[tuple(others)] if others else sloped[k]
                before = totals[beta]
                if before is None:
                    totals[beta] = part if factor == 1 else factor * part
                else:
                    totals[beta] = torch.add(before, part, alpha=factor)
        for k, product in inner.items():
            before = outer[k]
            outer[k] = error * product if before is None else torch.addcmul(before, error, product)
    value: Tensor | None = None
    for k, part in enumerate(outer):
        if part is not None:
            value = part * f[k + 1] if value is None else torch.addcmul(value, part, f[k + 1])
    totals[0] = value if totals[0] is None else totals[0] + value
    return [torch.zeros_like(z[0]) if total is None else total for total in totals]
