"""How arrays are cut into chunks in files."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEAST, MOST = 2**16, 2**20  # bytes of a chunk


def chunks_for(shape: Sequence[int], itemsize: int, outer: int) -> tuple[int, ...] | None:
    """Chunks of 64 kB to 1 MB where that can be; None for an array that is smaller than one.

    One frame of one sample is a chunk; small frames go together, first those of a sample, and large ones are cut along
    the first axes of space. outer: how many of the dimensions come before space (sample and time).
    """
    if math.prod(shape) * itemsize <= LEAST:
        return None
    chunk = [*[1] * outer, *shape[outer:]]
    size = math.prod(chunk) * itemsize
    for i in range(outer, len(shape)):
        if size <= MOST:
            break
        chunk[i] = _balanced(shape[i], max(1, shape[i] // math.ceil(size / MOST)))
        size = math.prod(chunk) * itemsize
    for i in reversed(range(outer)):
        if size >= (LEAST if i == outer - 1 else LEAST // 2):
            break
        chunk[i] = _balanced(shape[i], min(shape[i], math.ceil(LEAST / size)))
        size = math.prod(chunk) * itemsize
    return tuple(chunk)


def aligned(*chunkings: Sequence[int] | None) -> tuple[int, ...] | None:
    """The least parts that are whole chunks of the first and hold a chunk of each of the others."""
    known = [chunks for chunks in chunkings if chunks is not None]
    if not known:
        return None
    return tuple(first * math.ceil(max(sizes) / first) for first, *sizes in zip(known[0], *known, strict=True))


def _balanced(size: int, part: int) -> int:
    """The least length that needs no more parts than `part` does."""
    return math.ceil(size / math.ceil(size / part))
