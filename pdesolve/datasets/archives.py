"""Archives of data: their members, put into the folder for what may be made again."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import IO

from pdesolve.errors import InputError, unknown_name

LARGEST = 2**36  # bytes of all members together: 64 GiB
_MOST = 100_000  # members


def unpacked(archive: Path, member: str | None = None) -> Path:
    """The folder with all members of a zip or tar archive, or the file of one member, unpacked once.

    Raises:
        InputError: members that would lie outside of the folder, are links or devices, are larger than 64 GiB or than
            the free space of the disk; no such member; an archive that is truncated or needs a password.
    """
    from pdesolve.cache import folder

    about = archive.stat()
    key = f"{archive.absolute()} {about.st_size} {about.st_mtime_ns} {member or ''}"
    place = folder() / "unpacked" / sha256(key.encode()).hexdigest()[:16]
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(mkdtemp(dir=place.parent))
        try:
            with _opened(archive):
                _unpack(archive, member, aside)
            aside.rename(place)
        except OSError as error:
            if not place.is_dir():  # else another process was faster
                raise InputError(f"{archive} cannot be unpacked into {place}: {error.strerror or error}") from None
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return place / member if member else place


@contextmanager
def _opened(archive: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise InputError(f"{archive} is truncated or damaged ({error}): copy or download it again") from None
    except (RuntimeError, NotImplementedError) as error:
        raise InputError(f"{archive} cannot be unpacked ({error}): unpack it yourself and open the folder") from None


def _unpack(archive: Path, member: str | None, into: Path) -> None:
    names, total = [], 0
    free = shutil.disk_usage(into).free
    with _members(archive) as members:
        for name, size, content in members:
            total += size
            if total > LARGEST or len(names) >= _MOST:
                raise InputError(
                    f"{archive} would unpack to more than {LARGEST // 2**30} GiB or {_MOST} members (at {name!r}): "
                    "unpack it yourself and open the folder"
                )
            names.append(name)
            if member not in (None, name):
                continue
            if size > free:
                raise InputError(f"{name!r} of {archive} needs {size} bytes, the disk of {into.parent} has {free}")
            free -= size
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with content as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, 2**20)
    if member is not None and member not in names:
        raise unknown_name(f"member of {archive}", member, names)


Member = tuple[str, int, IO[bytes]]


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[Member]]:
    """The files in an archive, each looked at before it is unpacked."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            yield _of_zip(archive, zipped)
    else:
        with tarfile.open(archive) as tar:
            yield _of_tar(archive, tar)


def _of_zip(archive: Path, zipped: zipfile.ZipFile) -> Iterator[Member]:
    for about in zipped.infolist():
        mode = about.external_attr >> 16
        kind = stat.S_IFMT(mode)
        _check_name(archive, about.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR))
        if not about.is_dir():
            yield about.filename, about.file_size, zipped.open(about)


def _of_tar(archive: Path, tar: tarfile.TarFile) -> Iterator[Member]:
    for about in tar:
        _check_name(archive, about.name, about.isfile() or about.isdir())
        content = tar.extractfile(about)
        if content is not None:
            yield about.name, about.size, content


def _check_name(archive: Path, name: str, plain: bool) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0] if path.parts else False:
        raise InputError(f"{archive} has the member {name!r}, which would lie outside of its folder: refused")
    if not plain:
        raise InputError(f"{archive} has the member {name!r}, which is a link or a device: refused")
