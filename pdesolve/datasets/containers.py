"""What kind of file something is, by its first bytes and never by its name."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from pdesolve.datasets.layout import Container
from pdesolve.errors import InputError

_HDF5 = b"\x89HDF\r\n\x1a\n"
_TORCH_BEFORE_ZIP = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"
_BEGINNINGS: tuple[tuple[bytes, Container], ...] = (
    (_HDF5, "hdf5"),
    (b"CDF\x01", "netcdf3"),
    (b"CDF\x02", "netcdf3"),
    (b"CDF\x05", "netcdf3"),
    (b"\x93NUMPY", "npy"),
    (b"$MeshFormat", "gmsh"),
    (b"# vtk DataFile", "vtk"),
    (_TORCH_BEFORE_ZIP, "torch"),
)
_COMPRESSED: tuple[tuple[bytes, Callable[[IO[bytes]], Any]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
)
_ZARR = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")
_READ = 2**13


def container_of(path: Path) -> Container:
    """The kind of a file or folder. A MATLAB file of version 7.3 is "mat73", although it is HDF5 inside.

    Raises:
        InputError: nothing there, no permission, an empty file, a pickle.
    """
    if os.path.isdir(path):
        return "zarr" if any(os.path.isfile(path / name) for name in _ZARR) else "folder"
    try:
        with path.open("rb") as file:
            head = file.read(_READ)
            return _of_bytes(path, file, head)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}: is the path right?") from None
    except PermissionError:
        raise InputError(f"{path} may not be read (no permission): chmod u+r, or ask its owner") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _of_bytes(path: Path, file: IO[bytes], head: bytes) -> Container:
    if not head:
        raise InputError(f"{path} is empty (0 bytes): did its writer or a download stop? make it again")
    for beginning, container in _BEGINNINGS:
        if head.startswith(beginning):
            return container
    if head.startswith(b"PK\x03\x04"):
        return _of_zip(path)
    if head[257:262] == b"ustar" or _is_compressed_tar(file, head):
        return "tar"
    if len(head) >= 128 and head[126:128] in (b"IM", b"MI"):
        version = head[124:126] if head[126:128] == b"IM" else head[125:123:-1]
        return "mat73" if version == b"\x00\x02" else "mat5"
    if any(head[512 * 2**k :].startswith(_HDF5) for k in range(4)):  # behind a user's block
        return "hdf5"
    if head[:1] == b"\x80" and 2 <= head[1] <= 5:
        raise InputError(
            f"{path} is a pickle, and reading one may run any program: save its arrays by numpy.savez or "
            "torch.save({'name': tensor})"
        )
    return _of_text(head)


def _of_zip(path: Path) -> Container:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError):
        raise InputError(f"{path} is a truncated zip file (.npz, .pt, .zip): copy or download it again") from None
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    if any(name == "data.pkl" or (name.count("/") == 1 and name.endswith("/data.pkl")) for name in names):
        return "torch"
    return "zarr" if set(names) & set(_ZARR) else "zip"


def _is_compressed_tar(file: IO[bytes], head: bytes) -> bool:
    for beginning, unpack in _COMPRESSED:
        if head.startswith(beginning):
            file.seek(0)
            try:
                return unpack(file).read(512)[257:262] == b"ustar"
            except (OSError, EOFError, lzma.LZMAError):
                return False
    return False


def _of_text(head: bytes) -> Container:
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"<?xml", b"<VTKFile", b"<Xdmf")):
        return "xml"  # whose data may be raw bytes
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if len(head) < _READ or error.start < len(head) - 4:  # not a character that the end of `head` cuts
            return "unknown"
        text = head[: error.start].decode()
    return "unknown" if "\x00" in text else "text"
