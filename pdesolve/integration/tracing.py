"""Functions of tensors without the Python between their operations."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pdesolve import fields

_FIELDS = str(Path(fields.__file__).parent)
_KEPT = 64  # traces; torch never frees one
_TRACES: dict[Hashable, Callable[..., Tensor]] = {}


def traced(function: Callable[..., Tensor], *examples: Tensor) -> Callable[..., Tensor]:
    """A faster copy of a function of tensors of these shapes, to be called where no gradients are wanted.

    The arithmetic of fields is Python, four fifths of the time of a step on a thousand points. The copy replays the
    operations alone and gives the same numbers, which is tried out on other values; a function that cannot be replayed,
    since it looks at values, comes back as it is. torch keeps every trace for good, a megabyte or so: trace what
    takes seconds, or keep the copy.
    """
    generator = torch.Generator().manual_seed(2)
    others = []
    for example in examples:
        noise = torch.rand(example.shape, generator=generator, dtype=torch.float64)
        noise = noise.to(device=example.device, dtype=example.real.dtype)
        others.append(example * (0.5 + noise) + 0.1 * noise)
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


def _equal(a: Tensor, b: Tensor) -> bool:
    """Equal but for the rounding of operations that were joined."""
    size = torch.nan_to_num(b.abs(), posinf=0.0).max()
    return torch.allclose(a, b, rtol=0.0, atol=1e-11 * float(size), equal_nan=True)
