"""The precision of a module's numbers."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

_M = TypeVar("_M", bound=nn.Module)
_COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}


def in_precision(module: _M, dtype: torch.dtype) -> _M:
    """The module with its numbers in a type: real ones in it, complex ones in that of its pairs.

    `Module.to` with a real type would leave out imaginary parts.
    """

    def cast(t: Tensor) -> Tensor:
        if t.is_complex():
            return t.to(_COMPLEX[dtype])
        return t.to(dtype) if t.is_floating_point() else t

    return module._apply(cast)
