"""Arrays of .mat files: versions 5 to 7 by their headers and scipy, version 7.3 as HDF5. In MATLAB's order of axes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pdesolve.data.arrays import Array
from pdesolve.datasets.hdf5 import H5Array, look
from pdesolve.datasets.stored import Mapped, Whole, check_size, transposed
from pdesolve.errors import InputError

_MATRIX, _COMPRESSED = 14, 15
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_OTHER = {1: "a cell array", 2: "a struct", 3: "an object", 4: "text", 5: "a sparse matrix"}
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_HEAD = 1024  # bytes that hold the flags, the sizes and the name of any variable of ours


@dataclass(frozen=True)
class _Header:
    name: str
    shape: tuple[int, ...]
    kind: int
    is_complex: bool
    logical: bool
    stored: str | None
    begin: int  # of the data, from that of the element


def mat5_arrays(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """The variables of a .mat file of version 5 to 7: mapped where they are not compressed, else read whole.

    Raises:
        InputError: a file that is cut off or no such file, a variable that claims too much.
    """
    arrays: dict[str, Array] = {}
    refused: dict[str, str] = {}
    try:
        for head, offset, size, compressed in _variables(path):
            name = head.name
            if not name or name.startswith("__"):
                continue
            if head.kind not in _CLASSES:
                refused[name] = f"is {_OTHER.get(head.kind, 'of an unknown class')}, expected an array of numbers"
                continue
            dtype = np.dtype("?" if head.logical else _CLASSES[head.kind])
            if head.is_complex:
                dtype = np.dtype("c8" if head.kind == 7 else "c16")
            if any(n < 0 for n in head.shape):
                raise InputError(f"{name} of {path} has the shape {head.shape}: its header is damaged")
            claimed = int(np.prod(head.shape, dtype=object)) * dtype.itemsize
            mapped = not compressed and not head.is_complex and head.stored == _CLASSES[head.kind]
            if mapped and head.begin + claimed <= size:
                stored = np.dtype(head.stored).newbyteorder(_byte_order(path))
                arrays[name] = Mapped(str(path), head.shape, stored, offset + head.begin, "F")
            else:
                # small whole numbers lie in fewer bytes: a double in one
                check_size(path, name, claimed, size * dtype.itemsize)
                arrays[name] = Whole(str(path), name, head.shape, dtype, _variable)
    except (struct.error, zlib.error, UnicodeDecodeError, IndexError) as error:
        raise InputError(f"{path} is no whole .mat file ({error}): copy or download it again") from None
    return arrays, refused


def mat73_arrays(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """The variables of a .mat file of version 7.3, whose axes HDF5 shows the other way round."""
    arrays: dict[str, Array] = {}
    refused: dict[str, str] = {}
    with look(path) as root:
        for name in root:
            if name.startswith("#"):
                continue
            found = root[name]
            kind = found.attrs.get("MATLAB_class", b"")
            kind = kind.decode() if isinstance(kind, bytes) else str(kind)
            if not hasattr(found, "shape"):
                sparse = "MATLAB_sparse" in found.attrs
                refused[name] = f"is {'a sparse matrix' if sparse else 'a struct'}, expected an array of numbers"
            elif kind in ("char", "cell") or found.dtype.kind not in "biufcV":
                refused[name] = f"is {'text' if kind == 'char' else 'a cell array'}, expected an array of numbers"
            elif found.attrs.get("MATLAB_empty", 0):
                refused[name] = "is empty"
            else:
                array = H5Array.of(found)
                arrays[name] = transposed(array, tuple(reversed(range(len(array.shape)))))
    return arrays, refused


def _byte_order(path: Path) -> Literal["<", ">"]:
    with path.open("rb") as file:
        file.seek(126)
        return "<" if file.read(2) == b"IM" else ">"


def _variables(path: Path) -> Iterator[tuple[_Header, int, int, bool]]:
    """The header of each variable, where its element lies, how long that is, and whether it is compressed."""
    order, end = _byte_order(path), path.stat().st_size
    with path.open("rb") as file:
        offset = 128
        while offset + 8 <= end:
            file.seek(offset)
            kind, size = struct.unpack(order + "II", file.read(8))
            if offset + 8 + size > end:
                raise InputError(f"{path} is truncated: a variable of {size:,} bytes begins at {offset:,} of {end:,}")
            if kind == _COMPRESSED:
                inner = zlib.decompressobj().decompress(file.read(min(size, 4 * _HEAD)), _HEAD)
                inner_kind, _ = struct.unpack(order + "II", inner[:8])
                if inner_kind == _MATRIX:
                    yield _parsed(inner[8:], order), offset + 8, size, True
            elif kind == _MATRIX:
                yield _parsed(file.read(min(size, _HEAD)), order), offset + 8, size, False
            else:
                raise InputError(f"{path} is no .mat file of version 5 to 7: an element of kind {kind} at {offset:,}")
            offset += 8 + size


def _parsed(data: bytes, order: str) -> _Header:
    flags, _ = struct.unpack(order + "II", data[8:16])
    kind = flags & 0xFF
    sizes, position = _element(data, 16, order)
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    name, position = _element(data, position, order)
    stored = None
    begin = position
    if kind in _CLASSES and len(data) >= position + 8:
        word, _ = struct.unpack(order + "II", data[position : position + 8])
        if word >> 16:  # few bytes, which lie in the tag itself
            stored, begin = _STORED.get(word & 0xFFFF), position + 4
        else:
            stored, begin = _STORED.get(word), position + 8
    return _Header(name.decode(), shape, kind, bool(flags & 0x0800), bool(flags & 0x0200), stored, begin)


def _element(data: bytes, position: int, order: str) -> tuple[bytes, int]:
    """The bytes of the element at a position, and where the next one begins."""
    (word,) = struct.unpack(order + "I", data[position : position + 4])
    if word >> 16:
        return data[position + 4 : position + 4 + (word >> 16)], position + 8
    (size,) = struct.unpack(order + "I", data[position + 4 : position + 8])
    if size > len(data):
        raise InputError(f"a name or a shape of {size:,} bytes: this is no whole .mat file, copy it again")
    begin = position + 8
    return data[begin : begin + size], begin + -(-size // 8) * 8


def _variable(path: str, name: str) -> np.ndarray:
    from scipy.io import loadmat

    try:
        # without mat_dtype, which would drop imaginary parts
        return loadmat(path, variable_names=[name])[name]
    except Exception as error:  # scipy raises many kinds
        raise InputError(f"{name} of {path} cannot be read ({' '.join(str(error).split())}): copy it again") from None
