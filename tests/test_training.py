"""The training loop, budgets, runs and network parts."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

from pdesolve import make_problem
from pdesolve.errors import Diverged, InputError
from pdesolve.fields import Coordinates, d
from pdesolve.geometry import Axes, Axis
from pdesolve.method import Solution
from pdesolve.nn import FourierFeatures, NetworkSolution, PeriodicEmbedding, Rescale, mlp, read_network
from pdesolve.training.budget import Budget, parse_duration
from pdesolve.training.devices import find_device, find_dtype, threads, threads_for
from pdesolve.training.fit import fit
from pdesolve.training.objective import Fixed, ResidualObjective
from pdesolve.training.run import Run, finite, read_history, write_json
from pdesolve.training.stages import Part, Stage, measured_steps, train


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Quadratic(nn.Module):
    """(a - 3)^2 + (b + 1)^2, with a term that can be made to break."""

    def __init__(self) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def forward(self, scale: float) -> dict[str, torch.Tensor]:
        target = torch.tensor([3.0, -1.0], dtype=torch.float64)
        squares = (self.point - target).square() * scale
        return {"first": squares[0], "second": squares[1]}


def small_network() -> NetworkSolution:
    problem = make_problem("heat_1d")
    module = nn.Sequential(
        Rescale(problem.axes), *mlp(2, 1, width=8, depth=2, activation="tanh", generator=generator())
    )
    return NetworkSolution(problem, module)


def test_fit_reaches_the_minimum_and_stops_at_the_steps() -> None:
    objective = Quadratic()
    run = Run(budget=Budget.from_now(60))
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.1)
    outcome = fit(objective, Fixed(1.0), optimiser, run=run, stage="adam", solution=small_network(), steps=400)
    assert outcome.reason == "steps" and outcome.steps == 400
    assert torch.allclose(objective.point, torch.tensor([3.0, -1.0], dtype=torch.float64), atol=1e-3)
    assert run.history[-1]["stage"] == "adam" and run.history[-1]["loss"] == pytest.approx(outcome.loss)


def test_lbfgs_converges_and_says_so() -> None:
    objective = Quadratic()
    optimiser = torch.optim.LBFGS(objective.parameters(), max_iter=20, line_search_fn="strong_wolfe")
    run = Run(budget=Budget.from_now(60))
    outcome = fit(objective, Fixed(1.0), optimiser, run=run, stage="lbfgs", solution=small_network())
    assert outcome.reason == "converged"
    assert outcome.loss < 1e-20


def test_the_budget_ends_a_stage() -> None:
    objective = Quadratic()
    run = Run(budget=Budget.from_now(0.3), every=0.1)
    optimiser = torch.optim.SGD(objective.parameters(), lr=1e-6)
    outcome = fit(objective, Fixed(1.0), optimiser, run=run, stage="sgd", solution=small_network())
    assert outcome.reason == "budget" and outcome.steps > 10
    assert run.budget.left <= 0


def test_the_rate_scales_the_learning_rate_at_each_step() -> None:
    objective, seen = Quadratic(), []
    optimiser = torch.optim.SGD(objective.parameters(), lr=1.0)

    def rate(step: int) -> float:
        seen.append(step)
        return 0.0

    fit(
        objective,
        Fixed(1.0),
        optimiser,
        run=Run(),
        stage="sgd",
        solution=small_network(),
        steps=4,
        rate=rate,
    )
    assert seen == [0, 1, 2, 3]
    assert bool((objective.point == 0).all())  # a rate of zero moves nothing


def test_points_are_not_drawn_anew_at_the_very_end(monkeypatch) -> None:
    """A clock that goes on by one second a step: of 20.5, the last half second would be all that new points get."""
    now, drawn = [0.0], []
    monkeypatch.setattr(Budget, "spent", property(lambda self: now[0]))

    class Drawn(Fixed):
        def renew(self) -> bool:
            drawn.append(now[0])
            return True

    def rate(step: int) -> float:
        now[0] = float(step)
        return 1.0

    objective = Quadratic()
    fit(
        objective, Drawn(1.0), torch.optim.SGD(objective.parameters(), lr=1e-3), run=Run(budget=Budget(20.5)),
        stage="sgd", solution=small_network(), rate=rate, redraw=10,
    )  # fmt: skip
    assert drawn == [0.0, 9.0], "and not at 19 s"


class Breaking(Fixed):
    """The batch that the stage begins with is as good as the first; the next is not finite."""

    drawn = 0

    def renew(self) -> bool:
        self.drawn += 1
        self.batch = 1.0 if self.drawn == 1 else math.inf
        return True


def test_a_loss_that_is_not_finite_names_its_term_and_keeps_the_best_parameters() -> None:
    objective = Quadratic()
    run = Run(budget=Budget.from_now(60), every=0.0)
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.1)
    with pytest.raises(Diverged, match=r"the loss term first is inf at step 51 of stage adam .float64.: no step was"):
        fit(objective, Breaking(1.0), optimiser, run=run, stage="adam", solution=small_network(), redraw=50)
    assert bool(torch.isfinite(objective.point).all())
    best = min(row["loss"] for row in run.history)
    assert float(sum(objective(1.0).values()).detach()) <= best * 1.5  # type: ignore[union-attr]


def test_measured_steps_fill_the_time_given() -> None:
    class Slow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(200, 200))

        def forward(self, batch: float) -> dict[str, torch.Tensor]:
            x = self.w
            for _ in range(5):
                x = torch.tanh(x @ self.w * 0.01)
            return {"loss": x.square().sum() * batch}

    one, ten = (measured_steps(Slow(), 1.0, seconds=s) for s in (1.0, 10.0))
    assert 2 < one < 100_000
    assert ten > 2 * one


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("2min", 120), ("1.5h", 5400), (30, 30), ("45", 45), ("1e-1min", 6), ("1.5e+06s", 1.5e6)],
)
def test_durations(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["0", "0s", "-3s", "soon", "2 weeks", "", "nan", "1.2.3s"])
def test_durations_that_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="budget"):
        parse_duration(text)


def test_the_budget_leaves_out_what_is_excluded() -> None:
    budget = Budget.from_now(10)
    with budget.exclude():
        sum(i * i for i in range(2_000_000))
    assert budget.excluded > 0.01
    assert budget.spent < budget.excluded


def test_mlp_is_drawn_from_the_generator_alone() -> None:
    first, again, other = (
        mlp(2, 1, width=8, depth=3, activation="tanh", generator=generator(seed)) for seed in (1, 1, 2)
    )
    x = torch.rand(5, 2, dtype=torch.float64)
    assert torch.equal(first(x), again(x))
    assert not torch.equal(first(x), other(x))
    with pytest.raises(InputError, match="tanh"):
        mlp(2, 1, width=8, depth=3, activation="tahn", generator=generator())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="depth 0"):
        mlp(2, 1, width=8, depth=0, activation="tanh", generator=generator())


@pytest.mark.parametrize("activation", ["tanh", "silu", "sine"])
def test_activations_keep_signals_alive_through_depth(activation: str) -> None:
    net = mlp(2, 1, width=64, depth=6, activation=activation, generator=generator())  # type: ignore[arg-type]
    x = 2 * torch.rand(400, 2, dtype=torch.float64, generator=generator(1)) - 1
    hidden = net[:-1](x)
    assert 0.005 < float(hidden.std()) < 2.0


def test_periodic_embedding_is_periodic_with_its_derivatives() -> None:
    axes = Axes((Axis("t", 0, 1), Axis("x", -1, 3, periodic=True)))
    embedding = PeriodicEmbedding(axes, harmonics=3)
    net = nn.Sequential(
        Rescale(axes),
        embedding,
        mlp(embedding.outputs, 1, width=8, depth=2, activation="tanh", generator=generator()),
    )
    t = torch.rand(7, 1, dtype=torch.float64)
    ends = []
    for end in (-1.0, 3.0):
        x = torch.full_like(t, end).requires_grad_()
        u = net(torch.cat([t, x], 1))
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x)
        ends.append(torch.cat([u, slope, bend], 1))
    assert torch.allclose(*ends, atol=1e-12)
    assert float(ends[0].abs().max()) > 1e-3


def test_fourier_features_have_the_stated_scale() -> None:
    features = FourierFeatures(2, 2000, 5.0, generator())
    assert float(features.frequencies.std()) == pytest.approx(5.0, rel=0.05)
    x = torch.rand(3, 2, dtype=torch.float64)
    assert features(x).shape == (3, features.outputs)
    assert torch.allclose(features(x).square().sum(1), torch.full((3,), 2000.0, dtype=torch.float64))


def test_network_solutions_differentiate_and_come_back_from_a_file(tmp_path) -> None:
    solution = small_network()
    solution.write(tmp_path)
    again = small_network()
    with torch.no_grad():
        for p in again.module.parameters():
            p.add_(1.0)
    cloud = solution.problem.sample(20, "sobol", generator())
    assert not torch.equal(solution.on(cloud)["u"], again.on(cloud)["u"])
    again.take(read_network(tmp_path, "cpu"))
    assert torch.equal(solution.on(cloud)["u"], again.on(cloud)["u"])

    x = Coordinates(cloud)
    slope = d(solution.state(x)["u"], "x").values
    h = 1e-5
    shifted = [cloud.x.clone() for _ in (0, 1)]
    shifted[0][:, 1] += h
    shifted[1][:, 1] -= h
    with torch.no_grad():
        up, down = (solution.module(s)[:, 0] for s in shifted)
    assert torch.allclose(slope, (up - down) / (2 * h), atol=1e-8)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a zip"])
def test_damaged_networks_are_refused_in_one_line(tmp_path, content: bytes) -> None:
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(InputError) as error:
        read_network(tmp_path, "cpu")
    assert "last.pt" in str(error.value) and "\n" not in str(error.value)


def test_pickled_objects_are_refused(tmp_path) -> None:
    torch.save({"module.x": Quadratic()}, tmp_path / "last.pt")
    with pytest.raises(InputError, match="cannot read the network"):
        read_network(tmp_path, "cpu")


class Frozen(Solution):
    """A solution that writes a marker, to see when it is stored."""

    def __init__(self) -> None:
        super().__init__(make_problem("heat_1d"))
        self.written = 0

    def state(self, x):
        return self.problem.state({"u": torch.zeros(x.discretisation.shape, dtype=x.dtype)}, x)

    def write(self, folder) -> None:
        self.written += 1


def test_watching_records_stores_and_stops_at_the_target(tmp_path) -> None:
    errors = iter([0.5, 0.05])
    run = Run(
        folder=tmp_path, target=0.1, budget=Budget.from_now(10),
        measure=lambda s: {"u": {"relative_l2": next(errors), "max": 1.0, "final": 1.0}},
    )  # fmt: skip
    solution = Frozen()
    assert not run.watch(solution, stage="adam", step=1, losses={"equation": 2.0, "initial u": 1.0})
    assert run.watch(solution, stage="adam", step=2, losses={"equation": 1.0, "initial u": 1.0})
    assert solution.written == 2 and run.solution is solution and run.reached
    rows = read_history(tmp_path)
    assert [row["loss"] for row in rows] == [3.0, 2.0]
    assert [row["relative_l2 u"] for row in rows] == [0.5, 0.05]
    assert rows[0]["stage"] == "adam" and rows[1]["cpu_seconds"] >= rows[0]["cpu_seconds"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["history.csv"]  # nothing left aside


def test_choices_are_made_once() -> None:
    run = Run(choices={"adam_steps": 7})
    assert run.choose("adam_steps", lambda: 99) == 7
    assert run.choose("chunk", lambda: 5) == 5
    assert run.choose("chunk", lambda: 6) == 5


def test_json_has_null_for_what_is_not_finite(tmp_path) -> None:
    write_json(tmp_path / "a.json", {"a": math.nan, "b": [math.inf, 1.5], "c": {"d": None}})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": None, "b": [None, 1.5], "c": {"d": None}}
    assert finite((1, 2.5)) == [1, 2.5]


def test_writing_into_nothing_is_one_line(tmp_path) -> None:
    with pytest.raises(InputError, match="--out"):
        write_json(tmp_path / "missing" / "a.json", {})


def test_devices_dtypes_and_threads() -> None:
    assert find_device("cpu").type == "cpu"
    assert find_dtype("float32") is torch.float32
    for name in ("gpu9", "meta", "cuda:99"):
        with pytest.raises(InputError):
            find_device(name)
    with pytest.raises(InputError):
        find_dtype("float63")
    assert threads_for(0) == 1
    assert 1 <= threads_for(10**12) <= 1024
    before = torch.get_num_threads()
    with threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with pytest.raises(InputError), threads(0):
        pass


def test_what_is_kept_at_a_divergence_is_what_was_measured() -> None:
    objective = Quadratic()
    optimiser = torch.optim.Adam(objective.parameters(), lr=1e200)  # one step takes the point out of the world
    with pytest.raises(Diverged):
        fit(objective, Fixed(1.0), optimiser, run=Run(), stage="adam", solution=small_network(), steps=3)
    assert bool((objective.point == 0).all())


def test_every_window_measures_how_often_the_clock_is_looked_at(monkeypatch) -> None:
    asked: list[float] = []

    def measured(objective: nn.Module, batch: float, *, seconds: float) -> int:
        asked.append(seconds)
        return 40 if len(asked) == 1 else 3  # the second window is dearer

    monkeypatch.setattr("pdesolve.training.stages.measured_steps", measured)
    run = Run(budget=Budget.from_now(6))
    for number in range(2):
        train(
            Quadratic(), Fixed(1.0), (Stage("self_scaled_broyden"),), run=run, solution=small_network(),
            part=Part(number, 2),
        )  # fmt: skip
    name = "iterations at once of self_scaled_broyden of stage 1 of part"
    assert (run.choices[f"{name} 1"], run.choices[f"{name} 2"]) == (40, 3)
    assert asked[0] <= 3 / 10  # of the three seconds of a window


class Fit(ResidualObjective):
    """Rows of a network of ten parameters at so many points."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(*mlp(1, 1, width=3, depth=1, activation="tanh", generator=generator()))

    def rows(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"fit": self.net(batch)[:, 0] - torch.sin(9 * batch[:, 0])}


class Judged(Fixed):
    """Points with a residual of 1e-3, and of another size between them."""

    between = 0.0

    def residuals(self) -> tuple[float, float]:
        return 1e-3, self.between


@pytest.mark.parametrize(
    ("optimiser", "points", "sizes"),
    [
        ("self_scaled_bfgs", 5, "self_scaled_bfgs: 10 parameters, 0.0008 MB (dense inverse Hessian)"),
        ("self_scaled_broyden", 10, "self_scaled_broyden: 10 parameters, 0.0008 MB (dense inverse Hessian)"),
        ("lbfgs", 5, "lbfgs: 10 parameters, 0.008 MB (50 pairs of vectors)"),
        ("adam", 5, None),
    ],
)
def test_a_stage_says_what_it_holds_and_what_its_points_cannot_determine(optimiser, points: int, sizes) -> None:
    said: list[str] = []
    batch = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
    train(Fit(), Fixed(batch), (Stage(optimiser),), run=Run(steps=1, say=said.append), solution=small_network())
    few = [line for line in said if line.startswith("5 rows are fewer than 10 parameters")]
    assert said == ([] if sizes is None else [sizes, *few])
    assert bool(few) == (sizes is not None and points == 5)


@pytest.mark.parametrize("between", [2e-3, 1.9])
def test_what_was_learned_by_heart_is_said(between: float) -> None:
    said: list[str] = []
    batches = Judged(torch.linspace(0, 1, 5, dtype=torch.float64)[:, None])
    batches.between = between
    train(Fit(), batches, (Stage("adam"),), run=Run(steps=1, say=said.append), solution=small_network())
    expected = "overfitted: the residual is 1.0e-03 at the points and 1.9e+00 between them; take more points, move "
    assert said == ([expected + "them more often or take a smaller network"] if between > 1 else [])
