"""Tensors of different shapes and types in one piece of memory, which goes to another process or device as one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

_ALIGNED = 64  # bytes: any type may begin there


@dataclass(frozen=True)
class Flat:
    """The places of named tensors, of a shape and a type each, in a piece of memory."""

    tensors: Mapping[str, tuple[tuple[int, ...], torch.dtype]]

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        places, end = {}, 0
        for name, (shape, dtype) in self.tensors.items():
            size = math.prod(shape) * dtype.itemsize
            places[name] = (end, end + size)
            end += -(-size // _ALIGNED) * _ALIGNED
        return places

    @property
    def nbytes(self) -> int:
        """How large the memory must be."""
        end = max((stop for _, stop in self._places.values()), default=0)
        return -(-end // _ALIGNED) * _ALIGNED

    def views(self, memory: Tensor) -> dict[str, Tensor]:
        """The tensors in (nbytes,) bytes."""
        found = {}
        for name, (shape, dtype) in self.tensors.items():
            begin, end = self._places[name]
            found[name] = memory[begin:end].view(dtype).view(shape)
        return found
