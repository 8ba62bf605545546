"""Functions of tensors without the Python between their operations."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from pdesolve import fields

_FIELDS = str(Path(fields.__file__).parent)
_KEPT = 64  # traces, and compiled functions; torch never frees a trace
_TRACES: dict[Hashable, Callable[..., Tensor]] = {}
_COMPILED: dict[str, Any] = {}

Engine = Literal["traced", "compiled"]


def traced(function: Callable[..., Tensor], *examples: Tensor) -> Callable[..., Tensor]:
    """A faster copy of a function of tensors of these shapes, to be called where no gradients are wanted.

    The arithmetic of fields is Python, four fifths of the time of a step on a thousand points. The copy replays the
    operations alone and gives the same numbers, which is tried out on other values; a function that cannot be replayed,
    since it looks at values, comes back as it is. torch keeps every trace for good, a megabyte or so: trace what
    takes seconds, or keep the copy.
    """
    others = _others(examples)
    # torch.jit.trace is deprecated without a replacement that needs no compiler
    with torch.no_grad(), warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        try:
            copy: Any = torch.jit.trace(lambda *inputs: function(*inputs), examples, check_trace=False)
            same = all(_equal(copy(*inputs), function(*inputs)) for inputs in (examples, others))
        except (RuntimeError, AttributeError, TypeError, ValueError):
            return function
    # torch notes every tensor that Python looked into, since what followed from it is replayed as it was; our own
    # fields look at shapes alone, which stay what they are
    looked = [
        n for n in notes if issubclass(n.category, torch.jit.TracerWarning) and not n.filename.startswith(_FIELDS)
    ]
    return copy if same and not looked else function


def kept_trace(key: Hashable, function: Callable[..., Tensor], *examples: Tensor) -> Callable[..., Tensor]:
    """The traced function, or the trace that was made of one with the same key and shapes before.

    The key must tell functions apart but for the tensors that are their arguments.
    """
    key = key, tuple((tensor.shape, tensor.dtype, str(tensor.device)) for tensor in examples)
    if key not in _TRACES:
        while len(_TRACES) >= _KEPT:
            _TRACES.pop(next(iter(_TRACES)))
        _TRACES[key] = traced(function, *examples)
    return _TRACES[key]


def compiled(function: Callable[..., Tensor], *examples: Tensor) -> Callable[..., Tensor]:
    """A copy whose operations are joined into loops over memory by torch.compile: 3 to 6 times as fast as a traced one.

    It takes 5 to 10 s to make for each new function, shape and set of constants; those of before are known again. Where
    there is no compiler, or the function cannot be recorded, the traced copy comes back.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            graph: Any = make_fx(lambda *inputs: function(*inputs))(*examples)
            key = _fingerprint(graph, examples)
            copy = _COMPILED[key] if key in _COMPILED else torch.compile(graph, dynamic=False)
            if not all(_equal(copy(*inputs), function(*inputs)) for inputs in (examples, _others(examples))):
                return traced(function, *examples)
        except Exception:  # whatever a compiler may say
            return traced(function, *examples)
    _COMPILED[key] = copy
    if len(_COMPILED) > _KEPT:
        _COMPILED.pop(next(iter(_COMPILED)))
    return copy


class Replays:
    """Fast copies by one of the engines, each made once for a function and the shapes of its arguments."""

    def __init__(self, engine: Engine) -> None:
        self.make = {"traced": traced, "compiled": compiled}[engine]
        self._made: dict[Any, Callable[..., Tensor]] = {}

    def __call__(self, function: Callable[..., Tensor], *examples: Tensor) -> Callable[..., Tensor]:
        key = (function, *(example.shape for example in examples))
        if key not in self._made:
            self._made[key] = self.make(function, *examples)
        return self._made[key]


def _fingerprint(graph: Any, examples: tuple[Tensor, ...]) -> str:
    """What tells a recorded function from others: its operations, its constants, and what it is given."""
    digest = hashlib.sha256(graph.code.encode())
    digest.update(str([(e.shape, e.stride(), e.dtype, e.device) for e in examples]).encode())
    for name, constant in sorted({**dict(graph.named_buffers()), **_constants(graph)}.items()):
        digest.update(f"{name} {constant.shape} {constant.dtype}".encode())
        digest.update(constant.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _constants(graph: Any) -> dict[str, Tensor]:
    return {name: value for name, value in vars(graph).items() if isinstance(value, Tensor)}


def _others(examples: tuple[Tensor, ...]) -> list[Tensor]:
    """Other values of the same kind."""
    generator = torch.Generator().manual_seed(2)
    others = []
    for example in examples:
        noise = torch.rand(example.shape, generator=generator, dtype=torch.float64)
        noise = noise.to(device=example.device, dtype=example.real.dtype)
        others.append(example * (0.5 + noise) + 0.1 * noise)
    return others


def _equal(a: Tensor, b: Tensor) -> bool:
    """Equal but for the rounding of operations that were joined."""
    size = torch.nan_to_num(b.abs(), posinf=0.0).max()
    return torch.allclose(a, b, rtol=0.0, atol=1e-11 * float(size), equal_nan=True)
