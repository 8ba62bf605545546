"""Engines: how a network is evaluated on jets, from the first call at once to compiled as a whole."""

from __future__ import annotations

import os
import shutil
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import torch
import torch._functorch.config as functorch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pdesolve.fields import kernels
from pdesolve.fields.jets import Jet
from pdesolve.fields.multi_index import Channel
from pdesolve.fields.propagation import outputs
from pdesolve.least_squares import tape

_CACHED = 2**21  # bytes of the channels between two layers that stay in a CPU's cache, measured: 1 to 3 MiB alike
_SHARE = 0.2  # of a GPU's free memory, for what one chunk keeps for its gradient

Function = Callable[[Tensor], Tensor]
# the channels of the points, all that are wanted, and what is asked for at the end
Carried = tuple[tuple[Channel, ...], tuple[Channel, ...], tuple[Channel, ...]]


class Engine(ABC):
    """The jet of a network's outputs from the jet of its points, some points at a time.

    On a tape all points go at once.
    """

    def __call__(self, function: Function, jet: Jet) -> Jet:
        if tape.active():
            return self.taped(function, jet)
        some = points_at_once(function, jet)
        if jet.points <= some:
            return self.run(function, jet)
        chunks = jet.split(some)
        if jet.channels[0].device.type == "cpu" or not torch.is_grad_enabled():
            parts = [self.run(function, chunk) for chunk in chunks]
        else:  # memory is what counts: nothing of a chunk is kept for its gradient, which makes it again
            parts = [self._again(function, chunk) for chunk in chunks]
        return parts[0].like(torch.cat([part.values for part in parts], 1))

    def _again(self, function: Function, jet: Jet) -> Jet:
        found: list[Jet] = []

        def channels(values: Tensor) -> tuple[Tensor, ...]:
            out = self.run(function, jet.like(values))
            found.append(Jet((), out.indices, out.wanted))
            return out.channels

        content: Any = checkpoint(channels, jet.values, use_reentrant=False, preserve_rng_state=False)
        return found[0].like(content)

    @abstractmethod
    def run(self, function: Function, jet: Jet) -> Jet:
        """One chunk."""

    def taped(self, function: Function, jet: Jet) -> Jet:
        """All points, layer by layer, as a tape needs them."""
        return self.run(function, jet)


def points_at_once(function: Function, jet: Jet) -> int:
    """How many points a chunk has."""
    value = jet.channels[0]
    layers = [p.shape for p in function.parameters() if p.ndim == 2] if isinstance(function, nn.Module) else []
    width = max((max(shape) for shape in layers), default=64)
    each = max(1, len(jet.wanted) * width * value.element_size())
    if value.device.type == "cpu":
        return max(64, _CACHED // each)
    if value.device.type != "cuda":
        return 65_536
    free, _ = torch.cuda.mem_get_info(value.device)
    reserved = torch.cuda.memory_reserved(value.device) - torch.cuda.memory_allocated(value.device)
    # each layer keeps its input, what its activation saw, and what that is a polynomial in
    return max(1024, int(_SHARE * (free + reserved)) // (3 * each * max(1, len(layers))))


class Eager(Engine):
    """Operation by operation: no time to start."""

    def run(self, function: Function, jet: Jet) -> Jet:
        return outputs(function, jet)


class Fused(Engine):
    """Activations of all channels fused by torch.compile, two kernels for each kind, on a tape too.

    1.7 to 1.9 times the bare matrix products, 5 to 14 CPU seconds to start (measured: 4 layers of 64, float32).
    """

    def __init__(self) -> None:
        self.kernel = kernels.Fused()

    def run(self, function: Function, jet: Jet) -> Jet:
        with kernels.using(self.kernel):
            return outputs(function, jet)


class Whole(Engine):
    """The network and its gradient as a whole by torch.compile: 1.3 to 1.5 times the bare matrix products.

    10 to 17 CPU seconds to start, 2 where its code is still on disk, against 2.5 to 3.4 times the products eager: it
    pays where more than some 40 seconds of such steps follow. On a tape activations only are fused.

    Networks that no compiler can trace (a layer without a rule) are run with fused activations instead, with a warning.
    Gradients of gradients in the parameters need another engine: a compiled backward pass is not differentiable.
    """

    def __init__(self) -> None:
        # buffers that a backward pass reuses would refuse a second one of the same graph: each loss term has its own
        functorch.donated_buffer = False
        self.fused = Fused()
        self.made: dict[tuple[nn.Module, Carried], Callable[[Tensor], Tensor] | None] = {}
        self.found: dict[tuple[nn.Module, Carried], Jet] = {}  # its channels, without their values

    def run(self, function: Function, jet: Jet) -> Jet:
        if not isinstance(function, nn.Module):
            return self.fused.run(function, jet)
        key = function, (jet.indices, jet.wanted, jet.asked)
        values = jet.values.contiguous()
        if key not in self.made:
            return self._first(key, jet.like(values))
        compiled = self.made[key]
        if compiled is None:
            return self.fused.run(function, jet)
        return self.found[key].like(compiled(values))

    def taped(self, function: Function, jet: Jet) -> Jet:
        return self.fused.run(function, jet)

    def _first(self, key: tuple[nn.Module, Carried], jet: Jet) -> Jet:
        function, (indices, wanted, asked) = key
        with torch.no_grad():  # what is refused is refused here, and what vanishes is found
            found = outputs(function, jet.like(jet.values[:, :2]))
            self.found[key] = Jet((), found.indices, found.wanted)

        def run(values: Tensor) -> Tensor:
            return outputs(function, Jet(values, indices, wanted, asked)).values

        compiled = torch.compile(run, fullgraph=True, dynamic=True)
        try:
            with warnings.catch_warnings():  # plans are made by cached functions, which depend on their arguments alone
                warnings.filterwarnings("ignore", message=".*lru_cache")
                out = self.found[key].like(compiled(jet.values))
        except Exception as error:  # whatever a compiler has to say
            reason = f"{type(function).__name__} ({type(error).__name__})"
            warnings.warn(f"torch.compile gave up on {reason}: its activations only are compiled", stacklevel=4)
            self.made[key] = None
            return self.fused.run(function, jet)
        self.made[key] = compiled
        return out


def engine(name: Literal["eager", "fused", "whole"], device: torch.device | str = "cpu") -> Engine:
    """The engine of this name, or the eager one where there is no compiler for the device: one line says so."""
    if name != "eager" and torch.device(device).type == "cpu" and not _compiler():
        warnings.warn("no C++ compiler: derivatives of networks run eager, at about half the speed", stacklevel=2)
        return Eager()
    return {"eager": Eager, "fused": Fused, "whole": Whole}[name]()


@lru_cache(maxsize=1)
def _compiler() -> bool:
    """Whether there is a C++ compiler that torch.compile would call."""
    names = (os.environ.get("CXX"), "g++", "clang++", "c++", "cl")
    return any(name and shutil.which(name) for name in names)
