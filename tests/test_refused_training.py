"""What cannot work in training, judging and predicting: one line, exit code 2, and nothing lost or half-written."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import draw_nothing
from waves import waves, waves_file

import pdesolve as ps
from pdesolve import catalogue
from pdesolve.cli import main
from pdesolve.data.arrays import Memory
from pdesolve.data.windows import Windows
from pdesolve.datasets.writing import write
from pdesolve.errors import InputError
from pdesolve.exhaustion import exhausted, in_parts
from pdesolve.method import Learner
from pdesolve.operators.fno.method import FNO
from pdesolve.surrogates.judging import measured
from pdesolve.surrogates.operator import OperatorSurrogate
from pdesolve.surrogates.predictions import predicted
from pdesolve.training.operator_objective import OperatorObjective
from pdesolve.training.operator_training import Training

SMALL = FNO(modes=3, width=4, depth=1, training=Training(batch=4))
_SETTINGS = {"modes": 3, "width": 4, "depth": 1, "training.batch": 4}
TRAIN = [
    "train", "fno", "--data", "waves.h5", *(f"--method.{name}={value}" for name, value in _SETTINGS.items()),
    "--steps", "4",
    "--threads", "1", "--device", "cpu", "--out", "run",
]  # fmt: skip

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of two steps and the data beside it."""
    folder = tmp_path_factory.mktemp("stored")
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        ps.train(SMALL, waves_file(folder), steps=2, threads=1, device="cpu", out=folder / "run")
    return folder


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which the command ends with 2."""
    capsys.readouterr()
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert not said.out and said.err.count("\n") == 1 and said.err.startswith("pdesolve: "), said.err
    return said.err


def learners() -> list[str]:
    return [e.name for e in catalogue.entries("method") if issubclass(catalogue.find_method(e.name), Learner)]


@pytest.mark.parametrize("name", learners())
def test_a_network_of_no_size_is_refused(name: str) -> None:
    made = catalogue.make_learner(name)
    counts = {"modes", "width", "depth", "levels", "heads", "latent", "functions"}
    found = counts & {field.name for field in dataclasses.fields(made)}  # type: ignore[arg-type]
    assert found
    for setting in found:
        for value in (0, -2):
            with pytest.raises(InputError, match=rf"{setting}.* at least (1|2), got {value}|at least.*{value}"):
                catalogue.make_learner(name, {setting: value})


def test_data_without_samples_or_without_a_split_to_train_on(tmp_path: Path, capsys) -> None:
    whole = waves()
    with pytest.raises(InputError, match="the data have no samples"):
        ps.train(SMALL, dataclasses.replace(whole.isel({"sample": slice(0, 0)}), splits={}), out="run", threads=1)
    write(dataclasses.replace(whole, splits={"valid": np.arange(20)}), tmp_path / "waves.h5")
    assert "needs a split train, and the data have valid" in refused(capsys, *TRAIN)
    (tmp_path / "waves.h5").unlink()
    write(dataclasses.replace(whole, splits={}), tmp_path / "waves.h5")
    assert "needs a split train" in refused(capsys, *TRAIN, "--split", "valid=0.5,test=0.5")
    line = refused(capsys, *TRAIN, "--method.training.residual", "1")
    assert "these name none: leave training.residual at 0" in line
    assert not Path("run").exists()


def test_what_floats_do_not_hold_and_steps_of_no_one_size_are_told(tmp_path: Path, capsys) -> None:
    whole = waves()
    u = whole.variables["u"]
    high = dataclasses.replace(u, array=Memory(1e8 + np.asarray(u.array.all(), float)))
    write(dataclasses.replace(whole, variables={"u": high}), tmp_path / "waves.h5")
    line = refused(capsys, *TRAIN)
    assert "u is 1e+08 give or take" in line and "float32 holds less than two digits" in line
    assert main([*TRAIN, "--dtype", "float64"]) == 0
    assert "apart" not in capsys.readouterr().err
    (tmp_path / "waves.h5").unlink()
    times = whole.coordinates["t"]
    late = dataclasses.replace(
        times, points=np.where(times.points == times.points[-1], times.axis.upper, times.points / 2)
    )
    write(dataclasses.replace(whole, coordinates={**whole.coordinates, "t": late}), tmp_path / "waves.h5")
    assert main([*TRAIN[:-1], "other"]) == 0
    assert "apart, and a step that is learnt is of all of them: give evenly spaced frames" in capsys.readouterr().err


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without(name: str) -> Callable[[Path], None]:
    """Takes an entry out of a file of a run."""

    def take(path: Path) -> None:
        if path.suffix == ".json":
            content = json.loads(path.read_text())
            del content[name]
            path.write_text(json.dumps(content))
        elif path.suffix == ".yaml":
            lines = path.read_text().splitlines(True)
            path.write_text("".join(line for line in lines if not line.startswith(f"{name}:")))
        else:
            content = torch.load(path, weights_only=True)
            del content[name]
            torch.save(content, path)

    return take


def hollow(path: Path) -> None:
    content = torch.load(path, weights_only=True)
    torch.save({**content, "signature": {"inputs": 3}}, path)


@pytest.mark.parametrize(
    ("name", "damage", "verbs", "line"),
    [
        ("surrogate.pt", cut, ("eval", "predict", "export"), "surrogate.pt is damaged"),
        ("surrogate.pt", hollow, ("eval",), "its signature is none"),
        ("surrogate.pt", without("weights"), ("predict",), "it lacks weights"),
        ("checkpoint.pt", cut, ("resume",), "checkpoint.pt is damaged"),
        ("checkpoint.pt", without("cpu_seconds"), ("resume",), "it lacks cpu_seconds; start again by pdesolve train"),
        ("config.yaml", without("seed"), ("eval", "predict", "resume"), "it does not say seed"),
        ("run.json", without("config"), ("eval", "predict", "resume", "export"), "run.json is damaged"),
        ("run.json", cut, ("eval", "resume"), "run.json is damaged"),
    ],
)
def test_a_damaged_run_says_what_of_it_is(
    name: str, damage: Callable[[Path], None], verbs: tuple[str, ...], line: str, stored: Path, tmp_path: Path, capsys
) -> None:
    shutil.copytree(stored / "run", tmp_path / "run")
    damage(tmp_path / "run" / name)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for verb in verbs:
        further = {"resume": ["--steps", "4"], "predict": ["-o", "p.nc"]}.get(verb, [])
        assert line in refused(capsys, verb, "run", *further), verb
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def too_much() -> BaseException:
    """What torch itself raises where a tensor does not fit."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58)
    return caught.value


def test_memory_that_has_run_out_is_known_by_what_is_raised() -> None:
    with pytest.raises(MemoryError) as caught:
        np.empty(2**58)
    assert exhausted(caught.value) and exhausted(too_much())
    assert exhausted(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert not exhausted(RuntimeError("shapes do not fit")) and not exhausted(ValueError("out of memory"))


def failing_from(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward passes of training raise what torch raises, from that one on."""
    forward, count = OperatorObjective.forward, 0

    def limited(self: OperatorObjective, batch: Any) -> Any:
        nonlocal count
        count += self.training
        if self.training and count > step:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(self, batch)

    monkeypatch.setattr(OperatorObjective, "forward", limited)


def test_a_batch_without_room_leaves_nothing_before_the_first_step(tmp_path: Path, capsys, monkeypatch) -> None:
    waves_file(tmp_path)
    failing_from(0, monkeypatch)
    line = refused(capsys, *TRAIN)
    assert (
        "no room for a batch of 4 windows (CUDA out of memory" in line and "--method.training.batch 2 or less" in line
    )
    assert "stays" not in line and not Path("run").exists()


def test_a_batch_without_room_later_loses_nothing(tmp_path: Path, capsys, monkeypatch) -> None:
    waves_file(tmp_path)
    with monkeypatch.context() as patch:
        failing_from(3, patch)
        patch.setattr("pdesolve.training.room.free_bytes", lambda device: 2**40)
        assert main(TRAIN) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert "--method.training.batch 2 or less; what there is stays in run" in line
    assert Path("run/checkpoint.pt").exists() and Path("run/best.pt").exists()
    assert main(["resume", "run"]) == 0
    assert main([*TRAIN[:-1], "whole"]) == 0
    resumed, whole = (torch.load(f"{run}/surrogate.pt", weights_only=True)["weights"] for run in ("run", "whole"))
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0, msg=lambda said, name=name: f"{name}: {said}")


def test_how_much_fits_is_measured(tmp_path: Path, capsys, monkeypatch) -> None:
    waves_file(tmp_path)
    failing_from(0, monkeypatch)
    monkeypatch.setattr("pdesolve.training.room.free_bytes", lambda device: 0)
    with pytest.raises(InputError, match=r"batch 1 or less"):
        ps.train(SMALL, "waves.h5", steps=4, threads=1, device="cpu", out="run")


def test_judging_and_predicting_go_on_with_fewer_samples_at_once(stored: Path, monkeypatch) -> None:
    surrogate, data = ps.train(SMALL, waves(), steps=1, threads=1, device="cpu", out="run"), waves()
    windows = Windows(data, surrogate.signature.task)
    scores, values = measured(surrogate, windows), predicted(surrogate, data).dataset["u"].values
    step, sizes = OperatorSurrogate.step, []

    def limited(self: OperatorSurrogate, carry: Any) -> Any:
        count = len(carry.inputs["u"])
        sizes.append(count)
        if count > 5:
            raise too_much()
        return step(self, carry)

    monkeypatch.setattr(OperatorSurrogate, "step", limited)
    again = measured(surrogate, windows)
    assert sizes[:4] == [32, 16, 8, 4] and max(sizes[3:]) == 4
    for metric, value in scores["u"].items():
        assert again["u"][metric] == pytest.approx(value, rel=1e-5), metric
    np.testing.assert_allclose(predicted(surrogate, data).dataset["u"].values, values, rtol=0, atol=1e-6)


def test_one_sample_without_room_is_one_line() -> None:
    def work(part: range) -> list[int]:
        if 3 in part:
            raise MemoryError("Unable to allocate 8 EiB")
        return list(part)

    with pytest.raises(InputError, match=r"sample 3 alone does not fit the memory \(Unable to allocate 8 EiB\)"):
        list(in_parts(7, work, size=4))
    assert list(in_parts(7, list, size=3)) == [[0, 1, 2], [3, 4, 5], [6]]


def test_other_memory_that_runs_out_is_one_line_too(stored: Path, capsys, monkeypatch) -> None:
    def full(*given: Any, **named: Any) -> Any:
        raise too_much()

    monkeypatch.setattr("pdesolve.datasets.evaluation.load_surrogate", full)
    assert "out of memory: " in refused(capsys, "eval", str(stored / "run"))


def test_data_that_are_not_finite_are_not_judged_by(stored: Path, tmp_path: Path, capsys) -> None:
    whole = waves()
    values = np.array(whole.read("u"))
    values[7, 2, 3] = np.nan
    spoilt = dataclasses.replace(whole.variables["u"], array=Memory(values))
    path = write(dataclasses.replace(whole, variables={"u": spoilt}, splits={}), tmp_path / "spoilt.h5")
    assert "u of sample 7 has values that are not finite: leave it out" in refused(
        capsys, "eval", str(stored / "run"), "--data", str(path)
    )
