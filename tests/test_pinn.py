"""The physics-informed neural network."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from pdesolve import make_method, make_problem
from pdesolve.condition import Observed
from pdesolve.errors import InputError
from pdesolve.metrics import relative_l2
from pdesolve.physics.collocation.model import Residuals
from pdesolve.physics.collocation.task import Task
from pdesolve.physics.collocation.weighting import INTERIOR
from pdesolve.physics.solvers.pinn.method import Pinn
from pdesolve.problem import Problem
from pdesolve.proof import conserved, residual, violations
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

SMALL = Pinn(width=12, depth=2, collocation=256, condition_points=64)


def objective_of(problem: Problem, method: Pinn = SMALL) -> Residuals:
    """The objective of an untrained network, its conditions left to the loss."""
    method = dataclasses.replace(method, conditions="soft")
    return Task.of(method, problem, run=Run()).objective(None, torch.Generator().manual_seed(0))


def exact(problem: Problem, solution) -> torch.Tensor:
    x = solution.coordinates(problem.evaluation_set)
    assert problem.exact is not None
    return x.expand(problem.exact.formula(problem.bind(x), x)["u"]).values


@pytest.mark.parametrize(
    ("optimiser", "bound"), [pytest.param("lbfgs", 1e-2, marks=pytest.mark.slow), ("self_scaled_broyden", 3e-3)]
)
def test_it_solves_the_heat_equation(optimiser: Any, bound: float) -> None:
    problem = make_problem("heat_1d")
    run = Run(budget=Budget.from_now(60), steps=250)
    solution = dataclasses.replace(SMALL, optimiser=optimiser).solve(problem, run)
    assert relative_l2(solution.on()["u"], exact(problem, solution)) < bound
    assert {row["stage"] for row in run.history} == {"adam", optimiser}
    left = residual(solution)
    assert left is not None and left < 0.05
    assert all(value < 0.02 for value in violations(solution).values())
    assert solution.parameters == sum(p.numel() for p in solution.module.parameters())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name",
    [
        "poisson_2d",
        "burgers_shock",
        "wave_1d",
        pytest.param("kdv", marks=pytest.mark.slow),
        "klein_gordon_2d",
        pytest.param("allen_cahn", marks=pytest.mark.slow),
    ],
)
def test_a_few_steps_lower_the_loss_of_every_kind_of_problem(name: str) -> None:
    run = Run(budget=Budget.from_now(60), steps=20, every=0.0)
    solution = dataclasses.replace(SMALL, collocation=64, condition_points=16).solve(make_problem(name), run)
    losses = [row["loss"] for row in run.history]
    assert losses[-1] < 0.9 * losses[0]
    left = residual(solution)
    assert left is not None and all(math.isfinite(v) for v in (left, *violations(solution).values()))


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    problem = make_problem("heat_1d")
    first, again, other = (
        SMALL.solve(problem, Run(seed=seed, budget=Budget.from_now(60), steps=30)).on()["u"] for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_the_gradient_of_the_objective_agrees_with_central_differences() -> None:
    problem = make_problem("burgers_shock")
    objective = objective_of(problem)
    generator = torch.Generator().manual_seed(1)
    clouds = {name: c.sample(problem, 10, "sobol", generator) for name, c in objective.conditions.items()}
    clouds[INTERIOR] = problem.sample(50, "sobol", generator)
    batch = {name: objective.coordinates(name, cloud) for name, cloud in clouds.items()}
    assert len(batch) > 1

    def loss() -> torch.Tensor:
        return torch.stack(list(objective(batch).values())).sum()

    weight = next(p for p in objective.parameters() if p.shape == (12, 2))
    (gradient,) = torch.autograd.grad(loss(), weight)
    h = 1e-6
    for i, j in ((0, 0), (5, 1), (11, 0)):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[i, j] += sign * h
            values.append(float(loss().detach()))
            with torch.no_grad():
                weight[i, j] -= sign * h
        assert float(gradient[i, j]) == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-5, abs=1e-8)


def test_the_loss_is_the_integral_that_the_sampler_weighs() -> None:
    """Clustered Gauss-Legendre points and even ones must say the same of a residual that is large at the walls."""
    problem = make_problem("poisson_2d")
    objective = objective_of(problem)
    losses = []
    for sampler in ("gauss_legendre", "regular"):
        cloud = problem.sample(2500, sampler, torch.Generator().manual_seed(0))  # type: ignore[arg-type]
        losses.append(float(objective.term(INTERIOR, objective.coordinates(INTERIOR, cloud)).detach().square().sum()))
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)


def test_it_learns_a_parameter_from_observations() -> None:
    problem = make_problem("heat_1d")
    solution = objective_of(problem).solution
    bound = problem.bind(solution.coordinates(problem.evaluation_set))
    truth = float(bound["diffusivity"].values)
    points = np.random.default_rng(0).random((60, 2))
    cloud_values = np.exp(-(math.pi**2) * truth * points[:, 0]) * np.sin(math.pi * points[:, 1])
    observed = dataclasses.replace(problem, conditions=(*problem.conditions, Observed("u", points, cloud_values)))
    run = Run(budget=Budget.from_now(60), steps=300)
    solution = SMALL.solve(observed, run, values={"diffusivity": 0.6 * truth}, learn=("diffusivity",))
    found = solution.values["diffusivity"]
    assert isinstance(found, torch.nn.Parameter)
    assert float(found.detach()) == pytest.approx(truth, rel=0.05)


def test_periodic_conditions_hold_exactly_by_the_embedding() -> None:
    solution = SMALL.solve(make_problem("kdv"), Run(budget=Budget.from_now(60), steps=5))
    assert violations(solution)["periodic in x"] < 1e-12


def test_conserved_quantities_are_measured_on_periodic_domains_only() -> None:
    periodic = SMALL.solve(make_problem("kdv"), Run(budget=Budget.from_now(60), steps=5))
    drifts = conserved(periodic)
    assert drifts and all(0 < value < math.inf for value in drifts.values())
    shock = make_problem("burgers_shock")  # its walls let nothing be said of momentum unless the problem says so
    bounded = SMALL.solve(dataclasses.replace(shock, conserved=()), Run(budget=Budget.from_now(60), steps=3))
    assert conserved(bounded) == {}
    bounded.problem = dataclasses.replace(shock, conserved=("momentum",))
    assert list(conserved(bounded)) == ["momentum"]


def test_float32_is_a_setting() -> None:
    run = Run(budget=Budget.from_now(60), steps=4, dtype=torch.float32)
    solution = SMALL.solve(make_problem("heat_1d"), run)
    assert solution.on()["u"].dtype == torch.float32


def test_bad_settings_are_refused_before_any_time_is_spent() -> None:
    problem, run = make_problem("heat_1d"), Run(budget=Budget.from_now(60))
    bad: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
        ({"adam_share": 1.5}, (), "adam_share"),
        ({"width": 0}, (), "width 0"),
        ({"redraw": 0}, (), "redraw must be at least 1, got 0"),
        ({"memory": 0}, (), "memory must be at least 1"),
        ({"harmonics": 0}, (), "harmonics from 1 on"),
        ({"collocation": 0}, (), "collocation must be at least 1"),
        ({"learning_rate": -1.0}, (), "learning_rate must be more than zero"),
        ({"condition_weight": -1.0}, (), "condition_weight must be zero or more"),
        ({"features": "fourier", "feature_count": 0}, (), "features need a count"),
        ({"features": "fourier", "feature_scale": 0.0}, (), "a scale above zero"),
        ({"windows": 0}, (), "windows must be at least 1"),
        ({"exponent": 0.0}, (), "exponent must be more than zero"),
        ({"balancing": "gradnorm"}, (), "gradient_norm"),
        ({"emphasis": "casual"}, (), "causal"),
        ({"optimiser": "output_layr"}, (), "did you mean 'output_layer'"),
        ({"conditions": "exakt"}, (), "exact"),
        ({"adaptivity": "rat"}, (), "rad"),
        ({"engine": "eagr"}, (), "eager"),
        ({"architecture": "mpl"}, (), "mlp"),
        ({"sampler": "soboll"}, (), "sobol"),
        ({"adaptivity": 0.0}, (), r"adaptivity must be .*rad.*, got 0.0"),
        ({"width": 2.5}, (), r"width must be int \| none, got 2.5"),
        ({"depth": "two"}, (), r"depth must be int \| none, got 'two'"),
        ({"windows": True}, (), "windows must be int, got True"),
        ({"learning_rate": "fast"}, (), "learning_rate must be float, got 'fast'"),
        ({"learning_rate": math.nan}, (), "learning_rate must be a finite number"),
        ({"condition_weight": None}, (), "condition_weight must be float, got None"),
        ({"optimiser": ["adam"]}, (), r"optimiser must be auto \| .*, got \['adam'\]"),
        ({"windows": 2}, ("diffusivity",), "windows 1"),
        ({}, ("viscosity",), "diffusivity"),
        ({}, ("diffusivity",), "observations"),
    ]
    for settings, learn, words in bad:
        with pytest.raises(InputError, match=words):
            Pinn(**settings).solve(problem, run, learn=learn)
    assert Pinn(learning_rate=1, condition_weight=np.float64(2.0)).condition_weight == 2.0
    with pytest.raises(InputError, match="width"):
        make_method("pinn", {"widht": 3})


def test_a_learned_parameter_starts_at_an_admissible_number() -> None:
    seen = Observed("u", np.array([[0.5, 0.5]]), np.array([0.3]))
    heat = make_problem("heat_1d")
    heat = dataclasses.replace(heat, conditions=(*heat.conditions, seen))
    run = Run(budget=Budget.from_now(60), steps=2)
    for start in (-1.0, math.nan):
        with pytest.raises(InputError, match="diffusivity must be a number in"):
            SMALL.solve(heat, run, values={"diffusivity": start}, learn=("diffusivity",))
    seen = Observed("u", np.array([[0.5, 0.5]]), np.array([0.3]))
    waves = make_problem("helmholtz_2d")
    waves = dataclasses.replace(waves, conditions=(*waves.conditions, seen))
    with pytest.raises(InputError, match="source of helmholtz_2d is no single number"):
        SMALL.solve(waves, run, learn=("source",))


def test_every_set_of_observations_counts() -> None:
    first = Observed("u", np.array([[0.2, 0.3]]), np.array([0.4]))
    second = Observed("u", np.array([[0.5, 0.5]]), np.array([0.3]))
    problem = make_problem("heat_1d")
    problem = dataclasses.replace(problem, conditions=(*problem.conditions, first, second))
    solution = SMALL.solve(problem, Run(budget=Budget.from_now(60), steps=2))
    left = violations(solution)
    x = solution.coordinates(second.sample(problem, 1, "sobol", torch.Generator()))
    assert left["observed u 2"] == pytest.approx(abs(second.residual(problem, solution.state, x, {}).values.item()))
    run = Run(budget=Budget.from_now(60), steps=2)
    rows: list[dict[str, Any]] = []
    run.report = rows.append
    SMALL.solve(problem, run)
    assert {"loss observed u", "loss observed u 2"} <= set(rows[-1])


def test_slow_steps_are_not_taken_for_convergence(monkeypatch) -> None:
    from pdesolve.training import stages

    monkeypatch.setattr(stages, "measured_steps", lambda *_, **__: 1)  # steps of a second each
    solution = SMALL.solve(make_problem("heat_1d"), Run(budget=Budget.from_now(1.0)))
    assert solution.notes["stopped by"] == "budget" and not solution.converged
