"""Kernels that compute f(u) of all channels of a jet: in blocks that stay in the cache, or fused by a compiler."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

import torch
from torch import Tensor

from pdesolve.fields.composition import Products, composed, pulled
from pdesolve.fields.multi_index import Composition
from pdesolve.fields.smooth import Seed, Smooth

_BLOCK = 65_536  # values of one channel at once, measured: what costs a call against what leaves the cache


class Kernel(ABC):
    """Both passes of f(u), of tensors (channel, point, feature); nothing here is seen by autograd."""

    @abstractmethod
    def forward(self, z: Tensor, plan: Composition, function: Smooth) -> tuple[Tensor, Seed]:
        """The channels of f(u), and what its derivatives are polynomials in."""

    @abstractmethod
    def backward(self, z: Tensor, g: Tensor, seed: Seed, plan: Composition, function: Smooth) -> Tensor:
        """The gradient in the channels of u from that in the channels of f(u)."""


class Blocks(Kernel):
    """Operations of torch one by one, on so many points at once that their results stay in the cache."""

    def forward(self, z: Tensor, plan: Composition, function: Smooth) -> tuple[Tensor, Seed]:
        out = z.new_empty((len(plan.channels), *z.shape[1:]))
        seeds = []
        for rows in _blocks(z):
            seeds.append(function.seed(z[0, rows]))
            f = function.derivatives(seeds[-1], plan.order)
            if plan.aligned:
                _compose_into(out[:, rows], z[:, rows], f, plan)
            else:
                _put(composed(z[:, rows].unbind(0), f, plan), out[:, rows])
        return out, tuple(parts[0] if len(parts) == 1 else torch.cat(parts) for parts in zip(*seeds, strict=True))

    def backward(self, z: Tensor, g: Tensor, seed: Seed, plan: Composition, function: Smooth) -> Tensor:
        found = torch.empty_like(z)
        for rows in _blocks(z):
            f = function.derivatives(tuple(s[rows] for s in seed), plan.order + 1)
            if plan.aligned:
                _pull_into(found[:, rows], z[:, rows], g[:, rows], f, plan)
            else:
                _put(pulled(z[:, rows].unbind(0), g[:, rows].unbind(0), f, plan), found[:, rows])
        return found


def _put(channels: list[Tensor], out: Tensor) -> None:
    for place, values in zip(out.unbind(0), channels, strict=True):
        place.copy_(values)


def _compose_into(out: Tensor, z: Tensor, f: Sequence[Tensor], plan: Composition) -> None:
    """What `composed` gives, in place: the terms f'(u) D^αu of all channels are one operation."""
    out[0].copy_(f[0])
    if plan.inputs > 1:
        torch.mul(z[1:], f[1], out=out[1 : plan.inputs])
    products = Products(z.unbind(0))
    for i, (place, terms) in enumerate(zip(out.unbind(0), plan.channels, strict=True)):
        begun = i < plan.inputs
        for k, part in products.sums(terms, least=2).items():
            if begun:
                place.addcmul_(f[k], part)
            else:
                torch.mul(f[k], part, out=place)
                begun = True


def _pull_into(found: Tensor, z: Tensor, g: Tensor, f: Sequence[Tensor], plan: Composition) -> None:
    """What `pulled` gives, in place."""
    torch.mul(g[: plan.inputs], f[1], out=found)
    products, places, errors = Products(z.unbind(0)), found.unbind(0), g.unbind(0)
    outer: dict[int, Tensor] = {}
    for i in range(1, plan.inputs):
        outer[1] = outer[1].addcmul_(errors[i], z[i]) if 1 in outer else errors[i] * z[i]
    for error, terms in zip(errors, plan.channels, strict=True):
        sloped: dict[int, Tensor] = {}
        for term in terms:
            k = len(term.factors)
            if k < 2:
                continue
            if k not in sloped:
                sloped[k] = error * f[k]
            for beta in sorted(set(term.factors)):
                others, factor = term.without(beta)
                places[beta].addcmul_(sloped[k], products[others], value=factor)
        for k, part in products.sums(terms, least=2).items():
            outer[k] = outer[k].addcmul_(error, part) if k in outer else error * part
    for k, part in outer.items():
        places[0].addcmul_(part, f[k + 1])


def _blocks(z: Tensor) -> list[slice]:
    points = z.shape[1]
    if z.device.type != "cpu":
        return [slice(0, points)]
    some = max(1, _BLOCK // max(1, math.prod(z.shape[2:])))
    return [slice(start, min(start + some, points)) for start in range(0, points, some)] or [slice(0, 0)]


class Fused(Kernel):
    """One loop over memory for all channels, made by torch.compile once for each function and set of channels.

    On a CPU: each takes some 2 s of CPU time to make, the first on a machine 10 s more; they are kept on disk.
    """

    def forward(self, z: Tensor, plan: Composition, function: Smooth) -> tuple[Tensor, Seed]:
        out, seed = _forward(plan, function)(z.flatten(1))
        return out.view(-1, *z.shape[1:]), seed

    def backward(self, z: Tensor, g: Tensor, seed: Seed, plan: Composition, function: Smooth) -> Tensor:
        return _backward(plan, function)(z.flatten(1), g.flatten(1), seed).view(z.shape)


@lru_cache(maxsize=256)
def _forward(plan: Composition, function: Smooth) -> Callable[[Tensor], tuple[Tensor, Seed]]:
    def kernel(z: Tensor) -> tuple[Tensor, Seed]:
        channels = z.unbind(0)
        seed = function.seed(channels[0])
        return torch.stack(composed(channels, function.derivatives(seed, plan.order), plan)), seed

    return torch.compile(kernel, fullgraph=True, dynamic=True)


@lru_cache(maxsize=256)
def _backward(plan: Composition, function: Smooth) -> Callable[[Tensor, Tensor, Seed], Tensor]:
    def kernel(z: Tensor, g: Tensor, seed: Seed) -> Tensor:
        return torch.stack(pulled(z.unbind(0), g.unbind(0), function.derivatives(seed, plan.order + 1), plan))

    return torch.compile(kernel, fullgraph=True, dynamic=True)


BLOCKS = Blocks()
_current: ContextVar[Kernel] = ContextVar("kernel", default=BLOCKS)


def current() -> Kernel:
    """The kernels that compositions use now."""
    return _current.get()


@contextmanager
def using(kernel: Kernel) -> Iterator[None]:
    """Use these kernels inside the block; backward passes use those of their forward pass."""
    before = _current.set(kernel)
    try:
        yield
    finally:
        _current.reset(before)
