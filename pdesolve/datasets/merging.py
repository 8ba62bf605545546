"""Several files of ours as one: by reference to them, or with their numbers in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pdesolve.data.arrays import Array
from pdesolve.data.blocks import cut
from pdesolve.data.dataset import SAMPLE, SCATTERED, Dataset, Variable
from pdesolve.datasets.arrangement import FIELDS, MESH, SCATTERED_FIELDS, Arrangement, Item, arranged
from pdesolve.datasets.chunking import chunks_for
from pdesolve.datasets.hdf5 import look
from pdesolve.datasets.joining import joined
from pdesolve.datasets.new_file import NewFile
from pdesolve.datasets.opening import open_dataset
from pdesolve.datasets.packing import PackedMeshes
from pdesolve.datasets.writing import copy, store
from pdesolve.errors import InputError

_MOVING = (SAMPLE, *SCATTERED, "facet")  # the dimensions along which files follow one another


def virtual(
    parts: Sequence[str | Path], path: str | Path, *, splits: Mapping[str, np.ndarray] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Path:  # fmt: skip
    """A file that holds the samples of all parts by reference (an HDF5 virtual data set); small things are copied.

    The parts lie in the folder of the file or below it, and move with it. Where one is missing its numbers are NaN.
    What opens a file by its name reads it (h5py, netCDF4, xarray). The Well's reader, which opens files through Python,
    crashes on virtual data sets: give it the folder of the parts, or a file that is `packed`.
    splits, attributes: in place of those that the parts have, and besides.

    Raises:
        InputError: parts elsewhere, that do not go together, or are not in our layout; a disk that is full.
    """
    path = Path(path)
    folder = os.path.realpath(path.parent)
    sources = [os.path.relpath(os.path.realpath(part), folder) for part in parts]
    for source, part in zip(sources, parts, strict=True):
        if source.split(os.sep)[0] == os.pardir or os.path.isabs(source):
            raise InputError(
                f"{part} is not below the folder of {path}: move it there, or pack the parts into one file"
            )
    whole = _Whole.of(parts, path, splits, attributes)

    def make(file: NewFile, item: Item) -> h5py.Dataset:
        pieces = whole.pieces(item)
        if pieces is None:
            return copy(file, item)
        kind = pieces[0].dtype
        layout = h5py.VirtualLayout(item.array.shape, kind)
        for source, piece, place in zip(sources, pieces, _places(item, pieces), strict=True):
            layout[place] = h5py.VirtualSource(source, f"/{item.path}", piece.shape)
        fill = np.nan if kind.kind == "f" else None
        return file.create_virtual_dataset(item.path, layout, fillvalue=fill)

    store(whole.contents, path, make)
    return path


def packed(
    parts: Sequence[str | Path], path: str | Path, *, splits: Mapping[str, np.ndarray] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Path:  # fmt: skip
    """A file that holds the samples of all parts itself, compressed as they are; their chunks go over as they lie there
    where their sizes permit.

    splits, attributes: in place of those that the parts have, and besides.

    Raises:
        InputError: parts that do not go together, or are not in our layout; a disk that is full.
    """
    path = Path(path)
    whole = _Whole.of(parts, path, splits, attributes)

    def make(file: NewFile, item: Item) -> h5py.Dataset:
        pieces = whole.pieces(item)
        if pieces is not None and _fit(item, pieces):
            return _chunk_by_chunk(file, item, whole.parts, pieces)
        gzip = pieces is not None and pieces[0].compression == "gzip"
        return copy(file, item, compression="gzip" if gzip else None)

    store(whole.contents, path, make)
    return path


@dataclass(frozen=True)
class Piece:
    """An array as it is stored in one of the parts."""

    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: tuple[int, ...] | None
    compression: str | None
    filters: tuple


@dataclass(frozen=True, eq=False)
class _Whole:
    """The parts and the file that they are to become."""

    parts: Sequence[Path]
    contents: Arrangement
    arrays: Sequence[Mapping[str, Item]]

    @staticmethod
    def of(
        parts: Sequence[str | Path], path: Path, splits: Mapping[str, np.ndarray] | None,
        attributes: Mapping[str, Any] | None,
    ) -> _Whole:  # fmt: skip
        if not parts:
            raise InputError(f"there are no parts to make {path} of")
        datasets = [open_dataset(part, layout="native") for part in parts]
        dataset = _together(datasets)
        dataset = replace(
            dataset, splits=dataset.splits if splits is None else splits,
            attributes={**dataset.attributes, **(attributes or {})},
        )  # fmt: skip
        items = [{item.path: item for item in arranged(data, path.stem).items} for data in datasets]
        return _Whole([Path(part) for part in parts], arranged(dataset, path.stem), items)

    def pieces(self, item: Item) -> list[Piece] | None:
        """The array in each of the parts; None where it is not there as it should be in the whole, or is small."""
        group = item.path.partition("/")[0]
        if group not in (*FIELDS, *SCATTERED_FIELDS, MESH) or item.path.endswith("_count") or _position(item) is None:
            return None
        found = []
        for path, items in zip(self.parts, self.arrays, strict=True):
            with look(path) as root:
                if item.path not in items or item.path not in root:
                    return None
                dataset = root[item.path]
                there = items[item.path]
                named = there.attributes.get("flag_meanings") == item.attributes.get("flag_meanings")
                if dataset.shape != there.array.shape or there.dims != item.dims or not named:
                    return None  # some of its samples are left out, or its boundaries have other numbers
                plist = dataset.id.get_create_plist()
                filters = tuple(plist.get_filter(i) for i in range(plist.get_nfilters()))
                found.append(Piece(dataset.shape, dataset.dtype, dataset.chunks, dataset.compression, filters))
        return found if len({piece.dtype for piece in found}) == 1 else None


def _together(datasets: Sequence[Dataset]) -> Dataset:
    """The samples of all parts; what has no samples is the same in all of them, and is there once."""
    first, ragged = datasets[0], tuple(datasets[0].offsets)

    def shared(variables: Mapping[str, Variable]) -> dict[str, Variable]:
        return {name: v for name, v in variables.items() if not set(v.dims) & {SAMPLE, *ragged}}

    fixed, constants = shared(first.variables), shared(first.parameters)
    for data in datasets[1:]:
        for name, variable in (*fixed.items(), *constants.items()):
            other = {**data.variables, **data.parameters}.get(name)
            if other is None or not _equal(variable.array, other.array):
                raise InputError(f"{name} is not the same in {first.paths[0]} and {data.paths[0]}, and has no samples")
    moving = [
        replace(
            data, meshes=(), variables={n: v for n, v in data.variables.items() if n not in fixed},
            parameters={n: v for n, v in data.parameters.items() if n not in constants},
        )
        for data in datasets
    ]  # fmt: skip
    whole = joined(moving)
    return replace(
        whole, meshes=_meshes(datasets), variables={n: whole.variables.get(n) or fixed[n] for n in first.variables},
        parameters={n: whole.parameters.get(n) or constants[n] for n in first.parameters}, layout="native",
    )  # fmt: skip


def _meshes(datasets: Sequence[Dataset]) -> Sequence:
    if not datasets[0].meshes:
        return ()
    packed_ = [PackedMeshes.of(data.meshes) for data in datasets]
    alone = all(len(p) == 1 and p.kind not in data.offsets for p, data in zip(packed_, datasets, strict=True))
    if not alone:
        return PackedMeshes.joined(packed_)
    for p, data in zip(packed_, datasets, strict=True):
        if any(not _equal(p.arrays[name], array) for name, array in packed_[0].arrays.items()):
            raise InputError(f"the mesh of {data.paths[0]} is another than that of {datasets[0].paths[0]}")
    return packed_[0]


def _equal(a: Array, b: Array) -> bool:
    if a.shape != b.shape:
        return False
    parts = cut(a.shape, a.dtype.itemsize, a.chunks) if a.shape else iter([()])
    return all(np.array_equal(a.read(part), b.read(part), equal_nan=a.dtype.kind == "f") for part in parts)


def _position(item: Item) -> int | None:
    """The dimension along which the parts follow one another."""
    return next((i for i, dim in enumerate(item.dims) if dim in _MOVING), None)


def _places(item: Item, pieces: Sequence[Piece]) -> Iterator[tuple[slice, ...]]:
    position, start = _position(item), 0
    assert position is not None
    for piece in pieces:
        size = piece.shape[position]
        yield tuple(slice(start, start + size) if i == position else slice(0, n) for i, n in enumerate(piece.shape))
        start += size


def _fit(item: Item, pieces: Sequence[Piece]) -> bool:
    """Whether chunks of the parts are chunks of the whole."""
    position, first = _position(item), pieces[0]
    chunks = chunks_for(item.array.shape, first.dtype.itemsize, item.outer)
    if position is None or chunks is None:
        return False
    same = all(piece.chunks == chunks and piece.filters == first.filters for piece in pieces)
    return same and all(piece.shape[position] % chunks[position] == 0 for piece in pieces[:-1])


def _chunk_by_chunk(
    file: NewFile, item: Item, parts: Sequence[Path], pieces: Sequence[Piece]
) -> h5py.Dataset:  # fmt: skip
    with look(parts[0]) as root:
        plist = root[item.path].id.get_create_plist().copy()
    space = h5py.h5s.create_simple(item.array.shape)
    group = file[item.path.rpartition("/")[0]]
    name = item.path.rpartition("/")[2].encode()
    made = h5py.Dataset(h5py.h5d.create(group.id, name, h5py.h5t.py_create(pieces[0].dtype), space, plist))
    for path, place in zip(parts, _places(item, pieces), strict=True):
        start = np.array([part.start for part in place])
        with look(path) as root:
            source = root[item.path].id
            for i in range(source.get_num_chunks()):
                at = source.get_chunk_info(i).chunk_offset
                mask, content = source.read_direct_chunk(at)
                made.id.write_direct_chunk(tuple(int(n) for n in start + at), content, mask)
            file.check()
    return made
