"""Variables read piece by piece, so that no file is too large to be looked through."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from pdesolve.data.arrays import Slices
from pdesolve.data.dataset import Variable

BLOCK_BYTES = 32 * 2**20  # several chunks of any sensible size, and small beside any memory


def blocks(variable: Variable, *, limit: int = BLOCK_BYTES) -> list[Slices]:
    """Slices that cover a variable in order, each of `limit` bytes at most, cut between chunks where there are any."""
    return list(cut(variable.array.shape, variable.array.dtype.itemsize, variable.array.chunks, limit=limit))


def spread(pieces: Sequence[Slices], variable: Variable, budget: int) -> list[Slices]:
    """As many of the pieces, evenly spread, as have `budget` bytes together; one at least."""
    size = variable.array.dtype.itemsize
    largest = max((_count(piece) * size for piece in pieces), default=1)
    keep = max(1, min(len(pieces), budget // max(largest, 1)))
    return [pieces[i] for i in np.linspace(0, len(pieces) - 1, keep).round().astype(int)] if pieces else []


def cut(
    shape: tuple[int, ...], itemsize: int, chunks: tuple[int, ...] | None, *, limit: int = BLOCK_BYTES
) -> Iterator[Slices]:
    """Slices that cover an array in order, each of `limit` bytes at most, cut between chunks where there are any."""
    if not math.prod(shape):
        return
    step, dimension = list(shape), 0
    while dimension < len(shape) and math.prod(step) * itemsize > limit:
        rest = math.prod(step) // step[dimension] * itemsize
        chunk = min(chunks[dimension], shape[dimension]) if chunks else 1
        step[dimension] = max(chunk, limit // rest // chunk * chunk) if rest <= limit else chunk
        dimension += 1
    ranges = [range(0, n, s) for n, s in zip(shape, step, strict=True)]
    for number in np.ndindex(*[len(r) for r in ranges]):
        starts = [r[i] for r, i in zip(ranges, number, strict=True)]
        yield tuple(slice(a, min(a + s, n)) for a, s, n in zip(starts, step, shape, strict=True))


def _count(piece: Slices) -> int:
    return math.prod(part.stop - part.start for part in piece)
