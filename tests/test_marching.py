"""Marching in time: systems of first order, their sizes, growth, fits kept on disk, and what is judged of a part."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from pdesolve import catalogue, metrics, proof
from pdesolve.cache import folder
from pdesolve.cli import main
from pdesolve.condition import Dirichlet, InitialValue, Observed
from pdesolve.errors import Diverged, InputError
from pdesolve.fields import Coordinates, cos, sin
from pdesolve.geometry import Axis, Disk, PointCloud
from pdesolve.labelled import to_dataset
from pdesolve.marching import fit_cache
from pdesolve.marching.growth import Growth
from pdesolve.marching.initial_fit import InitialFit
from pdesolve.marching.instant import Instant, quadrature
from pdesolve.marching.march import March
from pdesolve.marching.method import Marching
from pdesolve.marching.sizes import sizes, wave_speed
from pdesolve.marching.stepper import Step, Stepper
from pdesolve.marching.system import at_time, first_order
from pdesolve.marching.trajectory import MarchedSolution, Trajectory
from pdesolve.physics.constraints import walls
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.solvers.reference.solution import FormulaSolution
from pdesolve.physics.solvers.teng.method import Teng
from pdesolve.plotting.times import error_over_time, march_figure
from pdesolve.problem import Evaluation, Problem
from pdesolve.training.run import Run

CPU = torch.device("cpu")


def linear(problem: Problem, outputs: int = 1, seed: int = 0) -> nn.Sequential:
    generator = torch.Generator().manual_seed(seed)
    module = nn.Sequential(nn.Linear(problem.domain.dimension, 6), nn.Tanh(), nn.Linear(6, outputs)).double()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64))
    return module


def instant(problem: Problem, module: nn.Module, points: int = 20) -> Instant:
    cloud = quadrature(problem, points, torch.Generator().manual_seed(0))
    lift, soft = walls(problem)
    return Instant(problem, module, lift, cloud, {}, walls=soft, dtype=torch.float64, device=CPU)


def test_an_evolution_of_second_order_becomes_a_system() -> None:
    problem = catalogue.make_problem("klein_gordon_2d", {"final_time": 1.0})
    system = first_order(problem)
    assert system.equation.scalars == ("u", "u_t")
    assert first_order(catalogue.make_problem("heat_1d", {})).name == "heat_1d"
    here = instant(system, linear(system, 2))
    assert here.names == ("u", "u_t", "slope of u in x", "slope of u in y")
    x, y = here.cloud.x.T
    assert torch.allclose(here.initial[1], 2 * x * y)
    assert torch.allclose(here.initial[2:], torch.ones(2, len(x), dtype=torch.float64))
    # rates: u_t of u, its slopes of the slopes
    values, rates = here.values(0.3).detach(), here.rate(0.3)
    assert torch.allclose(rates[0], values[1], rtol=1e-12)
    step = 1e-5
    moved = [Coordinates(PointCloud(here.cloud.axes, here.cloud.x + s * torch.tensor([step, 0.0]))) for s in (1, -1)]
    ends = [here._evolving(at_time(system, m, 0.3, column=True))["u_t"].values.detach() for m in moved]
    assert torch.allclose(rates[2], (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-8)
    # on the walls u_t is the derivative in time of what is given of u
    corner = PointCloud(here.cloud.axes, torch.tensor([[1.0, 0.4], [-0.2, -1.0]], dtype=torch.float64))
    u = here._evolving(at_time(system, Coordinates(corner), 0.3, column=True))["u_t"].values
    x, y = corner.x.T
    exact = -2 * (x + y) * math.sin(0.6) + 2 * x * y * math.cos(0.6)
    assert torch.allclose(u, exact, rtol=1e-11)


def test_sizes_of_velocities_and_the_speed_of_waves() -> None:
    system = first_order(catalogue.make_problem("wave_1d", {"speed": 3.0}))
    found = sizes(system, {})
    assert found["u_t"] > 10 * found["u"]  # it starts at zero, and swings
    speed = wave_speed(system, {})
    assert speed == pytest.approx(3.0, rel=0.02)
    assert wave_speed(catalogue.make_problem("heat_1d", {}), {}) is None


def test_growth_says_what_when_and_where() -> None:
    problem = catalogue.make_problem("heat_1d", {})
    module = linear(problem)
    here = instant(problem, module)
    growth = Growth(here)
    growth.begin()
    with torch.no_grad():
        module[2].weight.zero_()  # type: ignore[union-attr]
        module[2].bias.fill_(0.5)  # type: ignore[union-attr]
    growth.check(Step(0.1, 1e-9))
    with torch.no_grad():
        module[2].bias.fill_(300.0)  # type: ignore[union-attr]
    with pytest.raises(Diverged, match=r"u blows up at t = 0.2, x = 0\.[45]\d*: 3.0e\+02 times its first size"):
        growth.check(Step(0.2, 1e-9))
    with torch.no_grad():
        module[2].bias.fill_(math.nan)  # type: ignore[union-attr]
    with pytest.raises(Diverged, match=r"not finite at t = 0\.2, x = "):
        here.rate(0.2)


def disk() -> Problem:
    time = Axis("t", 0.0, 1.0)
    return Problem(
        name="disk", equation=Heat(), domain=Disk((0.0, 0.0), 1.0), time=time,
        conditions=(
            InitialValue("u", lambda p, x: cos(x["x"]) * sin(x["y"])),
            Dirichlet("u", "all", lambda p, x: (1.0 + x["t"]) * cos(x["x"]) * sin(x["y"])),
        ),
        evaluation=Evaluation(11, (0.0, 0.5, 1.0)),
    )  # fmt: skip


def test_values_on_a_circle_are_rows_of_their_weight() -> None:
    problem = disk()
    here = instant(problem, linear(problem))
    assert here.walls is not None
    rows = here.walls.at(0.5)["u at the boundary"]
    x = here.walls.x["u at the boundary"]
    columns = x.columns().detach()
    assert torch.allclose(columns.norm(dim=1), torch.ones(len(columns), dtype=torch.float64))
    left = here.module(columns)[:, 0] - 1.5 * torch.cos(columns[:, 0]) * torch.sin(columns[:, 1])
    size = here.size[0, 0]
    weighed = (left.detach() / size).square().mean()
    assert float(rows.detach().square().sum()) == pytest.approx(float(weighed), rel=1e-9)
    assert set(here.terms(here.initial, 0.0)) == {"projection", "u at the boundary"}


def test_a_fit_is_kept_on_disk_and_a_damaged_one_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDESOLVE_CACHE", str(tmp_path))
    problem = catalogue.make_problem("heat_1d", {})

    def made(seed: int = 0) -> InitialFit:
        return InitialFit(instant(problem, linear(problem, seed=seed)), adam_steps=1, steps=3, goal=1e-12)

    first = made()
    key = fit_cache.key(first)
    assert key == fit_cache.key(made())
    assert key != fit_cache.key(made(seed=1))
    for _ in range(3):
        first._solve()
    fit_cache.save(key, first)
    again = made()
    fit_cache.load(key, again)
    assert again.cached
    assert again.losses == first.losses
    for p, q in zip(again.instant.module.parameters(), first.instant.module.parameters(), strict=True):
        assert torch.equal(p, q)
    path = next(folder().glob("fit-*.pt"))
    path.write_bytes(path.read_bytes()[:200])
    fresh = made()
    start = [p.detach().clone() for p in fresh.instant.module.parameters()]
    fit_cache.load(key, fresh)
    assert not fresh.cached
    assert all(torch.equal(p, q) for p, q in zip(fresh.instant.module.parameters(), start, strict=True))


def ended_at(problem: Problem, *times: float) -> MarchedSolution:
    """A march that has come to the last of the times; its state is zero at all of them."""
    trajectory = Trajectory(linear(problem))
    theta = torch.cat([torch.zeros(p.numel(), dtype=torch.float64) for p in trajectory.module.parameters()])
    for time in times:
        trajectory.append(time, theta)
    return MarchedSolution(problem, trajectory, None, columns=["u"])


def test_a_march_that_ended_early_is_judged_up_to_the_time_it_reached() -> None:
    problem = replace(catalogue.make_problem("heat_1d", {}), evaluation=Evaluation(11, (0.0, 0.25, 0.5, 1.0)))
    truth = proof.Truth.of(FormulaSolution(problem, lambda p, x: {"u": (1.0 + x["t"]) * x["x"]}))
    for reached, judged in ((0.2, [0.0, 0.2]), (0.5, [0.0, 0.25, 0.5]), (0.6, [0.0, 0.25, 0.5, 0.6])):
        solution = ended_at(problem, 0.0, reached)
        assert solution.reached == reached
        assert proof.as_far_as_solved(solution).problem.time == replace(problem.axes["t"], upper=reached)
        assert solution.dataset()["t"].values.tolist() == judged
        found = proof.measured(solution, truth)["u"]
        assert found["max"] == pytest.approx(1 + reached, abs=1e-12)
        assert found["final"] == pytest.approx(1.0)
    assert solution.dataset(problem.evaluation_set).sizes["t"] == 4
    assert proof.measured(ended_at(problem, 0.0), truth)["u"]["max"] == pytest.approx(1.0)
    later = replace(problem, evaluation=Evaluation(11, (0.5, 1.0)))
    assert proof.measured(ended_at(later, 0.0), proof.Truth.of(ended_at(later, 0.0, 1.0))) == {}
    whole = ended_at(problem, 0.0, 1.0)
    assert whole.reached is None
    assert proof.measured(whole, truth)["u"]["max"] == pytest.approx(2.0)


def test_on_points_too_the_time_reached_is_judged_and_drawn_as_the_proof_has_it() -> None:
    problem = disk()
    truth = proof.Truth.of(FormulaSolution(problem, lambda p, x: {"u": (1.0 + x["t"]) * cos(x["x"])}))
    solution = ended_at(problem, 0.0, 0.7)
    values = truth.as_far_as(solution)["u"].unflatten(-1, (3, -1))
    assert torch.allclose(values[2], 1.7 * values[0]) and torch.allclose(values[1], 1.5 * values[0])
    shown = to_dataset(problem, proof.as_far_as_solved(solution).problem.evaluation_set, truth.as_far_as(solution))
    times, errors = error_over_time(0.9 * shown["u"] + 0.05, shown["u"])
    found = 0.9 * values[2] + 0.05
    assert times.tolist() == [0.0, 0.5, 0.7]
    assert errors[2] == pytest.approx(metrics.relative_l2(found, values[2]))
    assert errors[0] == pytest.approx(metrics.relative_l2(0.9 * values[0] + 0.05, values[0]))


def test_a_march_is_evaluated_at_any_time_it_has_come_to_and_any_place() -> None:
    """u = t^2 x, which the polynomial in time through three instants has exactly."""
    problem = catalogue.make_problem("heat_1d", {})
    trajectory = Trajectory(nn.Linear(1, 1).double())
    for time in (0.0, 0.3, 0.8):
        trajectory.append(time, torch.tensor([time**2, 0.0], dtype=torch.float64))
    solution = MarchedSolution(problem, trajectory, None, columns=["u"])
    assert float(solution.at(t=0.37, x=0.5)["u"]) == pytest.approx(0.37**2 / 2, rel=1e-12)
    found = solution.at(t=[0.7, 0.1, 0.7], x=np.array([0.25]))["u"]
    assert found.dims == ("t", "x") and found["t"].values.tolist() == [0.7, 0.1, 0.7]
    assert found.values[:, 0] == pytest.approx([0.1225, 0.0025, 0.1225])
    points = xr.DataArray([0.7, 0.1], dims="point")
    assert solution.at(t=points, x=points)["u"].values == pytest.approx([0.343, 0.001])
    refused: list[tuple[Any, str]] = [
        (lambda: solution.at(t=0.9, x=0.5), r"is solved for t in \[0, 0.8\], asked for 0.9"),
        (lambda: solution.at(t=0.5), r"a function of \(t, x\), x is missing: write at\(t=0, x=0\)"),
        (lambda: solution.at(t=0.5, x=0.5, y=0.5), "unknown axis 'y'"),
        (lambda: solution.at(t=0.5, x="0.5"), "places along x are a finite number or a list"),
        (lambda: solution.at(t=[0.5, 0.6], x=points), "over one common dimension"),
        (lambda: solution.on({"t": 0.5}), r"got a dict: for values at places write solution.at\(t=0, x=0\)"),  # type: ignore[arg-type]
        (lambda: solution.dataset(np.zeros((3, 2))), "got a ndarray: for values"),  # type: ignore[arg-type]
    ]
    for call, words in refused:
        with pytest.raises(InputError, match=words):
            call()


@pytest.mark.parametrize(
    ("fit", "final", "settings", "note"),
    [
        (9e-4, 2e-3, {"fit_goal": 1e-7}, "--method.width or --budget may make both smaller"),
        (9e-4, 2e-3, {}, "--method.width or --budget may make both smaller"),
        (1e-7, 2e-7, {"fit_goal": 1e-7}, "--method.fit_goal 1e-09 may make both smaller"),
        (1e-7, 2e-6, {"fit_goal": 1e-7}, ""),
        (1e-7, None, {}, ""),
    ],
)
def test_a_fit_as_large_as_the_error_is_told(fit: float, final: float | None, settings: Any, note: str) -> None:
    made = proof.Proof(
        run=None, problem="heat_1d", method="teng", settings=settings, parameters=9, learned={}, residual=1e-3,
        errors={"u": {"relative_l2": 1e-3, "max": 1e-3, "final": final}}, violations={}, conserved={}, seconds=1.0,
        cpu_seconds=1.0, peak_bytes=1, device="cpu", dtype="float64", seed=0, converged=True,
        notes={"initial fit": fit, "initial fit seconds": 1.0},
    )  # fmt: skip
    notes = [line for line in made.table().splitlines() if line.startswith("note ")]
    assert [line.endswith(note) for line in notes] == ([True] if note else [])


class Breaking(Stepper):
    """Moves the network by one, and is lost at the second step, in the midst of it."""

    def __init__(self, module: nn.Sequential) -> None:
        self.module = module

    def step(self, time: float, final: float) -> Step:
        with torch.no_grad():
            self.module[2].bias.add_(1.0)  # type: ignore[union-attr, operator]
        if time > 0:
            raise Diverged("lost")
        return Step(0.5, 1e-6)

    @property
    def notes(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, float]:
        return {}

    def load_state_dict(self, state: dict[str, float], /) -> None:
        pass


def test_a_march_that_is_lost_keeps_its_last_state_and_says_where_it_was_largest() -> None:
    problem = catalogue.make_problem("heat_1d", {})
    module = linear(problem)
    solution = MarchedSolution(problem, Trajectory(module), None, columns=["u"])
    march = March(Breaking(module), solution, instant(problem, module))
    march.begin({"unseen": 1e-6, "seconds": 1.0, "cached": False})
    run = Run()
    run.record(stage="initial fit", step=3, losses={"residual": 1e-4})
    with pytest.raises(Diverged, match=r"lost; at t = 0.5 u was largest at x = 0\.\d+, "):
        march.go_on(run)
    assert run.solution is solution
    # its history is drawn over time, beside the error and the drift up to there
    assert [(row["stage"], row.get("t"), row["loss"]) for row in run.history[1:]] == [("march", 0.5, 1e-6)]
    data = solution.dataset()
    drift = {"heat": torch.linspace(0, 1e-3, data.sizes["t"])}
    figure = march_figure(run.history, data, 1.1 * data, drift)
    assert figure is not None
    panels = {axis.get_ylabel(): np.asarray(axis.lines[0].get_xydata()) for axis in figure.axes}
    assert [*panels] == ["relative residual of a step", "relative L2 error", "relative drift"]
    assert panels["relative residual of a step"].tolist() == [[0.5, 1e-6]]
    assert panels["relative L2 error"][-1] == pytest.approx([0.5, 0.1 / 1.1])
    assert march_figure(run.history[:1], data, None, {}) is None
    assert solution.notes["time reached"] == 0.5
    theta = torch.cat([p.detach().reshape(-1) for p in module.parameters()])
    assert torch.equal(theta, solution.trajectory.thetas[1])


@pytest.mark.usefixtures("own_folder")
def test_a_march_that_diverged_is_told_what_changes_its_end_in_a_command_that_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Teng] = []

    def lost(self: Teng, problem: Problem, run: Run, **_: Any) -> Any:
        asked.append(self)
        if len(asked) == 2:
            raise InputError("enough")
        run.solution = ended_at(problem, 0.0, 0.1)
        assert run.folder is not None
        (run.folder / "checkpoint.pt").touch()
        raise Diverged("lost")

    monkeypatch.setattr(Teng, "solve", lost)
    monkeypatch.setattr("pdesolve.solving._reference", lambda *_: (None, {"none": "not needed here"}))
    saved: dict[str, Any] = {}
    monkeypatch.setattr("pdesolve.plotting.march_figure", lambda *_: "over time")
    monkeypatch.setattr("pdesolve.plotting.save_figure", lambda figure, path: saved.update({path.name: figure}))
    words = "solve heat_1d --method teng --method.scheme rk4 --method.time_steps 7 --budget 100h --out run"
    assert main(words.split()) == 3
    last = capsys.readouterr().out.splitlines()[-1]
    assert saved["history.png"] == "over time"
    assert last == "next: pdesolve solve --config run/config.yaml --method.time_steps 14"
    assert main(last.split()[2:]) == 2
    assert asked[1] == replace(asked[0], time_steps=14)
    told = ended_at(catalogue.make_problem("heat_1d"), 0.0, 0.1)
    told.notes["diverged"] = "lost: steps of 0.1 are past stability: give --method.time_steps 244, or another scheme"
    assert asked[0].after_divergence(told) == {"time_steps": 244}
    tried = ended_at(catalogue.make_problem("heat_1d"), 0.0, 0.1)
    tried.notes["rejected steps"] = 12
    assert asked[0].after_divergence(tried) == {"width": 48}  # shorter steps were of no use


MARCHES = [e.name for e in catalogue.entries("method") if issubclass(catalogue.find_method(e.name), Marching)]


@pytest.mark.parametrize("method", MARCHES)
@pytest.mark.parametrize(
    ("problem", "settings", "more", "words"),
    [
        ("poisson_2d", {}, {}, "Poisson is not an evolution in time, .*: take --method pinn$"),
        ("navier_stokes_2d", {}, {}, "needs an equation on point fields, NavierStokesVorticity supports grid"),
        ("heat_1d", {}, {"learn": ("diffusivity",)}, "cannot learn diffusivity"),
        ("heat_1d", {}, {"values": {"diffusivity": torch.ones(3)}}, "one problem at a time, diffusivity has 3 values"),
        ("heat_1d", {"time_steps": 0}, {}, "time_steps must be at least 1, got 0"),
        ("heat_1d", {"adam_steps": -1}, {}, "adam_steps must be zero or more, got -1"),
        ("heat_1d", {"fit_tolerance": 0.0}, {}, "fit_tolerance must be more than zero, got 0"),
        ("heat_1d", {"fit_share": 1.0}, {}, "fit_share is a part between 0 and 1"),
        ("heat_1d", {"points": 12}, {}, "12 rows at the points cannot determine"),
    ],
)
def test_what_cannot_be_marched_is_refused(method: str, problem: str, settings: Any, more: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        catalogue.make_method(method, settings).solve(catalogue.make_problem(problem), Run(), **more)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("method", MARCHES)
def test_a_march_fits_no_observations(method: str) -> None:
    problem = catalogue.make_problem("heat_1d")
    seen = Observed("u", np.array([[0.1, 0.5]]), np.array([0.3]))
    problem = replace(problem, conditions=(*problem.conditions, seen))
    with pytest.raises(InputError, match="fits no 'observed u': leave it out"):
        catalogue.make_method(method).solve(problem, Run())
