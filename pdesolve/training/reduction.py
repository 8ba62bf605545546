"""Sums and maxima over all processes of a run: what statistics of sharded points are made of."""

from __future__ import annotations

import torch.distributed as distributed
from torch import Tensor

from pdesolve.least_squares.sharded import Sharded


def total(values: Tensor) -> Tensor:
    """The sum over processes; the values themselves where there is one."""
    return _reduced(values, distributed.ReduceOp.SUM) if Sharded.needed() else values


def largest(values: Tensor) -> Tensor:
    """The largest over processes; the values themselves where there is one."""
    return _reduced(values, distributed.ReduceOp.MAX) if Sharded.needed() else values


def _reduced(values: Tensor, operation: distributed.ReduceOp.RedOpType) -> Tensor:
    values = values.detach().clone().contiguous()
    distributed.all_reduce(values, op=operation)
    return values
