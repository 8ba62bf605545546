"""Sums and maxima over all processes of a run: what statistics of sharded points are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as distributed
from torch import Tensor

from pdesolve.data.batch import Batch
from pdesolve.least_squares.sharded import Sharded


def total(values: Tensor) -> Tensor:
    """The sum over processes; the values themselves where there is one."""
    return _reduced(values, distributed.ReduceOp.SUM) if Sharded.needed() else values


def total_gradients(parameters: Sequence[Tensor]) -> None:
    """Sum the gradients of parameters over processes, in place and all at once."""
    found = [p.grad for p in parameters if p.grad is not None]
    if Sharded.needed() and found:
        joined = total(torch.cat([gradient.flatten() for gradient in found]))
        for gradient, part in zip(found, joined.split([g.numel() for g in found]), strict=True):
            gradient.copy_(part.view_as(gradient))


def mean(values: Tensor) -> Tensor:
    """The mean over processes; the values themselves where there is one."""
    return _reduced(values, distributed.ReduceOp.SUM) / distributed.get_world_size() if Sharded.needed() else values


def batch_mean(values: Tensor, batch: Batch) -> Tensor:
    """The mean of values (sample,), which bear no gradient, over the batch that all processes have together."""
    return total(values.sum()) / batch.whole if batch.whole and Sharded.needed() else values.mean()


def differentiable_mean(values: Tensor) -> Tensor:
    """The mean of values (sample, ...) over the samples of all processes, for gradients too.

    ∂(sum over processes)/∂(one's part) is one on each, so that gradients are added up as the values are.
    """
    if not Sharded.needed():
        return values.mean(0)
    from torch.distributed.nn.functional import all_reduce

    count = values.new_full((1,), len(values))
    joined = torch.cat([values.sum(0).flatten(), count])
    joined = all_reduce(joined)
    return (joined[:-1] / joined[-1]).view(values.shape[1:])


def largest(values: Tensor) -> Tensor:
    """The largest over processes; the values themselves where there is one."""
    return _reduced(values, distributed.ReduceOp.MAX) if Sharded.needed() else values


def _reduced(values: Tensor, operation: distributed.ReduceOp.RedOpType) -> Tensor:
    values = values.detach().clone().contiguous()
    distributed.all_reduce(values, op=operation)
    return values
