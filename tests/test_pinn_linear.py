"""Linear problems by random features: recognised, solved for, stored, repeated."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pdesolve as ps
from pdesolve import make_problem
from pdesolve.condition import Observed
from pdesolve.errors import InputError
from pdesolve.least_squares.modular import Modular
from pdesolve.least_squares.tape import product, record
from pdesolve.metrics import relative_l2
from pdesolve.physics.collocation.linear import Oscillation, Trials, Wide
from pdesolve.physics.collocation.model import Residuals
from pdesolve.physics.collocation.output_layer import fit_output_layer, is_linear, output_layer, residual_root
from pdesolve.physics.collocation.task import Task
from pdesolve.physics.solvers.pinn.method import Pinn
from pdesolve.problem import Problem
from pdesolve.proof import violations
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

FEW = Pinn(collocation=200, condition_points=40)


pytestmark = pytest.mark.usefixtures("own_folder")


def task_of(problem: Problem, *, dtype: torch.dtype = torch.float64, exact: bool = True) -> Task:
    method = dataclasses.replace(FEW, conditions="exact" if exact else "soft")
    return Task.of(method, problem, run=Run(dtype=dtype))


def objective_of(task: Task, width: int = 16) -> Residuals:
    """The objective of one wide layer of tanh features."""
    layer = Wide(width, "tanh", (1.0,) * len(task.problem.axes))
    return task.objective(layer, torch.Generator().manual_seed(0))


def linear(problem: Problem, **settings: Any) -> bool:
    task = task_of(problem, **settings)
    objective = objective_of(task)
    return is_linear(objective, task.clouds(objective, 16, 0))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("heat_1d", True), ("wave_1d", True), ("poisson_2d", True), ("helmholtz_2d", True),
        ("burgers_shock", False), ("allen_cahn", False), ("kdv", False), ("klein_gordon_2d", False),
    ],
)  # fmt: skip
def test_linear_problems_are_recognised(name: str, expected: bool, dtype: torch.dtype) -> None:
    assert linear(make_problem(name), dtype=dtype) is expected


def test_recognising_leaves_the_weights_as_they_are() -> None:
    task = task_of(make_problem("heat_1d"))
    objective = objective_of(task)
    with torch.no_grad():
        output_layer(objective).weight.fill_(0.3)
    before = {name: p.clone() for name, p in objective.state_dict().items() if isinstance(p, torch.Tensor)}
    assert is_linear(objective, task.clouds(objective, 16, 0))
    assert all(torch.equal(before[name], objective.state_dict()[name]) for name in before)


@pytest.mark.parametrize("exact", [True, False])
def test_nothing_is_left_to_gain_in_the_output_layer(exact: bool) -> None:
    """The gradient of the loss in what was solved for vanishes, soft conditions and chunks of points included."""
    task = task_of(make_problem("heat_1d"), exact=exact)
    objective = objective_of(task, 40)
    clouds = task.clouds(objective, 300, 0)
    assert (len(clouds) > 1) is not exact
    layer = output_layer(objective)
    batch = {name: objective.coordinates(name, cloud) for name, cloud in clouds.items()}

    def slope() -> float:
        loss = torch.stack(list(objective(batch).values())).sum()
        gradients = torch.autograd.grad(loss, list(layer.parameters()))
        return float(torch.cat([g.flatten() for g in gradients]).norm())

    before, root = slope(), residual_root(objective, clouds)
    fit_output_layer(objective, clouds)
    assert slope() < 1e-7 * before
    assert residual_root(objective, clouds) < 0.1 * root


def test_chunks_of_points_make_no_difference(monkeypatch) -> None:
    """Observations too know which of their points a chunk has."""
    points = np.random.default_rng(0).random((150, 2))
    problem = make_problem("heat_1d")
    problem = dataclasses.replace(problem, conditions=(*problem.conditions, Observed("u", points, points[:, 0])))
    found = []
    for size in (2**25, 1):
        monkeypatch.setattr("pdesolve.physics.collocation.output_layer._CHUNK", size)
        task = task_of(problem)
        objective = objective_of(task, 12)
        fit_output_layer(objective, task.clouds(objective, 150, 0))
        found.append(output_layer(objective).weight.detach().clone())
    assert torch.allclose(*found, rtol=1e-6, atol=1e-9)
    assert linear(problem)


def solved(problem: Problem, method: Pinn, **settings: Any) -> Any:
    return method.solve(problem, Run(**{"budget": Budget.from_now(600), **settings}))


def error(problem: Problem, solution: Any) -> float:
    x = solution.coordinates(problem.evaluation_set)
    assert problem.exact is not None
    return relative_l2(solution.on()["u"], x.expand(problem.exact.formula(problem.bind(x), x)["u"]).values)


def test_a_narrow_layer_of_random_features_reaches_small_errors(monkeypatch) -> None:
    monkeypatch.setattr("pdesolve.physics.collocation.linear._FIRST", 100)
    monkeypatch.setattr("pdesolve.physics.collocation.linear._LARGEST", 100)
    said: list[str] = []
    problem = make_problem("heat_1d")
    run = Run(budget=Budget.from_now(600), say=said.append)
    solution = FEW.solve(problem, run)
    # 3e-10; scales that nobody sought leave 6e-7, normal equations 1e-7, fewer rows than features 2e-6
    assert error(problem, solution) < 3e-9
    assert 0 < run.history[-1]["loss"] < 1e-15  # at points that no fit has seen
    assert solution.converged and solution.notes["stopped by"] == "converged"
    assert any("the problem is linear: 100 random features" in line for line in said)
    assert max(violations(solution).values()) < 1e-12  # exact ones hold to rounding
    # what was chosen is obeyed, and makes the same bits, without a search
    monkeypatch.setattr("pdesolve.physics.collocation.linear.Trials._search", None)
    again = FEW.solve(problem, Run(budget=Budget.from_now(600), choices=json.loads(json.dumps(run.choices))))
    assert torch.equal(again.on()["u"], solution.on()["u"])


def test_a_wide_network_is_restored_from_its_folder(monkeypatch) -> None:
    monkeypatch.setattr("pdesolve.physics.collocation.linear._FIRST", 60)
    monkeypatch.setattr("pdesolve.physics.collocation.linear._LARGEST", 60)
    solution = ps.solve("heat_1d", FEW, out="run", threads=1)
    assert solution.module[1].out_features == 60  # type: ignore[attr-defined]
    again = ps.load("run")
    assert torch.equal(again.on()["u"], solution.on()["u"])
    choices = json.loads(Path("run/run.json").read_text())["choices"]
    assert choices["features"]["width"] == 60


def test_output_layer_is_for_linear_problems_only() -> None:
    method = dataclasses.replace(FEW, optimiser="output_layer")
    with pytest.raises(InputError, match=r"burgers_shock is none: take --method\.optimiser auto"):
        solved(make_problem("burgers_shock"), method, steps=1)
    with pytest.raises(InputError, match="leave out width, depth"):
        solved(make_problem("heat_1d"), dataclasses.replace(method, width=8), steps=1)
    seen = Observed("u", np.array([[0.5, 0.5]]), np.array([0.3]))
    heat = make_problem("heat_1d")
    heat = dataclasses.replace(heat, conditions=(*heat.conditions, seen))
    with pytest.raises(InputError, match="without learned values"):
        method.solve(heat, Run(budget=Budget.from_now(600), steps=1), learn=("diffusivity",))


@pytest.mark.slow
def test_output_layer_stands_by_its_name(monkeypatch) -> None:
    """Even where features do not get far enough for auto to stop there."""
    monkeypatch.setattr("pdesolve.physics.collocation.linear._FIRST", 12)
    monkeypatch.setattr("pdesolve.physics.collocation.linear._LARGEST", 12)
    solution = solved(make_problem("heat_1d"), dataclasses.replace(FEW, optimiser="output_layer"), steps=1)
    assert solution.notes["stopped by"] == "features" and not solution.converged
    run = Run(budget=Budget.from_now(600), steps=2)
    FEW.solve(make_problem("heat_1d"), run)
    assert run.history[0]["stage"] == "levenberg_marquardt"
    assert run.history[-1]["stage"] == "output_layer"  # the better of the two after so few steps


@pytest.mark.parametrize(("name", "settings"), [("klein_gordon_2d", {}), ("poisson_nd", {"dimension": 2})])
def test_where_the_conditions_alone_say_the_solution_nothing_is_trained(name: str, settings: dict[str, Any]) -> None:
    said: list[str] = []
    problem = make_problem(name, settings)
    run = Run(budget=Budget.from_now(600), steps=1, say=said.append)
    solution = FEW.solve(problem, run)
    assert any("nothing is left to train" in line for line in said)
    assert error(problem, solution) < 1e-12
    assert [row["stage"] for row in run.history] == ["output_layer"]
    assert not any("nothing is left" in line for line in said_of("heat_1d"))


def said_of(name: str) -> list[str]:
    said: list[str] = []
    dataclasses.replace(FEW, optimiser="adam").solve(make_problem(name), Run(steps=1, say=said.append))
    return said


def test_the_tape_lets_go_of_what_it_recorded() -> None:
    """No cycle keeps an evaluation's graph until the collector comes."""
    import gc
    import weakref

    layer = torch.nn.Linear(3, 1, dtype=torch.float64)
    x = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    seen: list[weakref.ref[torch.Tensor]] = []

    def rows() -> dict[str, torch.Tensor]:
        y = layer(x)
        (slope,) = torch.autograd.grad(y.sin().sum(), x, create_graph=True)
        seen.append(weakref.ref(slope))
        return {"r": y[:, 0] + slope[:, 0]}

    modular = Modular(layer, rows)
    modular.pointwise = True
    gc.disable()
    try:
        here = modular.linearise(modular.theta())
        assert seen and all(ref() is None for ref in seen)
    finally:
        gc.enable()
    assert here.jacobian.dense().shape == (7, 4)


def test_fixed_weights_are_on_no_tape() -> None:
    weight = torch.nn.Parameter(torch.randn(2, 3, dtype=torch.float64), requires_grad=False)
    x = torch.randn(5, 3, dtype=torch.float64)
    with record(torch.nn.Linear(3, 2)) as tape:
        assert torch.equal(product(x, weight), x @ weight.mT) and not tape.products
        weight.requires_grad_(True)
        product(x, weight)
        assert len(tape.products) == 1


def test_fast_waves_are_read_off_the_data() -> None:
    """Half waves: 20 along x from 0 to 1 are 10 whole ones in the axis' length."""
    for name, expected in (("heat_multiscale_2d_sister", ((), (10, 20), ())), ("poisson_2d_sister", ((), ()))):
        task = task_of(make_problem(name))
        trials = Trials(
            lambda layer, task=task: task.objective(layer, generator()),
            task.clouds,
            len(expected),
            ("tanh", "sine", "spectral"),
        )
        said: list[str] = []
        run = Run(say=said.append)
        found = trials.oscillation(run, "waves")
        assert (found is None) == (not any(expected)) and run.choices["waves"] == [list(some) for some in expected]
        assert found is None or (found.frequencies == expected and "m = [[], [10, 20], []]" in said[0])


def test_a_network_with_waves_leaves_conditions_to_the_loss_and_comes_back(tmp_path: Path) -> None:
    problem = make_problem("heat_multiscale_2d_sister")
    task = dataclasses.replace(task_of(problem), lift=None)
    objective = task.objective(Oscillation(((), (10, 20), ())), generator())
    assert {*objective.conditions} == {"initial u", "u at the boundary"} and objective.solution.lift is None
    first = next(m for m in objective.module.modules() if isinstance(m, torch.nn.Linear))
    assert first.in_features == 3 + 4
    objective.solution.write(tmp_path)
    again = FEW.restore(problem, tmp_path)
    cloud = problem.sample(20, "sobol", generator())
    assert torch.equal(again.on(cloud)["u"], objective.solution.on(cloud)["u"])


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_least_squares_on_a_linear_problem_keeps_a_few_points_for_each_parameter() -> None:
    """Where nobody asked for a number of points, and in few dimensions."""
    plane, many = make_problem("poisson_2d"), make_problem("poisson_nd", {"dimension": 5})
    for method, problem, linear, points, redraw in (
        (Pinn(), plane, True, 3 * 257, 0),
        (Pinn(), plane, False, 3000, 500),
        (Pinn(), many, True, 3000, 20),
        (Pinn(collocation=700), plane, True, 700, 20),
    ):
        assert method._count(problem, 257, linear) == points
        assert method.stages(problem, 257, linear)[-1].redraw == redraw
