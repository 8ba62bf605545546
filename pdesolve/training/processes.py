"""Runs of several processes, as torchrun starts them: each has its share of points, the first speaks and writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as distributed

T = TypeVar("T")


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Inside the block the processes that torchrun started work together; nothing where there is one.

    All have begun when the block does. A group that is there already is used.
    """
    if not distributed.is_available() or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield
        return
    own = not distributed.is_initialized()
    if own:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    distributed.barrier()
    try:
        yield
    finally:
        if own:
            distributed.destroy_process_group()


def place() -> tuple[int, int]:
    """The number of this process and how many there are."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def leads() -> bool:
    """Whether this is the first process."""
    return place()[0] == 0


def agreed(value: T) -> T:
    """The first process's value, on all of them: for all that clocks and files decide."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    values = [value]
    distributed.broadcast_object_list(values, 0)
    return values[0]


def own(count: int) -> slice:
    """Which of so many points are this process's."""
    number, processes = place() if distributed.is_available() and distributed.is_initialized() else (0, 1)
    return slice(count * number // processes, count * (number + 1) // processes)
