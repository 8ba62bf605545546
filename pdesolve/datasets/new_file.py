"""HDF5 files that are written aside and take their place when they are whole."""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

import h5py

from pdesolve.errors import InputError
from pdesolve.training.interrupts import Interrupts

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "files may not be so large",
}


class NewFile(h5py.File):
    """A file that is being written.

    HDF5 crashes when it cannot write, as on a full disk: it never hears of that, and `check` tells it. So it is with
    Ctrl-C, which comes out as other errors where it is raised while HDF5 writes.
    """

    def __init__(self, raw: FileIO, interrupts: Interrupts) -> None:
        self._medium, self._interrupts = _Medium(raw), interrupts
        super().__init__(self._medium, "w", track_order=True)

    def check(self) -> None:
        """Raise what has gone wrong so far.

        Raises:
            OSError: the disk is full.
            KeyboardInterrupt, Terminated: somebody wants it to end.
        """
        if self._interrupts.came is not None:
            raise self._interrupts.came
        if self._medium.error is not None:
            raise self._medium.error


@contextmanager
def aside(path: Path) -> Iterator[NewFile]:
    """A new HDF5 file beside `path`, which takes its place when it is closed whole, and else goes.

    Raises:
        InputError: a disk that is full, a folder that cannot be written.
    """
    stem = f".{path.name}.{platform.node()}."
    _clear(path.parent, stem)
    beside = path.with_name(f"{stem}{os.getpid()}")
    try:
        with Interrupts() as interrupts:
            with beside.open("wb+", buffering=0) as raw:
                with NewFile(raw, interrupts) as file:
                    yield file
                file.check()
                os.fsync(raw.fileno())  # some file systems say only now that they are full
            beside.replace(path)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"cannot write {path}: {error}") from error
    except (OSError, RuntimeError) as error:
        raise InputError(f"cannot write {path}: {_reason(error)}") from error
    finally:
        with suppress(OSError):
            beside.unlink()


def _clear(folder: Path, stem: str) -> None:
    """Remove what processes of this machine that were killed have left."""
    if os.name != "posix" or not folder.is_dir():
        return
    for left in folder.iterdir():
        number = left.name.removeprefix(stem)
        if left.name.startswith(stem) and number.isdigit():
            try:
                os.kill(int(number), 0)
            except ProcessLookupError:
                left.unlink(missing_ok=True)
            except (OSError, OverflowError):
                continue  # somebody else's


class _Medium:
    """Where the bytes of a file go: what comes after a failure is thrown away."""

    def __init__(self, raw: FileIO) -> None:
        self.raw = raw
        self.error: OSError | None = None

    def write(self, content: Any) -> int:
        left = memoryview(content).cast("B")
        size = len(left)
        try:
            while self.error is None and len(left):
                left = left[self.raw.write(left) :]
        except OSError as error:
            self.error = error
        return size

    def read(self, size: int = -1) -> bytes:
        return self.raw.read(size) or b""

    def readinto(self, buffer: Any) -> int:
        return self.raw.readinto(buffer) or 0

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.raw.seek(offset, whence)

    def tell(self) -> int:
        return self.raw.tell()

    def truncate(self, size: int | None = None) -> int:
        try:
            return self.raw.truncate(size) if self.error is None else 0
        except OSError as error:
            self.error = error
            return 0

    def flush(self) -> None:
        self.raw.flush()


def _reason(error: OSError | RuntimeError) -> str:
    number = getattr(error, "errno", None)
    if number in _FULL:
        return f"{_FULL[number]}; free some space, or give another place"
    return os.strerror(number) if number else " ".join(str(error).split())[:160]
