"""Integrators and elliptic solves: orders, exact series, agreement with one another, batches and gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from pdesolve.condition import Dirichlet, InitialRate, InitialValue, Neumann, Robin
from pdesolve.equation import Equation, Evolution, Parameter, Unknown, Vector
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, GridField, Quantity, cos, dx, dxx, dy, exp, laplacian, sin, tanh
from pdesolve.geometry import Axis, Box, Grid, GridAxis, Interval
from pdesolve.integration.elliptic import GridEquations, sparse_newton, transformed
from pdesolve.integration.exponential import Linear, block_phi_functions, etdrk4, exact_series, phi_functions, plan
from pdesolve.integration.fourier import FourierBasis
from pdesolve.integration.initial import initial_values
from pdesolve.integration.jacobian import sparse_jacobian
from pdesolve.integration.lines import Lines, explicit, spectral_radius
from pdesolve.integration.reflection import Reflection, homogeneous
from pdesolve.integration.spectral import SpectralEvolution
from pdesolve.integration.spectral_field import SpectralField
from pdesolve.physics.equations.advection import Advection
from pdesolve.physics.equations.allen_cahn import AllenCahn
from pdesolve.physics.equations.burgers import Burgers
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.equations.helmholtz import Helmholtz
from pdesolve.physics.equations.klein_gordon import KleinGordon
from pdesolve.physics.equations.korteweg_de_vries import KortewegDeVries
from pdesolve.physics.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.physics.equations.wave import Wave
from pdesolve.physics.problems import klein_gordon_2d
from pdesolve.problem import Evaluation, Problem

PI = math.pi


@dataclass(frozen=True)
class Exchange(Evolution):
    """Two species that diffuse and turn into each other: u_t = u_xx - u + v, v_t = 2 v_xx + u - v - u v."""

    unknowns = (Unknown("u"), Unknown("v"))

    def rate(self, u, p, x):
        a, b = u["u"], u["v"]
        return {"u": dxx(a) - a + b, "v": 2.0 * dxx(b) + a - b - a * b}


@dataclass(frozen=True)
class Layered(Evolution):
    """Diffusion in a medium that varies, u_t = (a(x) u_x)_x, with a = 1 + 0.5 sin x."""

    unknowns = (Unknown("u"),)

    def rate(self, u, p, x):
        return {"u": dx((1.0 + 0.5 * sin(x["x"])) * dx(u["u"]))}


@dataclass(frozen=True)
class Driven(Evolution):
    """An oscillator at every place, u_tt = -4 u - 0.2 u_t + cos(t), linear with a source in time."""

    order: ClassVar[Literal[1, 2]] = 2
    unknowns = (Unknown("u"),)

    def rate(self, u, p, x):
        return {"u": -4.0 * u["u"] - 0.2 * u["u_t"] + cos(x["t"])}


@dataclass(frozen=True)
class Cubic(Equation):
    """lap u + 0.3 u_xy - k u^3 = f, nonlinear and with a mixed derivative."""

    unknowns = (Unknown("u"),)
    parameters = (Parameter("k", default=1.0), Parameter("source", default=0.0))

    def residual(self, u, p, x):
        v = u["u"]
        return {"u": laplacian(v) + 0.3 * dy(dx(v)) - p["k"] * v**3 - p["source"]}


def evolve(
    equation, length, u0, *, values=None, conditions=(), periodic=True, final=1.0, lower=0.0, rate=None
) -> Problem:
    given = [InitialValue("u", u0)] + ([] if rate is None else [InitialRate("u", rate)])
    time = Axis("t", 0.0, final)
    return Problem(
        name="test", equation=equation, domain=Interval("x", lower, lower + length, periodic=periodic), time=time,
        conditions=(*given, *conditions), values=values or {}, evaluation=Evaluation.uniform(16, time, 2),
    )  # fmt: skip


def spectral(problem: Problem, n: int, values=None, **basis) -> tuple[SpectralEvolution, Tensor]:
    grid = problem.grid(n)
    assert problem.time is not None
    span = (problem.time.lower, problem.time.upper)
    system = SpectralEvolution(
        problem.evolution(), FourierBasis(grid, **basis), lambda x: problem.bind(x, values), time=span
    )
    return system, system.basis.forward(initial_values(problem, Coordinates(grid), values))


def march(problem: Problem, n: int, steps: int, values=None, **basis) -> Tensor:
    """u (*sample, x) at the final time."""
    system, start = spectral(problem, n, values, **basis)
    assert problem.time is not None
    final = problem.time.length
    states = etdrk4(system, start, (0.0, 0.5 * final, final), final / steps * (1 + 1e-9))
    return system.basis.backward(states[-1])[..., 0, :]


def error(u: Tensor, truth: Tensor) -> float:
    return float((u - truth).norm() / truth.norm())


def orders(errors: list[float]) -> list[float]:
    return [math.log2(a / b) for a, b in pairwise(errors)]


# exponential functions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [1e-9, 0.3, -2.0, -2.1, 5j, 300j, -1e4 + 3j])
def test_phi_functions_match_their_series_or_formula(z: complex) -> None:
    found = phi_functions(torch.tensor([z], dtype=torch.complex128))
    if abs(z) < 3:
        truth = [sum(z**n / math.factorial(n + k) for n in range(40)) for k in range(4)]
    else:
        e = complex(torch.exp(torch.tensor(z, dtype=torch.complex128)))
        truth = [e, (e - 1) / z, (e - 1 - z) / z**2, (e - 1 - z - z**2 / 2) / z**3]
    for function, value in zip(found, truth, strict=True):
        assert abs(complex(function) - value) <= 1e-13 * max(abs(value), 1e-3)


def test_block_phi_functions_agree_with_scalar_ones_in_any_basis() -> None:
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(3, 3, dtype=torch.complex128, generator=generator)
    z = torch.tensor([0.1 + 2j, -3.0, -0.5j], dtype=torch.complex128)
    blocks = block_phi_functions(basis @ torch.diag(z) @ torch.linalg.inv(basis))
    for block, scalar in zip(blocks, phi_functions(z), strict=True):
        torch.testing.assert_close(block, basis @ torch.diag(scalar) @ torch.linalg.inv(basis), atol=1e-12, rtol=0)


def test_steps_are_whole_between_outputs_and_equal_lengths_are_one() -> None:
    times = [0.1 * i for i in range(11)] + [1.25]
    steps = plan(times, 0.05)
    assert [count for count, _ in steps] == [2] * 10 + [5]
    # 0.1 * 3 - 0.1 * 2 is not 0.1 in floating point
    assert len({h for _, h in steps}) == 1
    for (count, h), a, b in zip(steps, times, times[1:], strict=False):
        assert count * h == pytest.approx(b - a, rel=1e-11) and h <= 0.05 * (1 + 1e-9)


# the linear part and the nonlinear one --------------------------------------------------------------------------------


SYMBOLS = [
    (Advection(), {"speed": 3.0}, lambda k: -3j * k),
    (Heat(), {"diffusivity": 0.1}, lambda k: -0.1 * k**2),
    (Burgers(), {"viscosity": 0.02}, lambda k: -0.02 * k**2),
    (AllenCahn(), {"diffusivity": 0.01, "reaction": 5.0}, lambda k: 5 - 0.01 * k**2),
    (KortewegDeVries(), {"advection": 6.0, "dispersion": 0.5}, lambda k: 0.5j * k**3),
    (
        KuramotoSivashinsky(), {"advection": 1.0, "antidiffusion": 0.5, "hyperdiffusion": 0.005},
        lambda k: 0.5 * k**2 - 0.005 * k**4,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("equation", "values", "symbol"), SYMBOLS, ids=lambda v: type(v).__name__)
def test_the_linear_part_is_read_off_to_the_last_digits(equation, values, symbol) -> None:
    problem = evolve(equation, 2.0, lambda p, x: sin(PI * x["x"]), values=values)
    system, _ = spectral(problem, 256)
    k = PI * torch.arange(128, dtype=torch.float64)  # without the Nyquist mode
    truth = torch.as_tensor(symbol(k)).to(torch.complex128)
    assert float(((system.linear[0, 0, :128] - truth).abs() / (truth.abs() + 1e-3)).max()) < 1e-13
    assert system.splits and system.autonomous
    assert system.affine == isinstance(equation, (Advection, Heat))


@pytest.mark.parametrize(("equation", "values", "symbol"), SYMBOLS, ids=lambda v: type(v).__name__)
def test_linear_and_nonlinear_part_make_the_rate_that_grid_fields_give(equation, values, symbol) -> None:
    problem = evolve(equation, 2.0, lambda p, x: 0.5 + sin(PI * x["x"]) + cos(3 * PI * x["x"]), values=values)
    system, v = spectral(problem, 64)
    x = Coordinates(problem.grid(64)).at_instant(0.0)
    u = system.basis.backward(v)[0]
    truth = equation.rate({"u": x.field(u, "u")}, problem.bind(x), x)["u"].values
    found = system.basis.backward(system.apply(v) + system.nonlinear(v, 0.0))[0]
    torch.testing.assert_close(found, truth, atol=1e-9, rtol=1e-10)


def test_blocks_of_systems_and_of_second_order() -> None:
    problem = evolve(Wave(), 2 * PI, lambda p, x: sin(x["x"]), values={"speed": 3.0}, rate=0.0)
    system, _ = spectral(problem, 32)
    k = torch.arange(16, dtype=torch.float64)
    zero, one = torch.zeros(16), torch.ones(16)
    truth = torch.stack([torch.stack([zero, one]), torch.stack([-9 * k**2, zero])]).to(torch.complex128)
    torch.testing.assert_close(system.linear[..., :16], truth, atol=1e-10, rtol=1e-13)
    assert system.affine and not Linear.of(system).diagonal


def test_variable_coefficients_and_time_are_noticed() -> None:
    layered, _ = spectral(evolve(Layered(), 2 * PI, lambda p, x: sin(x["x"])), 32)
    assert not layered.splits and not layered.affine and layered.autonomous
    driven, _ = spectral(evolve(Driven(), 2 * PI, lambda p, x: sin(x["x"]), rate=0.0), 32)
    assert driven.splits and not driven.autonomous and not driven.affine


def test_the_arithmetic_of_spectral_fields_is_that_of_grid_fields() -> None:
    grid = Grid((GridAxis(Axis("x", 0.0, 2 * PI, periodic=True), "periodic", 48),))
    x, basis = Coordinates(grid), FourierBasis(grid, dealiasing="none")
    values = torch.sin(x["x"].values) + 0.3 * torch.cos(2 * x["x"].values)

    def formula(u):
        first = 2.0 * dx(u) - u / 3.0 + 1.5
        second = (1.0 - u * dxx(u)) / (2.5 + u) - x["x"] * u + exp(0.1 * u)
        return dx(first * second) - (0.5 - dxx(u)) + (-u) ** 2 - torch.tensor(0.7) * u

    truth = formula(GridField(values, grid, Quantity("u"))).values
    found = formula(SpectralField(basis, linear=basis.forward(values))).values
    torch.testing.assert_close(found, truth, atol=1e-11, rtol=0)


# time steps -----------------------------------------------------------------------------------------------------------


def soliton(speed: float, t: float, x: Tensor, length: float) -> Tensor:
    """3 c sech^2(sqrt(c) (x - c t) / 2) of u_t + u u_x + u_xxx = 0, on a period long enough for its tails."""
    s = torch.remainder(x - speed * t + 0.5 * length, length) - 0.5 * length
    return 3 * speed / torch.cosh(0.5 * math.sqrt(speed) * s) ** 2


def test_etdrk4_has_order_four_on_a_soliton() -> None:
    length = 40.0
    problem = evolve(
        KortewegDeVries(), length, lambda p, x: 12.0 / (0.5 * (exp(x["x"]) + exp(-x["x"]))) ** 2, lower=-20.0,
        values={"advection": 1.0, "dispersion": 1.0}, final=1.0,
    )  # fmt: skip
    x = torch.from_numpy(problem.grid(256).members[0].points)
    truth = soliton(4.0, 1.0, x, length)
    errors = [error(march(problem, 256, n), truth) for n in (100, 400)]
    assert 3.7 < orders(errors)[0] / 2 < 4.6, errors
    assert errors[-1] < 1e-6


def test_etdrk4_in_blocks_has_order_four() -> None:
    time = Axis("t", 0.0, 1.0)
    problem = Problem(
        name="exchange", equation=Exchange(), domain=Interval("x", 0.0, 2 * PI, periodic=True), time=time,
        conditions=(InitialValue("u", lambda p, x: 1 + sin(x["x"])), InitialValue("v", lambda p, x: cos(x["x"]))),
        evaluation=Evaluation.uniform(16, time, 2),
    )  # fmt: skip
    system, _ = spectral(problem, 32)
    assert not Linear.of(system).diagonal
    fine = march(problem, 32, 512)
    errors = [error(march(problem, 32, n), fine) for n in (8, 16, 32)]
    assert all(3.6 < order < 4.6 for order in orders(errors)), errors


def test_etdrk4_follows_sources_in_time_and_variable_coefficients() -> None:
    driven = evolve(Driven(), 2 * PI, lambda p, x: 0.0 * x["x"], rate=0.0, final=2.0)
    # the particular solution and the damped oscillation that cancels it at t = 0
    w, g = math.sqrt(4 - 0.01), 0.1
    a, b = 3 / (9 + 0.04), 0.2 / (9 + 0.04)
    t = 2.0
    decayed = math.exp(-g * t) * (-a * math.cos(w * t) - (b + g * a) / w * math.sin(w * t))
    truth = a * math.cos(t) + b * math.sin(t) + decayed
    assert float((march(driven, 8, 200) - truth).abs().max()) < 1e-8

    layered = evolve(Layered(), 2 * PI, lambda p, x: sin(x["x"]) + cos(2 * x["x"]), final=0.2)
    grid = layered.grid(32)
    dense = explicit(Lines(layered, grid), (0.0, 0.2), tolerance=1e-12)[-1, 0]
    assert error(march(layered, 32, 400, dealiasing="none"), dense) < 1e-7


@pytest.mark.parametrize("speed", [0.5, 20.0])
def test_exact_series_of_a_wave_in_one_step(speed: float) -> None:
    """Standing waves, and a string that moves as a whole: the zero wave number is a Jordan block."""
    problem = evolve(
        Wave(),
        2.0,
        lambda p, x: sin(PI * x["x"]) + 0.5 * cos(4 * PI * x["x"]),
        values={"speed": speed},
        rate=0.3,
        final=1.7,
    )
    system, start = spectral(problem, 256)
    u = system.basis.backward(exact_series(system, start, (0.0, 1.7))[-1])[0]
    x = torch.from_numpy(problem.grid(256).members[0].points)
    truth = (
        torch.sin(PI * x) * math.cos(PI * speed * 1.7)
        + 0.5 * torch.cos(4 * PI * x) * math.cos(4 * PI * speed * 1.7)
        + 0.3 * 1.7
    )
    assert float((u - truth).abs().max()) < 2e-12


def test_exact_series_with_a_constant_source() -> None:
    problem = evolve(
        KleinGordon(), 2 * PI, lambda p, x: 0.0 * x["x"], rate=0.0, final=3.0,
        values={"linear": 2.0, "quadratic": 0.0, "source": lambda p, x: cos(x["x"])},
    )  # fmt: skip
    system, start = spectral(problem, 32)
    assert system.affine
    u = system.basis.backward(exact_series(system, start, (0.0, 1.0, 3.0))[-1])[0]
    x = torch.from_numpy(problem.grid(32).members[0].points)
    truth = torch.cos(x) * (1 - math.cos(math.sqrt(3.0) * 3.0)) / 3.0
    torch.testing.assert_close(u, truth, atol=1e-13, rtol=0)


def test_a_batch_is_a_loop_over_its_samples() -> None:
    problem = evolve(Burgers(), 2.0, lambda p, x: p["viscosity"] - sin(PI * x["x"]), final=0.3)
    viscosities = torch.tensor([0.01, 0.05, 0.3], dtype=torch.float64)
    batch = march(problem, 128, 60, {"viscosity": viscosities})
    assert batch.shape == (3, 128)
    for u, viscosity in zip(batch, viscosities.tolist(), strict=True):
        torch.testing.assert_close(u, march(problem, 128, 60, {"viscosity": viscosity}), atol=1e-13, rtol=0)


def test_gradients_through_the_steps_match_central_differences() -> None:
    problem = evolve(Burgers(), 2.0, lambda p, x: -sin(PI * x["x"]), final=0.3)
    weight = torch.linspace(-1, 1, 64, dtype=torch.float64)

    def objective(viscosity: Tensor) -> Tensor:
        return (march(problem, 64, 30, {"viscosity": viscosity}) * weight).sum(-1)

    nu = torch.tensor([0.05, 0.1], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(objective(nu).sum(), nu)
    with torch.no_grad():
        numeric = (objective(nu + 1e-5) - objective(nu - 1e-5)) / 2e-5
    torch.testing.assert_close(gradient, numeric, rtol=1e-7, atol=1e-9)


def test_gradients_through_blocks_match_central_differences() -> None:
    problem = evolve(KleinGordon(), 2 * PI, lambda p, x: sin(x["x"]), rate=0.1, final=0.5)

    def objective(speed: Tensor) -> Tensor:
        return march(problem, 16, 10, {"speed": speed})[..., 3]

    speed = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(objective(speed), speed)
    with torch.no_grad():
        numeric = (objective(speed + 1e-5) - objective(speed - 1e-5)) / 2e-5
    assert float(gradient) == pytest.approx(float(numeric), rel=1e-7)


def test_heat_in_two_dimensions_uses_every_symbol() -> None:
    time = Axis("t", 0.0, 0.5)
    box = Box(Axis("x", 0.0, 2 * PI, periodic=True), Axis("y", 0.0, 1.0, periodic=True))
    problem = Problem(
        name="plane", equation=Heat(), domain=box, time=time, values={"diffusivity": 0.02},
        conditions=(InitialValue("u", lambda p, x: sin(3 * x["x"]) * cos(2 * PI * x["y"])),),
        evaluation=Evaluation.uniform(8, time, 1),
    )  # fmt: skip
    system, start = spectral(problem, 16)
    u = system.basis.backward(exact_series(system, start, (0.0, 0.5))[-1])[0]
    decay = math.exp(-0.02 * (9 + 4 * PI**2) * 0.5)
    torch.testing.assert_close(u, system.basis.backward(start)[0] * decay, atol=1e-14, rtol=0)


# walls as reflections -------------------------------------------------------------------------------------------------


def test_zero_slopes_reflect_evenly() -> None:
    problem = evolve(
        Heat(), 1.0, lambda p, x: 1 + cos(PI * x["x"]), values={"diffusivity": 0.1}, periodic=False,
        conditions=(Neumann("u"),),
    )  # fmt: skip
    grid = problem.grid(33)
    parities = homogeneous(problem, grid, None, (0.0, 1.0))
    assert parities == {"u": {"x": 1}}
    reflection = Reflection(grid, parities)
    system = SpectralEvolution(Heat(), FourierBasis(reflection.doubled), problem.bind, time=(0.0, 1.0))
    start = initial_values(problem, Coordinates(grid))
    states = exact_series(system, system.basis.forward(reflection.extend(start, parities["u"])), (0.0, 1.0))
    u = reflection.restrict(system.basis.backward(states[-1]))[0]
    x = torch.from_numpy(grid.members[0].points)
    torch.testing.assert_close(u, 1 + torch.cos(PI * x) * math.exp(-0.1 * PI**2), atol=1e-14, rtol=0)


def test_only_homogeneous_walls_are_reflections() -> None:
    def wall(*conditions) -> Problem:
        return evolve(Heat(), 1.0, lambda p, x: 0.0 * x["x"], periodic=False, conditions=conditions)

    def found(problem: Problem):
        return homogeneous(problem, problem.grid(9), None, (0.0, 1.0))

    assert found(wall(Dirichlet("u"))) == {"u": {"x": -1}}
    assert found(wall(Dirichlet("u", "x_min"), Neumann("u", "x_max"))) is None
    assert found(wall(Dirichlet("u", "x_min"))) is None
    assert found(wall(Robin("u", 1.0, 1.0))) is None
    assert found(wall(Dirichlet("u", "all", lambda p, x: sin(x["t"])))) is None


# the method of lines --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accuracy", [2, 4, 6])
def test_lines_have_the_order_of_their_differences(accuracy: int) -> None:
    """A wave that moves through walls which give its values, or its slope."""

    def exact(p, x):
        return exp(-0.1 * x["t"]) * sin(x["x"]) + 0.5 * x["x"]

    problem = evolve(
        Heat(), 2.0, lambda p, x: sin(x["x"]) + 0.5 * x["x"], values={"diffusivity": 0.1}, periodic=False, lower=0.3,
        conditions=(
            Dirichlet("u", "x_min", exact),
            Neumann("u", "x_max", lambda p, x: exp(-0.1 * x["t"]) * cos(x["x"]) + 0.5),
        ),
    )  # fmt: skip
    errors = []
    for n in (17, 33):
        f = Lines(problem, problem.grid(n, accuracy=accuracy))
        y = explicit(f, (0.0, 0.4, 1.0), tolerance=1e-11)
        x = Coordinates(f.grid).at_instant(1.0)
        errors.append(error(f.obeying(1.0, y[-1])[0], exact({}, x).values))
    assert orders(errors)[0] > accuracy - 0.5, errors


def test_lines_of_order_two_in_time_with_walls_that_move() -> None:
    problem = klein_gordon_2d.problem(final_time=0.5)
    f = Lines(problem, problem.grid(13))
    y = explicit(f, (0.0, 0.2, 0.5), tolerance=1e-9)
    assert problem.exact is not None
    x = Coordinates(f.grid).at_instant(0.5)
    truth = problem.exact.formula(problem.bind(x), x)["u"].values
    # differences are exact for this solution: the error is that of the steps
    assert error(f.obeying(0.5, y[-1])[0], truth) < 1e-7


@pytest.mark.parametrize("placement", ["cells", "chebyshev"])
def test_lines_on_cells_and_chebyshev_points(placement) -> None:
    problem = evolve(
        Heat(), 1.0, lambda p, x: sin(PI * x["x"]) + x["x"], values={"diffusivity": 0.1}, periodic=False,
        conditions=(Dirichlet("u", "x_min", 0.0), Dirichlet("u", "x_max", 1.0)), final=0.5,
    )  # fmt: skip
    grid = problem.grid(24 if placement == "cells" else 14, bounded=placement)
    f = Lines(problem, grid)
    u = f.obeying(0.5, explicit(f, (0.0, 0.5), tolerance=1e-10)[-1])[0]
    x = torch.from_numpy(grid.members[0].points)
    truth = torch.sin(PI * x) * math.exp(-0.1 * PI**2 * 0.5) + x
    assert error(u, truth) < (3e-5 if placement == "cells" else 1e-9)


def test_the_radius_of_a_wave_is_its_largest_frequency() -> None:
    problem = evolve(
        Wave(), 1.0, lambda p, x: sin(PI * x["x"]), values={"speed": 2.0}, rate=0.0, periodic=False,
        conditions=(Dirichlet("u"),),
    )  # fmt: skip
    f = Lines(problem, problem.grid(65, accuracy=2))
    assert spectral_radius(f, 0.0, f.start(), iterations=60) == pytest.approx(2 * 2 * 64, rel=0.05)


@pytest.mark.slow
def test_gradients_through_lines_match_central_differences() -> None:
    problem = evolve(
        Burgers(), 2.0, lambda p, x: -sin(PI * x["x"]), lower=-1.0, periodic=False, final=0.3,
        conditions=(Dirichlet("u", "all", lambda p, x: p["viscosity"] * x["t"]),),
    )  # fmt: skip

    def objective(viscosity: Tensor) -> Tensor:
        f = Lines(problem, problem.grid(33), values={"viscosity": viscosity})
        return explicit(f, (0.0, 0.3), tolerance=1e-10)[-1, ..., 0, :].square().sum(-1)

    nu = torch.tensor([0.1, 0.2], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(objective(nu).sum(), nu)
    with torch.no_grad():
        numeric = (objective(nu + 1e-4) - objective(nu - 1e-4)) / 2e-4
    torch.testing.assert_close(gradient, numeric, rtol=1e-5, atol=1e-8)


# elliptic problems ----------------------------------------------------------------------------------------------------


def wavy(p, x):
    return sin(2 * x["x"] + 0.5) * exp(0.5 * x["y"]) + 0.2 * x["x"] * x["y"]


def box(conditions, equation=None, values=None, periodic=False) -> Problem:
    domain = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 2.0 * PI if periodic else 1.5, periodic=periodic))
    return Problem(
        name="box", equation=equation or Helmholtz(), domain=domain, conditions=conditions, values=values or {},
        evaluation=Evaluation(9),
    )  # fmt: skip


@pytest.mark.parametrize("accuracy", [2, 4, 6])
def test_sparse_solves_have_the_order_of_their_differences(accuracy: int) -> None:
    source = {"wavenumber": 1.5, "source": lambda p, x: (2.25 - 3.75) * (wavy(p, x) - 0.2 * x["x"] * x["y"])
              + 2.25 * 0.2 * x["x"] * x["y"]}  # fmt: skip
    problem = box(
        (
            Dirichlet("u", ("x_min", "y_max"), wavy),
            Neumann("u", "x_max", lambda p, x: 2 * cos(2 * x["x"] + 0.5) * exp(0.5 * x["y"]) + 0.2 * x["y"]),
            Robin("u", 2.0, 1.0, "y_min", lambda p, x: 1.5 * sin(2 * x["x"] + 0.5) - 0.2 * x["x"]),
        ),
        values=source,
    )
    errors = []
    for n in (13, 25):
        grid = problem.grid(n, accuracy=accuracy)
        errors.append(error(sparse_newton(GridEquations(problem, grid))[0], wavy({}, Coordinates(grid)).values))
    assert orders(errors)[0] > accuracy - 0.4, errors


def cubic(k: object = 1.0) -> Problem:
    def source(p, x):
        waves = sin(2 * x["x"] + 0.5) * exp(0.5 * x["y"])
        mixed = cos(2 * x["x"] + 0.5) * exp(0.5 * x["y"]) + 0.2
        return (0.25 - 4) * waves + 0.3 * mixed - p["k"] * wavy(p, x) ** 3

    return box((Dirichlet("u", "all", wavy),), Cubic(), {"k": k, "source": source})


def test_newton_solves_a_nonlinear_problem_with_a_mixed_derivative() -> None:
    problem = cubic()
    grid = problem.grid(33, accuracy=6)
    found = sparse_newton(GridEquations(problem, grid))[0]
    assert error(found, wavy({}, Coordinates(grid)).values) < 1e-8


def test_gradients_through_newton_match_central_differences() -> None:
    problem = box((Dirichlet("u", "all", 1.0),), Cubic(), {"source": 2.0})

    def objective(k: Tensor) -> Tensor:
        return sparse_newton(GridEquations(problem, problem.grid(13), values={"k": k})).square().mean()

    k = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(objective(k), k)
    with torch.no_grad():
        numeric = (objective(k + 1e-4) - objective(k - 1e-4)) / 2e-4
    assert float(gradient) == pytest.approx(float(numeric), rel=1e-6)


@pytest.mark.parametrize("kind", ["walls", "mixed", "chebyshev"])
def test_sparse_jacobians_equal_dense_ones(kind: str) -> None:
    if kind == "mixed":
        problem = box((Neumann("u"),), Cubic(), periodic=True)
        grid = Grid((GridAxis(problem.axes["x"], "nodes", 23), GridAxis(problem.axes["y"], "periodic", 6)), 2)
    else:
        problem = box((Neumann("u", ("x_min", "y_min")), Dirichlet("u", ("x_max", "y_max"))), Cubic())
        grid = problem.grid({"x": 17, "y": 16}) if kind == "walls" else problem.grid(8, bounded="chebyshev")
    equations = GridEquations(problem, grid)
    y = torch.randn(1, *grid.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    dense = torch.autograd.functional.jacobian(equations.residual, y).reshape(y.numel(), -1)
    sparse = sparse_jacobian(equations.residual, y, grid)
    np.testing.assert_allclose(sparse.toarray(), dense.numpy(), atol=1e-9 * float(dense.abs().max()))
    if kind == "walls":
        assert sparse.nnz < 0.25 * dense.numel()


def transform(problem: Problem, n: int, values=None) -> Tensor | None:
    grid = problem.grid({a.name: n if a.periodic else n + 1 for a in problem.domain.axes})
    parities = homogeneous(problem, grid, values, (None,))
    assert parities is not None
    return transformed(problem, Reflection(grid, parities), values=values)


def test_transforms_solve_between_cold_walls_to_rounding() -> None:
    source = {"wavenumber": 1.0, "source": lambda p, x: (1 - 5 * PI**2) * sin(PI * x["x"]) * sin(2 * PI * x["y"])}
    domain = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
    problem = Problem(name="h", equation=Helmholtz(), domain=domain, conditions=(Dirichlet("u"),), values=source)
    u = transform(problem, 16)
    x = Coordinates(problem.grid(17))
    torch.testing.assert_close(u[0], (sin(PI * x["x"]) * sin(2 * PI * x["y"])).values, atol=1e-14, rtol=0)


def test_transforms_solve_periodic_and_insulated_problems_in_a_batch() -> None:
    domain = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 2 * PI, periodic=True))
    problem = Problem(
        name="h", equation=Helmholtz(), domain=domain, conditions=(Neumann("u"),),
        values={"source": lambda p, x: cos(PI * x["x"]) * sin(3 * x["y"]) + 1.0},
    )  # fmt: skip
    k = torch.tensor([0.5, 2.0], dtype=torch.float64)
    u = transform(problem, 12, {"wavenumber": k})
    x = Coordinates(problem.grid({"x": 13, "y": 12}))
    wave = (cos(PI * x["x"]) * sin(3 * x["y"])).values
    for i in range(2):
        square = float(k[i]) ** 2
        torch.testing.assert_close(u[i, 0], wave / (square - PI**2 - 9) + 1 / square, atol=1e-13, rtol=0)


def test_a_periodic_potential_has_mean_zero_and_a_net_source_has_none() -> None:
    def problem(mean: float) -> Problem:
        domain = Interval("x", 0.0, 2 * PI, periodic=True)
        return Problem(name="p", equation=Poisson(), domain=domain, values={"source": lambda p, x: sin(x["x"]) + mean})

    u = transform(problem(0.0), 16)
    torch.testing.assert_close(u[0], torch.sin(torch.arange(16, dtype=torch.float64) * PI / 8), atol=1e-14, rtol=0)
    with pytest.raises(InputError, match="no solution exists"):
        transform(problem(0.5), 16)


def test_what_transforms_cannot_do_is_said() -> None:
    assert transform(box((Dirichlet("u"),), Cubic()), 8) is None
    medium = box((Dirichlet("u"),), values={"wavenumber": lambda p, x: 1 + x["x"]})
    assert transform(medium, 8) is None
    free = Problem(
        name="free", equation=Poisson(), domain=Interval("x", 0.0, 1.0), conditions=(Neumann("u"),),
        values={"source": lambda p, x: tanh(x["x"])},
    )  # fmt: skip
    with pytest.raises(InputError, match="singular"):
        sparse_newton(GridEquations(free, free.grid(17)))


def test_vector_unknowns_pass_through_the_spectral_machinery() -> None:
    @dataclass(frozen=True)
    class Turning(Evolution):
        """v_t = 0.1 lap v + (-v_y, v_x): a field of arrows that turn and diffuse."""

        unknowns = (Unknown("v", components=("x", "y")),)

        def rate(self, u, p, x):
            v = u["v"]
            return {"v": 0.1 * laplacian(v) + Vector({"x": -v["y"], "y": v["x"]})}

    grid = Grid((GridAxis(Axis("x", 0.0, 2 * PI, periodic=True), "periodic", 16),))
    system = SpectralEvolution(Turning(), FourierBasis(grid), lambda x: {}, time=(0.0, 1.0))
    x = Coordinates(grid)["x"].values
    start = system.basis.forward(torch.stack([torch.cos(x), torch.zeros_like(x)]))
    u = system.basis.backward(exact_series(system, start, (0.0, 1.0))[-1])
    truth = math.exp(-0.1) * torch.stack([torch.cos(x) * math.cos(1.0), torch.cos(x) * math.sin(1.0)])
    torch.testing.assert_close(u, truth, atol=1e-13, rtol=0)


# replayed steps -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Branching(Evolution):
    """u_t = u_xx - s u^3 where s is the sign of the mean: a rate that looks at its values."""

    unknowns = (Unknown("u"),)

    def rate(self, u, p, x):
        v = u["u"]
        return {"u": dxx(v) - v**3 if float(v.values.mean()) > 0 else dxx(v) + v**3}


@pytest.mark.parametrize("case", ["Burgers", "KleinGordon", "Branching", "batch"])
def test_replayed_steps_give_the_same_numbers(case: str) -> None:
    values = {"viscosity": torch.tensor([0.1, 0.2], dtype=torch.float64)} if case == "batch" else None
    equation = {"KleinGordon": KleinGordon(), "Branching": Branching()}.get(case, Burgers())
    rate = 0.5 if equation.order == 2 else None
    problem = evolve(equation, 2 * PI, lambda p, x: 0.2 + sin(x["x"]), rate=rate, final=0.2)
    for sign in (1.0, -1.0):
        system, start = spectral(problem, 32, values)
        assert system.autonomous
        replayed = etdrk4(system, sign * start, (0.0, 0.2), 0.02)
        system.autonomous = False  # then every step is Python
        assert torch.equal(replayed, etdrk4(system, sign * start, (0.0, 0.2), 0.02))


def test_one_trace_serves_every_parameter_and_step_length() -> None:
    from pdesolve.integration import tracing

    problem = evolve(Burgers(), 3.0, lambda p, x: sin(2 * PI * x["x"] / 3), final=0.2)
    march(problem, 48, 10)
    known = len(tracing._TRACES)
    different = [march(problem, 48, n, {"viscosity": v}) for n, v in ((10, 0.1), (25, 0.1), (10, 0.3))]
    assert len(tracing._TRACES) == known
    assert error(different[1], different[0]) < 1e-6 < 1e-2 < error(different[2], different[0])


def test_a_plane_wave_in_two_dimensions_moves_as_in_one() -> None:
    time = Axis("t", 0.0, 0.5)
    side = Axis("x", 0.0, 2.0, periodic=True)
    line = evolve(AllenCahn(), 2.0, lambda p, x: 0.9 * sin(PI * x["x"]), values={"diffusivity": 0.02}, final=0.5)
    one = march(line, 48, 40)
    for along in ("x", "y"):
        plane = Problem(
            name="plane", equation=AllenCahn(), domain=Box(side, Axis("y", 0.0, 2.0, periodic=True)), time=time,
            values={"diffusivity": 0.02}, evaluation=Evaluation.uniform(8, time, 1),
            conditions=(InitialValue("u", lambda p, x, along=along: 0.9 * sin(PI * x[along]) + 0.0 * x["x"] * x["y"]),),
        )  # fmt: skip
        system, start = spectral(plane, 48)
        u = system.basis.backward(etdrk4(system, start, (0.0, 0.25, 0.5), 0.5 / 40 * (1 + 1e-9))[-1])[0]
        truth = one[:, None] if along == "x" else one[None, :]
        torch.testing.assert_close(u, truth.expand(48, 48), atol=1e-12, rtol=0)
