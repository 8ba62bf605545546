"""Runs of several processes, as torchrun starts them: each has its share of points, the first speaks and writes."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as distributed

from pdesolve.errors import BAD_INPUT, Diverged, InputError, Stopped

T = TypeVar("T")
_LOST = re.compile(r"(?i)by peer|gloo|nccl|broken pipe|socket|connection")  # in what torch says of a lost process
_APART = 0.2  # seconds between two agreements


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Inside the block the processes that torchrun started work together; nothing where there is one.

    All have begun when the block does. A group that is there already is used.
    """
    if not distributed.is_available() or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield
        return
    if distributed.is_initialized():
        distributed.barrier()
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    store, number, count = next(distributed.rendezvous("env://"))
    # what is no tensor goes by gloo, so that a GPU need not wait for it
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, store=store, rank=number, world_size=count)
    distributed.barrier()
    try:
        yield
    except (InputError, RuntimeError) as error:
        lost = not isinstance(error, InputError)
        if lost and (isinstance(error, Diverged) or not _LOST.search(str(error))):
            raise
        said = "another process of this run has ended: see its own message, then pdesolve resume RUN" if lost else error
        if not _first_to_speak(store):
            raise SystemExit(BAD_INPUT) from None
        raise Stopped(str(said)) from error
    finally:
        distributed.destroy_process_group()


def _first_to_speak(store: distributed.Store) -> bool:
    """Whether no other process has said why the run ends."""
    try:
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        return store.add(f"pdesolve/stopped/{attempt}", 1) == 1
    except RuntimeError:  # the process that kept it is the one that has ended
        return True


def together() -> bool:
    """Whether several processes work together now."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


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


class Pace:
    """How often processes agree on what their clocks and signals say: five times a second, since all wait for all."""

    def __init__(self) -> None:
        self._steps, self._each, self._began = 0, 1, time.perf_counter()

    def due(self) -> bool:
        """Whether it is time to, asked once in a step: the same on all processes, and always so where there is one."""
        self._steps += 1
        return self._steps >= self._each

    def agreed(
        self, reason: str, came: BaseException | None, look: bool, store: bool
    ) -> tuple[str, BaseException | None, bool, bool]:
        """What the first process says: a reason to stop, whether to look, whether to store; and the interrupt that came
        to any of them."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return reason, came, look, store
        each = int(_APART * self._steps / (time.perf_counter() - self._began + 1e-9))
        each = max(1, min(each, 4 * self._each))  # the first steps are slower than the others
        found: list[Any] = [None] * distributed.get_world_size()
        distributed.all_gather_object(found, (reason, came, look, store, each))
        reason, _, look, store, self._each = found[0]
        self._steps, self._began = 0, time.perf_counter()
        return reason, next((said[1] for said in found if said[1] is not None), None), look, store


def own(count: int) -> slice:
    """Which of so many points are this process's."""
    number, processes = place() if distributed.is_available() and distributed.is_initialized() else (0, 1)
    return slice(count * number // processes, count * (number + 1) // processes)
