"""Memory that a training step frees and the next one takes again."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# numbers of glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_LARGEST_THRESHOLD = 32 << 20  # that malloc raises its own threshold to where tensors of that size are freed


@contextmanager
def kept_memory() -> Iterator[None]:
    """Inside the block memory that is freed stays with the process; behind it all that is free goes back.

    Else glibc gives that of large tensors back to the system in each step, which hands it out again page by page and
    zeroed: a tenth of a training step on a CPU. Where malloc is another one, nothing changes.
    """
    malloc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    if malloc is None or not (hasattr(malloc, "mallopt") and hasattr(malloc, "malloc_trim")):
        yield
        return
    malloc.mallopt(_MMAP_MAX, 0)
    malloc.mallopt(_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        malloc.mallopt(_MMAP_MAX, 1 << 16)
        malloc.mallopt(_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
        malloc.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_THRESHOLD)
        malloc.malloc_trim(0)
