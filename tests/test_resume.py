"""Exact resume: checkpoints of every optimiser, `ps.resume`, `pdesolve resume`, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

import pdesolve as ps
from pdesolve.cli import main
from pdesolve.errors import Diverged, InputError
from pdesolve.method import Solution
from pdesolve.physics.collocation.model import Residuals
from pdesolve.physics.collocation.task import Task
from pdesolve.physics.solvers.pinn.method import Pinn
from pdesolve.training.budget import Budget
from pdesolve.training.checkpoint import FORMAT, Checkpoint, read_checkpoint
from pdesolve.training.optimisers import Optimiser
from pdesolve.training.run import Run, read_history
from pdesolve.training.stages import Stage

# two stages, and new points on the way in the second
TINY = Pinn(
    width=5, depth=1, collocation=24, condition_points=6, conditions="soft", optimiser="self_scaled_broyden",
    adam_share=0.25, redraw=4,
)  # fmt: skip
STEPS = 12


pytestmark = pytest.mark.usefixtures("own_folder")


def run_of(folder: Path | None, checkpoint: Checkpoint | None = None) -> Run:
    return Run(budget=Budget.from_now(600), steps=STEPS, every=0.0, folder=folder, checkpoint=checkpoint)


def same(first: Solution, second: Solution) -> bool:
    one, two = first.module.state_dict(), second.module.state_dict()  # type: ignore[attr-defined]
    return all(torch.equal(one[name], two[name]) for name in one) and one.keys() == two.keys()


def losses(run: Run) -> list[tuple[Any, ...]]:
    return [(row["stage"], row["step"], row["loss"]) for row in run.history]


LONG = ("gauss_newton", "adaptive_energy", "thermodynamic")  # test_least_squares_modules resumes their methods


@pytest.mark.parametrize(
    "optimiser", [pytest.param(o, marks=[pytest.mark.slow] * (o in LONG)) for o in get_args(Optimiser)]
)
def test_every_optimiser_goes_on_bit_for_bit(optimiser: Any, stopping_after, tmp_path, monkeypatch) -> None:
    """Stopped in Adam, at the change of stages, within and across draws of points: the same end, looks included."""
    monkeypatch.setattr("pdesolve.training.stages._AT_ONCE", 3)
    problem = ps.make_problem("heat_1d")
    method = dataclasses.replace(TINY, optimiser=optimiser)
    whole = run_of(None)
    expected = method.solve(problem, whole)
    for n in (3, 8):
        with stopping_after(n):
            method.solve(problem, run_of(tmp_path))
        content = read_checkpoint(tmp_path, "")
        again = run_of(tmp_path, Checkpoint(tmp_path, content))
        found = method.solve(problem, again)
        assert len(content["history"]) < len(whole.history)
        assert losses(again) == losses(whole)
        assert same(found, expected)
        assert torch.equal(again.generator.get_state(), whole.generator.get_state())


def test_stages_are_left_where_a_run_was_stopped_between_them(stopping_after, tmp_path) -> None:
    """The checkpoint at the end of Adam, before the next stage has written one of its own."""
    problem = ps.make_problem("heat_1d")
    whole = run_of(None)
    expected = TINY.solve(problem, whole)
    with stopping_after(1 + 3):  # the first of the stage, then one for each of the three steps of Adam
        TINY.solve(problem, run_of(tmp_path))
    content = read_checkpoint(tmp_path, "")
    assert content["position"]["reason"] == "steps" and content["position"]["step"] == 3
    again = run_of(None, Checkpoint(tmp_path, content))
    assert same(TINY.solve(problem, again), expected) and losses(again) == losses(whole)


def test_learned_values_and_observations_go_on_too(stopping_after) -> None:
    rng = np.random.default_rng(0)
    points = rng.random((20, 2))
    seen = np.exp(-(np.pi**2) * points[:, 0] / 4) * np.sin(np.pi * points[:, 1])
    rows = "\n".join(f"{t},{x},{u}" for (t, x), u in zip(points, seen, strict=True))
    Path("seen.csv").write_text("t,x,u\n" + rows + "\n")
    settings: dict[str, Any] = {"learn": ["diffusivity=0.2"], "observe": "seen.csv", "steps": STEPS, "threads": 1}
    expected = ps.solve("heat_1d", TINY, out="whole", **settings)
    with stopping_after(4):
        ps.solve("heat_1d", TINY, out="run", **settings)
    record = json.loads(Path("run/run.json").read_text())
    Path("run/run.json").write_text(json.dumps({**record, "status": "running"}))  # as a kill leaves it
    Path("seen.csv").unlink()  # the folder has its own
    found = ps.resume("run")
    assert same(found, expected)
    assert found.proof is not None and expected.proof is not None
    assert found.proof.learned == expected.proof.learned and found.proof.errors == expected.proof.errors
    assert float(found.proof.learned["diffusivity"]["value"] or 0.0) != 0.2


def test_problem_files_and_given_values_are_found_again() -> None:
    Path("rod.yaml").write_text(
        "domain: {x: [0, 1]}\ntime: [0, 0.2]\nunknowns: u\nparameters: {k: 0.5}\nequation: dt(u) = k*laplacian(u)\n"
        "initial: {u: sin(pi*x)}\nboundary: {all: u = 0}\n"
    )
    method = dataclasses.replace(TINY, optimiser="levenberg_marquardt", adam_share=0.0, adaptivity="none")
    ps.solve("rod.yaml", method, values={"k": 0.3}, steps=3, out="run")
    Path("rod.yaml").unlink()
    more = ps.resume("run", steps=6)
    assert more.values["k"] == 0.3
    Path("rod.yaml").write_text(Path("run/problem.yaml").read_text())
    assert same(more, ps.solve("rod.yaml", method, values={"k": 0.3}, steps=6))
    assert same(ps.load("run"), more)


def test_functions_and_problems_of_ones_own_must_be_given_again() -> None:
    problem = dataclasses.replace(ps.make_problem("helmholtz_2d"), name="mine")
    source = {"source": lambda p, x: ps.sin(x["x"])}
    ps.solve(problem, TINY, values=source, steps=4, out="run")
    with pytest.raises(InputError, match="unknown problem 'mine'"):
        ps.resume("run", steps=6)
    with pytest.raises(InputError, match="was given source, which no file holds: give it again"):
        ps.resume("run", steps=6, problem=problem)
    assert ps.resume("run", steps=6, problem=problem, values=source).proof is not None


@pytest.mark.slow
def test_a_finished_run_goes_on_with_more_budget() -> None:
    first = ps.solve("heat_1d", TINY, budget="0.6s", out="run")
    assert first.proof is not None and first.proof.notes["stopped by"] == "budget"
    rows = read_history(Path("run"))
    second = ps.resume("run", budget="1.6s")
    assert second.proof is not None and 1.6 <= second.proof.cpu_seconds < 4.0
    more = read_history(Path("run"))
    assert more[: len(rows) - 1] == rows[:-1] and len(more) > len(rows)  # all but the row of the end
    assert more[-2]["loss"] < rows[-2]["loss"] and more[-2]["step"] > rows[-2]["step"]
    assert json.loads(Path("run/run.json").read_text())["config"]["budget"] == "1.6s"


def test_an_interrupt_waits_for_the_step_and_is_gone_on_from(monkeypatch) -> None:
    expected = ps.solve("heat_1d", TINY, steps=STEPS, threads=1)
    rows, calls = Residuals.rows, []

    def interrupted(self: Residuals, batch: Any) -> Any:
        calls.append(1)
        if len(calls) == 15:
            os.kill(os.getpid(), signal.SIGINT)
        return rows(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(signal, "getsignal", lambda number: signal.default_int_handler)  # whatever started the tests
        patch.setattr(Residuals, "rows", interrupted)
        stopped = ps.solve("heat_1d", TINY, steps=STEPS, threads=1, out="run")
    assert stopped.proof is not None and stopped.proof.status == "interrupted"
    assert not same(stopped, expected)
    assert same(ps.resume("run"), expected)


def test_a_terminated_run_is_stored_and_proved_before_the_process_ends(monkeypatch, capsys) -> None:
    expected = ps.solve("heat_1d", TINY, steps=STEPS, threads=1)
    rows, calls = Residuals.rows, []

    def terminated(self: Residuals, batch: Any) -> Any:
        calls.append(1)
        if len(calls) == 15:
            os.kill(os.getpid(), signal.SIGTERM)
        return rows(self, batch)

    defaults = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setattr(signal, "getsignal", defaults.get)  # whatever started the tests
        patch.setattr(Residuals, "rows", terminated)
        ps.solve("heat_1d", TINY, steps=STEPS, threads=1, out="run")
    assert end.value.code == 143
    record = json.loads(Path("run/run.json").read_text())
    assert record["status"] == record["proof"]["status"] == "terminated"
    assert "next: pdesolve resume run" in capsys.readouterr().err
    assert not same(ps.load("run"), expected)
    assert same(ps.resume("run"), expected)


def test_a_run_that_is_terminated_outside_of_its_training_is_marked(monkeypatch) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_DFL)
    monkeypatch.setattr("pdesolve.solving._prove", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as end:
        ps.solve("heat_1d", TINY, steps=2, threads=1, out="run")
    assert end.value.code == 143
    assert json.loads(Path("run/run.json").read_text())["status"] == "terminated"


@pytest.mark.slow
def test_a_killed_command_ends_as_if_nothing_had_been(tmp_path) -> None:
    settings = ["--method.width", "8", "--method.depth", "2", "--method.collocation", "100", "--method.redraw", "60"]
    settings += ["--method.optimiser", "self_scaled_broyden"]
    words = ["heat_1d", "--method", "pinn", *settings, "--steps", "900", "--threads", "1", "--budget", "1h"]
    command = [sys.executable, "-m", "pdesolve"]
    subprocess.run([*command, "solve", *words, "--out", "whole"], check=True, capture_output=True)
    process = subprocess.Popen([*command, "solve", *words, "--out", "run"], stdout=-3, stderr=-3)
    history = Path("run/history.csv")
    while not history.exists() or len(history.read_text().splitlines()) < 2:
        time.sleep(0.1)
        assert process.poll() is None, "it ended before it was killed: give it more steps"
    process.kill()
    process.wait()
    assert json.loads(Path("run/run.json").read_text())["status"] == "running"
    subprocess.run([*command, "resume", "run"], check=True, capture_output=True)
    assert same(ps.load("run"), ps.load("whole"))
    both = {row["step"]: row["loss"] for row in read_history(Path("whole")) if row["stage"] == "self_scaled_broyden"}
    again = {row["step"]: row["loss"] for row in read_history(Path("run")) if row["stage"] == "self_scaled_broyden"}
    assert all(both[step] == again[step] for step in both.keys() & again.keys())
    assert max(both) == max(again)


def test_what_cannot_be_gone_on_with_is_refused_in_one_line_and_left_alone(capsys) -> None:
    ps.solve("heat_1d", TINY, steps=4, budget="60min", out="run")
    whole = Path("run/checkpoint.pt").read_bytes()
    capsys.readouterr()

    def refused(*words: str, run: str = "run") -> str:
        before = {p: p.read_bytes() for p in Path(run).rglob("*") if p.is_file()}
        assert main(["resume", run, *words]) == 2
        assert {p: p.read_bytes() for p in Path(run).rglob("*") if p.is_file()} == before
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and error.startswith("pdesolve: ")
        return error

    assert "has taken its 4 steps: give it more in all, --steps 8" in refused()
    assert "more in all, --steps 8" in refused("--steps", "3")
    assert "has spent" in refused("--steps", "9", "--budget", "0.001s")
    assert "--steps takes a number, got 'many'" in refused("--steps", "many")
    assert "steps must be at least 1" in refused("--steps", "0")
    assert "a budget is a time" in refused("--budget", "soon")
    assert "a target is a positive" in refused("--target", "-1")
    assert "did you mean '--budget'" in refused("--budgt", "3s")
    assert "is no run folder" in refused(run="nowhere")
    config = Path("run/config.yaml").read_text()
    Path("run/config.yaml").write_text(config.replace("width: 5", "width: 6"))
    assert "belongs to another run: it has width: 5, the folder width: 6" in refused("--steps", "9")
    Path("run/config.yaml").write_text(config)
    for content in (b"", b"no checkpoint", whole[: len(whole) // 2]):
        Path("run/checkpoint.pt").write_bytes(content)
        assert "checkpoint.pt is damaged" in refused("--steps", "9")
    torch.save({"format": 99}, "run/checkpoint.pt")
    assert f"has format 99, this version reads {FORMAT}" in refused("--steps", "9")
    torch.save(TINY, "run/checkpoint.pt")
    assert "checkpoint.pt is damaged" in refused("--steps", "9")
    content = read_saved(whole)
    content["parts"]["objective"] = {"other": torch.zeros(3)}
    torch.save(content, "run/checkpoint.pt")
    assert "does not fit the objective of this run" in refused("--steps", "9")
    Path("run/checkpoint.pt").unlink()
    assert "is finished, without a checkpoint" in refused("--steps", "9")
    Path("run/checkpoint.pt").write_bytes(whole)
    assert main(["resume", "run", "--steps", "6", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"]["stopped by"] == "steps"


def read_saved(content: bytes) -> dict[str, Any]:
    Path("copy.pt").write_bytes(content)
    return torch.load("copy.pt", weights_only=True)


def test_a_finished_run_that_took_no_steps_says_what_to_do(monkeypatch) -> None:
    """The reference takes none, and no features that solve the problem either."""
    monkeypatch.setattr("pdesolve.physics.collocation.linear._FIRST", 60)
    monkeypatch.setattr("pdesolve.physics.collocation.linear._LARGEST", 60)
    ps.solve("heat_1d", "reference", out="reference")
    ps.solve("heat_1d", Pinn(collocation=200, condition_points=40), budget="30s", out="pinn")
    for run, seconds in (("reference", 240), ("pinn", 60)):
        line = rf"{run} is finished.* pdesolve solve --config {run}/config.yaml --budget {seconds}s"
        with pytest.raises(InputError, match=line):
            ps.resume(run, budget="1h")
    record = json.loads(Path("pinn/run.json").read_text())
    Path("pinn/run.json").write_text(json.dumps({**record, "status": "running"}))  # killed while it searched
    with pytest.raises(InputError, match=r"ended before the first; start again by pdesolve solve --config pinn"):
        ps.resume("pinn")


def test_checkpoints_are_written_as_often_as_they_are_cheap(tmp_path, monkeypatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("pdesolve.training.checkpoint.time.perf_counter", lambda: clock[0])
    save = torch.save

    def slow(content: Any, path: Any) -> None:
        save(content, path)
        clock[0] += 3.0

    monkeypatch.setattr(torch, "save", slow)
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.due()
    checkpoint.write(Run(folder=tmp_path), {})
    clock[0] += 149.0
    assert not checkpoint.due()  # 3 s each 150 s are two per cent
    clock[0] += 2.0
    assert checkpoint.due()
    assert not Checkpoint(None).due()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_checkpoint_that_cannot_be_written_is_one_line(tmp_path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*checkpoint.pt"):
        Checkpoint(tmp_path / "missing").write(Run(), {})


def test_the_procedure_is_a_list_of_stages() -> None:
    problem = ps.make_problem("poisson_2d")
    stages = Pinn(adam_share=0.2, redraw=7, optimiser="levenberg_marquardt").stages(problem, 100, True)
    assert stages == (Stage("adam", 0.2), Stage("levenberg_marquardt", 0.8, 7))
    assert Pinn(optimiser="soap", adaptivity="none").stages(problem, 100, False) == (Stage("soap"),)
    chosen = {
        linear: [Pinn().stages(problem, count, linear)[-1].optimiser for count in (4000, 4001)]
        for linear in (False, True)
    }
    assert chosen == {False: ["self_scaled_broyden", "lbfgs"], True: ["levenberg_marquardt", "lbfgs"]}


def test_a_divergence_is_gone_on_from_with_shorter_steps() -> None:
    method = dataclasses.replace(TINY, optimiser="adam", learning_rate=1e6)
    first = ps.solve("heat_1d", method, steps=STEPS, out="run")
    assert first.proof is not None and first.proof.status == "diverged"
    content = read_checkpoint(Path("run"), _owner())
    assert content["position"]["shrink"] == pytest.approx(0.1)
    kept = content["parts"]["objective"]["module.1.weight"]
    task = Task.of(method, first.problem, run=Run())
    start = task.objective(None, torch.Generator().manual_seed(0)).solution
    assert torch.equal(kept, start.module[1].weight)  # type: ignore[index]  the best so far were those of the start
    again = ps.resume("run")
    assert again.proof is not None and "try a learning rate of 1e+04" in again.proof.notes["diverged"]


def _owner() -> str:
    from pdesolve.run_folder import CONFIG, owner
    from pdesolve.settings import read_config

    return owner(read_config(Path("run") / CONFIG))


def test_divergences_of_solve_are_exceptions_with_the_best_parameters_kept() -> None:
    problem = ps.make_problem("heat_1d")
    run = run_of(None)
    with pytest.raises(Diverged, match=r"rose to .* at t = .*, x = .* at step 2 of stage adam .float64."):
        dataclasses.replace(TINY, optimiser="adam", learning_rate=1e6).solve(problem, run)
    assert run.solution is not None and bool(torch.isfinite(run.solution.on()["u"]).all())
