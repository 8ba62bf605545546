"""Windows streamed from files: every one once, in bounded memory, by workers and ranks, from any batch on."""

from __future__ import annotations

import gc
import os
import pickle
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from pdesolve.data.arrays import Joined, Memory, Slices
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.task import Steps, Task
from pdesolve.data.windows import Windows
from pdesolve.datasets import streaming
from pdesolve.datasets.block_cache import BlockCache, Cached
from pdesolve.datasets.hdf5 import H5Array, look
from pdesolve.datasets.order import Blocks, InTurn, Order, Share, Shuffled
from pdesolve.datasets.slots import Slots
from pdesolve.datasets.streaming import Loader, StreamedWindows, WindowDataset, batched, loader
from pdesolve.datasets.window_blocks import blocking, nbytes
from pdesolve.errors import InputError
from pdesolve.geometry import Axis

SAMPLES, FRAMES, POINTS = 23, 17, 64
U = np.random.default_rng(0).standard_normal((SAMPLES, FRAMES, POINTS)).astype(np.float32)
TASK = Task(("u",), ("u",), Steps(2, 2))
WINDOWS = SAMPLES * 14


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of all samples, compressed in chunks of several samples, and three that share them."""
    place = tmp_path_factory.mktemp("streams")
    with h5py.File(place / "all.h5", "w") as file:
        file.create_dataset("u", data=U, chunks=(4, 5, POINTS), compression="gzip", compression_opts=1)
    for i, part in enumerate((slice(0, 9), slice(9, 10), slice(10, 23))):
        with h5py.File(place / f"part{i}.h5", "w") as file:
            file.create_dataset("u", data=U[part], chunks=(1, 5, POINTS))
    return place


def array(path: Path) -> H5Array:
    with look(path) as root:
        return H5Array.of(root["u"])


def example(folder: Path, name: str = "all") -> Dataset:
    parts = sorted(folder.glob("part*.h5"))
    numbers = Joined(tuple(map(array, parts))) if name == "parts" else array(folder / f"{name}.h5")
    t = Coordinate(Axis("t", 0.0, 1.0), np.linspace(0, 1, FRAMES))
    nu = Variable("viscosity", Memory(np.arange(float(SAMPLES))), ("sample",))
    return Dataset({"u": Variable("u", numbers, ("sample", "t", "x"))}, {"t": t}, {"viscosity": nu})


def seen(batches: Iterator | Loader) -> list[tuple[int, int]]:
    """The windows that came, after a look at their numbers."""
    found = []
    for batch in batches:
        for i, (sample, first) in enumerate(zip(batch.numbers.tolist(), batch.first.tolist(), strict=True)):
            assert np.array_equal(batch.inputs["u"][i, :, 0], U[sample, first : first + 2])
            assert np.array_equal(batch.targets["u"][i, :, 0], U[sample, first + 2 : first + 4])
            assert batch.parameters["viscosity"][i] == sample
            found.append((sample, first))
    return found


SMALL = 40_000  # bytes: less than the 100 kB of the data, more than two of their chunks


@pytest.mark.parametrize("shuffle", ["blocks", "windows", "no"])
@pytest.mark.parametrize(("name", "memory"), [("all", SMALL), ("parts", SMALL), ("all", 1 << 20)])
def test_every_window_comes_once(folder: Path, name: str, memory: int, shuffle: streaming.Shuffle) -> None:
    made = loader(example(folder, name), TASK, batch=10, workers=0, shuffle=shuffle, memory=memory, seed=5)
    first, second = seen(made), seen(made)
    assert len(made) == 33 and len(first) == WINDOWS == len(set(first)) == len(set(second))
    if shuffle == "no":
        assert first == second == sorted(first)
    else:
        assert first != second and first != sorted(first)
        again = loader(example(folder, name), TASK, batch=10, workers=0, shuffle=shuffle, memory=memory, seed=5)
        assert seen(again) == first and seen(again) == second


def test_workers_bring_the_same_windows_and_a_resumed_loader_the_rest(folder: Path) -> None:
    def made() -> Loader:
        return loader(example(folder, "parts"), TASK, batch=16, workers=2, memory=2 * SMALL)

    whole, kept = made(), []
    for batch in whole:
        kept.append(batch)  # all of them: more than there are pieces of shared memory
        if len(kept) == 9:
            position = pickle.loads(pickle.dumps(whole.position()))
    assert len(kept) == len(whole) == -(-WINDOWS // 16)
    assert len(set(seen(iter(kept)))) == WINDOWS
    resumed = made()
    resumed.resume(position)
    assert seen(resumed) == seen(iter(kept[9:])) and (resumed.epoch, resumed.batch) == (1, 0)
    assert len(set(again := seen(whole))) == WINDOWS and again != seen(iter(kept))
    processes = whole._processes
    for batch in whole:  # left after a batch, which is not asked for again
        assert batch.numbers.tolist() != kept[0].numbers.tolist()
        break
    assert len(seen(whole)) == WINDOWS - 16 and whole._processes is processes and whole.epoch == 3
    whole.resume(position)
    assert seen(whole) == seen(iter(kept[9:])) and whole._processes is not processes
    other = loader(example(folder, "parts"), TASK, batch=8, workers=2, memory=2 * SMALL)
    with pytest.raises(InputError, match=r"batch=16.*batch=8"):
        other.resume(position)
    with pytest.raises(InputError, match=r"the order of batches was"):
        loader(example(folder, "parts"), TASK, batch=16, workers=2, memory=SMALL).resume(position)


def test_what_a_worker_refuses_is_one_line(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "all.h5"
    place.write_bytes((folder / "all.h5").read_bytes())
    data = example(tmp_path)
    place.unlink()
    with pytest.raises(InputError, match="there is no file") as found:
        next(iter(loader(data, TASK, workers=1, memory=SMALL)))
    assert "\n" not in str(found.value)


@dataclass(frozen=True, eq=False)
class Deadly(Memory):
    """Numbers that kill whoever reads them, but for the process of this number."""

    spared: int = 0

    def read(self, index: Slices) -> np.ndarray:
        if os.getpid() != self.spared:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(index)


def test_a_killed_worker_is_told_in_a_line() -> None:
    data = Dataset({"u": Variable("u", Deadly(U, os.getpid()), ("sample", "t", "x"))})
    with pytest.raises(InputError, match="a worker that read data was killed") as found:
        list(loader(data, TASK, workers=1, memory=SMALL))
    assert "\n" not in str(found.value)


def test_windows_go_to_processes_that_are_started_anew(folder: Path) -> None:
    windows = pickle.loads(pickle.dumps(loader(example(folder), TASK, memory=SMALL).windows))
    assert len(seen(iter([windows.batch([0, 100])]))) == 2


def test_shared_memory_is_used_again_when_a_batch_is_forgotten() -> None:
    slots = Slots(2, 64)
    number = slots.take()
    part = slots.lend(number)[8:16].view(torch.float32)
    part.fill_(3.0)
    gc.collect()
    assert slots.free == 1 and slots.memory[number][8:16].view(torch.float32).tolist() == [3.0, 3.0]
    del part
    assert slots.free == 2
    with pytest.raises(InputError, match="bytes free"):
        Slots(2, 1 << 60)


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("ranks", [1, 4])
def test_ranks_and_lanes_get_equal_parts_of_one_order(ranks: int, lanes: int) -> None:
    groups = np.arange(SAMPLES) // 4
    orders: list[Order] = [
        InTurn(WINDOWS),
        Shuffled(WINDOWS, 1),
        Blocks(groups, 14, 5, 3, 1),
        Blocks(groups, 14, 14, 2, 1),
    ]
    for order in orders:
        shares = [Share(order, 7, lanes, rank, ranks) for rank in range(ranks)]
        batches = [list(share.batches(2)) for share in shares]
        numbers = [np.concatenate(found) for found in batches]
        assert len({len(found) for found in numbers}) == 1 and {len(found) for found in batches} == {len(shares[0])}
        assert all(len(batch) == 7 for found in batches for batch in found[:-1])
        together = np.concatenate(numbers)
        assert len(set(together.tolist())) == len(together) == WINDOWS - shares[0].dropped
        for share, found in zip(shares, batches, strict=True):
            rest = list(share.batches(2, 5))
            assert all(np.array_equal(a, b) for a, b in zip(rest, found[5:], strict=True))


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_slices_of_batches_are_those_of_one_process(folder: Path, ranks: int) -> None:
    whole = loader(example(folder), TASK, batch=25, seed=3)
    parts = [loader(example(folder), TASK, batch=25, seed=3, rank=rank, ranks=ranks) for rank in range(ranks)]
    assert {made.position() for made in parts} == {whole.position()}  # a run goes on with other processes
    for of_all, *shares in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat([share.inputs["u"] for share in shares]), of_all.inputs["u"])
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
        assert {share.whole for share in shares} == {len(of_all)} and of_all.whole == 0
        assert [share.begin for share in shares] == np.cumsum([0, *map(len, shares)])[:-1].tolist()
    assert len(of_all) == 322 % 25
    few = loader(example(folder), TASK, batch=107, seed=3, rank=0, ranks=2)  # 322 = 3 * 107 + 1
    assert len(few) == 3 and "1 of 322 windows are dropped" in few.notes[0]


def test_blocks_that_are_read_together_come_together() -> None:
    order = Blocks(np.arange(40) // 4, 14, 14, 2, 0)
    numbers = np.concatenate(list(order.parts(0, 40 * 14, 0)))
    groups = numbers // 14 // 4
    assert all(len(set(part.tolist())) == 2 for part in groups.reshape(5, -1))
    assert not np.array_equal(numbers, np.concatenate(list(order.parts(0, 40 * 14, 1))))
    assert all(np.abs(np.diff(part)).max() > 1 for part in numbers.reshape(5, -1))


def test_ranks_are_those_of_torchrun(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "3")
        made = loader(example(folder), TASK, batch=9, workers=0, memory=SMALL)
        assert made.notes == ("1 of 322 windows are dropped in each epoch, so that 3 processes share it",)
        found += seen(made)
    assert len(set(found)) == len(found) == 321


def test_the_cache_holds_no_more_than_it_says(folder: Path) -> None:
    cache = BlockCache(SMALL)
    cached = Cached.of(array(folder / "all.h5"), (4, 5, POINTS), cache)
    generator, most = np.random.default_rng(0), 0
    for _ in range(300):
        index = []
        for n in cached.shape:
            start, stop = sorted(generator.integers(0, n + 1, 2).tolist())
            index.append(slice(start, stop, int(generator.integers(1, 4))))
        assert np.array_equal(cached.read(tuple(index)), U[tuple(index)])
        most = max(most, cache.held)
    assert SMALL // 2 < most <= SMALL and cache.loads > 10
    assert pickle.loads(pickle.dumps(cached)).cache.held == 0


def test_a_block_that_is_looked_at_is_not_written_over(folder: Path) -> None:
    cached = Cached.of(array(folder / "all.h5"), (4, FRAMES, POINTS), BlockCache(4 * FRAMES * POINTS * 4))
    views = [cached.read((slice(i, i + 1), slice(0, FRAMES), slice(0, POINTS))) for i in range(SAMPLES)]
    assert all(np.array_equal(view[0], U[i]) for i, view in enumerate(views))


def test_blocks_are_whole_chunks_that_fit(folder: Path) -> None:
    windows = Windows(example(folder), TASK)
    assert nbytes(windows) == U.nbytes
    found = blocking(windows, SMALL)
    assert found.samples % 4 == 0 and found.frames in (5, 10, 15, FRAMES) and 2 * found.nbytes <= SMALL
    large = blocking(windows, 1 << 30)
    assert large.frames == FRAMES and large.samples >= SAMPLES
    with pytest.raises(InputError, match="4 samples by 5 frames, has 5120 bytes, and two of them do not fit the 10000"):
        blocking(windows, 10_000)
    chosen = Windows(example(folder).isel({"sample": [20, 3, 4]}), TASK)
    assert nbytes(chosen) == U[:3].nbytes


def test_every_chunk_is_read_once_an_epoch(folder: Path) -> None:
    stream = StreamedWindows(example(folder), TASK, batch=8, memory=4 * SMALL)
    windows, order = streaming._streamed(stream.windows, "blocks", SMALL, 0)
    for part in order.parts(0, WINDOWS, 0):
        windows.batch(part)
    (source,) = windows.sources.values()
    assert isinstance(source.array, Cached)
    blocks = -(-SAMPLES // source.array.block[0]) * -(-FRAMES // source.array.block[1])
    # a window may reach into the block behind its own, which is then read for it too
    assert blocks <= source.array.cache.loads <= 2 * blocks


def test_the_forms_of_torch_bring_the_same_windows(folder: Path) -> None:
    data = WindowDataset(example(folder), TASK, memory=SMALL)
    assert len(data) == WINDOWS and data[3].targets["u"].shape == (2, 1, POINTS)
    assert all(isinstance(source.array, H5Array) for source in data.windows.sources.values())
    kept = WindowDataset(example(folder), TASK).windows
    assert len(seen(iter([kept.batch(np.arange(WINDOWS)), kept.batch([5])]))) == WINDOWS + 1
    assert all(isinstance(source.array, Cached) and source.array.cache.loads == 1 for source in kept.sources.values())
    plain = DataLoader(data, batch_size=20, shuffle=True, collate_fn=batched)
    assert len(set(seen(iter(plain)))) == WINDOWS
    stream = StreamedWindows(example(folder), TASK, batch=20, memory=2 * SMALL)
    stream.begin(1)
    found = seen(iter(DataLoader(stream, batch_size=None, num_workers=2)))
    assert len(set(found)) == WINDOWS
    stream.begin(1, 6)
    assert seen(iter(DataLoader(stream, batch_size=None, num_workers=2))) == found[120:]


def test_ragged_samples_are_streamed(folder: Path) -> None:
    bounds = np.array([0, 4, 5, 9])
    u = Variable("u", Memory(np.arange(2 * 9.0).reshape(2, 9)), ("t", "node"))
    data = Dataset({"u": u}, offsets={"node": bounds})
    more = data.isel({"sample": [0, 1, 2] * 10})
    made = loader(more, Task(("u",), ("u",), Steps()), batch=2, workers=1)
    count = 0
    for batch in made:
        for row, number in enumerate(batch.numbers.tolist()):
            size = np.diff(bounds)[number % 3]
            found = batch.targets["u"][row, 0, 0]
            assert found[:size].tolist() == [9.0 + n for n in range(bounds[number % 3], bounds[number % 3 + 1])]
            assert not found[size:].any() and ("node" not in batch.mask or int(batch.mask["node"][row].sum()) == size)
            count += 1
    assert count == 30 and len(made) == 15


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch": 0}, "expected batch >= 1"),
        ({"device": "gpu9"}, "a device is auto, cpu"),
        ({"shuffle": "some"}, "unknown shuffle 'some'"),
        ({"rank": 2, "ranks": 2}, "got rank 2 of 2"),
        ({"rank": 0, "ranks": 1000}, "there are 322 windows for 1000 processes"),
        ({"rank": 0, "ranks": 40}, "there are 32 windows in a batch for 40 processes"),
        ({"rank": 0, "ranks": 3, "memory": SMALL}, "streamed to 3 processes: take a multiple of 3"),
        ({"memory": 10_000}, "allow more memory"),
    ],
)
def test_loaders_that_cannot_be_are_refused(folder: Path, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        loader(example(folder), TASK, **settings)
