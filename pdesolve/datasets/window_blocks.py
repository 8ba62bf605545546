"""How a data set is read in blocks: aligned with its chunks, a bounded number of bytes each, and kept in a cache."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import SAMPLE
from pdesolve.data.source import Source
from pdesolve.data.windows import Windows
from pdesolve.datasets.block_cache import BlockCache, Cached
from pdesolve.datasets.order import Blocks
from pdesolve.datasets.plain import plain
from pdesolve.errors import InputError

_WORTHWHILE = 8 << 20  # bytes of a read that hide what a call costs, and that lie in huge pages
_BLOCKS = 16  # at least so many blocks share the memory, for windows of several samples to mix


@dataclass(frozen=True)
class Blocking:
    """Blocks of `samples` samples, from a multiple of that on, by `frames` frames: `nbytes` together."""

    samples: int
    frames: int
    nbytes: int


def blocking(windows: Windows, memory: int) -> Blocking:
    """Blocks that are whole chunks, few enough bytes for many to share the memory, and enough for fast reading.

    Raises:
        InputError: a single block is larger than the memory.
    """
    moving = [source for source in windows.sources.values() if not source.shared or source.moving]
    chunks = [(_chunk(source, SAMPLE), _chunk(source, "t")) for source in moving]
    samples, frames = max((c[0] for c in chunks), default=1), max((c[1] for c in chunks), default=1)
    frame = sum(math.prod(source.shape) * source.array.dtype.itemsize for source in moving)
    count, total = windows.frames, max(1, windows.dataset.samples)
    trajectory = max(1, frame * count)
    if samples * trajectory <= memory // _BLOCKS:
        times = max(1, min(_WORTHWHILE // (samples * trajectory), memory // _BLOCKS // (samples * trajectory)))
        samples = min(samples * times, max(samples, total))
        return Blocking(samples, count, samples * trajectory)
    frames = min(count, frames * max(1, memory // _BLOCKS // max(1, samples * frames * frame)))
    found = Blocking(samples, frames, samples * frames * frame)
    if 2 * found.nbytes > memory:
        raise InputError(
            f"the least that is read at once, {samples} samples by {frames} frames, has {found.nbytes} bytes, and two"
            f" of them do not fit the {memory} bytes of one worker: allow more memory, use fewer workers, or write the"
            " file with smaller chunks"
        )
    return found


def cached(windows: Windows, blocks: Blocking, memory: int) -> Windows:
    """The same windows, read directly where their numbers lie in a file as they are, else in blocks that a cache of so
    many bytes keeps."""
    cache = BlockCache(memory)

    def behind(source: Source) -> Source:
        if plain(source.array) is not None:
            return _directly(source)
        sizes = {SAMPLE: blocks.samples, "t": blocks.frames}
        block = tuple(sizes.get(dim, n) for dim, n in zip(source.dims, source.array.shape, strict=True))
        return replace(source, array=Cached.of(source.array, block, cache))

    return windows.reading({name: behind(source) for name, source in windows.sources.items()})


def directly(windows: Windows) -> Windows:
    """The same windows, read past the HDF5 library where their numbers lie in a file as they are."""
    return windows.reading({name: _directly(source) for name, source in windows.sources.items()})


def _directly(source: Source) -> Source:
    return replace(source, array=plain(source.array) or source.array)


def in_blocks(windows: Windows, blocks: Blocking, memory: int, seed: int) -> Blocks:
    """Windows shuffled block by block, as many blocks at a time as a worker's memory holds."""
    source = next((s for s in windows.sources.values() if not s.shared), None)
    numbers = np.arange(windows.dataset.samples) if source is None or source.samples is None else source.samples
    reached = 1  # blocks that the windows of one may be in
    if blocks.frames < windows.frames:
        span = max([*windows.given, *windows.wanted]) + 1
        reached += -(-(span - 1) // blocks.frames)
    together = max(1, memory // blocks.nbytes // reached)
    run = max(1, blocks.frames // windows.starts.step) if reached > 1 else len(windows.starts)
    return Blocks(numbers // blocks.samples, len(windows.starts), run, together, seed)


def in_memory(windows: Windows) -> Windows:
    """The same windows, with all that they need read once and held."""

    def held(source: Source) -> Source:
        if source.samples is None:
            return replace(source, array=Memory(source.array.all()))
        position = source.dims.index(SAMPLE)
        chunk = [n if i != position else _chunk(source, SAMPLE) for i, n in enumerate(source.array.shape)]
        array = Cached.of(source.array, tuple(chunk), BlockCache(math.prod(chunk) * source.array.dtype.itemsize))
        index = [slice(0, n) for n in array.shape]
        rows = np.empty((len(source.samples), *np.delete(array.shape, position)), array.dtype)
        for row in np.argsort(source.samples, kind="stable"):
            number = int(source.samples[row])
            index[position] = slice(number, number + 1)
            rows[row] = array.read(tuple(index)).squeeze(position)
        return replace(source, array=Memory(np.moveaxis(rows, 0, position)), samples=None)

    return windows.reading({name: held(source) for name, source in windows.sources.items()})


def nbytes(windows: Windows) -> int:
    """The bytes of all numbers that the windows need."""
    total = 0
    for source in windows.sources.values():
        if source.samples is None:
            total += source.array.nbytes
        else:
            total += source.array.nbytes // source.array.shape[source.dims.index(SAMPLE)] * len(source.samples)
    return total


def samples_share_chunks(windows: Windows) -> bool:
    """Whether a sample is not read without others."""
    return any(_chunk(source, SAMPLE) > 1 for source in windows.sources.values())


def _chunk(source: Source, dim: str) -> int:
    if dim not in source.dims or source.array.chunks is None:
        return 1
    return source.array.chunks[source.dims.index(dim)]
