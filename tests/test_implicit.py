"""Implicit and implicit-explicit steps: order conditions, orders, stiff decay, batches, and what they cost."""

from __future__ import annotations

import functools
import math
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchdiffeq import odeint

from pdesolve.condition import Dirichlet, InitialRate, InitialValue, Neumann, Robin
from pdesolve.errors import Diverged
from pdesolve.fields import cos, exp, sin, tanh
from pdesolve.geometry import Axis, Box, Grid, Interval
from pdesolve.integration.additive import (
    EMBEDDED,
    EXPLICIT,
    GAMMA,
    IMPLICIT,
    NODES,
    WEIGHTS,
    Additive,
    Implicit,
    Stepper,
)
from pdesolve.integration.lines import Lines, explicit, spectral_radius
from pdesolve.physics.equations.allen_cahn import AllenCahn
from pdesolve.physics.equations.burgers import Burgers
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.equations.nonlinear_diffusion import NonlinearDiffusion
from pdesolve.physics.equations.wave import Wave
from pdesolve.problem import Evaluation, Problem

PI = math.pi
STEPPERS = pytest.mark.parametrize("kind", [Implicit, Additive])


def evolve(
    equation: Any, u0: Any, *conditions: Any, final: float = 0.5, lower: float = -1.0, upper: float = 1.0, **values
):
    time = Axis("t", 0.0, final)
    return Problem(
        name="test", equation=equation, domain=Interval("x", lower, upper), time=time,
        conditions=(InitialValue("u", u0), *conditions), values=values, evaluation=Evaluation.uniform(17, time, 2),
    )  # fmt: skip


def run(kind: type[Stepper], f: Lines, times: Any, tolerance: float, each: Any = None) -> Tensor:
    return kind(f, each or [f], tolerance=tolerance).run(times)


# the tables -----------------------------------------------------------------------------------------------------------


def test_both_tables_and_every_mixture_are_of_order_four() -> None:
    c = NODES
    for weights, order in ((WEIGHTS, 4), (EMBEDDED, 3)):
        for k in range(1, order + 1):
            assert weights @ c ** (k - 1) == pytest.approx(1 / k, abs=1e-14)
        for table in (IMPLICIT, EXPLICIT):
            assert np.abs(table.sum(1) - c).max() < 1e-14
            assert weights @ table @ c == pytest.approx(1 / 6, abs=1e-14)
    for first, second in product((IMPLICIT, EXPLICIT), repeat=2):
        assert WEIGHTS @ (c * (first @ c)) == pytest.approx(1 / 8, abs=1e-14)
        assert WEIGHTS @ first @ c**2 == pytest.approx(1 / 12, abs=1e-14)
        assert WEIGHTS @ first @ second @ c == pytest.approx(1 / 24, abs=1e-14)
    assert abs(EMBEDDED @ c**3 - 1 / 4) > 1e-3  # or there were no error to see


def amplification(z: complex) -> complex:
    """What a step does to y_t = z y, all implicit."""
    return 1 + z * WEIGHTS @ np.linalg.solve(np.eye(6) - z * IMPLICIT, np.ones(6))


def test_the_implicit_table_is_l_stable() -> None:
    assert np.array_equal(np.diagonal(IMPLICIT)[1:], np.full(5, GAMMA)) and np.array_equal(IMPLICIT[5], WEIGHTS)
    for z in (*(1j * 10.0**k for k in np.linspace(-3, 6, 60)), -0.1, -1.0, -30.0, -1e3 + 1e3j):
        assert abs(amplification(z)) <= 1 + 1e-12
    assert abs(amplification(-1e9)) < 1e-8
    assert abs(amplification(-0.01) - math.exp(-0.01)) < 1e-11


# orders ---------------------------------------------------------------------------------------------------------------


@functools.cache
def burgers() -> Lines:
    problem = evolve(
        Burgers(), lambda p, x: 0.5 - tanh(5 * x["x"]), Dirichlet("u", "x_min", 0.5 + math.tanh(5)),
        Neumann("u", "x_max", 0.0), viscosity=0.1,
    )  # fmt: skip
    return Lines(problem, problem.grid(33))


@functools.cache
def burgers_later() -> torch.Tensor:
    return explicit(burgers(), (0.0, 0.5), tolerance=1e-12)[-1]


@STEPPERS
def test_steps_of_equal_length_are_of_order_four(kind) -> None:
    f = burgers()
    truth, errors = burgers_later(), []
    for steps in (16, 32):
        stepper = kind(f, [f], tolerance=1e-11)
        y = stepper.whole[:, stepper.free]
        with torch.no_grad():
            for i in range(steps):
                stepper._renew(0.5 * i / steps, y)
                y, _ = stepper._step(0.5 * i / steps, y, 0.5 / steps)
        errors.append(float((stepper._tensor(y) - truth).norm() / truth.norm()))
    assert all(math.log2(a / b) > 3.4 for a, b in pairwise(errors)) and errors[-1] < 1e-5, errors


@STEPPERS
def test_the_error_follows_the_tolerance(kind) -> None:
    f = burgers()
    times = (0.0, 0.2, 0.5)
    truth = explicit(f, times, tolerance=1e-12)
    for tolerance in (1e-5, 1e-8):
        error = float((run(kind, f, times, tolerance) - truth).abs().max())
        assert 1e-4 * tolerance < error < 30 * tolerance


@STEPPERS
def test_walls_that_move_and_robin_walls(kind) -> None:
    """u = exp(-D t) cos(x) with its values on one side and u + 2 du/dn on the other."""
    d = 1.5

    def exact(x):
        return exp(-d * x["t"]) * cos(x["x"])

    problem = evolve(
        Heat(), lambda p, x: cos(x["x"]), Dirichlet("u", "x_min", lambda p, x: exact(x)),
        Robin("u", 1.0, 2.0, "x_max", lambda p, x: exp(-d * x["t"]) * (math.cos(1) - 2 * math.sin(1))),
        diffusivity=d,
    )  # fmt: skip
    f = Lines(problem, problem.grid(129, accuracy=6))
    y = f.obeying(0.5, run(kind, f, (0.0, 0.5), 1e-9)[-1])[0]
    truth = math.exp(-d * 0.5) * torch.cos(torch.linspace(-1, 1, 129, dtype=torch.float64))
    assert spectral_radius(f, 0.0, f.start()) > 1e4
    assert float((y - truth).abs().max()) < 1e-8


# stiffness ------------------------------------------------------------------------------------------------------------


@STEPPERS
def test_the_stiff_decay_at_once_and_the_steps_stay_few(kind) -> None:
    """A jump between walls that differ, and a diffusivity that would take 10^5 explicit steps."""
    problem = evolve(
        AllenCahn(), lambda p, x: x["x"] ** 2 * cos(PI * x["x"]), Dirichlet("u", "x_min", -1.0),
        Dirichlet("u", "x_max", 1.0), diffusivity=100.0, reaction=5.0,
    )  # fmt: skip
    f = Lines(problem, problem.grid(65))
    assert spectral_radius(f, 0.0, f.start()) > 3e5
    stepper = kind(f, [f], tolerance=1e-6)
    y = f.obeying(0.5, stepper.run((0.0, 0.5))[-1])[0]
    x = torch.linspace(-1, 1, 65, dtype=torch.float64)
    # a straight line but for the reaction, 5 / 100 weaker
    assert float((y - x).abs().max()) < 0.01
    assert stepper.steps < 200


def test_a_decay_to_rest_has_no_overshoot() -> None:
    """Warm rod between cold walls, the jump at the walls included: L-stable steps do not ring at these tolerances."""
    problem = evolve(Heat(), lambda p, x: 1.0 + 0.0 * x["x"], Dirichlet("u"), final=1.0, diffusivity=1.0)
    f = Lines(problem, problem.grid(129, accuracy=2))
    for kind in (Implicit, Additive):
        states = run(kind, f, (0.0, 1e-3, 0.1, 1.0), 1e-6)[1:, 0, 1:-1]
        assert float(states.min()) > -1e-6 and float(states.max()) < 1.0 + 1e-6


@pytest.mark.slow
def test_porous_media_are_stiff_and_nonlinear() -> None:
    def heap(p, x):
        return 0.1 + exp(-10.0 * x["x"] ** 2)

    problem = evolve(NonlinearDiffusion(), heap, Dirichlet("u", "all", 0.1 + math.exp(-10)), diffusivity=5.0)
    f = Lines(problem, problem.grid(33, accuracy=2))
    times = torch.tensor((0.0, 0.1, 0.5), dtype=torch.float64)
    truth = odeint(f, f.start(), times, rtol=1e-8, atol=1e-8, method="dopri5")
    assert isinstance(truth, Tensor) and spectral_radius(f, 0.0, f.start()) > 2e3
    for kind in (Implicit, Additive):
        assert float((run(kind, f, (0.0, 0.1, 0.5), 1e-7) - truth).abs().max()) < 1e-5


def test_waves_of_second_order_keep_their_height() -> None:
    time = Axis("t", 0.0, 1.0)
    problem = Problem(
        name="string", equation=Wave(), domain=Interval("x", 0.0, 1.0), time=time, values={"speed": 2.0},
        conditions=(InitialValue("u", lambda p, x: sin(PI * x["x"])), InitialRate("u", 0.0), Dirichlet("u")),
        evaluation=Evaluation.uniform(9, time, 2),
    )  # fmt: skip
    f = Lines(problem, problem.grid(65))
    y = run(Additive, f, (0.0, 1.0), 1e-8)[-1]
    x = torch.linspace(0, 1, 65, dtype=torch.float64)
    assert float((y[0] - torch.sin(PI * x)).abs().max()) < 1e-5


@pytest.mark.slow
def test_what_blows_up_is_said() -> None:
    """u_t = k (u - u^3) with k < 0 from above one: u reaches infinity in a finite time."""
    problem = evolve(AllenCahn(), lambda p, x: 3.0 + 0.0 * x["x"], Neumann("u"), diffusivity=1.0, reaction=-5.0)
    f = Lines(problem, problem.grid(9))
    with pytest.raises(Diverged, match=r"cannot go on at t = 0\.01"):
        run(Additive, f, (0.0, 0.5), 1e-4)


# batches --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@STEPPERS
def test_a_batch_is_a_loop(kind) -> None:
    domain = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
    time = Axis("t", 0.0, 0.2)
    problem = Problem(
        name="plate", equation=AllenCahn(), domain=domain, time=time,
        conditions=(InitialValue("u", lambda p, x: sin(PI * x["x"]) * x["y"]), Dirichlet("u", "all", 0.0)),
        evaluation=Evaluation.uniform(9, time, 2),
    )  # fmt: skip
    grid: Grid = problem.grid(13)
    given = torch.tensor([0.1, 0.7], dtype=torch.float64)
    each = [Lines(problem, grid, values={"diffusivity": value}) for value in given]
    whole = run(kind, Lines(problem, grid, values={"diffusivity": given}), (0.0, 0.1, 0.2), 1e-8, each)
    assert whole.shape == (3, 2, 1, 13, 13)
    for i, f in enumerate(each):
        torch.testing.assert_close(whole[:, i], run(kind, f, (0.0, 0.1, 0.2), 1e-8), atol=3e-7, rtol=0)


def test_the_linear_part_costs_one_solve_a_stage() -> None:
    f = burgers()
    newton, split = Implicit(f, [f], tolerance=1e-6), Additive(f, [f], tolerance=1e-6)
    newton.run((0.0, 0.5))
    split.run((0.0, 0.5))
    assert split.solves <= 6 * (split.steps + split.rejections) + 1 < newton.solves
    assert split.factorisations < split.steps + split.rejections + 1
