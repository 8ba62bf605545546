"""HDF5 files that stay open: once per process, a bounded number of them, none across a fork. And what can go wrong."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from pdesolve.errors import InputError

_FILES, _DATASETS = 64, 64  # open at once
_CHUNK_CACHE = 2**20  # bytes, for each data set that is open
Stamp = tuple[int, int, int]


class _Kept:
    """The things that were used last, at most `most` of them; they close when nothing refers to them any more."""

    def __init__(self, most: int) -> None:
        self.most, self.made = most, 0
        self.things: OrderedDict[tuple[str, Stamp, str], Any] = OrderedDict()

    def get(self, path: str, name: str, make: Callable[[], Any]) -> Any:
        with _lock:
            key = (path, stamp(path), name)
            if key not in self.things:
                # HDF5 knows files by their inodes: one that is still open would hide what is new in it
                close_files([old for old in (*_files.things, *_datasets.things) if old[0] == path and old[1] != key[1]])
                self.things[key] = make()
                self.made += 1
            self.things.move_to_end(key)
            while len(self.things) > self.most:
                self.things.popitem(last=False)
            return self.things[key]


_lock = threading.RLock()
_files, _datasets, _plain = _Kept(_FILES), _Kept(_DATASETS), _Kept(_FILES)


def file_at(path: str) -> h5py.File:
    """The open file at an absolute path, opened anew where it has changed since."""
    return _files.get(path, "", lambda: h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE))


def dataset_at(path: str, name: str, find: Callable[[], h5py.Dataset]) -> h5py.Dataset:
    """The open data set of a file; `find` opens it."""
    return _datasets.get(path, name, find)


def descriptor_of(path: str, at: Stamp) -> int:
    """The descriptor of a file, as it was then, for reading past the HDF5 library; children of a fork may share it.

    Raises:
        InputError: the file has changed.
    """
    if stamp(path) != at:
        raise InputError(f"{path} has changed since it was opened: open it again")
    with _lock:
        things, key = _plain.things, (path, at, "")
        if key not in things:
            things[key] = open(path, "rb", buffering=0)  # noqa: SIM115  closed when it is the oldest of many
        things.move_to_end(key)
        while len(things) > _FILES:
            things.popitem(last=False)
        return things[key].fileno()


def files_opened() -> int:
    """How many times this process has opened a file."""
    return _files.made


def close_files(keys: Iterable[tuple[str, Stamp, str]] | None = None) -> None:
    """Close the files that this process keeps open (or some); they are opened again when they are read."""
    with _lock:
        for kept in (_datasets, _files, _plain):
            for key in list(kept.things if keys is None else keys):
                kept.things.pop(key, None)


def stamp(path: str) -> Stamp:
    """What changes when a file is written to or replaced."""
    about = os.stat(path)
    return about.st_ino, about.st_size, about.st_mtime_ns


def _after_fork() -> None:
    # another thread of the parent may have held the lock
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    # HDF5 knows open files by their inodes: a child would go on with the handles of its parent
    os.register_at_fork(before=close_files, after_in_child=_after_fork)


@contextmanager
def explained(path: Path | str) -> Iterator[None]:
    """Errors of the HDF5 library and of the system, in one line that says what to do.

    Raises:
        InputError: any of them.
    """
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"there is no file {path}: is the path right?") from None
    except PermissionError:
        raise InputError(f"{path} may not be read (no permission): chmod u+r, or ask its owner") from None
    except KeyError as error:
        raise InputError(f"{path} lacks something that its layout needs: {_one_line(error.args[0])}") from None
    except (OSError, RuntimeError, ValueError, MemoryError) as error:
        raise InputError(_reason(path, _one_line(error))) from error


def _reason(path: Path | str, message: str) -> str:
    if "unable to lock" in message:
        return (
            f"{path} is locked, another process writes to it: wait until that closes it (on a file system without "
            "locks set HDF5_USE_FILE_LOCKING=FALSE)"
        )
    if "already open for write" in message or "consistency flags" in message:
        return f"{path} was not closed by its writer: wait while it still writes; if it died, run h5clear -s {path}"
    if "truncated" in message or "eof" in message or "addr overflow" in message:
        return f"{path} is truncated ({message}): copy or download it again"
    if "signature not found" in message:
        return f"{path} is no HDF5 file, or its beginning is damaged: expected the HDF5 signature"
    return f"{path} is damaged or no valid HDF5 ({message}): copy or download it again"


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
