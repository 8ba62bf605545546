"""Generation: the same samples whatever interrupts it, nothing that fails its checks, one line for what cannot be."""

from __future__ import annotations

import json
import math
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import pdesolve as ps
from pdesolve.cli import main
from pdesolve.condition import InitialValue
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Dataset, Variable
from pdesolve.datasets import generation, new_file
from pdesolve.datasets.acceptance import judged
from pdesolve.datasets.generation import State, generate
from pdesolve.datasets.joining import joined
from pdesolve.datasets.manifest import Manifest
from pdesolve.datasets.opening import open_dataset
from pdesolve.datasets.parts import Record, missing
from pdesolve.datasets.production import produced
from pdesolve.datasets.shares import bounds_of, positions
from pdesolve.errors import Diverged, InputError
from pdesolve.family import Draws, Family, Simulator
from pdesolve.fields import sin
from pdesolve.geometry import Axes, Axis, Interval, PointCloud
from pdesolve.physics.equations.heat import Heat
from pdesolve.problem import Evaluation, Problem
from pdesolve.simulation import simulated

HERE = Path(__file__).parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "pdesolve"]


@dataclass(frozen=True)
class Decay(Family):
    """A wave of random height that decays on a ring, u = h exp(-4 pi^2 D t) sin(2 pi x) + m, by this formula.

    Attributes:
        mean: of u.
        fragile: waves that are higher come out as `fault` says.
        fault: what goes wrong with them.
        pause: seconds that a batch takes.
    """

    mean: float = 1.0
    fragile: float = 9.0
    fault: str = "nan"
    pause: float = 0.0

    def problems(self, draws: Draws) -> Sequence[Problem]:
        time = Axis("t", 0.0, 1.0)
        height = torch.as_tensor(draws.uniform(0.5, 1.5)).reshape(-1, 1, 1)
        diffusivity = torch.as_tensor(draws.uniform(0.01, 0.02))

        def start(p, x):
            wave = x.expand(sin(2 * math.pi * x["x"]) + 0.0 * x["x"])
            return x.field(height.reshape(-1, *[1] * wave.values.ndim) * wave.values + self.mean, "u")

        problem = Problem(
            name="decay", equation=Heat(), domain=Interval("x", 0.0, 1.0, periodic=True), time=time,
            conditions=(InitialValue("u", start),), values={"diffusivity": diffusivity},
            evaluation=Evaluation.uniform(16, time, 4), source="separation of variables",
        )  # fmt: skip
        return (problem,)

    @property
    def simulator(self) -> Formula:
        return Formula(self.mean, self.fragile, self.fault, self.pause)


@dataclass(frozen=True)
class Formula(Simulator):
    mean: float
    fragile: float
    fault: str
    pause: float

    def simulate(self, problem: Problem, *, device: str = "cpu") -> Dataset:
        time.sleep(self.pause)
        u = self._u(problem, problem.values["diffusivity"])
        wrong = u.amax((1, 2)) - self.mean > self.fragile
        if wrong.any():
            match self.fault:
                case "nan":
                    u[wrong, 2:] = math.nan
                case "leak":
                    u[wrong] += torch.linspace(0, 0.01, u.shape[1])[:, None]
                case "off":
                    u[wrong] += 0.01 * torch.sin(2 * math.pi * torch.arange(16) / 16)
                case "diverged":
                    raise Diverged("u is not finite at t = 0.5")
        return simulated(problem, {"u": u})

    def defect(self, problem: Problem, data: Dataset, *, device: str = "cpu") -> np.ndarray:
        if self.fault == "leak":
            return np.zeros(data.samples)
        expected = self._u(problem, problem.values["diffusivity"]).numpy()
        found = data.read("u")
        return np.abs(found - expected).max((1, 2)) / np.abs(expected).max((1, 2))

    def _u(self, problem, diffusivity) -> torch.Tensor:
        from pdesolve.fields import Coordinates

        grid = problem.evaluation_set
        start = problem.initial_state(Coordinates(grid.without("t")))["u"].values - self.mean
        times = torch.as_tensor(grid.members[0].points)
        fall = torch.exp(-4 * math.pi**2 * diffusivity[:, None] * times)
        return fall[:, :, None] * start[:, None, :] + self.mean


def values(path: Path) -> np.ndarray:
    return open_dataset(path).read("u")


class Killed(BaseException):
    """What no code of ours catches, as if the process had died."""


def test_a_sample_is_the_same_whatever_is_made_beside_it(tmp_path: Path) -> None:
    whole = generate(Decay(), 7, tmp_path / "whole.h5", seed=3, dtype="float64")
    assert whole.samples == whole.made == 7 and whole.packed and not whole.failed and not whole.splits
    generate(Decay(), 7, tmp_path / "parts.h5", seed=3, dtype="float64", batch=2)
    assert np.array_equal(values(tmp_path / "whole.h5"), values(tmp_path / "parts.h5"))
    alone, record = produced(Decay(), 3, range(5, 6))
    assert alone is not None and record.complete == [5]
    assert np.array_equal(alone.read("u")[0], values(tmp_path / "whole.h5")[5])
    data = open_dataset(tmp_path / "parts.h5")
    assert data.layout == "native" and data.coordinates["x"].axis.periodic and data.parameters["diffusivity"].dims
    assert np.array_equal(data.read("diffusivity")[5:6], alone.read("diffusivity"))
    assert data.variables["u"].array.dtype == np.float64 and sorted(os.listdir(tmp_path)) == ["parts.h5", "whole.h5"]
    other = generate(Decay(), 7, tmp_path / "other.h5", seed=4)
    assert open_dataset(other.path).variables["u"].array.dtype == np.float32
    assert np.abs(values(other.path) - values(whole.path)).max() > 0.1


def test_it_goes_on_after_a_kill_with_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "from test_generation import Decay; from pdesolve.datasets.generation import generate\n"
        "generate(Decay(pause=0.25), 12, 'killed.h5', batch=2)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment) as process:
        until = time.monotonic() + 60
        while len(list(tmp_path.glob("killed.h5.parts/part-*.json"))) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("killed.h5.parts/part-*.h5")}
    assert 2 <= len(before) < 6 and not (tmp_path / "killed.h5").exists()
    order = tmp_path / "killed.h5.parts" / "order.json"
    order.write_text(order.read_text().replace("0.25", "0.0"))  # the same family, without its pauses
    done = generate(Decay(), 12, tmp_path / "killed.h5", batch=2)
    assert done.samples == 12 and done.made <= 12 - 2 * len(before) + 2
    generate(Decay(), 12, tmp_path / "whole.h5", batch=2)
    assert values(done.path).tobytes() == values(tmp_path / "whole.h5").tobytes()


@pytest.mark.parametrize(
    ("where", "name", "call"),
    [
        (generation, "write", 2),
        (generation.Parts, "finish", 2),
        (generation, "packed", 1),
        (generation.Parts, "clear", 1),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_whenever_it_dies_the_same_call_ends_the_same(tmp_path: Path, monkeypatch, where, name, call, when) -> None:
    out, calls, real = tmp_path / "u.h5", [], getattr(where, name)

    def dying(*arguments, **more):
        calls.append(name)
        if len(calls) == call and when == "before":
            raise Killed
        found = real(*arguments, **more)
        if len(calls) == call:
            raise Killed
        return found

    for n in (6, 10):  # once from nothing, once from a finished file that is made longer
        with monkeypatch.context() as patch:
            calls.clear()
            patch.setattr(where, name, dying)
            with pytest.raises(Killed):
                generate(Decay(), n, out, batch=2)
        done = generate(Decay(), n, out, batch=2)
        assert done.samples == n and done.packed and os.listdir(tmp_path) == ["u.h5"]
        expected, _ = produced(Decay(), 0, range(n))
        assert expected is not None and np.array_equal(values(out), expected.read("u").astype(np.float32))


def test_a_finished_file_that_is_made_longer_is_never_lost(tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "u.h5"
    generate(Decay(), 4, out)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            generate(Decay(), 6, out)
    assert len(values(out)) == 4
    real = generation.Parts.adopt

    def dying(self, whole):
        real(self, whole)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(generation.Parts, "adopt", dying)
        with pytest.raises(Killed):
            generate(Decay(), 6, out)
    done = generate(Decay(), 6, out)
    assert done.made == 2 and done.samples == 6


def test_what_is_finished_is_not_made_again(tmp_path: Path) -> None:
    out, said = tmp_path / "u.h5", []
    first = generate(Decay(), 4, out, split={"train": 0.5, "test": 0.5})
    again = generate(Decay(), 4, out, say=said.append)
    assert again.made == 0 and said == [f"{out} is finished: it holds 4 samples"] and again.splits == first.splits
    assert generate(Decay(), 2, out).samples == 4, "nothing is taken away"
    resplit = generate(Decay(), 4, out, split={"train": 0.75, "test": 0.25})
    assert resplit.made == 0 and resplit.splits == {"train": 3, "test": 1}
    longer = generate(Decay(), 8, out)
    assert longer.made == 4 and longer.splits == {"train": 6, "test": 2}


@pytest.mark.parametrize("finished", [True, False])
def test_another_order_into_the_same_file_is_refused(tmp_path: Path, finished: bool) -> None:
    out = tmp_path / "u.h5"
    if finished:
        generate(Decay(), 2, out)
    else:
        with pytest.raises(KeyboardInterrupt):
            generate(Decay(), 4, out, batch=2, report=interrupt)
    before = out.read_bytes()
    for change, words in (
        ({"seed": 1}, "samples of seed 0, asked for is 1: give another --out, or the same --seed"),
        ({"family": Decay(mean=2.0)}, "samples of family.mean 1.0, asked for is 2.0"),
        ({"dtype": "float64"}, "samples of dtype float32, asked for is float64"),
        ({"compression": "gzip"}, "samples of compression None, asked for is gzip"),
        ({"family": "burgers"}, "samples of family Decay, asked for is burgers"),
    ):
        given = {"family": Decay(), "n": 4, "out": out, **change}
        with pytest.raises(InputError, match=words):
            generate(**given)
    assert out.read_bytes() == before
    (tmp_path / "mine.h5").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"mine\.h5 is there already and was not generated"):
        generate(Decay(), 2, tmp_path / "mine.h5")


def interrupt(state: State) -> None:
    raise KeyboardInterrupt


def test_an_interrupt_leaves_a_file_of_what_is_done(tmp_path: Path) -> None:
    out, said = tmp_path / "u.h5", []
    with pytest.raises(KeyboardInterrupt):
        generate(Decay(), 5, out, batch=2, report=interrupt, say=said.append, split={"train": 0.8, "test": 0.2})
    assert said[-1] == f"2 of 5 samples are in {out}; the same command goes on"
    data = open_dataset(out)
    assert data.samples == 2 and list(data.splits) == ["train"] and not Manifest.read(out).packed  # type: ignore[union-attr]
    done = generate(Decay(), 5, out, batch=2)
    assert done.made == 3 and done.splits == {"train": 4, "test": 1} and done.packed


def test_fewer_samples_than_an_earlier_call_wanted_take_none_away(tmp_path: Path) -> None:
    out, said = tmp_path / "u.h5", []

    def late(state: State) -> None:
        if state.done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(Decay(), 10, out, batch=2, report=late)
    (tmp_path / "u.h5.parts" / "part-00000000-00000002.json").unlink()
    done = generate(Decay(), 2, out, batch=2, say=said.append, split={"a": 0.5, "b": 0.5})
    assert done.made == 2 and not done.packed and "they hold samples from number 2 on" in said[-1]
    assert done.splits == {"a": 1, "b": 1} and values(out).shape[0] == 2
    assert generate(Decay(), 10, out, batch=2).made == 4


def test_a_part_that_was_removed_is_made_again(tmp_path: Path) -> None:
    out = tmp_path / "u.h5"
    with pytest.raises(KeyboardInterrupt):
        generate(Decay(), 4, out, batch=2, report=interrupt)
    (tmp_path / "u.h5.parts" / "part-00000000-00000002.h5").unlink()
    assert generate(Decay(), 4, out, batch=2).made == 4 and len(values(out)) == 4


@pytest.mark.parametrize("call", [3, 20, 60, 100, 150])
@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_an_interrupt_while_a_file_is_written(
    tmp_path: Path, monkeypatch, call: int, number: int, raised: type
) -> None:
    out, calls, real = tmp_path / "u.h5", [], new_file._Medium.write
    # shells start what runs behind them with SIGINT ignored
    old = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupted(self, content):
        calls.append(len(content))
        if len(calls) == call:
            os.kill(os.getpid(), number)
        return real(self, content)

    said: list[str] = []
    with monkeypatch.context() as patch, pytest.raises(raised):
        patch.setattr(new_file._Medium, "write", interrupted)
        try:
            generate(Decay(), 4, out, batch=2, say=said.append)
        finally:
            signal.signal(signal.SIGINT, old)
    done = open_dataset(out).samples if out.exists() else 0
    assert said[-1].startswith(f"{done} of 4 samples are in " if done else "no sample is kept") or done == 4
    assert done or os.listdir(tmp_path) == []
    assert not [path.name for path in tmp_path.rglob(".*")], "no half files"
    generate(Decay(), 4, out, batch=2)
    expected, _ = produced(Decay(), 0, range(4))
    assert expected is not None and np.array_equal(values(out), expected.read("u").astype(np.float32))


@pytest.mark.parametrize(
    ("fault", "words"), [("nan", "u is not finite from frame 2 on"), ("leak", "heat departs by"), ("off", "defect")]
)
def test_samples_that_fail_are_left_out_and_named(tmp_path: Path, fault: str, words: str) -> None:
    family = Decay(fragile=1.2, fault=fault)
    done = generate(family, 12, tmp_path / "u.h5", batch=5, split={"train": 0.5, "test": 0.5})
    heights = values(generate(Decay(), 12, tmp_path / "all.h5").path).max((1, 2)) - 1.0
    assert sorted(done.failed) == np.flatnonzero(heights > 1.2).tolist() and 0 < len(done.failed) < 12
    assert all(words in reason for reason in done.failed.values())
    data = open_dataset(done.path)
    assert data.samples == done.samples == 12 - len(done.failed)
    kept = np.flatnonzero(heights <= 1.2)
    assert np.array_equal(data.read("u"), values(tmp_path / "all.h5")[kept])
    assert np.array_equal(data.splits["test"], np.flatnonzero(kept >= 6)), "a sample stays in its split"
    assert sorted(json.loads(data.attributes["generation"])["record"]["failed"]) == sorted(map(str, done.failed))
    assert done.defect < 1e-15 and next(iter(done.drifts.values())) < 1e-15


def test_one_sample_that_diverges_does_not_take_its_batch_along(tmp_path: Path) -> None:
    _, expected = produced(Decay(fragile=1.2, fault="nan"), 0, range(12))
    data, record = produced(Decay(fragile=1.2, fault="diverged"), 0, range(12))
    assert (
        data is not None and data.samples == len(record.complete) and sorted(record.failed) == sorted(expected.failed)
    )
    assert set(record.failed.values()) == {"u is not finite at t = 0.5"}
    with pytest.raises(Diverged, match="16 samples have failed, the first since u is not finite"):
        generate(Decay(fragile=0.0, fault="diverged"), 100, tmp_path / "u.h5", batch=16)
    with pytest.raises(Diverged, match="no sample of 3 has passed"):
        generate(Decay(fragile=0.0, fault="diverged"), 3, tmp_path / "none.h5")
    assert os.listdir(tmp_path) == [], "nothing is in the way of other settings"


def test_checks_take_numbers_that_are_none_for_wrong() -> None:
    family = Decay()
    (problem,) = family.sample(2)
    data = family.simulator.simulate(problem)
    assert judged(family, problem, data).reasons == {}
    blind = SimpleNamespace(
        tolerance=1e-3, drift=1e-3, simulator=SimpleNamespace(defect=lambda *_, **__: np.array([np.nan, 0.0]))
    )
    assert list(judged(blind, problem, data).reasons) == [0]  # type: ignore[arg-type]
    wrong = replace(
        data, parameters={"diffusivity": replace(data.variable("diffusivity"), array=Memory(np.array([np.inf, 1])))}
    )
    assert judged(family, problem, wrong).reasons == {0: "diffusivity is not finite"}


def test_a_disk_that_fills_up_leaves_what_is_done(tmp_path: Path) -> None:
    out, said = tmp_path / "u.h5", []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(state: State) -> None:
        if state.done == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))

    try:
        with pytest.raises(InputError, match="cannot write"):
            generate(Decay(), 10, out, batch=2, report=fill, say=said.append)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert said[-1].startswith(f"4 of 10 samples are in {out}.parts;"), "not even a file of references fits"
    assert not [path.name for path in tmp_path.rglob("*") if path.name.startswith(".")], "no half files"
    done = generate(Decay(), 10, out, batch=2)
    assert done.made == 6 and done.samples == 10


def test_a_disk_that_is_too_small_is_refused_before_anything_is_made(tmp_path: Path, monkeypatch) -> None:
    free = SimpleNamespace(free=1000)
    monkeypatch.setattr(generation.shutil, "disk_usage", lambda path: free)
    with pytest.raises(InputError, match=r"3\.2e-05 GB are needed .*, 1e-06 GB are free at"):
        generate(Decay(), 100, tmp_path / "u.h5")
    assert os.listdir(tmp_path) == []
    free.free = 3000
    said: list[str] = []
    kept = generate(Decay(), 4, tmp_path / "u.h5", say=said.append)
    assert not kept.packed and "refers to" in said[-1] and len(values(kept.path)) == 4
    free.free = 10**9
    assert generate(Decay(), 4, tmp_path / "u.h5").packed and os.listdir(tmp_path) == ["u.h5"]


def test_two_processes_do_not_write_the_same_file(tmp_path: Path) -> None:
    out = tmp_path / "u.h5"

    def second(state: State) -> None:
        generate(Decay(), 4, out)

    with pytest.raises(InputError, match="another process is generating"):
        generate(Decay(), 4, out, batch=2, report=second)


def test_a_file_that_another_process_writes_is_not_touched(tmp_path: Path) -> None:
    out = tmp_path / "u.h5"
    generate(Decay(), 2, out)
    hold = "import h5py, sys; file = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"open\n"
        with pytest.raises(InputError, match="is locked, another process writes to it"):
            generate(Decay(), 4, out)
        other.communicate(b"")
    assert len(values(out)) == 2


def test_what_is_missing_is_cut_into_batches() -> None:
    done = [Record(2, 4), Record(4, 5), Record(9, 12)]
    assert missing(done, 11, 3) == [(0, 2), (5, 8), (8, 9)]
    assert missing(done, 14, 10) == [(0, 2), (5, 9), (12, 14)]
    assert missing([], 5, 2) == [(0, 2), (2, 4), (4, 5)] and missing([Record(0, 5)], 5, 2) == []


def test_splits_are_shares_that_neither_overlap_nor_are_empty() -> None:
    assert bounds_of({"train": 0.8, "valid": 0.1, "test": 0.1}, 10) == {
        "train": range(8), "valid": range(8, 9), "test": range(9, 10),
    }  # fmt: skip
    assert bounds_of({"train": 1 / 3, "test": 2 / 3}, 100)["test"] == range(33, 100)
    assert positions(bounds_of({"a": 0.5, "b": 0.5}, 6), [0, 4, 5])["b"].tolist() == [1, 2]
    for shares, words in (
        ({"train": 0.8, "test": 0.3}, "the splits train, test overlap: their shares add up to 1.1"),
        ({"train": 0.95, "test": 0.05}, "the split test is empty: 0.05 of 4 samples"),
        ({"train": 0.0}, "between 0 and 1"),
        ({"train": math.nan}, "between 0 and 1"),
    ):
        with pytest.raises(InputError, match=words):
            bounds_of(shares, 4)


def test_ragged_samples_are_joined_with_their_meshes() -> None:
    axes = Axes((Axis("x", 0.0, 1.0),))

    def one(size: int, young: float, samples: int = 1) -> Dataset:
        u = Variable("u", Memory(np.arange(float(size * samples)) + young), ("point",))
        parameters = {
            "young": Variable("young", Memory(np.array(young)), ()),
            "force": Variable("force", Memory(np.array(1.0))),
        }
        clouds = [PointCloud(axes, torch.rand(size, 1)) for _ in range(samples)]
        bounds = np.arange(samples + 1) * size
        return Dataset({"u": u}, {}, parameters, meshes=clouds, offsets={"point": bounds})

    data = joined([one(3, 1.0), one(5, 2.0, 2), one(2, 1.0)])
    assert data.samples == 4 and data.offsets["point"].tolist() == [0, 3, 8, 13, 15]
    assert np.array_equal(data.read("u", {"sample": 2}), np.arange(5.0, 10.0) + 2) and len(data.meshes) == 4
    assert data.read("young").tolist() == [1.0, 2.0, 2.0, 1.0] and data.parameters["force"].dims == ()
    with pytest.raises(InputError, match="the same variables"):
        joined([data, replace(data, variables={"v": replace(data.variables["u"], name="v")})])


def test_samples_with_meshes_of_their_own(tmp_path: Path) -> None:
    family, out, said = ps.make_family("elasticity", {"spacing": 0.25}), tmp_path / "plates.h5", []
    with pytest.raises(KeyboardInterrupt):
        generate(family, 3, out, batch=1, report=interrupt, say=said.append)
    assert "3 samples in 3 parts of 1 at most" in said[0] and open_dataset(out).samples == 1
    done = generate(family, 3, out, batch=1, split={"train": 2 / 3, "test": 1 / 3})
    assert done.packed and done.made == 2
    data = open_dataset(out)
    for number in range(3):
        alone, _ = produced(family, 0, range(number, number + 1))
        assert alone is not None
        for name in alone.variables:
            expected = alone.read(name).astype(np.float32)
            assert np.array_equal(data.read(name, {"sample": number}), expected)
        found, mesh = data.meshes[number], alone.meshes[0]
        assert torch.equal(found.points, mesh.points) and torch.equal(found.cells, mesh.cells)  # type: ignore[attr-defined]
    bytes_said = float(said[0].split()[-4])
    assert 0.5 < 1e6 * bytes_said / (done.nbytes - 60_000) < 2.0, "the size that is foretold"


SMALL = ["--family.points", "32", "--family.frames", "2", "--family.step", "0.05"]


def test_the_command(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["generate", "burgers", "--n", "5", "--batch", "2", "--split", "train=0.8,test=0.2", *SMALL]
    assert main(words) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("burgers.h5: 5 samples of burgers, seed 0") and lines[2] == "splits: train 4, test 1"
    assert "momentum kept to" in lines[1] and lines[-1] == "next: pdesolve data info burgers.h5"
    assert (
        "5 samples in 3 parts of 2 at most" in err and "split test: samples 4 to 4" in err and "5 of 5 samples" in err
    )
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["samples"] == 5 and found["made"] == 0 and found["failed"] == {} and found["packed"]
    assert ps.open_dataset("burgers.h5").split("test").samples == 1
    assert main([*words[:3], "3", "--out", "bad.h5", *SMALL[:-1], "0.5", "--family.viscosity", "1e-4"]) == 3
    assert "no sample of 3 has passed the checks, the first since" in capsys.readouterr().err


def test_the_command_refuses_in_one_line(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for words, text in (
        ("", "which family? write pdesolve generate burgers --n 100"),
        ("burgers", "how many samples? write --n 100"),
        ("burger --n 3", "unknown family 'burger': did you mean 'burgers'"),
        ("burgers --n 0", "a data set has one sample at least, got 0"),
        ("burgers --n 3 --batch 0", "a batch has one sample at least, got 0"),
        ("burgers --n x", "--n takes a number, got 'x'"),
        ("burgers --n 3 --family.pints 8", "unknown family setting 'pints': did you mean 'points'"),
        ("burgers --n 3 --points 8", "unknown option '--points', a setting here: write --family.points VALUE"),
        ("burgers --n 3 --method.width 8", "unknown setting 'method'"),
        ("burgers --n 3 --dtype float16", "unknown dtype 'float16'"),
        ("burgers --n 3 --compression zip", "unknown compression 'zip'"),
        ("burgers --n 3 --split train", "--split takes shares by name"),
        ("burgers --n 3 --split a=0.5,a=0.5", "--split names a twice"),
        ("burgers --n 3 --split train=0.9,test=0.1", "the split test is empty"),
        ("burgers --n 3 --seed -1", "not negative"),
        ("burgers --n 3 --device gpu", "a device is auto, cpu"),
    ):
        assert main(["generate", *words.split()]) == 2, words
        err = capsys.readouterr().err
        assert text in err and err.count("\n") == 1, err
    assert os.listdir(tmp_path) == []
    assert main(["generate", "burgers", "--help"]) == 0
    assert "--family.viscosity (float, default 0.1)" in capsys.readouterr().out


def test_the_commands_of_the_page_run_one_after_the_other(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    text = (HERE.parent / "docs/generation.md").read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for line in "".join(code for kind, code in blocks if kind == "sh").splitlines():
        if line.startswith("pdesolve"):
            assert main(shlex.split(line)[1:]) == 0, line
    capsys.readouterr()
    exec(compile("\n".join(code for kind, code in blocks if kind == "python"), "generation.md", "exec"), {})
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("48 ") and out[0].endswith("(64,)") and len(out) == 4 and "33, 33" in out[-1]
    assert ps.open_dataset("darcy.h5", split="train").samples == 24


@pytest.mark.slow  # three processes that import torch
def test_processes_share_the_parts(tmp_path: Path) -> None:
    words = ["generate", "burgers", "-n", "7", "--batch", "2", "--json", *SMALL, "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*TORCHRUN, *words, "two.h5"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["samples"] == 7 and told["made"] == 7 and not told["packed"]
    assert main([*words, str(tmp_path / "one.h5")]) == 0
    assert values(tmp_path / "two.h5").tobytes() == values(tmp_path / "one.h5").tobytes()
    assert main([*words, str(tmp_path / "two.h5")]) == 0
    assert Manifest.read(tmp_path / "two.h5").packed and sorted(os.listdir(tmp_path)) == ["one.h5", "two.h5"]  # type: ignore[union-attr]
    refused = subprocess.run(
        [*TORCHRUN, *words, "two.h5", "--seed", "1"], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert refused.returncode != 0 and refused.stderr.count("holds samples of seed 0, asked for is 1") == 1
