"""The parts of a data set under generation: a folder of whole files, and beside each what was found when it was made.

    OUT.parts/order.json                       what is generated: family, settings, seed, precision
    OUT.parts/part-00000000-00000064.h5        samples 0 to 63, those that passed the checks
    OUT.parts/part-00000000-00000064.json      that they are done, which failed and why

A part is done once its .json is there, which is written last and by renaming; so a process may die at any time.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pdesolve.errors import InputError

_PART = re.compile(r"part-(\d{8,})-(\d{8,})\.json")
_ORDER, _LOCK, _RESERVE = "order.json", "lock", "reserve"


@dataclass(frozen=True)
class Order:
    """What is generated, whatever the number of samples, the batches and the processes."""

    family: str
    settings: Mapping[str, Any]
    seed: int
    dtype: str
    compression: str | None

    def check(self, other: Order, where: Path) -> None:
        """Refuse to mix samples of two orders in one file.

        Raises:
            InputError: what differs.
        """
        for name, value in asdict(self).items():
            found = asdict(other)[name]
            if found != value and name == "settings":
                changed = sorted(key for key in {*found, *value} if found.get(key) != value.get(key))
                name, found, value = f"family.{changed[0]}", found.get(changed[0]), value.get(changed[0])
            if found != value:
                raise InputError(
                    f"{where} holds samples of {name} {found}, asked for is {value}: give another --out, or the same "
                    f"--{name}"
                )


@dataclass(frozen=True)
class Record:
    """The samples `first` to `last` - 1, done: those that failed with the reason, and what the checks of the others
    found (see `pdesolve.datasets.acceptance`)."""

    first: int
    last: int
    failed: Mapping[int, str] = field(default_factory=dict)
    defect: float = 0.0
    drifts: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"part-{self.first:08d}-{self.last:08d}"

    @property
    def complete(self) -> list[int]:
        """The numbers of the samples that are in the file."""
        return [n for n in range(self.first, self.last) if n not in self.failed]

    @staticmethod
    def read(content: Mapping[str, Any]) -> Record:
        """A record from JSON, whose names are words."""
        return Record(**{**content, "failed": {int(n): reason for n, reason in content["failed"].items()}})


@dataclass(frozen=True)
class Parts:
    """The folder of the parts of the file `out`."""

    out: Path

    @property
    def folder(self) -> Path:
        return self.out.with_name(f"{self.out.name}.parts")

    def file(self, record: Record) -> Path:
        return self.folder / f"{record.name}.h5"

    def begin(self, order: Order) -> None:
        """Make the folder, or make sure that it is of the same order.

        Raises:
            InputError: it is of another, or cannot be made.
        """
        place = self.folder / _ORDER
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make {self.folder}: {error.strerror}; give another --out") from error
        if not place.exists():
            _write(place, json.dumps(asdict(order), indent=1))
        try:
            found = Order(**json.loads(place.read_text()))
        except (ValueError, TypeError):
            raise InputError(f"{place} is damaged: remove {self.folder} to begin anew") from None
        order.check(found, self.folder)

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Inside the block no other process generates into this folder.

        Raises:
            InputError: one does.
        """
        try:
            import fcntl
        except ImportError:  # Windows has other locks
            yield
            return
        with (self.folder / _LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(f"another process is generating {self.out}: wait for it, or end it first") from None
            yield

    def reserve(self, size: int) -> None:
        """Keep so many bytes of the disk until `release`, for a file of references on a disk that fills."""
        _write(self.folder / _RESERVE, "0" * size)

    def release(self) -> None:
        (self.folder / _RESERVE).unlink(missing_ok=True)

    def records(self) -> list[Record]:
        """What is done, in the order of samples; what has lost its file is not."""
        found = []
        for path in self.folder.glob("part-*.json") if self.folder.is_dir() else ():
            if not _PART.fullmatch(path.name):
                continue
            try:
                record = Record.read(json.loads(path.read_text()))
            except (ValueError, TypeError, KeyError):
                raise InputError(f"{path} is damaged: remove it, and its samples are made again") from None
            if not record.complete or self.file(record).exists():
                found.append(record)
        return sorted(found, key=lambda record: record.first)

    def done(self) -> int:
        """How many samples are done."""
        names = (_PART.fullmatch(path.name) for path in self.folder.glob("part-*.json"))
        return sum(int(name[2]) - int(name[1]) for name in names if name)

    def finish(self, record: Record) -> None:
        """Say that a part is done, once its file is there."""
        _write(self.folder / f"{record.name}.json", json.dumps(asdict(record), indent=1))

    def adopt(self, whole: Record) -> None:
        """Make the finished file a part, to go on from there. Dying in between loses nothing: the file is then in its
        place still, and adopted the next time."""
        for record in self.records():
            if record != whole:
                self.file(record).unlink(missing_ok=True)
                (self.folder / f"{record.name}.json").unlink()
        self.finish(whole)
        self.out.replace(self.file(whole))

    def clear(self) -> None:
        """Remove the folder, whose samples are all in the file."""
        if not self.folder.is_dir():
            return
        own = (self.folder / name for name in (_ORDER, _LOCK, _RESERVE))
        for path in [*self.folder.glob("part-*"), *self.folder.glob(".*"), *own]:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # something else in it is not ours to remove
            self.folder.rmdir()


def missing(records: Iterable[Record], n: int, batch: int) -> list[tuple[int, int]]:
    """The samples below n that are not done yet, as batches (first, last)."""
    found, begin = [], 0
    for first, last in [*((record.first, record.last) for record in records), (n, n)]:
        found += [(i, min(i + batch, first, n)) for i in range(begin, min(first, n), batch)]
        begin = max(begin, last)
    return found


def together(records: Iterable[Record]) -> Record:
    """What is said of all samples, of records that follow one another."""
    records = list(records)
    names = sorted({name for record in records for name in record.drifts})
    return Record(
        records[0].first,
        records[-1].last,
        {n: reason for record in records for n, reason in record.failed.items()},
        max(record.defect for record in records),
        {name: max(record.drifts.get(name, 0.0) for record in records) for name in names},
    )


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error.strerror}; free some disk, or give another --out") from error
