"""How fast windows of trajectories come from a large file, beside h5py's own rate, the-well and reading all first.

python experiments/speed/loading.py --peers PYTHON [--gigabytes 2] [--rounds 5] [--cold] [--folder FOLDER]

writes numbers like PDEBench's 1-D ones, chunked alike, into a PDEBench-like file and a native one (which the-well
reads), into a folder of its own that it removes, and runs all contenders in turn in each round. `--cold` drops the
files from the system's cache before each. PYTHON has the-well 1.2.0; without it these rows are left out. The start of
workers counts.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from loading_peers import cpu_seconds

import pdesolve as ps
from pdesolve.data.arrays import Memory
from pdesolve.data.batch import Batch
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.datasets.chunking import chunks_for
from pdesolve.datasets.hdf5 import H5Array, look
from pdesolve.datasets.streaming import Loader, Shuffle
from pdesolve.datasets.writing import write

FRAMES, POINTS, PAST, AHEAD, BATCH, WORKERS, MEMORY = 201, 1024, 10, 10, 64, 2, 256 << 20
TASK = ps.Task(("u",), ("u",), ps.Steps(PAST, AHEAD, every=PAST + AHEAD))
WINDOW = (PAST + AHEAD) * POINTS * 4  # bytes
SHUFFLES: dict[str, Shuffle] = {"blocks shuffled": "blocks", "windows shuffled": "windows", "in turn": "no"}
PEERS = {
    "the-well, shuffled": "well",
    "read all (PDEBench's order), shuffled": "read_all",
    "read all (as stored), shuffled": "read_all_as_stored",
}
WELL_WINDOWS = 2_000  # of the-well's loader: enough for a rate


def make(folder: Path, samples: int) -> None:
    """The same numbers as PDEBench lays them out and as we do."""
    chunks = chunks_for((samples, FRAMES, POINTS), 4, 2)
    generator = np.random.default_rng(0)
    some = generator.standard_normal((64, FRAMES, POINTS), dtype=np.float32)
    x, t = (np.arange(POINTS) + 0.5) / POINTS, np.linspace(0, 2, FRAMES)
    with h5py.File(folder / "pdebench.hdf5", "w") as file:
        tensor = file.create_dataset("tensor", (samples, FRAMES, POINTS), "f4", chunks=chunks)
        for i in range(0, samples, len(some)):
            tensor[i : i + len(some)] = some[: samples - i] + np.float32(i)
        file["x-coordinate"], file["t-coordinate"] = x.astype("f4"), np.linspace(0, 2.01, FRAMES + 1).astype("f4")
        file.attrs["Nu"] = 0.01
    with look(folder / "pdebench.hdf5") as root:
        numbers = H5Array.of(root["tensor"])
    place = folder / "native" / "data" / "train"
    place.mkdir(parents=True)
    axes = {"t": Coordinate(ps.Axis("t", 0.0, 2.0), t), "x": Coordinate(ps.Axis("x", 0.0, 1.0, periodic=True), x)}
    write(Dataset({"u": Variable("u", numbers, ("sample", "t", "x"))}, axes), place / "burgers.hdf5")


def forget(folder: Path) -> None:
    """Drop the files from the system's cache."""
    os.sync()
    for path in folder.rglob("*.hdf5"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@dataclass(frozen=True)
class Taken:
    """What one run took: wall seconds, CPU seconds with those of workers, and the bytes that came."""

    seconds: float
    cpu_seconds: float
    nbytes: int


def timed(run: Callable[[], int]) -> Taken:
    start, before = time.perf_counter(), cpu_seconds()
    nbytes = run()
    return Taken(time.perf_counter() - start, cpu_seconds() - before, nbytes)


def sequential(folder: Path) -> int:
    """h5py reads the file in order, some samples at a time: the bytes."""
    with h5py.File(folder / "native" / "data" / "train" / "burgers.hdf5", "r") as file:
        numbers = file["t0_fields/u"]
        assert isinstance(numbers, h5py.Dataset)
        for i in range(0, len(numbers), 16):
            numbers[i : i + 16]
        return int(np.prod(numbers.shape)) * 4


def ours(folder: Path, shuffle: Shuffle) -> Loader:
    """Our loader, the file opened."""
    data = ps.open_dataset(folder / "native" / "data" / "train" / "burgers.hdf5")
    return ps.loader(data, TASK, batch=BATCH, workers=WORKERS, shuffle=shuffle, memory=MEMORY)


def epoch(batches: Iterable[Batch]) -> int:
    """An epoch of a loader: the bytes."""
    return sum(len(batch) for batch in batches) * WINDOW


def second(folder: Path) -> Taken:
    """The second epoch, its workers at work already; their CPU time is known when they end, with that of the first."""
    loaders = [ours(folder, "blocks")]
    first = timed(lambda: epoch(loaders[0]))
    again = timed(lambda: epoch(loaders[0]))
    spent = cpu_seconds()
    loaders.clear()
    both = first.cpu_seconds + again.cpu_seconds + cpu_seconds() - spent
    return Taken(again.seconds, both / 2, again.nbytes)


def peer(python: str, name: str, folder: Path) -> Taken:
    settings = [str(n) for n in (PAST, AHEAD, BATCH, WORKERS, WELL_WINDOWS)]
    script = Path(__file__).with_name("loading_peers.py")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, str(script), name, str(folder), *settings], check=True, capture_output=True, text=True, env=environment
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return Taken(found["seconds"], found["cpu_seconds"], found["windows"] * WINDOW)


def processes() -> Iterator[int]:
    """This process and its children, and theirs."""
    waiting = [os.getpid()]
    while waiting:
        pid = waiting.pop()
        yield pid
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            waiting += [int(child) for child in children.read_text().split()]


def resident(pid: int, key: str) -> int:
    """Bytes of a process's memory: `Rss`, or `Pss` where shared pages count in part."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return 0


class Watch:
    """The most memory that a process and its children have together while something runs."""

    def __init__(self) -> None:
        self.together = self.main = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.02):
            total = 0
            for pid in processes():
                try:
                    total += resident(pid, "Pss")
                except OSError:  # it has ended
                    continue
            self.together = max(self.together, total)
            self.main = max(self.main, resident(os.getpid(), "Rss"))


def opening(folder: Path, files: int = 100) -> tuple[float, float]:
    """Median wall and CPU seconds of opening a data set of so many files, whose headers this process has not seen."""
    x, t = (np.arange(64) + 0.5) / 64, np.linspace(0, 1, 11)
    axes = {"t": Coordinate(ps.Axis("t", 0.0, 1.0), t), "x": Coordinate(ps.Axis("x", 0.0, 1.0, periodic=True), x)}
    place = folder / "many"
    place.mkdir()
    numbers = np.zeros((4, 11, 64), np.float32)
    for i in range(files):
        nu = Variable("viscosity", Memory(np.array(float(i))))
        data = Dataset({"u": Variable("u", Memory(numbers), ("sample", "t", "x"))}, axes, {"viscosity": nu})
        write(data, place / f"part{i:03}.hdf5")
    code = (
        "import time; import pdesolve as ps\n"
        "from pdesolve.datasets import opening; from pdesolve.datasets.layouts import native\n"
        f"start, cpu = time.perf_counter(), time.process_time(); data = ps.open_dataset({str(place)!r}); \n"
        "print(time.perf_counter() - start, time.process_time() - cpu)\n"
        f"assert data.samples == {4 * files}; "
    )
    runs = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True) for _ in range(5)]
    wall, cpu = (
        statistics.median(column) for column in zip(*(map(float, r.stdout.split()) for r in runs), strict=True)
    )
    return wall, cpu


def row(name: str, runs: Sequence[Taken], before: Sequence[Taken]) -> str:
    rates = sorted(run.nbytes / run.seconds for run in runs)
    ratios = [run.nbytes / run.seconds / (b.nbytes / b.seconds) for run, b in zip(runs, before, strict=True)]
    per_cpu = statistics.median(run.nbytes / run.cpu_seconds for run in runs)
    middle = statistics.median(rates)
    return (
        f"| {name} | {middle / WINDOW:.0f} ({rates[0] / WINDOW:.0f}, {rates[-1] / WINDOW:.0f}) | {middle / 1e9:.2f} "
        f"| {statistics.median(ratios):.2f} | {per_cpu / WINDOW:.0f} |"
    )


def memory_of(folder: Path, samples: int) -> tuple[float, float]:
    """Peak bytes of all processes together over those before, in parts of the whole file: half of it, and all."""
    data = ps.open_dataset(folder / "native" / "data" / "train" / "burgers.hdf5")
    found = []
    for part in (samples // 2, samples):
        before = resident(os.getpid(), "Pss")
        with Watch() as watch:
            some = data.isel({"sample": slice(0, part)})
            for _ in ps.loader(some, TASK, batch=BATCH, workers=WORKERS, memory=MEMORY):
                pass
        found.append(watch.together - before)
    return found[0], found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="a Python with the-well 1.2.0")
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--folder", help="where the files are made for the time of the run")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    samples = int(settings.gigabytes * 1e9 / (FRAMES * POINTS * 4)) // 64 * 64
    with tempfile.TemporaryDirectory(dir=settings.folder) as name:
        folder = Path(name)
        make(folder, samples)
        contenders: dict[str, Callable[[], Taken]] = {
            f"ours, {label}": (lambda shuffle=shuffle: timed(lambda: epoch(ours(folder, shuffle))))
            for label, shuffle in SHUFFLES.items()
        }
        if not settings.cold:  # a second epoch finds the file in the cache
            contenders["ours, blocks shuffled, second epoch"] = lambda: second(folder)
        if settings.peers:
            contenders |= {n: (lambda key=key: peer(settings.peers, key, folder)) for n, key in PEERS.items()}
        before: dict[str, list[Taken]] = {name: [] for name in contenders}  # h5py's run just before each
        taken: dict[str, list[Taken]] = {name: [] for name in contenders}
        for _, (name, run) in itertools.product(range(settings.rounds), contenders.items()):
            if settings.cold:
                forget(folder)
            before[name].append(timed(lambda: sequential(folder)))
            if settings.cold:
                forget(folder)
            taken[name].append(run())
            print(f"{name}: {taken[name][-1]}, h5py before it: {before[name][-1]}", file=sys.stderr, flush=True)
        print(
            f"{'cold' if settings.cold else 'warm'}, {samples} samples of {FRAMES} x {POINTS}, {settings.rounds} rounds"
        )
        print("| loader | windows/s, median (least, most) | GB/s | of h5py's rate just before | windows per CPU s |")
        print("|---|---|---|---|---|")
        first = [one for runs in before.values() for one in runs]
        print(row("h5py, sequential", first, first))
        for name, runs in taken.items():
            print(row(name, runs, before[name]))
        half, whole = memory_of(folder, samples)
        print(
            f"memory beyond the process's own, {MEMORY >> 20} MiB of blocks: half the file {half / 2**20:.0f} MiB, "
            f"all of it {whole / 2**20:.0f} MiB"
        )
        wall, cpu = opening(folder)
        print(f"opening 100 files: {wall:.2f} s, {cpu:.2f} CPU s")


if __name__ == "__main__":
    main()
