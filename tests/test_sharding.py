"""Weights divided among processes: the numbers of one process, checkpoints that any number goes on with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from test_distributed_training import ALONE, TORCHRUN, _started, run
from test_learners import learners
from torch import nn
from two_ranks import apart
from waves import waves_file

from pdesolve.errors import InputError
from pdesolve.training.operator_training import Training
from pdesolve.training.run import read_history
from pdesolve.training.sharding import divide, divided, own_part, undone, whole

WORDS = ["train", "fno", "--data", "waves.h5", "--method.modes", "8", "--method.width", "36", "--method.depth", "2"]
WORDS += ["--device", "cpu", "--threads", "1", "--dtype", "float64"]
WORDS += ["--method.training.sharded", "true", "--method.training.schedule", "constant"]
WORDS += ["--method.training.batch", "11", "--method.training.noise", "0.1", "--method.training.average", "0.9"]


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_two_processes_end_as_one(dtype: str) -> None:
    found = apart("learner", "fno", "divided", dtype)
    assert 0 < max(found.values()) < 1e-6, found  # shares of a sum are rounded in another order


@pytest.mark.slow  # two processes that import torch, for each learner
@pytest.mark.parametrize("name", [name for name in learners() if name not in ("fno", "uqno")])
def test_every_learner_can_be_divided(name: str) -> None:
    """Parts of networks that are gathered by themselves are used by their own calls alone."""
    found = apart("learner", name, "divided", "float64")
    assert max(found.values()) < 1e-6, found


@pytest.mark.slow  # two processes that import torch
@pytest.mark.parametrize("how", ["copied", "divided"])
def test_two_processes_promise_as_one(how: str) -> None:
    """Both stages of uqno, the sizes of errors between them and the calibration behind them."""
    found = apart("uncertain", how, "float64")
    assert {"size", "factor", "missed", "width"} < set(found)
    assert 0 < max(found.values()) < 1e-6, found


@pytest.mark.slow  # two processes that import torch
@pytest.mark.parametrize("how", ["copied", "divided"])
def test_dynamic_filters_take_the_moments_of_all_processes(how: str) -> None:
    found = apart("learner", "stable_fno", how, "float64", "filtering=dynamic")
    assert sum(name.endswith("variance") for name in found) == 2
    assert max(found.values()) < 1e-6, found


def test_one_process_divides_nothing() -> None:
    module = nn.Linear(2, 2)
    assert not divided(module) and whole(module.weight) is module.weight and own_part(module.bias) is module.bias


def test_what_cannot_be_divided_is_refused_in_a_line() -> None:
    for optimiser in ("muon", "soap"):
        with pytest.raises(InputError, match=f"{optimiser} needs whole matrices: take adamw"):
            Training(sharded=True, optimiser=optimiser)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["number", "complex"])
def test_weights_that_cannot_be_divided_are_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = nn.Linear(2, 2)
    start = torch.zeros(()) if kind == "number" else torch.zeros(2, dtype=torch.complex64)
    module.register_parameter("odd", nn.Parameter(start))
    monkeypatch.setattr("torch.distributed.device_mesh.init_device_mesh", lambda *_: None)
    with pytest.raises(InputError, match="odd is one number" if kind == "number" else "torch.complex64"):
        divide(module, torch.device("cpu"))


def test_steps_of_a_trial_leave_no_trace() -> None:
    class Counting(nn.Linear):
        count = 0

        def get_extra_state(self) -> int:
            return self.count

        def set_extra_state(self, state: int) -> None:
            self.count = state

    module = Counting(2, 1)
    before = module.weight.detach().clone()
    optimiser = torch.optim.AdamW(module.parameters())
    with undone(module, optimiser):
        module(torch.ones(1, 2)).sum().backward()
        optimiser.step()
        module.count += 1
        assert not torch.equal(module.weight, before)
    assert torch.equal(module.weight, before) and module.count == 0
    assert not optimiser.state and module.weight.grad is None


@pytest.mark.slow  # eight processes that import torch
def test_a_run_goes_on_with_as_many_processes_or_with_others(tmp_path: Path) -> None:
    waves_file(tmp_path)
    run(TORCHRUN, *WORDS, "--steps", "20", "--out", "whole", folder=tmp_path)
    for out, first, then, bound in (
        ("two_two", TORCHRUN, TORCHRUN, 0.0), ("two_one", TORCHRUN, ALONE, 1e-6), ("one_two", ALONE, TORCHRUN, 1e-6),
    ):  # fmt: skip
        begun = run(first, *WORDS, "--steps", "10", "--out", out, folder=tmp_path)
        gone_on = run(then, "resume", out, "--steps", "20", folder=tmp_path)
        said = "one process: nothing is divided"
        assert [said in done.stderr for done in (begun, gone_on)] == [first is ALONE, then is ALONE]
        # the last weights: which are the best depends on when was looked, which follows the steps that were asked for
        last, other = (
            torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["parts"]["objective"]
            for name in ("whole", out)
        )
        found = [
            float((other[k] - v).abs().max()) for k, v in last.items() if isinstance(v, torch.Tensor) and v.numel()
        ]
        assert max(found) <= bound
        assert not [path for path in (tmp_path / out).iterdir() if path.name.startswith(".")]


@pytest.mark.slow  # three processes that import torch
def test_a_process_that_dies_ends_all_and_the_checkpoint_is_whole(tmp_path: Path) -> None:
    waves_file(tmp_path)
    with (tmp_path / "err").open("w") as err:
        running = subprocess.Popen(
            [*TORCHRUN, *WORDS, "--steps", "20000", "--out", "run"], cwd=tmp_path, stdout=subprocess.DEVNULL,
            stderr=err,
        )  # fmt: skip
    while len(read_history(tmp_path / "run")) < 2 and running.poll() is None:
        time.sleep(0.1)
    os.kill(_started(running.pid, "RANK=1"), signal.SIGKILL)
    assert running.wait(timeout=60) == 1
    said = re.findall("^pdesolve:.*", (tmp_path / "err").read_text(), re.MULTILINE)
    assert said == ["pdesolve: another process of this run has ended: see its own message, then pdesolve resume RUN"]
    reached = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["position"]["step"]
    assert reached > 0
    run([sys.executable, "-m", "pdesolve"], "resume", "run", "--steps", str(reached + 5), folder=tmp_path)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["report"]["steps"] == reached + 5
