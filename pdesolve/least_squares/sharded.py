"""Rows shared among processes: each linearises its own, every one does the same small solve."""

from __future__ import annotations

import torch
import torch.distributed as distributed
from torch import Tensor

from pdesolve.errors import Diverged
from pdesolve.least_squares.jacobian import Jacobian, compress
from pdesolve.least_squares.objective import Linearisation, Objective
from pdesolve.least_squares.strips import Block, Outer, Strip, StripJacobian


class Sharded(Objective):
    """The sum of the losses of all processes, whose rows together are the residual, in the order of the ranks.

    Vectors of rows are gathered, Jᵀw is all-reduced, so that a method takes the same step everywhere and nothing in it
    knows of processes. theta must be equal on all ranks.
    """

    def __init__(self, local: Objective) -> None:
        self.local = local

    @staticmethod
    def needed() -> bool:
        """Whether there are several processes."""
        return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1

    @staticmethod
    def total(count: int, device: torch.device) -> int:
        """The sum of the counts of all processes."""
        return int(torch.cat(gathered(torch.tensor([count], device=device))).sum())

    def loss(self, theta: Tensor) -> Tensor:
        total = self.local.loss(theta).clone()
        distributed.all_reduce(total)
        return total

    def values(self, theta: Tensor) -> Tensor:
        return torch.cat(gathered(self.local.values(theta)), -1)

    def linearise(self, theta: Tensor) -> Linearisation:
        here = self._everywhere(theta)
        loss, gradient = here.loss.clone(), here.gradient.clone()
        distributed.all_reduce(loss)
        distributed.all_reduce(gradient)
        residual = None if here.residual is None else torch.cat(gathered(here.residual), -1)
        return Linearisation(loss, gradient, ShardedJacobian(here.jacobian, here.loss), residual)

    def _everywhere(self, theta: Tensor) -> Linearisation:
        """This process's linearisation; rows of any process that are not finite end it on all of them."""
        here, message = None, ""
        try:
            here = self.local.linearise(theta)
        except Diverged as error:
            message = str(error)
        messages = [""] * distributed.get_world_size()
        distributed.all_gather_object(messages, message)
        if here is None or any(messages):
            raise Diverged(next(text for text in messages if text))
        return here


class ShardedJacobian(Jacobian):
    """The rows of all processes below one another; each holds its own."""

    def __init__(self, local: Jacobian, like: Tensor) -> None:
        counts = gathered(torch.tensor([local.rows], device=like.device))
        sizes = [int(count) for count in counts]
        rank = distributed.get_rank()
        self._local, self._own = local, slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
        self._starts = [sum(sizes[:k]) for k in range(len(sizes))]
        self.rows, self.parameters = sum(sizes), local.parameters

    def times(self, v: Tensor) -> Tensor:
        return torch.cat(gathered(self._local.times(v)), -1)

    def transposed(self, w: Tensor) -> Tensor:
        product = self._local.transposed(w[..., self._own].contiguous()).contiguous()
        distributed.all_reduce(product)
        return product

    def dense(self) -> Tensor:
        return torch.cat([part.mT for part in gathered(self._local.dense().mT)], -2)

    def columns(self, index: Tensor) -> Tensor:
        return torch.cat([part.mT for part in gathered(self._local.columns(index).mT)], -2)

    def compressed(self, r: Tensor) -> tuple[Tensor, Tensor]:
        """QR of the triangles of all processes (no JᵀJ, which would square the condition number)."""
        matrix, c = compress(self._local.dense(), r[..., self._own])
        system = torch.cat([matrix, c[..., None]], -1)
        joined = torch.cat([part.mT for part in gathered(system.mT)], -2)
        return compress(joined[..., :-1], joined[..., -1])

    def gram(self) -> Tensor:
        """Each process sums the blocks of J Jᵀ that its share of the parameter tensors gives; then all-reduce."""
        if not isinstance(self._local, StripJacobian):
            joined = self.dense()
            return joined @ joined.mT
        share = StripJacobian(self._gathered_strips(self._local), self.rows, self.parameters, self._local.like)
        gram = share.gram()
        distributed.all_reduce(gram)
        return gram

    def _gathered_strips(self, local: StripJacobian) -> list[Strip]:
        """The strips of every process for some of the parameter tensors: activations and errors travel, not J."""
        plans: list[list[tuple[int, int, int, int]] | None] = [None] * distributed.get_world_size()
        own = [(s.rows.start, s.rows.stop, s.columns.start, s.columns.stop) for s in local.strips]
        distributed.all_gather_object(plans, own)
        tensors = sorted({start for plan in plans for _, _, start, _ in plan or []})
        mine = set(tensors[distributed.get_rank() :: distributed.get_world_size()])
        strips = []
        most = max(len(plan or []) for plan in plans)
        for k in range(most):  # the same number of exchanges everywhere
            content = local.strips[k].content if k < len(local.strips) else None
            for rank, plan in enumerate(plans):
                if plan is None or k >= len(plan):
                    continue
                there = _sent(content if rank == distributed.get_rank() else None, rank, local.like)
                start, stop, first, last = plan[k]
                if first in mine:
                    offset = self._starts[rank]
                    strips.append(Strip(slice(offset + start, offset + stop), slice(first, last), there))
        return strips


def gathered(part: Tensor) -> list[Tensor]:
    """The tensors of all processes, which may differ in their last dimension."""
    world = distributed.get_world_size()
    size = torch.tensor([part.shape[-1]], device=part.device)
    sizes = [torch.zeros_like(size) for _ in range(world)]
    distributed.all_gather(sizes, size)
    longest = int(torch.cat(sizes).max())
    padded = torch.nn.functional.pad(part, (0, longest - part.shape[-1])).contiguous()
    parts = [torch.empty_like(padded) for _ in range(world)]
    distributed.all_gather(parts, padded)
    return [p[..., : int(n)] for p, n in zip(parts, sizes, strict=True)]


def _sent(content: Outer | Block | None, rank: int, like: Tensor) -> Outer | Block:
    """The content of one process on all of them."""
    tensors = (
        () if content is None else (content.matrix,) if isinstance(content, Block) else (content.errors, content.inputs)
    )
    shapes: list[list[tuple[int, ...]]] = [[tuple(t.shape) for t in tensors]]
    distributed.broadcast_object_list(shapes, rank)
    received = []
    for k, shape in enumerate(shapes[0]):
        tensor = tensors[k].contiguous() if content is not None else like.new_empty(shape)
        distributed.broadcast(tensor, rank)
        received.append(tensor)
    return Block(*received) if len(received) == 1 else Outer(*received)
