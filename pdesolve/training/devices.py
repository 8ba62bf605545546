"""Devices, precisions and threads."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pdesolve.errors import InputError, unknown_name

_DTYPES = {"float32": torch.float32, "float64": torch.float64}
_VALUES_PER_THREAD = 250_000  # below this an operation is over before a second thread has woken up


def find_device(name: str) -> torch.device:
    """The device of a name; "auto" is the first GPU where there is one, else the CPU.

    Raises:
        InputError: no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:  # torchrun's processes have a GPU each
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device = torch.device(name)
        if device.type != "cuda":
            torch.zeros(1, device=device).tolist()  # torch knows devices that it cannot use here or that hold no values
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InputError(f"a device is auto, cpu, cuda or cuda:1, got {name!r}") from None
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise InputError(f"device {name!r} is not here: torch sees {torch.cuda.device_count()} CUDA devices; try auto")
    return device


def find_dtype(name: str) -> torch.dtype:
    """float32 or float64 by name."""
    if name not in _DTYPES:
        raise unknown_name("dtype", name, _DTYPES)
    return _DTYPES[name]


def threads_for(operation_size: int) -> int:
    """CPU threads that pay for operations on that many values: one for small networks, never more than the cores.

    Small operations get slower with more threads, badly so on a busy machine.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores //= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's processes share them
    return max(1, min(cores, operation_size // _VALUES_PER_THREAD))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Use that many CPU threads inside the block."""
    if count < 1:
        raise InputError(f"at least one thread is needed, got {count}")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def peak_bytes(device: torch.device) -> int:
    """The most memory used so far: of the process, or on a GPU of torch's allocator; 0 where no system call tells."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
