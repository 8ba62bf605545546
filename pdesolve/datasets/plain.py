"""Numbers that lie in a file as they do in memory: read past the HDF5 library, without a copy of blocks."""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import dataclass, replace

import h5py
import numpy as np
from h5py import h5d  # pyright: ignore[reportAttributeAccessIssue]

from pdesolve.data.arrays import Array, Joined, Part, Picked, Slices, Stacked, Transposed
from pdesolve.datasets.handles import descriptor_of, explained, stamp
from pdesolve.datasets.hdf5 import H5Array

_MOST = 2**20  # chunks whose places are held


@dataclass(frozen=True, eq=False)
class Plain(Array):
    """An uncompressed array of an HDF5 file, by the place of each chunk: places (chunk, ...), in bytes."""

    path: str
    sizes: tuple[int, ...]
    kind: np.dtype
    chunk: tuple[int, ...]
    places: np.ndarray
    at: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.sizes

    @property
    def dtype(self) -> np.dtype:
        return self.kind

    @property
    def chunks(self) -> tuple[int, ...]:
        return self.chunk

    def read(self, index: Slices) -> np.ndarray:
        if any((part.step or 1) > 1 for part in index):
            whole = self.read(tuple(slice(part.start, part.stop) for part in index))
            return whole[tuple(slice(None, None, part.step) for part in index)]
        found = np.empty([max(0, part.stop - part.start) for part in index], self.kind)
        self.read_into(index, found)
        return found

    def read_into(self, index: Slices, out: np.ndarray) -> None:
        if out.dtype != self.kind or any((part.step or 1) > 1 for part in index):
            super().read_into(index, out)
        elif out.size:
            with explained(self.path):
                cut = self._cut(index)
                if cut is not None and out.flags.c_contiguous:
                    self._read_run(index, cut, out)
                else:
                    self._fill(index, out)

    def _cut(self, index: Slices) -> int | None:
        """The one dimension along which several numbers, but not all, are wanted; those behind it are whole and in one
        chunk. None where there are more."""
        cut = len(index) - 1
        while cut > 0 and index[cut].stop - index[cut].start == self.sizes[cut] == self.chunk[cut]:
            cut -= 1
        single = all(part.stop - part.start == 1 for part in index[:cut])
        return cut if single and cut >= 0 else None

    def _read_run(self, index: Slices, cut: int, out: np.ndarray) -> None:
        """Read what lies in a row, across chunks that follow one another in the file."""
        descriptor, target = descriptor_of(self.path, self.at), memoryview(out.data).cast("B")
        before, row = 0, self.kind.itemsize * math.prod(self.chunk[cut + 1 :])
        lead = []
        for part, size in zip(index[:cut], self.chunk[:cut], strict=True):
            number, inside = divmod(part.start, size)
            lead.append(number)
            before = before * size + inside
        places = self.places[tuple(lead)].reshape(-1)  # along the cut: behind it there is one chunk
        size, start, done = self.chunk[cut], index[cut].start, 0
        while start < index[cut].stop:
            number, inside = divmod(start, size)
            place = int(places[number]) + (before * size + inside) * row
            end = min(index[cut].stop, (number + 1) * size)
            while (
                end < index[cut].stop and int(places[end // size]) + before * size * row == place + (end - start) * row
            ):
                end = min(index[cut].stop, end + size)
            count = (end - start) * row
            _read(descriptor, target[done : done + count], place)
            done, start = done + count, end

    def _fill(self, index: Slices, out: np.ndarray) -> None:
        descriptor = descriptor_of(self.path, self.at)
        along = [range(part.start // c, (part.stop - 1) // c + 1) for part, c in zip(index, self.chunk, strict=True)]
        for number in itertools.product(*along):
            begins = [max(p.start, n * c) for p, n, c in zip(index, number, self.chunk, strict=True)]
            ends = [min(p.stop, (n + 1) * c) for p, n, c in zip(index, number, self.chunk, strict=True)]
            here = tuple(slice(b - p.start, e - p.start) for b, e, p in zip(begins, ends, index, strict=True))
            inside = [(b - n * c, e - n * c) for b, e, n, c in zip(begins, ends, number, self.chunk, strict=True)]
            self._read_chunk(descriptor, int(self.places[number]), inside, out[here])

    def _read_chunk(self, descriptor: int, place: int, inside: list[tuple[int, int]], target: np.ndarray) -> None:
        """Read a part of a chunk: from its first number to its last, of which all are wanted where it is contiguous."""
        first = last = 0
        for (begin, end), size in zip(inside, self.chunk, strict=True):
            first, last = first * size + begin, last * size + end - 1
        count = last - first + 1
        contiguous = count == target.size
        direct = contiguous and target.flags.c_contiguous
        buffer = target if direct else np.empty(count, self.kind)
        _read(descriptor, memoryview(buffer.data).cast("B"), place + first * self.kind.itemsize)
        if contiguous and not direct:
            target[...] = buffer.reshape(target.shape)
        elif not contiguous:
            steps = [self.kind.itemsize * math.prod(self.chunk[i + 1 :]) for i in range(len(self.chunk))]
            target[...] = np.lib.stride_tricks.as_strided(buffer, target.shape, steps, writeable=False)


def _read(descriptor: int, target: memoryview, place: int) -> None:
    """Fill the target with the bytes from a place on; the system gives at most 2 GiB at once."""
    done = 0
    while done < len(target):
        count = os.preadv(descriptor, [target[done:]], place + done)
        if not count:
            raise OSError("truncated")
        done += count


def plain(array: Array) -> Array | None:
    """The same numbers read directly, or None where some are compressed, stored in another form or not in a file."""
    if isinstance(array, H5Array):
        return _plain(array) if hasattr(os, "preadv") else None
    if isinstance(array, (Transposed, Part, Picked)):
        inner = plain(array.array)
        return None if inner is None else replace(array, array=inner)
    if isinstance(array, (Joined, Stacked)):
        members = [plain(member) for member in array.arrays]
        found = tuple(member for member in members if member is not None)
        return replace(array, arrays=found) if len(found) == len(members) else None
    return None


def _plain(array: H5Array) -> Plain | None:
    with explained(array.path):
        dataset = array.opened()
        properties = dataset.id.get_create_plist()
        # whether places count from the beginning of a file with a user block depends on the version of HDF5
        if (
            properties.get_nfilters()
            or dataset.file.userblock_size
            or dataset.dtype != array.dtype
            or dataset.dtype.kind not in "fiu"
        ):
            return None
        if properties.get_layout() == h5d.CONTIGUOUS:
            place = dataset.id.get_offset()
            chunk = array.shape
            places = None if place is None or not dataset.size else np.full((1,) * len(chunk), place, np.int64)
        elif properties.get_layout() == h5d.CHUNKED:
            chunk = tuple(dataset.chunks or ())
            places = _places(dataset, chunk)
        else:
            return None
    if places is None:
        return None
    return Plain(array.path, array.shape, array.dtype, chunk, places, stamp(array.path))


def _places(dataset: h5py.Dataset, chunk: tuple[int, ...]) -> np.ndarray | None:
    """Where each chunk begins in the file; None where there are too many, or some were never written."""
    counts = tuple(-(-n // c) for n, c in zip(dataset.shape, chunk, strict=True))
    if math.prod(counts) > _MOST or dataset.id.get_num_chunks() != math.prod(counts) or not math.prod(counts):
        return None
    places = np.empty(counts, np.int64)

    def note(about: h5d.StoreInfo) -> None:
        places[tuple(o // c for o, c in zip(about.chunk_offset, chunk, strict=True))] = about.byte_offset

    dataset.id.chunk_iter(note)
    return places
