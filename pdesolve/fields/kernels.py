"""Kernels that compute f(u) of all channels of a jet: in blocks that stay in the cache, or fused by a compiler."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

import torch
from torch import Tensor

from pdesolve.fields.composition import composed, pulled
from pdesolve.fields.multi_index import Composition
from pdesolve.fields.smooth import Seed, Smooth

_BLOCK = 32_768  # values of one channel at once: some ten of them in 1 MB


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
            _put(composed(z[:, rows].unbind(0), f, plan), out[:, rows])
        return out, tuple(parts[0] if len(parts) == 1 else torch.cat(parts) for parts in zip(*seeds, strict=True))

    def backward(self, z: Tensor, g: Tensor, seed: Seed, plan: Composition, function: Smooth) -> Tensor:
        found = torch.empty_like(z)
        for rows in _blocks(z):
            f = function.derivatives(tuple(s[rows] for s in seed), plan.order + 1)
            _put(pulled(z[:, rows].unbind(0), g[:, rows].unbind(0), f, plan), found[:, rows])
        return found


def _put(channels: list[Tensor], out: Tensor) -> None:
    for place, values in zip(out.unbind(0), channels, strict=True):
        place.copy_(values)


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
