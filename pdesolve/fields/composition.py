"""f(u) of all channels of a jet at once, with a gradient written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pdesolve.fields.multi_index import Composition, Term
from pdesolve.fields.smooth import Smooth


def composed(z: Sequence[Tensor], f: Sequence[Tensor], plan: Composition) -> list[Tensor]:
    """The channels of f(u) from those of u and f, f', ... at u."""
    products = Products(z)
    found = []
    for terms in plan.channels:
        total = None if terms[0].factors else f[0]
        for k, part in products.sums(terms).items():
            total = f[k] * part if total is None else torch.addcmul(total, f[k], part)
        assert total is not None
        found.append(total)
    return found


def pulled(z: Sequence[Tensor], g: Sequence[Tensor], f: Sequence[Tensor], plan: Composition) -> list[Tensor]:
    """The gradient in every channel of u, from that in the channels of f(u) and from f, f', ..., one order more:

    ∂L/∂u_β = Σ_α Σ_terms c g_α f⁽ᵏ⁾ ∂(u_β₁ ... u_βₖ)/∂u_β,    ∂L/∂u = Σ_α Σ_terms c g_α f⁽ᵏ⁺¹⁾ u_β₁ ... u_βₖ
    """
    products = Products(z)
    totals: list[Tensor | None] = [None] * len(z)
    outer: dict[int, Tensor] = {}  # Σ_α c g_α u_β₁ ... u_βₖ for each k
    for terms, error in zip(plan.channels, g, strict=True):
        sloped: dict[int, Tensor] = {}  # g_α f⁽ᵏ⁾
        for term in terms:
            k = len(term.factors)
            if k == 0:
                outer[0] = error
                continue
            if k not in sloped:
                sloped[k] = error * f[k]
            for beta in sorted(set(term.factors)):
                others, factor = term.without(beta)
                before = totals[beta]
                if not others:
                    totals[beta] = _plus(before, sloped[k], factor)
                elif before is None:
                    totals[beta] = _plus(None, sloped[k] * products[others], factor)
                else:
                    totals[beta] = torch.addcmul(before, sloped[k], products[others], value=factor)
        for k, part in products.sums(terms).items():
            outer[k] = torch.addcmul(outer[k], error, part) if k in outer else error * part
    value = totals[0]
    for k, part in outer.items():
        value = part * f[k + 1] if value is None else torch.addcmul(value, part, f[k + 1])
    totals[0] = value
    return [torch.zeros_like(z[0]) if total is None else total for total in totals]


def _plus(total: Tensor | None, part: Tensor, factor: float) -> Tensor:
    if total is None:
        return part if factor == 1 else factor * part
    return torch.add(total, part, alpha=factor)


class Products:
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

    def sums(self, terms: Sequence[Term], *, least: int = 1) -> dict[int, Tensor]:
        """Σ c u_β₁ ... u_βₖ over the terms of each k, from `least` on."""
        found: dict[int, Tensor] = {}
        for term in terms:
            k = len(term.factors)
            if k >= least:
                found[k] = _plus(found.get(k), self[term.factors], term.coefficient)
        return found


class Composed(torch.autograd.Function):
    """(channel, point, feature) -> (channel, point, feature) by a kernel; differentiable again."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, plan: Composition, function: Smooth, kernel: Any) -> Tensor:
        ctx.plan, ctx.function, ctx.kernel = plan, function, kernel
        out, seed = kernel.forward(z, plan, function)
        ctx.save_for_backward(z, *seed)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (g,) = gradients
        z, *seed = ctx.saved_tensors
        if torch.is_grad_enabled():
            # differentiated again: the derivatives as functions of z, which those saved are not
            f = ctx.function(z[0], ctx.plan.order + 1)
            found = torch.stack(pulled(z.unbind(0), g.unbind(0), f, ctx.plan))
        else:
            found = ctx.kernel.backward(z, g, tuple(seed), ctx.plan, ctx.function)
        return found, None, None, None
