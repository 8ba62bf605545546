"""The doctor of a fit: which term went astray, where, when, and what is proposed. The best parameters stay."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pdesolve as ps
from pdesolve.cli import main
from pdesolve.errors import Diverged, InputError
from pdesolve.least_squares import Form, LeastSquares, LevenbergMarquardt, Method
from pdesolve.least_squares.objective import Objective
from pdesolve.least_squares.step import Step
from pdesolve.physics.collocation.task import Task
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.physics.solvers.pinn.method import Pinn
from pdesolve.training.budget import Budget
from pdesolve.training.checkpoint import Checkpoint, read_checkpoint
from pdesolve.training.doctor import Doctor
from pdesolve.training.fit import fit
from pdesolve.training.objective import Fixed, ResidualObjective
from pdesolve.training.optimisers import Optimiser, make_optimiser
from pdesolve.training.run import Run
from pdesolve.training.stationary import stationary

TINY = Pinn(
    width=5, depth=1, collocation=25, condition_points=6, conditions="soft", sampler="regular",
    adam_share=0.0, adaptivity="none",
)  # fmt: skip


def run_of(**settings: Any) -> Run:
    return Run(**{"budget": Budget.from_now(600), "steps": 12, **settings})


def pole() -> ps.Problem:
    """A source that is not finite at one of the 5 x 5 cell midpoints."""
    box = ps.Box(ps.Axis("x", 0, 1), ps.Axis("y", 0, 2))

    def source(p: Any, x: Any) -> Any:
        return 1.0 / ((x["x"] - 0.5) ** 2 + (x["y"] - 1.0) ** 2)

    return ps.Problem(
        name="pole", equation=Poisson(), domain=box, conditions=(ps.Dirichlet("u"),), values={"source": source},
    )  # fmt: skip


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs", "self_scaled_broyden", "levenberg_marquardt", "spring"])
def test_the_point_of_a_pole_is_named(optimiser: Optimiser) -> None:
    run = run_of()
    with pytest.raises(Diverged) as error:
        dataclasses.replace(TINY, optimiser=optimiser).solve(pole(), run)
    text = str(error.value)
    found = re.fullmatch(
        r"the loss term equation is -?inf at x = (\S+), y = (\S+) at step 1 of stage (\w+) \(float64\): no step was "
        r"taken on these points: a source, coefficient or given value is not finite there; .*",
        text,
    )
    assert found and found.groups() == ("0.5", "1", optimiser)
    assert "\n" not in text and run.solution is not None


@pytest.mark.parametrize(("dtype", "advice"), [(torch.float64, "of 1e+05"), (torch.float32, "of 1e+05 or float64")])
def test_an_explosion_names_its_term_and_proposes_shorter_steps(dtype: torch.dtype, advice: str) -> None:
    run, problem = run_of(dtype=dtype), ps.make_problem("heat_1d")
    method = dataclasses.replace(TINY, optimiser="adam", learning_rate=1e6)
    with pytest.raises(Diverged, match=r"rose to \S+, from a loss of \S+, at t = \S+, x = \S+ at step 2 ") as error:
        method.solve(problem, run)
    assert str(error.value).endswith(f"the best parameters seen are kept; try a learning rate {advice}")
    task = Task.of(method, problem, run=run_of(dtype=dtype))
    start = task.objective(None, torch.Generator().manual_seed(0)).solution
    assert run.solution is not None
    assert torch.equal(run.solution.on()["u"], start.on()["u"])  # the best were those of the start


class Line(ResidualObjective):
    """Rows a x - 1 whose gradient, or value, breaks beyond a bound of a."""

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.bound = bound

    def rows(self, batch: Tensor) -> dict[str, Tensor]:
        rows = self.a * batch - 1
        breaking = torch.where(self.a.detach() > self.bound, torch.nan, 0.0)
        return {"line": rows, "edge": breaking * (batch > 0.8)}


def fitted(objective: nn.Module, **settings: Any) -> Run:
    run = run_of(steps=None, **settings)
    optimiser = torch.optim.SGD(objective.parameters(), lr=0.1)
    points = torch.linspace(0, 1, 6, dtype=torch.float64)
    solution: Any = ps.make_problem  # nothing here looks at it
    fit(objective, Fixed(points), optimiser, run=run, stage="sgd", solution=solution, steps=50)
    return run


def test_the_step_before_a_value_breaks_is_the_best_that_is_kept(monkeypatch) -> None:
    monkeypatch.setattr(Run, "watch", lambda *_, **__: False)
    objective = Line(0.5)
    with pytest.raises(Diverged, match=r"the loss term edge is nan at step 2 of stage sgd .float64."):
        fitted(objective)
    assert objective.a.item() == 0.0
    free = Line(math.inf)
    fitted(free)
    assert free.a.item() == pytest.approx(15 / 11)  # sum of x over sum of x^2


def test_a_gradient_that_is_not_finite_is_told_from_a_value(monkeypatch) -> None:
    monkeypatch.setattr(Run, "watch", lambda *_, **__: False)

    class Root(ResidualObjective):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.zeros(1, dtype=torch.float64))

        def rows(self, batch: Tensor) -> dict[str, Tensor]:
            return {"root": self.a.abs().sqrt() - batch}

    objective = Root()
    with pytest.raises(
        Diverged, match=r"parameters are not finite any more before step 2 .*: the gradient of the loss"
    ):
        fitted(objective)
    assert bool(torch.isfinite(objective.a).all())


def test_a_large_loss_on_new_points_is_no_divergence(monkeypatch) -> None:
    """From rounding to 1e-6 of the first loss, as after a redraw: far more than the factor of an explosion."""
    monkeypatch.setattr(Run, "watch", lambda *_, **__: False)

    class Jump(Fixed):
        def renew(self) -> bool:
            self.batch = 1.0 if self.batch == 0.0 else 1.001
            return True

    class Square(ResidualObjective):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.zeros(1, dtype=torch.float64))

        def rows(self, batch: float) -> dict[str, Tensor]:
            return {"square": self.a - batch}

    solution: Any = None
    objective, run = Square(), run_of(steps=None)
    optimiser = make_optimiser("gauss_newton", objective)
    outcome = fit(objective, Jump(0.0), optimiser, run=run, stage="gn", solution=solution, steps=9, redraw=3)
    assert outcome.steps <= 9 and objective.a.item() == pytest.approx(1.001)


@pytest.mark.slow
def test_the_command_exits_with_3_and_the_run_can_be_gone_on_with(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PDESOLVE_CACHE", str(tmp_path / "cache"))
    words = (
        "heat_1d --method pinn --method.width 5 --method.depth 1 --method.collocation 24 --method.condition_points 6"
    )
    more = "--method.optimiser adam --method.learning_rate 1e6 --method.conditions soft --steps 5 --budget 1h --out run"
    assert main(["solve", *words.split(), *more.split()]) == 3
    out = capsys.readouterr().out
    assert "diverged, the loss term" in out and out.splitlines()[-1] == "next: pdesolve resume run"
    record = json.loads(Path("run/run.json").read_text())
    assert record["status"] == "diverged" and "at step 2 of stage adam" in record["proof"]["notes"]["diverged"]
    assert torch.isfinite(ps.load("run").on()["u"]).all()
    assert main(["resume", "run", "--json"]) == 3  # a tenth of 1e6 is still too much
    assert "1e+04" in json.loads(capsys.readouterr().out)["notes"]["diverged"]


def test_a_divergence_within_a_folder_leaves_a_fresh_optimiser_and_the_best(tmp_path) -> None:
    method = dataclasses.replace(TINY, optimiser="adam", learning_rate=1e6)
    with pytest.raises(Diverged):
        method.solve(ps.make_problem("heat_1d"), run_of(folder=tmp_path))
    content = read_checkpoint(tmp_path, "")
    assert content["position"]["shrink"] == pytest.approx(0.1)
    assert content["parts"]["optimiser"]["state"] == {}
    kept = [p for name, p in content["parts"]["objective"].items() if name.endswith(("weight", "bias"))]
    assert all(torch.equal(a, b) for a, b in zip(kept, content["parts"]["doctor"]["best"], strict=True))


def test_what_memory_cannot_hold_is_refused_before_any_time_is_spent(monkeypatch) -> None:
    heat = ps.make_problem("heat_1d")
    with pytest.raises(InputError, match="1000000000000 collocation points through 5 units need more than"):
        dataclasses.replace(TINY, collocation=10**12).solve(heat, run_of())
    monkeypatch.setattr("pdesolve.training.optimisers.free_bytes", lambda device: 200)
    run = run_of()
    for optimiser in ("self_scaled_broyden", "self_scaled_bfgs"):
        with pytest.raises(InputError, match=f"{optimiser} for 21 parameters needs 3.53e-06 GB, .* optimiser lbfgs"):
            dataclasses.replace(TINY, optimiser=optimiser, adam_share=0.5).solve(heat, run)
    assert run.history == []
    form = Form("dense", 30, 20, 10_000)
    module = nn.Linear(4, 4)
    with pytest.raises(InputError, match="levenberg_marquardt, least squares dense: 30 rows, 20 parameters"):
        make_optimiser("levenberg_marquardt", module, form=form)


def test_the_form_of_least_squares_is_said_once_chosen_and_obeyed() -> None:
    said: list[str] = []
    run = run_of(steps=2, say=said.append)
    method = dataclasses.replace(TINY, optimiser="levenberg_marquardt")
    method.solve(ps.make_problem("heat_1d"), run)
    name = "form of levenberg_marquardt of stage 1"
    assert [line for line in said if "least squares" in line] == [str(Form(**run.choices[name]))]
    assert run.choices[name]["kind"] == "dense"
    forced = {**run.choices, name: {**run.choices[name], "kind": "matrix_free"}}
    again = run_of(steps=2, choices=forced, say=said.append)
    method.solve(ps.make_problem("heat_1d"), again)
    assert "matrix_free" in said[-1] and again.choices == forced
    assert isinstance(run.checkpoint, Checkpoint)


@dataclasses.dataclass(frozen=True)
class Rising(Method):
    """A least-squares method that only makes things worse, by a factor each step."""

    factor: float

    def start(self, theta: Tensor) -> dict[str, Tensor]:
        return {"count": torch.zeros_like(theta[..., 0])}

    def step(self, objective: Objective, theta: Tensor, state: dict[str, Tensor], *, form: Form) -> Step:
        here, new = objective.linearise(theta), theta * self.factor
        return Step(new, state, objective.loss(new), torch.ones_like(here.loss, dtype=torch.bool), here.slope)


class Bowl(ResidualObjective):
    """Rows a (x + 1), whose sum of squares is least at a = 0; and two without a say."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor([start], dtype=torch.float64))

    def rows(self, batch: Tensor) -> dict[str, Tensor]:
        return {"bowl": self.a * (batch + 1), "idle": 0 * batch}


POINTS = torch.linspace(0, 1, 6, dtype=torch.float64)
NOBODY: Any = None  # nothing here looks at a solution


def test_the_start_of_a_stage_of_least_squares_is_the_best_where_it_only_rises(monkeypatch) -> None:
    monkeypatch.setattr(Run, "watch", lambda *_, **__: False)
    objective = Bowl(0.5)
    optimiser = LeastSquares(objective, Rising(1e5))
    with pytest.raises(Diverged, match=r"the loss term bowl rose to .* at step 1 of stage rising .*are kept"):
        fit(objective, Fixed(POINTS), optimiser, run=run_of(), stage="rising", solution=NOBODY, steps=5)
    assert objective.a.item() == 0.5


def test_the_best_of_the_stage_before_is_kept_while_the_points_are_the_same(monkeypatch) -> None:
    monkeypatch.setattr(Run, "watch", lambda *_, **__: False)

    class Anew(Fixed):
        def renew(self) -> bool:
            return True

    for batches, expected in ((Fixed(POINTS), 0.25), (Anew(POINTS), 8.0)):
        run, objective = run_of(), Bowl(0.25)
        doctor = Doctor(objective, run.checkpoint)
        for factor, steps in ((2.0, 5), (1e5, 5)):  # from 1/4 to 8, then away
            optimiser = LeastSquares(objective, Rising(factor))
            with nullcontext() if factor == 2.0 else pytest.raises(Diverged):
                fit(
                    objective, batches, optimiser, run=run, stage="rising", solution=NOBODY, steps=steps, redraw=100,
                    doctor=doctor,
                )  # fmt: skip
        assert objective.a.item() == expected


def test_notes_on_the_system_are_said_once(monkeypatch) -> None:
    monkeypatch.setattr(Run, "watch", lambda *_, **__: False)
    said: list[str] = []
    objective = Bowl(0.5)
    optimiser = LeastSquares(objective, Rising(1.1))
    fit(
        objective, Fixed(POINTS), optimiser, run=run_of(say=said.append), stage="rising", solution=NOBODY, steps=5,
    )  # fmt: skip
    assert said == ["rising: the term idle is zero at every point, by its weight or exactly: it has no say"]


@pytest.mark.parametrize(("start", "reason"), [(0.5, "stalled"), (1e-12, "converged")])
def test_giving_up_is_told_from_having_arrived(start: float, reason: str, monkeypatch) -> None:
    """A method that finds nothing better: halfway up the bowl, or at its bottom after a first loss of the size of 1."""
    monkeypatch.setattr(Run, "watch", lambda *_, **__: False)

    @dataclasses.dataclass(frozen=True)
    class Idle(Rising):
        def step(self, objective: Objective, theta: Tensor, state: dict[str, Tensor], *, form: Form) -> Step:
            here = objective.linearise(theta)
            return Step(theta, state, here.loss, torch.zeros_like(here.loss, dtype=torch.bool), here.slope)

    said: list[str] = []
    run, objective = run_of(steps=None, say=said.append), Bowl(start)
    doctor = Doctor(objective, run.checkpoint)
    doctor.first = 1.0
    optimiser = LeastSquares(objective, Idle(1.0))
    outcome = fit(objective, Fixed(POINTS), optimiser, run=run, stage="idle", solution=NOBODY, doctor=doctor)
    assert outcome.reason == reason and outcome.steps == 2
    assert any(line.startswith("idle stalled after 2 steps") for line in said) == (reason == "stalled")
    assert objective.a.item() == start  # asking moves nothing


def test_a_least_loss_that_is_not_zero_is_a_minimum() -> None:
    class Line(Bowl):
        def rows(self, batch: Tensor) -> dict[str, Tensor]:
            return {"line": self.a - batch, "bend": 1e-3 * self.a**2}

    objective = Line(0.7)
    assert not stationary(objective, POINTS, 1.0)
    optimiser = LeastSquares(objective, LevenbergMarquardt())
    while optimiser.steps < 50 and optimiser.moved:
        optimiser.step(lambda: objective.rows(POINTS))
    assert float(sum(objective(POINTS).values()).detach()) > 0.1  # type: ignore[union-attr]
    assert stationary(objective, POINTS, 1.0)
