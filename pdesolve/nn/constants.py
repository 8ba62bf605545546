"""Matrices that depend on sizes alone, made once for each dtype and device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_KEPT = 512
_constants: dict[tuple, Tensor] = {}


def constant(like: Tensor, make: Callable[..., Tensor], arguments: tuple) -> Tensor:
    """A tensor that `make` makes of hashable arguments in float64, in the dtype and on the device of `like`.

    It is kept, but not while something traces that has its own tensors.
    """
    traced = type(like) is not Tensor or torch.compiler.is_compiling()
    key = (make, arguments, like.dtype, like.device)
    if not traced and key in _constants:
        return _constants[key]
    with torch.inference_mode(False):
        made = make(*arguments).to(dtype=like.dtype, device=like.device)
    if not traced:
        if len(_constants) >= _KEPT:
            _constants.clear()
        _constants[key] = made
    return made
