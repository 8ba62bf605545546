"""Training by several processes: the numbers of one, all ended by the death of one, gone on with by any number."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from waves import waves_file

from pdesolve.learning import load_surrogate
from pdesolve.surrogates.operator import OperatorSurrogate
from pdesolve.training.distribution import distributed, weight
from pdesolve.training.processes import Pace
from pdesolve.training.run import read_history

ALONE = [sys.executable, "-m", "pdesolve"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "pdesolve"]
WORDS = ["train", "fno", "--data", "waves.h5", "--method.modes", "4", "--method.width", "6", "--method.depth", "2"]
WORDS += ["--method.training.learning_rate", "0.01", "--device", "cpu", "--threads", "1"]


def run(command: list[str], *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*command, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )  # processes that are not where the others are wait for ever
    assert done.returncode == 0, done.stderr
    return done


def distance(first: Path, second: Path) -> float:
    """The largest difference between weights, relative to the largest of its tensor."""
    found = []
    for folder in (first, second):
        surrogate = load_surrogate(folder, device="cpu")
        assert isinstance(surrogate, OperatorSurrogate)
        found.append(surrogate.module.state_dict())
    return max(
        float((found[0][name] - found[1][name]).abs().max() / value.abs().max().clamp_min(1e-12))
        for name, value in found[0].items()
        if isinstance(value, torch.Tensor) and value.numel()
    )


def test_one_process_has_the_whole_batch_and_asks_nobody() -> None:
    objective, pace = torch.nn.Linear(1, 1), Pace()
    assert distributed(objective, None) is objective and weight(None) == 1.0
    error = KeyboardInterrupt()
    assert [pace.due() for _ in range(3)] == [True] * 3
    assert pace.agreed("steps", error, True, False) == ("steps", error, True, False)


@pytest.mark.slow  # three processes that import torch
@pytest.mark.parametrize(
    "more",
    [
        "--batch 10",
        # shares of 5 and 6 windows, of the last 3 of an epoch 1 and 2; noise and averages
        "--batch 11 --noise 0.1 --average 0.9 --unroll 2 --push_forward 1",
        "--batch 7 --loss mean_square --clip 0.1",
    ],
)
def test_two_processes_end_as_one(more: str, tmp_path: Path) -> None:
    waves_file(tmp_path)
    words = [*WORDS, *more.replace("--", "--method.training.").split(), "--steps", "30"]
    run(ALONE, *words, "--out", "one", folder=tmp_path)
    done = run(TORCHRUN, *words, "--out", "two", folder=tmp_path)
    assert distance(tmp_path / "one", tmp_path / "two") < 1e-6
    assert done.stdout.count("next: pdesolve eval") == 1 and "warning" not in done.stderr
    one, two = (read_history(tmp_path / name) for name in ("one", "two"))
    for row, same in zip(one, two, strict=True):
        assert same["step"] == row["step"]
        assert same["loss"] == pytest.approx(row["loss"], rel=1e-5)
        assert same["relative_l2 u"] == pytest.approx(row["relative_l2 u"], rel=1e-5)
    assert [path for path in (tmp_path / "two").iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow  # four processes that import torch
@pytest.mark.parametrize("victim", ["0", "1"])
def test_a_process_that_dies_ends_all_and_nothing_is_lost(victim: str, tmp_path: Path) -> None:
    waves_file(tmp_path)
    words = [*WORDS, "--method.training.batch", "10", "--steps", "100000", "--out", "run"]
    with (tmp_path / "err").open("w") as err:
        running = subprocess.Popen([*TORCHRUN, *words], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=err)
    deadline = time.monotonic() + 120
    while len(read_history(tmp_path / "run")) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(_started(running.pid, f"RANK={victim}"), signal.SIGKILL)
    assert running.wait(timeout=30) == 1
    said = [line for line in (tmp_path / "err").read_text().splitlines() if line.startswith("pdesolve:")]
    assert said == ["pdesolve: another process of this run has ended: see its own message, then pdesolve resume RUN"]
    reached = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["position"]["step"]
    assert reached > 0
    run(ALONE, "resume", "run", "--steps", str(reached + 5), folder=tmp_path)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["report"]["steps"] == reached + 5


@pytest.mark.slow  # seven processes that import torch
def test_a_terminated_run_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    """Two processes are told to end by one of them that hears SIGTERM, and two go on to the end of one process."""
    waves_file(tmp_path)
    words = [*WORDS, "--method.training.batch", "10", "--method.training.noise", "0.1", "--steps", "400"]
    run(ALONE, *words, "--out", "whole", folder=tmp_path)
    running = subprocess.Popen([*TORCHRUN, *words, "--out", "run"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(read_history(tmp_path / "run")) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(_started(running.pid, "RANK=1"), signal.SIGTERM)
    running.wait(timeout=60)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "terminated" and 0 < record["report"]["steps"] < 400
    run(TORCHRUN, "resume", "run", folder=tmp_path)
    assert distance(tmp_path / "whole", tmp_path / "run") < 1e-4  # 400 steps amplify rounding


def _started(parent: int, entry: str) -> int:
    """The process that another one started with an entry of its environment."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            of = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if of == parent and entry in (path / "environ").read_text().split("\0"):
                return int(path.name)
        except (OSError, ValueError):
            continue
    raise AssertionError(f"{parent} has started no process with {entry}")
