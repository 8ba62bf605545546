"""Runs of several processes: shares of the points, one folder, one voice, the same end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import pdesolve as ps
from pdesolve import make_problem
from pdesolve.cli import main
from pdesolve.errors import InputError
from pdesolve.geometry import PointCloud
from pdesolve.physics.collocation.task import Task
from pdesolve.physics.solvers.pinn.method import Pinn
from pdesolve.training.processes import agreed, leads, own, place
from pdesolve.training.run import Run, read_history

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "pdesolve"]


@pytest.mark.parametrize("sampler", ["sobol", "gauss_legendre"])
def test_the_losses_of_shares_add_up_to_that_of_all_points(sampler: str) -> None:
    problem, run = make_problem("poisson_2d"), Run()
    task = Task.of(Pinn(width=6, depth=1, conditions="soft"), problem, run=run)
    objective = task.objective(None, run.generator)
    clouds = {name: c.sample(problem, 9, sampler, run.generator) for name, c in objective.conditions.items()}  # type: ignore[arg-type]
    clouds["equation"] = problem.sample(100, sampler, run.generator)  # type: ignore[arg-type]

    def loss(shares: dict[str, PointCloud]) -> float:
        terms = objective({name: objective.coordinates(name, cloud) for name, cloud in shares.items()})
        return sum(float(term.detach()) for term in terms.values())

    parts = [
        loss({n: c.share(slice(len(c.x) * k // 3, len(c.x) * (k + 1) // 3)) for n, c in clouds.items()})
        for k in range(3)
    ]
    assert sum(parts) == pytest.approx(loss(clouds), rel=1e-12)
    assert min(parts) > 0


def test_one_process_has_all_and_decides_alone() -> None:
    assert place() == (0, 1) and leads() and own(7) == slice(0, 7) and agreed("this") == "this"


def test_processes_beside_the_first_say_nothing(monkeypatch, capsys) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, lines in (("0", 1), ("1", 0)):
        monkeypatch.setenv("RANK", rank)
        assert main(["solve", "heat_2d"]) == 2
        assert capsys.readouterr().err.count("\n") == lines
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(InputError, match="start without torchrun"):
        Pinn(emphasis="attention").solve(make_problem("heat_1d"), Run())
    assert main(["compare", "heat_1d", "--methods", "pinn"]) == 2
    assert "compare works in one process" in capsys.readouterr().err


@pytest.mark.slow  # three processes that import torch
@pytest.mark.parametrize(
    ("problem", "optimiser", "bound", "more"),
    [
        ("poisson_2d", "levenberg_marquardt", 1e-10, "--method.depth 1"),
        # line searches make more of rounding: 1e-15 after Adam, then 1e-5
        (
            "burgers_shock", "self_scaled_broyden", 1e-3,
            "--method.conditions soft --method.redraw 5 --method.balancing gradient_norm --method.emphasis causal",
        ),
    ],
)  # fmt: skip
def test_two_processes_end_as_one(tmp_path: Path, problem: str, optimiser: str, bound: float, more: str) -> None:
    words = [
        "solve",
        problem,
        "--method",
        "pinn",
        "--method.optimiser",
        optimiser,
        "--method.width",
        "16",
        *more.split(),
    ]
    words += ["--method.collocation", "501", "--steps", "20"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    runs = []
    for folder, command in (("one", [sys.executable, "-m", "pdesolve"]), ("two", TORCHRUN)):
        (tmp_path / folder).mkdir()
        done = subprocess.run(
            [*command, *words], cwd=tmp_path / folder, env=environment, capture_output=True, text=True, check=False,
            timeout=300,  # processes that are not where the others are wait for ever
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("next: pdesolve predict") == 1
        assert done.stderr.count("size of u:") == 1
        runs += [tmp_path / folder / "runs" / name for name in os.listdir(tmp_path / folder / "runs")]
    assert len(runs) == 2 and {path.name for path in runs} == {f"{problem}-pinn-1"}
    first, second = map(ps.load, runs)
    assert torch.allclose(first.on()["u"], second.on()["u"], rtol=0, atol=bound)
    last, also = (read_history(path)[-2]["loss"] for path in runs)
    assert also == pytest.approx(last, rel=bound)
    assert [c.name for c in (runs[0]).iterdir() if c.name.startswith(".")] == []


@pytest.mark.slow  # five processes that import torch
def test_two_processes_go_on_where_two_stopped(tmp_path: Path) -> None:
    words = ["solve", "burgers_shock", "--method", "pinn", "--method.width", "8", "--method.collocation", "100"]
    words += ["--method.redraw", "5", "--method.adam_share", "0"]
    for arguments in (
        [*words, "--steps", "30", "--out", "whole"],
        [*words, "--steps", "12", "--out", "part"],
        ["resume", "part", "--steps", "30"],
    ):
        done = subprocess.run(
            [*TORCHRUN, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr
    whole, part = ps.load(tmp_path / "whole"), ps.load(tmp_path / "part")
    assert torch.allclose(whole.on()["u"], part.on()["u"], rtol=0, atol=1e-10)
