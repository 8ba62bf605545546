"""Generation of data sets: samples of a family, simulated in batches, checked, written part by part, merged."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
import torch.distributed as distributed

from pdesolve.catalogue import family_name, make_family
from pdesolve.datasets.manifest import Manifest
from pdesolve.datasets.merging import packed, virtual
from pdesolve.datasets.parts import Order, Parts, Record, missing, together
from pdesolve.datasets.production import batch_for, numbers_per_sample, produced, saying
from pdesolve.datasets.shares import bounds_of, positions
from pdesolve.datasets.writing import write
from pdesolve.errors import Diverged, InputError
from pdesolve.family import Family
from pdesolve.settings import plain
from pdesolve.training.devices import find_device
from pdesolve.training.interrupts import terminable
from pdesolve.training.processes import agreed, joined, leads, place

T = TypeVar("T")
_HOPELESS, _TOO_MANY = 16, 1000  # failed samples: where no other has come out, and at most
_PATIENCE = timedelta(days=30)  # of processes that are done before the others
_REFERENCES = 2**18  # bytes kept free for a file that refers to the parts
_BYTES = {"float32": 4, "float64": 8}


@dataclass(frozen=True)
class Generated:
    """What a generation has come to.

    samples: the number in the file. made: how many were simulated now, those that failed too. failed: numbers of the
    samples that did not pass the checks, with the reasons. defect, drifts: the largest among those in the file.
    packed: whether the file holds the numbers itself, or refers to the folder of its parts beside it.
    """

    path: Path
    family: str
    seed: int
    samples: int
    made: int
    failed: Mapping[int, str]
    defect: float
    drifts: Mapping[str, float]
    splits: Mapping[str, int]
    packed: bool
    nbytes: int
    seconds: float
    cpu_seconds: float

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "path": str(self.path)}


@dataclass(frozen=True)
class State:
    """How far a generation is: samples that are done and that are wanted, and how many of this process failed."""

    done: int
    wanted: int
    failed: int


def generate(
    family: Family | str,
    n: int,
    out: str | Path,
    *,
    seed: int = 0,
    batch: int | None = None,
    device: str = "cpu",
    dtype: Literal["float32", "float64"] = "float32",
    compression: Literal["gzip"] | None = None,
    split: Mapping[str, float] | None = None,
    report: Callable[[State], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Generated:
    """Simulate the samples 0 to n - 1 of a family's seed and write them to a file in the native layout.

    A sample depends on the family, its settings, the seed and its number alone. It is simulated in float64 and stored
    as `dtype`. What was interrupted, by anything at any time, goes on by the same call; a larger n extends a file.
    Under torchrun every process makes its share of the parts, and the first merges them.

    batch: samples that are simulated and written together (default: by their bytes, 64 at most). split: shares of the
    samples by name, taken in the order of their numbers. report: is told after each part. say: takes lines worth
    reading once.

    Raises:
        InputError: the file holds something else; the disk is too small or fills up; values that cannot be.
        Diverged: hardly any sample passes the checks.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    if n < 1 or (batch is not None and batch < 1):
        raise InputError(f"{'a batch' if n > 0 else 'a data set'} has one sample at least, got {batch if n > 0 else n}")
    family = make_family(family) if isinstance(family, str) else family
    parts, order = Parts(Path(out)), _order(family, seed, dtype, compression)
    job = _Job(family, order, parts, n, str(find_device(device)), report or (lambda _: None), say or (lambda _: None))
    made = 0
    with joined(torch.device("cpu")), ExitStack() as stack, terminable():
        plan = _led(lambda: job.begin(batch, split, stack))
        if plan.batches is not None:
            made = job.make(plan)
            _led(lambda: job.merge(plan))
        manifest = Manifest.read(parts.out)
        assert manifest is not None, parts.out
    record = manifest.record
    sizes = [path.stat().st_size for path in (parts.out, *parts.folder.glob("part-*.h5"))]
    counts = positions(bounds_of(manifest.shares, record.last), record.complete)
    return Generated(
        parts.out, order.family, seed, len(record.complete), made, record.failed, record.defect, record.drifts,
        {name: len(places) for name, places in counts.items()}, manifest.packed, sum(sizes),
        time.perf_counter() - started, time.process_time() - cpu_started,
    )  # fmt: skip


@dataclass(frozen=True)
class _Plan:
    """Batches (first, last) of samples not there yet, None where the file is finished; shares of the splits."""

    batches: Sequence[tuple[int, int]] | None
    shares: Mapping[str, float]


@dataclass(frozen=True)
class _Job:
    """One call of `generate`."""

    family: Family
    order: Order
    parts: Parts
    n: int
    device: str
    report: Callable[[State], None]
    say: Callable[[str], None]

    def begin(self, batch: int | None, split: Mapping[str, float] | None, stack: ExitStack) -> _Plan:
        """Look at what is there, refuse what cannot be, and say what will be done. The folder is locked from now on."""
        parts, before = self.parts, Manifest.read(self.parts.out)
        if before is not None:
            self.order.check(before.order, parts.out)
        shares = dict(split if split is not None else before.shares if before is not None else {})
        bounds = bounds_of(shares, self.n)
        whole = before.record if before is not None and before.packed else None
        if before is not None and whole is not None and whole.last >= self.n and shares == dict(before.shares):
            parts.clear()
            self.say(f"{parts.out} is finished: it holds {len(whole.complete)} samples")
            return _Plan(None, shares)
        done = parts.records() if whole is None else [whole]
        todo = sum(last - first for first, last in missing(done, self.n, self.n))
        numbers = numbers_per_sample(self.family, self.order.seed) if todo else 1
        batch = batch or batch_for(numbers)
        self._check_room(todo * numbers * _BYTES[self.order.dtype])
        parts.begin(self.order)
        stack.enter_context(parts.owned())
        if whole is not None:
            parts.adopt(whole)
        if done:
            self.say(f"{sum(record.last - record.first for record in done)} samples are there already")
        batches = missing(parts.records(), self.n, batch)
        if batches:
            parts.reserve(_REFERENCES)
            size = todo * numbers * _BYTES[self.order.dtype] / 1e6
            self.say(f"{todo} samples in {len(batches)} parts of {batch} at most, {size:.3g} MB before compression")
        for name, part in bounds.items():
            self.say(f"split {name}: samples {part.start} to {part.stop - 1}")
        return _Plan(batches, shares)

    def _check_room(self, needed: int) -> None:
        place = next(p for p in (self.parts.out.absolute(), *self.parts.out.absolute().parents) if p.is_dir())
        free = shutil.disk_usage(place).free
        if needed > free:
            raise InputError(
                f"{needed / 1e9:.3g} GB are needed for the samples before compression, {free / 1e9:.3g} GB are free "
                f"at {place}: ask for fewer by --n, or another --out"
            )

    def make(self, plan: _Plan) -> int:
        """Make this process's share of the batches, and wait for those of others.

        Whatever ends it, the file is made of all samples that are done.
        """
        made: list[Record] = []
        refusal: InputError | Diverged | None = None
        rank, processes = place()
        left = sum(last - first for first, last in plan.batches or ())
        failed: dict[int, str] = {}
        try:
            for first, last in (plan.batches or ())[rank::processes]:
                made.append(self._make_part(range(first, last)))
                left -= last - first
                failed |= made[-1].failed
                self.report(State(self.n - left if processes == 1 else self.parts.done(), self.n, len(failed)))
                _check_hope(failed, made)
        except (InputError, Diverged) as error:
            refusal = error
        except (KeyboardInterrupt, SystemExit):
            if leads():
                self._save(plan)
            raise
        all_of_them = _gathered((refusal, sum(record.last - record.first for record in made)))
        refusals = [error for error, _ in all_of_them if error is not None]
        if refusals:
            if leads():
                self._save(plan)
            raise refusals[0]
        return sum(count for _, count in all_of_them)

    def _make_part(self, numbers: range) -> Record:
        data, record = produced(self.family, self.order.seed, numbers, device=self.device)
        if data is not None:
            manifest = Manifest(self.order, record, True, {})
            about = {
                "family": self.order.family,
                "family_settings": json.dumps(self.order.settings),
                "seed": self.order.seed,
                "tolerance": self.family.tolerance,
                "solver": _solver(self.family),
            }
            data = saying(data, about | manifest.attributes())
            compression = "gzip" if self.order.compression else None
            write(data, self.parts.file(record), compression=compression, dtype=self.order.dtype)
        self.parts.finish(record)
        return record

    def merge(self, plan: _Plan) -> None:
        """One file of all samples: with the numbers in it where this process is alone and the disk has room, which
        makes the parts needless; else with references to the parts."""
        self.parts.release()
        there = self.parts.records()
        records = [record for record in there if record.first < self.n]
        files = [self.parts.file(record) for record in records if record.complete]
        if not files:
            self.parts.clear()
            raise Diverged(f"no sample of {self.n} has passed the checks, the first since {_first_reason(records)}")
        needed = sum(path.stat().st_size for path in files)
        if place()[1] > 1:
            why = "the same command in one process packs them"
        elif needed > shutil.disk_usage(self.parts.folder).free:
            why = f"{needed / 1e9:.3g} GB of free disk would hold them in one file"
        elif len(records) < len(there):
            why = f"they hold samples from number {self.n} on too, which an earlier call has made"
        else:
            about = Manifest(self.order, together(records), True, plan.shares)
            try:
                packed(files, self.parts.out, splits=self._splits(plan, records), attributes=about.attributes())
            except (KeyboardInterrupt, SystemExit, InputError):
                self._save(plan)
                raise
            self.parts.clear()
            return
        self._write_virtual(plan, records)
        self.say(f"{self.parts.out} refers to the parts in {self.parts.folder}, move both; {why}")

    def _save(self, plan: _Plan) -> None:
        """A file of what there is, before the work ends early."""
        self.parts.release()
        records, where = self.parts.records(), self.parts.out
        count = sum(len(record.complete) for record in records)
        if not count:
            self.parts.clear()
            self.say("no sample is kept")
            return
        try:
            self._write_virtual(plan, records)
        except InputError:  # not even the references fit
            where = self.parts.folder
        self.say(f"{count} of {self.n} samples are in {where}; the same command goes on")

    def _write_virtual(self, plan: _Plan, records: Sequence[Record]) -> None:
        about = Manifest(self.order, together(records), False, plan.shares)
        files = [self.parts.file(record) for record in records if record.complete]
        virtual(files, self.parts.out, splits=self._splits(plan, records), attributes=about.attributes())

    def _splits(self, plan: _Plan, records: Sequence[Record]) -> dict[str, np.ndarray]:
        """Of all samples that are wanted, now or by an earlier call."""
        bounds = bounds_of(plan.shares, max(self.n, records[-1].last))
        return positions(bounds, [n for record in records for n in record.complete])


def _check_hope(failed: Mapping[int, str], made: Sequence[Record]) -> None:
    """Go on no longer where samples fail one after another."""
    if len(failed) > _TOO_MANY or (len(failed) >= _HOPELESS and not any(record.complete for record in made)):
        raise Diverged(
            f"{len(failed)} samples have failed, the first since {_first_reason(made)}: the rest would too; other "
            "settings of the family may help"
        )


def _first_reason(records: Sequence[Record]) -> str:
    return next(reason for record in records for reason in record.failed.values())


def _order(family: Family, seed: int, dtype: str, compression: str | None) -> Order:
    settings = (
        {f.name: plain(getattr(family, f.name)) for f in fields(family) if f.init} if is_dataclass(family) else {}
    )
    return Order(family_name(family), settings, seed, dtype, compression)


def _solver(family: Family) -> str:
    simulator = family.simulator
    return repr(simulator) if is_dataclass(simulator) else type(simulator).__name__


def _led(decide: Callable[[], T]) -> T:
    """What the first process decides, on all of them; its refusal too."""
    found, refusal = None, None
    if leads():
        try:
            found = decide()
        except (InputError, Diverged) as error:
            refusal = error
    found, refusal = agreed((found, refusal))
    if refusal is not None:
        raise refusal
    return found  # type: ignore[return-value]


def _gathered(value: T) -> list[T]:
    """The values of all processes, which wait for each other as long as it takes."""
    if not distributed.is_initialized():
        return [value]
    if distributed.get_backend() == "gloo":
        distributed.monitored_barrier(timeout=_PATIENCE)
    values: list[Any] = [None] * place()[1]
    distributed.all_gather_object(values, value)
    return values
