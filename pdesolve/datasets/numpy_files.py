"""Arrays of .npy and .npz files, by their headers. Pickled objects are never read."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np
from numpy.lib import format as npy_format

from pdesolve.data.arrays import Array
from pdesolve.datasets.stored import Mapped, Order, Whole, check_size
from pdesolve.errors import InputError

_LOCAL_HEADER = struct.Struct("<26xHH")  # of a member of a zip file: the lengths of its name and of its extra field
BARE = "values"  # the name of an array that has none


def npy_arrays(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """The array of a .npy file, mapped, and why it is refused where it holds objects."""
    with path.open("rb") as file:
        shape, order, dtype = _header(path, path.name, file)
        offset = file.tell()
    if dtype.hasobject:
        return {}, {BARE: "holds pickled Python objects, which may run any program"}
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if offset + size > path.stat().st_size:
        raise InputError(
            f"{path} is truncated: its header says {size:,} bytes of data, {path.stat().st_size - offset:,} are there"
        )
    return {BARE: Mapped(str(path), shape, dtype, offset, order)}, {}


def npz_arrays(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays of an .npz file: mapped where they are not compressed, else read whole; and those refused."""
    arrays: dict[str, Array] = {}
    refused: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                with archive.open(info) as member:
                    shape, order, dtype = _header(path, name, member)
                    begin = member.tell()
                if dtype.hasobject:
                    refused[name] = "holds pickled Python objects, which may run any program"
                    continue
                size = int(np.prod(shape, dtype=object)) * dtype.itemsize
                if size + begin != info.file_size:
                    raise InputError(f"{name} of {path} claims {size:,} bytes, {info.file_size - begin:,} are there")
                if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1:
                    arrays[name] = Mapped(str(path), shape, dtype, _data_offset(path, info) + begin, order)
                else:
                    check_size(path, name, size, info.compress_size)
                    arrays[name] = Whole(str(path), name, shape, dtype.newbyteorder("="), _member)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, struct.error) as error:
        raise InputError(f"{path} is no whole .npz file ({error}): copy or download it again") from None
    return arrays, refused


def _header(path: Path, name: str, file: IO[bytes]) -> tuple[tuple[int, ...], Order, np.dtype]:
    try:
        version = npy_format.read_magic(file)
        if version == (1, 0):
            shape, fortran, dtype = npy_format.read_array_header_1_0(file)
        else:
            shape, fortran, dtype = npy_format.read_array_header_2_0(file)
    except (ValueError, EOFError, TokenError, SyntaxError) as error:
        raise InputError(f"{name} of {path} has no readable .npy header ({error})".replace("\n", " ")) from None
    if any(n < 0 for n in shape):
        raise InputError(f"{name} of {path} has the shape {shape}: its header is damaged")
    return shape, "F" if fortran else "C", dtype


def _data_offset(path: Path, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin: behind its own header, whose extra field may differ from the directory's."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        head = file.read(_LOCAL_HEADER.size)
    if len(head) < _LOCAL_HEADER.size or head[:4] != b"PK\x03\x04":
        raise InputError(f"{path} is no whole .npz file ({info.filename} is not where it should be): copy it again")
    return info.header_offset + _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack(head))


def _member(path: str, name: str) -> np.ndarray:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            return npy_format.read_array(member, allow_pickle=False)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise InputError(
            f"{name} of {path} is damaged ({error}): copy or download it again".replace("\n", " ")
        ) from None
