"""Solving and proving in Python: run folders, loading, comparing, predicting, bad input, interrupts."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import pdesolve as ps
from pdesolve.comparing import compare
from pdesolve.errors import Diverged, InputError
from pdesolve.labelled import read_dataset
from pdesolve.physics.collocation.task import Task
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.solvers.pinn.method import Pinn
from pdesolve.predicting import predict_at_points, predict_on_grid, read_points
from pdesolve.proof import Requirement
from pdesolve.run_folder import read_run
from pdesolve.training.run import Run, read_history

SMALL = Pinn(width=8, depth=2, collocation=64, condition_points=16)
KEYS = {
    "run", "problem", "method", "settings", "parameters", "errors", "learned", "residual", "violations", "conserved",
    "seconds", "cpu_seconds", "peak_bytes", "device", "dtype", "seed", "converged",
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("own_folder")


def quick(problem: Any = "heat_1d", **changes: Any) -> Any:
    return ps.solve(problem, changes.pop("method", SMALL), **{"steps": 12, "budget": "60s", **changes})


@pytest.mark.draws
def test_a_run_folder_holds_the_proof_and_what_repeats_it() -> None:
    solution = quick(out="run", seed=3)
    names = {p.name for p in Path("run").iterdir()}
    assert names >= {"config.yaml", "run.json", "history.csv", "last.pt", "solution.nc", "figures"}
    assert not any(name.startswith(".") for name in names)
    assert {p.name for p in Path("run/figures").iterdir()} >= {"solution.png"}
    record = read_run(Path("run"))
    assert record["status"] == "finished" and record["choices"]["threads"] >= 1
    assert record["versions"]["torch"] == torch.__version__
    proof = record["proof"]
    assert set(proof) >= KEYS
    assert proof == json.loads(json.dumps(solution.proof.json()))
    assert proof["errors"]["u"]["relative_l2"] > 0 and proof["errors"]["u"]["final"] > 0
    assert proof["seed"] == 3 and proof["dtype"] == "float64"
    config = yaml.safe_load(Path("run/config.yaml").read_text())
    assert config["problem"]["name"] == "heat_1d" and config["method"]["name"] == "pinn"
    assert config["method"]["width"] == 8 and config["seed"] == 3 and config["steps"] == 12
    assert "relative L2" in solution.proof.table() and "heat_1d by pinn" in solution.proof.table()


def test_the_stated_error_is_that_of_the_stored_solution() -> None:
    solution = quick(out="run")
    stored = read_dataset(Path("run/solution.nc"))
    problem = ps.make_problem("heat_1d")
    x = solution.coordinates(problem.evaluation_set)
    truth = x.expand(problem.exact.formula(problem.bind(x), x)["u"]).values.numpy()  # type: ignore[union-attr]
    error = np.linalg.norm(stored["u"].values - truth) / np.linalg.norm(truth)
    assert solution.proof.errors["u"]["relative_l2"] == pytest.approx(error, rel=1e-9)
    assert stored["u"].dims == ("t", "x") and stored["u"].attrs["units"] == "1"
    assert stored.attrs["problem"] == "heat_1d"


def test_a_loaded_run_is_the_same_solution() -> None:
    solution = quick(out="run")
    again = ps.load("run")
    assert torch.equal(solution.on()["u"], again.on()["u"])
    assert again.proof is not None and again.proof.errors == solution.proof.errors


@pytest.mark.slow
def test_runs_get_new_folders_and_finished_ones_are_kept() -> None:
    first, second = quick(), quick()
    assert first.run != second.run and first.run.parent == Path("runs")
    with pytest.raises(InputError, match="finished"):
        quick(out=first.run)
    Path("other").mkdir()
    Path("other/notes.txt").write_text("mine")
    with pytest.raises(InputError, match="no run"):
        quick(out="other")
    assert Path("other/notes.txt").read_text() == "mine"


def test_a_problem_of_ones_own_is_first_class() -> None:
    time = ps.Axis("t", 0, 0.2)
    mine = ps.Problem(
        name="cooling",
        equation=Heat(),
        domain=ps.Interval("x", 0, 2),
        time=time,
        conditions=(
            ps.InitialValue("u", lambda p, x: ps.sin(math.pi * x["x"] / 2) * x["x"]),
            ps.Dirichlet("u"),
        ),
        values={"diffusivity": 0.3},
        evaluation=ps.Evaluation.uniform(33, time, 10),
    )
    solution = quick(mine, out="mine", steps=60)
    assert 0 < solution.proof.errors["u"]["relative_l2"] < 1
    assert solution.dataset().sizes == {"t": 11, "x": 33}
    with pytest.raises(InputError, match="cooling"):
        ps.load("mine")
    assert torch.equal(ps.load("mine", problem=mine).on()["u"], solution.on()["u"])


@dataclasses.dataclass(frozen=True)
class OwnMethod(Pinn):
    """A method that is in no catalogue."""


def test_a_method_of_ones_own_is_first_class() -> None:
    own = OwnMethod(width=8, depth=2, collocation=64, condition_points=16)
    solution = quick(method=own, out="own")
    assert solution.proof.method == "OwnMethod"
    assert torch.equal(ps.load("own", method=own).on()["u"], solution.on()["u"])


@pytest.mark.slow
def test_values_travel_beside_the_problem() -> None:
    slow = quick(values={"diffusivity": 1e-3}, steps=80, method=Pinn(width=12, depth=2, collocation=128))
    last = slow.dataset()["u"].isel(t=-1)
    assert float(abs(last).max()) > 0.5  # it has hardly cooled
    # and it is judged by the reference of the same value: a plain sine, not one that has decayed
    x = np.asarray(last["x"])
    error = np.linalg.norm(last - np.exp(-1e-3 * math.pi**2) * np.sin(math.pi * x)) / np.linalg.norm(last)
    assert slow.proof.errors["u"]["final"] == pytest.approx(error, rel=0.02)
    assert float(ps.load(slow.run).values["diffusivity"]) == 1e-3
    for dataset in (slow.dataset(), ps.load(slow.run).dataset()):  # the file says so too
        assert json.loads(dataset.attrs["parameters"]) == {"diffusivity": 1e-3} and "\n" not in dataset.attrs["title"]


@pytest.mark.slow
def test_a_batch_of_problems_is_solved_proven_and_loaded_at_once() -> None:
    viscosities = torch.tensor([0.1, 0.05], dtype=torch.float64)
    both = ps.solve("burgers_shock", "reference", values={"viscosity": viscosities}, out="both")
    assert both.dataset()["u"].dims == ("sample", "t", "x")
    for sample, viscosity in zip(both.on()["u"], viscosities, strict=True):
        alone = ps.solve("burgers_shock", "reference", values={"viscosity": float(viscosity)})
        assert torch.allclose(sample, alone.on()["u"], atol=1e-10)
    assert torch.equal(ps.load("both").on()["u"], both.on()["u"])
    with pytest.raises(InputError, match="one problem at a time"):
        quick("burgers_shock", values={"viscosity": viscosities})


@pytest.mark.slow
def test_learning_reports_the_value_found() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((50, 2))
    u = np.exp(-(math.pi**2) * points[:, 0] / 4) * np.sin(math.pi * points[:, 1])
    rows = "\n".join(f"{t},{x},{v}" for (t, x), v in zip(points, u, strict=True))
    Path("seen.csv").write_text("t,x,u\n" + rows + "\n")
    method = Pinn(width=12, depth=2, collocation=128, condition_points=32)
    solution = quick(method=method, learn=["diffusivity=0.15"], observe="seen.csv", steps=300, out="run")
    assert solution.proof.learned["diffusivity"]["value"] == pytest.approx(0.25, rel=0.1)
    assert "learned diffusivity" in solution.proof.table()
    assert "exact with the problem's own diffusivity" in solution.proof.table()
    again = ps.load("run")
    assert float(again.values["diffusivity"]) == pytest.approx(solution.proof.learned["diffusivity"]["value"])


@pytest.mark.slow
def test_a_target_stops_early() -> None:
    run = quick(steps=5000, budget="60s", target=0.5, method=Pinn(width=12, depth=2, collocation=128))
    assert run.proof.errors["u"]["relative_l2"] <= 0.5
    assert run.proof.converged and run.proof.notes["stopped by"] == "target"
    assert run.proof.cpu_seconds < 50


def test_an_interrupt_leaves_a_usable_solution(monkeypatch) -> None:
    watch, calls = Run.watch, []

    def interrupted(self: Run, solution: Any, **state: Any) -> bool:
        calls.append(watch(self, solution, **state))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return calls[-1]

    monkeypatch.setattr(Run, "watch", interrupted)
    monkeypatch.setattr(Run, "due", lambda self: True)
    solution = quick(out="run", steps=100)
    assert solution.proof.status == "interrupted" and not solution.proof.converged
    assert read_run(Path("run"))["status"] == "interrupted"
    assert torch.equal(ps.load("run").on()["u"], solution.on()["u"])


def test_an_interrupt_of_the_first_steps_leaves_a_usable_solution(monkeypatch) -> None:
    calls = []

    def interrupted(self: Run) -> bool:
        calls.append(self)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(Run, "due", interrupted)
    solution = quick(out="run", steps=100)
    assert solution.proof.status == "interrupted"
    assert torch.equal(ps.load("run").on()["u"], solution.on()["u"])


@pytest.mark.parametrize(("end", "status"), [(KeyboardInterrupt(), "interrupted"), (MemoryError("full"), "failed")])
def test_a_run_that_ends_while_it_is_proven_says_so(monkeypatch, end: BaseException, status: str) -> None:
    def prove(*_: Any) -> None:
        raise end

    monkeypatch.setattr("pdesolve.solving._prove", prove)
    with pytest.raises(type(end)):
        quick(out="run")
    assert read_run(Path("run"))["status"] == status
    with pytest.raises(InputError, match=f"holds a run already .{status}."):
        quick(out="run")


def test_a_divergence_is_told_and_keeps_the_best(monkeypatch) -> None:
    def explode(self: Pinn, problem: Any, run: Run, **rest: Any) -> Any:
        solution = Task.of(self, problem, run=run).objective(None, run.generator).solution
        run.watch(solution, stage="adam", step=1, losses={"equation": 1.0})
        raise Diverged("the loss term equation is not finite at step 2 of stage adam")

    monkeypatch.setattr(Pinn, "solve", explode)
    solution = quick(out="run")
    assert solution.proof.status == "diverged"
    assert "step 2" in solution.proof.notes["diverged"] and "step 2" in solution.proof.table()


def test_the_proof_says_why_there_is_no_reference(monkeypatch) -> None:
    monkeypatch.setattr("pdesolve.solving._reference", lambda problem, values: (None, {"none": "no scheme fits"}))
    solution = quick(out="run", steps=1)
    assert solution.proof.errors["u"]["relative_l2"] is None
    assert re.search(r"^against +no reference: no scheme fits$", solution.proof.table(), re.MULTILINE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"problem": "burger_shock"}, "burgers_shock"),
        ({"method": "pin"}, "pinn"),
        ({"budget": 0}, "budget"),
        ({"budget": "soon"}, "budget"),
        ({"steps": 0}, "step"),
        ({"target": -1.0}, "target"),
        ({"target": 1e-4, "method": "teng"}, "teng cannot stop at a target of 0.0001: it ends at the final time"),
        ({"target": 1e-4, "method": "insr"}, "leave out --target, and write --method.time_steps, --method.tolerance"),
        ({"device": "cuda:77"}, "cuda:77"),
        ({"dtype": "float16"}, "float32"),
        ({"values": {"viscosity": 1.0}}, "diffusivity"),
        ({"values": {"diffusivity": -1.0}}, "diffusivity"),
        ({"learn": ["diffusivity"]}, "observations"),
        ({"learn": ["diffusivity=high"]}, "number"),
        ({"observe": "missing.csv"}, "missing.csv"),
        ({"threads": -2}, "thread"),
        ({"threads": 0}, "thread"),
        ({"problem": 5}, "a problem is a Problem or a name"),
        ({"method": Pinn}, "a method is a Solver that is a dataclass"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(change: dict[str, Any], words: str) -> None:
    before = set(Path().rglob("*"))
    with pytest.raises(InputError) as error:
        quick(**{"out": "bad", **change})
    assert words in str(error.value) and "\n" not in str(error.value)
    assert not Path("bad").exists()
    assert {p for p in set(Path().rglob("*")) - before if "cache" not in p.parts} == set()


@pytest.mark.parametrize(
    ("there", "out"),
    [((), "new/deep/run"), (("new",), "new/deep/run"), (("mine",), "mine"), (("runs",), None), ((), None)],
)
def test_a_refused_run_leaves_folders_as_they_were(there: tuple[str, ...], out: str | None) -> None:
    for name in there:
        Path(name).mkdir()
    before = {*Path().rglob("*")}
    with pytest.raises(InputError, match="cannot learn"):
        quick(method="reference", learn=["diffusivity"], out=out)
    assert {*Path().rglob("*")} - {p for p in Path().rglob("*") if "cache" in p.parts} == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "header"),
        ("t,x,v\n0,0,1\n", "got t, x, v"),
        ("t,x,u\n0,zero,1\n", "row 1 below the header: x is no number, got 'zero'"),
        ("t,x,u\n0,0.5,1\n0,0.5\n", "row 2 below the header: expected 3 cells, t, x, u, got 2"),
        ("t,x,x,u\n0,0,0.5,1\n", "2 columns called 'x'"),
        ("t,x,u\n0,0.5,1\udcff\n", "it is no text"),
        ("t,x,u\n0,9,1\n", "outside"),
        ("t,x,u\n0,0.5,nan\n", "NaN"),
        ("t,x,u\n", "no observations"),
    ],
)
def test_bad_observations(text: str, words: str) -> None:
    Path("seen.csv").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=words):
        quick(observe="seen.csv")


def test_a_folder_that_is_no_run_or_of_another_format_is_refused() -> None:
    with pytest.raises(InputError, match="no run folder"):
        ps.load("nowhere")
    quick(out="run")
    record = json.loads(Path("run/run.json").read_text())
    Path("run/run.json").write_text(json.dumps({**record, "format": 99}))
    with pytest.raises(InputError, match="format 99"):
        ps.load("run")
    Path("run/run.json").write_text("{half")
    with pytest.raises(InputError, match="damaged"):
        ps.load("run")


@pytest.mark.slow
@pytest.mark.draws
def test_a_comparison_is_one_table_one_figure_and_a_folder() -> None:
    comparison = compare("heat_1d", [SMALL, "reference"], seeds=(0, 1), steps=10, out="both")
    assert comparison.labels == ("pinn seed 0", "pinn seed 1", "reference")
    table = comparison.table()
    assert len(table.splitlines()) == 5 and "relative L2" in table
    assert Path("both/comparison.png").stat().st_size > 1000
    assert [run["method"] for run in comparison.json()] == ["pinn", "pinn", "reference"]
    assert all(set(run) >= KEYS for run in comparison.json())
    reference = comparison.json()[-1]["errors"]["u"]["relative_l2"]
    assert reference is not None and reference < 1e-8
    with pytest.raises(InputError, match="not empty"):
        compare("heat_1d", [SMALL], out="both")
    with pytest.raises(InputError, match="method"):
        compare("heat_1d", [])
    with pytest.raises(InputError, match=r"teng cannot stop at a target of 0\.001"):
        compare("heat_1d", [SMALL, "teng"], target=1e-3, out="aimed")
    assert not Path("aimed").exists(), "refused before the first run"


@pytest.mark.slow
def test_a_problem_and_its_sister_are_solved_alike() -> None:
    names = ("heat_1d", ps.make_problem("heat_1d").sister)
    comparison = compare(names, ["reference"], out="sisters")
    assert comparison.labels == ("reference heat_1d", "reference heat_1d_sister")
    assert [run["problem"] for run in comparison.json()] == list(names)
    with pytest.raises(InputError, match="of one problem of the catalogue"):
        compare(names, ["reference"], settings={"diffusivity": 0.1})
    with pytest.raises(InputError, match="at least one problem"):
        compare([], ["reference"])


@pytest.mark.slow
def test_a_sweep_solves_every_value() -> None:
    comparison = compare("burgers_shock", ["reference"], sweep={"viscosity": (0.1, 0.05)}, out="sweep")
    assert comparison.labels == ("reference viscosity=0.1", "reference viscosity=0.05")
    one, two = (s.dataset()["u"].isel(t=-1) for s in comparison.solutions)
    assert float(abs(two).max()) > float(abs(one).max())
    with pytest.raises(InputError, match="viscosity"):
        compare("burgers_shock", ["reference"], sweep={"viskosity": (0.1,)}, out="other")


def test_predictions_on_grids_and_at_points() -> None:
    solution = quick()
    dataset = predict_on_grid(solution, (7,), (0.0, 0.25))
    assert dataset.sizes == {"t": 2, "x": 7}
    points = np.array([[0.0, 0.5], [0.25, 0.0]])
    scattered = predict_at_points(solution, points)
    assert float(scattered["u"][0]) == pytest.approx(float(dataset["u"].sel(t=0.0, x=0.5)))
    assert float(scattered["u"][1]) == pytest.approx(float(dataset["u"].sel(t=0.25, x=0.0)))
    Path("p.csv").write_text("x,t\n0.5,0.0\n0.0,0.25\n")
    assert np.array_equal(read_points(Path("p.csv"), solution.problem.axes), points)
    for call, words in (
        (lambda: predict_on_grid(solution, (7, 7)), "give one for each, as in --grid 7$"),
        (lambda: predict_on_grid(solution, (7,), (9.0,)), "9"),
        (lambda: predict_at_points(solution, np.zeros((3, 3))), "columns"),
        (lambda: predict_at_points(solution, np.array([[0.0, 5.0]])), "x in"),
        (lambda: read_points(Path("none.csv"), solution.problem.axes), "none.csv"),
    ):
        with pytest.raises(InputError, match=words):
            call()


def test_requirements() -> None:
    proof = quick().proof
    assert Requirement.parse("rel_l2=1e9").missed(proof) is None
    missed = Requirement.parse("rel_l2=1e-9").missed(proof)
    assert missed is not None and "1e-09" in missed
    assert Requirement.parse("residual=1e-9").missed(proof) is not None
    assert Requirement.parse("violation=1e9").missed(proof) is None
    unknown = dataclasses.replace(proof, errors={"u": {"relative_l2": None, "max": None, "final": None}})
    assert Requirement.parse("rel_l2=1e9").missed(unknown) is not None
    for text in ("rel=1", "rel_l2", "rel_l2=-1", "rel_l2=small"):
        with pytest.raises(InputError):
            Requirement.parse(text)


def test_history_is_work_and_precision() -> None:
    solution = quick(out="run", method=dataclasses.replace(SMALL, optimiser="lbfgs"))
    rows = read_history(Path("run"))
    assert rows[0]["stage"] == "adam" and rows[-1]["stage"] == "end"
    assert all(a["cpu_seconds"] <= b["cpu_seconds"] for a, b in pairwise(rows))
    assert rows[-1]["relative_l2 u"] == pytest.approx(solution.proof.errors["u"]["relative_l2"])


@dataclasses.dataclass(frozen=True)
class Triangle(ps.Domain):
    """0 <= y <= x <= 1: a domain that no grid fits."""

    axes: Any = dataclasses.field(default_factory=lambda: ps.Box(ps.Axis("x", 0, 1), ps.Axis("y", 0, 1)).axes)

    @property
    def measure(self) -> float:
        return 0.5

    @property
    def boundaries(self) -> dict[str, Any]:
        return {"bottom": ps.Box(*self.axes).boundaries["y_min"]}

    def inside(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 1] <= x[:, 0]


@pytest.mark.slow
def test_a_domain_that_is_no_box_is_solved_and_judged_on_points() -> None:
    time = ps.Axis("t", 0, 0.1)
    problem = ps.Problem(
        name="triangle",
        equation=Heat(),
        domain=Triangle(),
        time=time,
        conditions=(ps.InitialValue("u", lambda p, x: x["x"] * x["y"]), ps.Dirichlet("u", "bottom")),
        values={"diffusivity": 1.0},
        exact=ps.Exact(lambda p, x: {"u": x["x"] * x["y"]}),
        evaluation=ps.Evaluation(12, times=(0.0, 0.05, 0.1)),
    )
    solution = quick(problem, steps=150, method=Pinn(width=12, depth=2, collocation=128, condition_points=64))
    assert solution.proof.errors["u"]["relative_l2"] < 0.2
    dataset = solution.dataset()
    assert dataset.sizes == {"point": 3 * 144}
    assert bool((dataset["y"] <= dataset["x"]).all())
    last = dataset["u"].values[-144:]
    truth = (dataset["x"] * dataset["y"]).values[-144:]
    error = np.linalg.norm(last - truth) / np.linalg.norm(truth)
    assert solution.proof.errors["u"]["final"] == pytest.approx(error)
