"""Nonlocal calculus and incompressible flow: on the torus in both forms, and steady between four walls."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch

from pdesolve import proof
from pdesolve.condition import Dirichlet, InitialValue, Neumann
from pdesolve.equation import flatten
from pdesolve.errors import InputError
from pdesolve.fields import (
    Constant,
    Coordinates,
    Field,
    GridField,
    Quantity,
    Vector,
    cos,
    curl,
    d,
    div,
    dot,
    exp,
    grad,
    integrate,
    inverse_laplacian,
    laplacian,
    leray,
    sin,
)
from pdesolve.geometry import Axes, Axis, Box, Grid, GridAxis, PointCloud
from pdesolve.integration.corners import CornerFlow
from pdesolve.integration.exponential import etdrk4
from pdesolve.integration.fourier import FourierBasis
from pdesolve.integration.initial import initial_values
from pdesolve.integration.spectral import SpectralEvolution
from pdesolve.integration.spectral_field import SpectralField, spectral
from pdesolve.method import Solution
from pdesolve.metrics import relative_l2
from pdesolve.physics.equations.navier_stokes import NavierStokes
from pdesolve.physics.equations.navier_stokes_vorticity import NavierStokesVorticity
from pdesolve.physics.equations.steady_navier_stokes import SteadyNavierStokes
from pdesolve.physics.problems import lid_cavity, navier_stokes_2d, shear_layers_2d, taylor_green_2d
from pdesolve.physics.solvers.pinn.method import Pinn
from pdesolve.physics.solvers.reference.method import Reference
from pdesolve.physics.solvers.reference.solution import FILE, FormulaSolution
from pdesolve.physics.solvers.reference.storage import fetch
from pdesolve.problem import Evaluation, Exact, Problem
from pdesolve.random_fields import gaussian_series, normal_numbers
from pdesolve.solving import reference_dataset
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run
from pdesolve.unit import Unit

PERIOD = 2 * math.pi
TORUS = Box(Axis("x", 0.0, PERIOD, periodic=True), Axis("y", 0.0, PERIOD, periodic=True))
SQUARE = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))


def solve(problem: Problem, **settings: Any) -> Solution:
    values = settings.pop("values", None)
    return Reference(cache="none", **settings).solve(problem, Run(budget=Budget.from_now(600.0)), values=values)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def torus(n: int, m: int) -> Coordinates:
    return Coordinates(Grid.regular(TORUS.axes, {"x": n, "y": m}))


def largest(field: Field) -> float:
    return float(field.values.detach().abs().max())


# nonlocal calculus ----------------------------------------------------------------------------------------------------


def test_the_inverse_laplacian_of_waves_is_their_formula() -> None:
    x = torus(16, 24)
    f = sin(2 * x["x"]) * cos(3 * x["y"]) + 0.7 * cos(x["y"]) + 5.0
    expected = -sin(2 * x["x"]) * cos(3 * x["y"]) / 13.0 - 0.7 * cos(x["y"])
    assert largest(inverse_laplacian(f) - expected) < 1e-14


@pytest.mark.parametrize(("n", "m"), [(8, 12), (9, 7), (16, 9)])
def test_the_laplacian_undoes_it_but_for_the_mean(n: int, m: int) -> None:
    x = torus(n, m)
    f = x.field(noise(3, n, m), "f")
    mean = f.values.mean((-2, -1), keepdim=True)
    potential = inverse_laplacian(f)
    assert float((laplacian(potential).values - (f.values - mean)).abs().max()) < 1e-12
    assert float(potential.values.mean((-2, -1)).abs().max()) < 1e-15


def test_it_acts_on_space_at_each_time_and_carries_units() -> None:
    axes = Axes((Axis("t", 0.0, 1.0, unit="s"), *(dataclasses.replace(a, unit="m") for a in TORUS.axes)))
    x = Coordinates(Grid.regular(axes, {"t": 5, "x": 8, "y": 8}))
    f = x.field(x.expand(x["t"] * sin(x["x"])).values, "f")
    potential = inverse_laplacian(f.named("f", Unit.parse("m s-1")))
    assert largest(x.field(potential.values, "psi") + f) < 1e-14 and str(potential.unit) == "m3 s-1"
    assert inverse_laplacian(x["t"] * 1.0).values.shape == (5, 8, 8)  # thin values: constant in space
    assert largest(inverse_laplacian(x["t"] * 1.0)) < 1e-15


@pytest.mark.parametrize(("n", "m"), [(8, 12), (9, 7)])
def test_leray_leaves_what_has_no_divergence(n: int, m: int) -> None:
    x = torus(n, m)
    v = Vector({name: x.field(noise(2, n, m, seed=i), name) for i, name in enumerate("xy")})
    w = leray(v)
    assert largest(div(w)) < 1e-12
    assert all(largest(a - b) < 1e-13 for a, b in zip(leray(w), w, strict=True))
    assert all(float((a.values - b.values).mean().abs()) < 1e-15 for a, b in zip(v, w, strict=True))
    gone = leray(grad(x.field(noise(n, m, seed=7), "phi")))
    assert all(largest(part) < 1e-12 for part in gone)


def test_gradients_flow_through_both() -> None:
    x = torus(4, 5)

    def both(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, ...]:
        v = Vector({"x": x.field(a, "a"), "y": x.field(b, "b")})
        return inverse_laplacian(v["x"]).values, *[part.values for part in leray(v)]

    assert torch.autograd.gradcheck(both, [noise(4, 5, seed=s).requires_grad_() for s in (0, 1)])


def test_spectral_fields_agree_with_grid_fields() -> None:
    x = torus(16, 18)
    basis = FourierBasis(x.discretisation, dealiasing="none")  # type: ignore[arg-type]
    parts = [noise(16, 18, seed=s) for s in (0, 1)]
    plain = Vector({n: x.field(part, n) for n, part in zip("xy", parts, strict=True)})
    bent = Vector({n: SpectralField(basis, linear=basis.forward(part)) for n, part in zip("xy", parts, strict=True)})
    for product in (False, True):  # a product is no linear part of a state
        a, b = ((v["x"] * v["y"] + v["x"]) if product else v["x"] for v in (plain, bent))
        assert float((inverse_laplacian(a).values - inverse_laplacian(b).values).abs().max()) < 1e-14
    for a, b in zip(leray(plain), leray(bent), strict=True):
        assert float((a.values - b.values).abs().max()) < 1e-13
        assert spectral(basis, b).nonlinear is None


def test_what_is_not_all_of_space_is_refused_in_one_line() -> None:
    cloud = Coordinates(PointCloud(TORUS.axes, torch.rand(5, 2, dtype=torch.float64)))
    walls = Coordinates(Grid.regular(Axes((TORUS.axes["x"], Axis("y", 0.0, 1.0))), 8))
    for x, message in ((cloud, "PointField.*need all of space"), (walls, "'y' of .* is 'nodes'.*periodic=True")):
        v = Vector({"x": 1.0 * x["x"], "y": 1.0 * x["y"]})
        for refused in (lambda v: inverse_laplacian(v["x"]), leray):
            with pytest.raises(InputError, match=message) as error:
                refused(v)
            assert "\n" not in str(error.value)
    assert largest(inverse_laplacian(Constant(torch.tensor(3.0), Quantity("three")))) == 0.0


# the equations on the torus -------------------------------------------------------------------------------------------


def numbers(**given: float) -> dict[str, Any]:
    return {name: Constant(torch.tensor(v, dtype=torch.float64), Quantity(name)) for name, v in given.items()}


def few_waves(x: Coordinates) -> Field:
    return sin(x["x"] + 0.3) * cos(2 * x["y"]) + 0.4 * cos(x["x"] - x["y"]) + 0.7 * sin(2 * x["x"])


def test_the_vorticity_form_is_advection_by_its_own_velocity() -> None:
    x = torus(24, 24)
    w = x.field(x.expand(few_waves(x)).values, "w")
    psi = inverse_laplacian(-w)
    v = Vector({"x": d(psi, "y"), "y": -d(psi, "x")})
    assert largest(curl(v) - w) < 1e-13 and largest(div(v)) < 1e-14  # type: ignore[operator]
    rate = NavierStokesVorticity().rate({"vorticity": w}, numbers(viscosity=0.3, forcing=0.2), x)["vorticity"]
    expected = -dot(v, grad(w)) + 0.3 * laplacian(w) + 0.2
    assert largest(rate - expected) < 1e-13 and largest(expected) > 1.0


def test_without_viscosity_energy_and_enstrophy_are_kept() -> None:
    x = torus(24, 24)
    w = x.field(x.expand(few_waves(x)).values, "w")
    rate = NavierStokesVorticity().rate({"vorticity": w}, numbers(viscosity=0.0, forcing=0.0), x)["vorticity"]
    for density in (w * rate, inverse_laplacian(w) * rate, rate):
        assert abs(float(integrate(density).values)) < 1e-12
    assert float(integrate(w * w).values) > 1.0 and largest(rate) > 0.3


def vortices(p: Any, x: Coordinates, viscosity: Any) -> Field:
    return 4.0 * cos(2 * x["x"]) * cos(2 * x["y"]) * exp(-8.0 * viscosity * x["t"])


def vorticity_problem(start: Any, *, viscosity: float = 0.01, duration: float = 1.0, points: int = 32) -> Problem:
    time = Axis("t", 0.0, duration)
    return Problem(
        "mine",
        NavierStokesVorticity(),
        TORUS,
        conditions=(InitialValue("vorticity", start),),
        time=time,
        values={"viscosity": viscosity},
        evaluation=Evaluation(points, (duration,)),
    )


def test_vortices_of_the_vorticity_form_fade_as_they_should() -> None:
    problem = vorticity_problem(lambda p, x: 4.0 * cos(2 * x["x"]) * cos(2 * x["y"]), points=16)
    found = solve(
        problem, resolution=16, steps=100, values={"viscosity": torch.tensor([0.01, 0.3], dtype=torch.float64)}
    ).on()["vorticity"]
    x = Coordinates(problem.evaluation_set)
    for i, viscosity in enumerate((0.01, 0.3)):
        truth = x.expand(vortices({}, x, viscosity)).values
        assert float((found[i] - truth).abs().max()) < 1e-12


def test_the_reference_agrees_with_runge_kutta_and_is_of_order_four() -> None:
    """u . grad w by numpy's transforms and the classical Runge-Kutta method."""
    n, duration, nu = 32, 1.0, 0.05
    k = np.fft.fftfreq(n, 1 / n)[:, None]
    m = np.fft.fftfreq(n, 1 / n)[None]
    kept = (np.abs(k) < n / 3) & (np.abs(m) < n / 3)
    square = np.where(k**2 + m**2 > 0, k**2 + m**2, 1)

    def back(v: np.ndarray) -> np.ndarray:
        return np.fft.ifft2(v).real

    def rate(w: np.ndarray) -> np.ndarray:
        v = np.fft.fft2(w)
        psi = v / square
        bent = back(1j * m * psi) * back(1j * k * v) - back(1j * k * psi) * back(1j * m * v)
        return back(-np.fft.fft2(bent) * kept - nu * (k**2 + m**2) * v)

    x = torus(n, n)
    w = 3.0 * x.expand(few_waves(x)).values.numpy()
    h = duration / 400
    for _ in range(400):
        a = rate(w)
        b = rate(w + 0.5 * h * a)
        c = rate(w + 0.5 * h * b)
        w = w + h / 6 * (a + 2 * b + 2 * c + rate(w + h * c))
    problem = vorticity_problem(lambda p, x: 3.0 * few_waves(x), viscosity=nu, points=n)
    basis = FourierBasis(x.discretisation)  # type: ignore[arg-type]
    system = SpectralEvolution(problem.evolution(), basis, problem.bind, time=(0.0, duration))
    start = basis.forward(initial_values(problem, x))
    found = [basis.backward(etdrk4(system, start, [0.0, duration], duration / s)[-1, 0]) for s in (10, 20)]
    errors = [relative_l2(values, torch.from_numpy(w)) for values in found]
    assert errors[1] < 1e-5
    assert 3.5 < math.log2(errors[0] / errors[1]) < 5.0


def test_a_batch_of_initial_states_is_that_of_each() -> None:
    x = torus(32, 32)
    starts = torch.stack([x.expand(few_waves(x)).values * s for s in (1.0, -2.0)])
    field = GridField(starts, x.discretisation, Quantity("w"))  # type: ignore[arg-type]
    both = solve(vorticity_problem(field), resolution=16, steps=100).on()["vorticity"]
    assert both.shape == (2, 1, 32, 32)
    for i, scale in enumerate((1.0, -2.0)):
        alone = solve(vorticity_problem(lambda p, x, s=scale: s * few_waves(x)), resolution=16, steps=100)
        assert relative_l2(both[i], alone.on()["vorticity"]) < 1e-13


@pytest.mark.slow
def test_velocity_and_vorticity_tell_the_same_flow_and_its_pressure() -> None:
    velocity = dataclasses.replace(
        shear_layers_2d.problem(thickness=1.0, final_time=1.0), evaluation=Evaluation(32, (0.5, 1.0))
    )
    state = solve(velocity, resolution=32, steps=100).on()
    x = Coordinates(Grid.regular(TORUS.axes, 32))
    last = {name: x.field(values[-1], name) for name, values in state.items()}
    v = Vector({"x": last["velocity_x"], "y": last["velocity_y"]})
    start = velocity.initial_state(x)["velocity"]
    w = curl(start)
    assert isinstance(w, GridField)
    other = dataclasses.replace(vorticity_problem(w, viscosity=0.05), evaluation=Evaluation(32, (1.0,)))
    found = solve(other, resolution=32, steps=100).on()["vorticity"][-1]
    rotation = curl(v)
    assert isinstance(rotation, Field)
    assert relative_l2(rotation.values, found) < 1e-5
    assert largest(div(v)) < 1e-12 and abs(float(last["pressure"].values.mean())) < 1e-15
    # lap p = -div ((v . grad) v)
    carried = v.map(lambda part: dot(v, grad(part)))
    assert largest(laplacian(last["pressure"]) + div(carried)) < 1e-4 * largest(div(carried))


@pytest.mark.slow
def test_vortices_in_primitive_variables_fade_with_their_pressure_and_follow_a_force() -> None:
    problem = dataclasses.replace(taylor_green_2d.problem(), evaluation=Evaluation(16, (0.0, 1.0, 2.0)))
    for values in ({}, {"force_x": 0.3, "viscosity": 0.1}):
        found = solve(problem, scheme="etdrk4", resolution=16, values=values).on()
        truth = solve(problem, values=values).on()
        assert set(found) == {"velocity_x", "velocity_y", "pressure"}
        for name, error in proof.errors(problem, found, truth).items():
            assert error["relative_l2"] < 1e-7, name


def test_unknowns_that_keep_no_linear_constraint_are_refused() -> None:
    class Bent(NavierStokes):
        def constraint(self, u: Any, p: Any, x: Any) -> Any:
            return {"pressure": div(u["velocity"]) + u["velocity"]["x"] ** 2}

    problem = dataclasses.replace(taylor_green_2d.problem(), exact=None, equation=Bent())
    with pytest.raises(InputError, match="do not keep a linear constraint") as error:
        solve(problem)
    assert "\n" not in str(error.value)
    walls = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0, periodic=True))
    held = (*taylor_green_2d.problem().conditions, Dirichlet("velocity", "all", 0.0))
    with pytest.raises(InputError, match=r"no scheme of the reference fits.*'pressure'"):
        solve(dataclasses.replace(problem, equation=NavierStokes(), domain=walls, conditions=held))


def test_the_residual_of_a_nonlocal_equation_is_taken_on_grids() -> None:
    problem = vorticity_problem(lambda p, x: few_waves(x), duration=0.5)
    solution = solve(problem, resolution=32, steps=50)
    assert proof.residual(solution) < 1e-5
    shifted = dataclasses.replace(problem, values={"viscosity": 0.02})
    solution.problem = shifted
    assert proof.residual(solution) > 1e-3
    with pytest.raises(InputError, match="pinn needs an equation on point fields"):
        Pinn().solve(problem, Run(budget=Budget.from_now(1.0)))


# the initial state of the Fourier neural operator's problem -----------------------------------------------------------


def test_the_draw_is_the_same_function_everywhere() -> None:
    problem = navier_stokes_2d.problem()
    fine, coarse = (problem.initial_state(Coordinates(problem.grid(n)))["vorticity"].values for n in (96, 48))
    assert float((fine[::2, ::2] - coarse).abs().max()) < 1e-15
    points = torch.tensor([[0.1, 0.2], [0.93, 0.5]], dtype=torch.float64)
    x = Coordinates(PointCloud(problem.domain.axes, points))
    w = problem.initial_state(x)["vorticity"]
    # the sum itself, term by term
    k = [(a, b) for a in range(-20, 21) for b in range(-20, 21) if (a, b) > (0, 0)]
    k.sort(key=lambda pair: (max(abs(pair[0]), abs(pair[1])), pair))
    normal, total = normal_numbers(0, 2 * len(k)), np.zeros(2)
    for (a, b), (c, s) in zip(k, normal.reshape(-1, 2), strict=True):
        size = math.sqrt(2 * 7**1.5 * (4 * math.pi**2 * (a * a + b * b) + 49) ** -2.5)
        angle = PERIOD * (a * points[:, 0] + b * points[:, 1]).numpy()
        total += size * (c * np.cos(angle) + s * np.sin(angle))
    assert np.abs(w.values.detach().numpy() - total).max() < 1e-15
    slope = d(w, "x").values.detach()
    shifted = points + torch.tensor([1e-6, 0.0])
    moved = problem.initial_state(Coordinates(PointCloud(problem.domain.axes, shifted)))["vorticity"].values.detach()
    w = w.like(w.values.detach(), w.quantity)
    assert float(((moved - w.values) / 1e-6 - slope).abs().max()) < 1e-4 * float(slope.abs().max())


def test_the_numbers_of_a_seed_never_change() -> None:
    expected = [-0.117776732029533, 0.942454339909611, 2.514159782747969, 0.262028517261903, 0.548743057274751]
    assert np.abs(normal_numbers(0, 5) - expected).max() < 1e-14
    many = normal_numbers(3, 100_000)
    assert abs(many.mean()) < 0.01 and abs(many.std() - 1) < 0.01 and abs((many**4).mean() - 3) < 0.1
    first, more = (gaussian_series(TORUS.axes, lambda q: (1 + q) ** -2.0, modes=k, seed=5).coefficients for k in (2, 4))
    assert np.array_equal(first, more[2:-2, 2:-2])


def test_draws_have_the_variance_of_their_formula() -> None:
    def variance(q: np.ndarray) -> np.ndarray:
        return (1.0 + q) ** -2.0

    x = torus(12, 12)
    squares = [
        float(gaussian_series(TORUS.axes, variance, modes=3, seed=s)({}, x).values.square().mean()) for s in range(200)
    ]
    k = np.arange(-3, 4)
    q = (k[:, None] ** 2 + k**2).ravel()
    assert np.mean(squares) == pytest.approx(variance(q[q > 0]).sum(), rel=0.06)


def test_the_stirred_torus_is_resolved_by_64_points() -> None:
    problem = dataclasses.replace(navier_stokes_2d.problem(final_time=2.0), evaluation=Evaluation(64, (1.0, 2.0)))
    coarse, fine = (solve(problem, resolution=n, steps=100).on()["vorticity"] for n in (48, 64))
    assert relative_l2(coarse, fine) < 1e-3  # 48 points leave out the shortest waves of the draw
    assert float(fine[-1].std()) > 3 * float(problem.initial_state(torus_of(problem))["vorticity"].values.std())


def torus_of(problem: Problem) -> Coordinates:
    return Coordinates(problem.grid(32))


# steady flow between four walls ---------------------------------------------------------------------------------------


def steady(velocity: Any, **more: Any) -> Problem:
    conditions = velocity if isinstance(velocity, tuple) else (Dirichlet("velocity", "all", velocity),)
    given = {"values": {"viscosity": 0.01}, "evaluation": Evaluation(25), "up_to_constant": ("pressure",), **more}
    return Problem("mine", SteadyNavierStokes(), given.pop("domain", SQUARE), conditions=conditions, **given)


def behind_a_grid(p: Any, x: Any) -> dict[str, Any]:
    a = 0.5 / 0.025 - math.sqrt(0.25 / 0.025**2 + PERIOD**2)
    e = exp(a * x["x"])
    v = {"x": 1 - e * cos(PERIOD * x["y"]), "y": a / PERIOD * e * sin(PERIOD * x["y"])}
    return {"velocity": Vector(v), "pressure": x.expand(-0.5 * e**2)}


def test_kovasznay_flow_converges_spectrally() -> None:
    problem = steady(
        lambda p, x: behind_a_grid(p, x)["velocity"],
        domain=Box(Axis("x", -0.5, 1.0), Axis("y", -0.5, 0.7)),
        values={"viscosity": 0.025},
        exact=Exact(behind_a_grid),
    )
    truth = solve(problem).on()
    worst = []
    for n in (12, 24):
        found = solve(problem, scheme="stream_function", resolution=n).on()
        worst.append(max(e["relative_l2"] for e in proof.errors(problem, found, truth).values()))
    assert worst[0] < 5e-2 and worst[1] < 1e-7 and worst[1] < 1e-5 * worst[0]


def test_a_flow_is_driven_by_its_force_too() -> None:
    def truth(p: Any, x: Any) -> dict[str, Any]:
        a, b = x["x"], x["y"]
        v = {"x": sin(a) * b * cos(b), "y": -cos(a) * (b * sin(b) + cos(b))}
        return {"velocity": Vector(v), "pressure": sin(a + 2 * b)}

    def force(axis: str) -> Any:
        def value(p: Any, x: Coordinates) -> Any:
            p = numbers(viscosity=0.1, force_x=0.0, force_y=0.0)
            with torch.enable_grad():
                cloud = Coordinates(PointCloud(SQUARE.axes, x.columns().detach()))
                row = SteadyNavierStokes().residual(truth({}, cloud), p, cloud)["velocity"][axis]
            return x.field(row.values.detach().reshape(x.discretisation.shape), axis)

        return value

    values = {"viscosity": 0.1, "force_x": force("x"), "force_y": force("y")}
    problem = steady(lambda p, x: truth(p, x)["velocity"], values=values)
    found = solve(problem, resolution=20)
    x = Coordinates(problem.evaluation_set)
    expected = {name: x.expand(field).values for name, field in flatten(truth({}, x)).items()}
    for name, error in proof.errors(problem, found.on(), expected).items():
        assert error["relative_l2"] < 1e-8, name


# Ghia, Ghia and Shin's table I at Re 100: y and u(0.5, y); their own error is 5e-3
GHIA = ((0.9766, 0.84123), (0.8516, 0.23151), (0.7344, 0.00332), (0.6172, -0.13641), (0.5, -0.20581), (0.4531, -0.2109))
GHIA += ((0.2813, -0.15662), (0.1719, -0.1015), (0.1016, -0.06434), (0.0547, -0.03717))


def at(solution: Solution, x: Any, y: Any) -> dict[str, torch.Tensor]:
    axes = solution.problem.domain.axes
    return solution.on(Grid((GridAxis.at(axes["x"], x), GridAxis.at(axes["y"], y))))


@pytest.fixture(scope="module")
def cavity() -> Solution:
    return solve(lid_cavity.problem(), resolution=48)


def test_the_cavity_agrees_with_the_published_table_and_with_itself(cavity: Solution) -> None:
    y, u = zip(*sorted(GHIA), strict=True)
    assert np.abs(at(cavity, [0.5], y)["velocity_x"][0].numpy() - u).max() < 6e-3
    coarse = solve(lid_cavity.problem(), resolution=24)
    inner = np.linspace(0.05, 0.95, 19)
    a, b = at(coarse, inner, inner), at(cavity, inner, inner)
    for name in ("velocity_x", "velocity_y"):
        assert relative_l2(a[name], b[name]) < 1e-3
    assert cavity.notes["scheme"] == "stream_function"


def test_the_cavity_obeys_its_equation_and_its_walls(cavity: Solution) -> None:
    assert max(proof.violations(cavity).values()) < 1e-8
    points = torch.rand(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.8 + 0.1
    x = cavity.coordinates(PointCloud(SQUARE.axes, points), gradients=True)
    rows = flatten(cavity.problem.equation.residual(cavity.state(x), cavity.problem.bind(x), x))
    assert all(largest(row) < 1e-2 for row in rows.values()) and largest(rows["pressure"]) < 1e-9


def test_a_stored_cavity_is_the_same(cavity: Solution, tmp_path: Path) -> None:
    cavity.write(tmp_path)
    again = fetch(tmp_path / FILE, cavity.problem)
    for name, values in cavity.on().items():
        assert torch.equal(again.on()[name], values)


def test_several_viscosities_at_once_are_those_of_each() -> None:
    problem = dataclasses.replace(lid_cavity.problem(), evaluation=Evaluation(20, bounded="cells"))
    both = solve(problem, resolution=16, values={"viscosity": torch.tensor([0.01, 0.02], dtype=torch.float64)}).on()
    for i, viscosity in enumerate((0.01, 0.02)):
        alone = solve(problem, resolution=16, values={"viscosity": viscosity}).on()
        assert all(relative_l2(both[name][i], alone[name]) < 1e-10 for name in alone)


def test_the_flow_in_corners_creeps() -> None:
    for seed, kind in ((0, "jumps"), (1, "slopes")):
        jumps, slopes = noise(4, 2, seed=seed), noise(4, seed=seed + 5)
        if kind == "jumps":
            slopes = torch.zeros_like(slopes)
        else:
            jumps = torch.zeros_like(jumps)
        corners = CornerFlow((0.0, 0.0), (1.0, 2.0), jumps, slopes, torch.tensor(0.7, dtype=torch.float64))
        places = 0.1 + torch.tensor([0.8, 1.8]) * torch.rand(20, 2, dtype=torch.float64)
        x = Coordinates(PointCloud(Axes((Axis("x", 0.0, 1.0), Axis("y", 0.0, 2.0))), places))
        values = corners.flow(x["x"].values, x["y"].values)
        u, v, lap, pressure = (x.field(part, name) for part, name in zip(values, "uvlp", strict=True))
        flow = Vector({"x": u, "y": v})
        assert largest(div(flow)) < 1e-12
        assert largest(curl(flow) + lap) < 1e-12  # type: ignore[operator]
        for part, slope in zip(laplacian(flow), grad(pressure), strict=True):
            assert largest(slope) > 0.1 and largest(0.7 * part - slope) < 1e-11
        # on the walls of a corner: a jump, or a slope, of the one against the other
        near = torch.tensor([1e-6], dtype=torch.float64)
        zero = torch.zeros(1, dtype=torch.float64)
        on_y, on_x = corners.flow(near, zero), corners.flow(zero, near)
        if kind == "jumps":
            assert all(float(on_y[k] - on_x[k] - jumps[0, k]) == pytest.approx(0.0, abs=1e-4) for k in (0, 1))
    assert CornerFlow.read(corners.json()).json() == corners.json()


def lid(p: Any, x: Coordinates) -> Vector:
    return Vector({"x": x.expand(2 * x["x"] * (1 - x["x"])), "y": x.constant(0.0)})


def still(*sides: str) -> Dirichlet:
    return Dirichlet("velocity", sides, 0.0)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (lambda: steady((still("x_min", "x_max", "y_min"),)), "not given on all four walls"),
        (lambda: steady((still("x_min", "x_max", "y_min"), Neumann("velocity", "y_max"))), "more than the velocity"),
        (lambda: steady(lambda p, x: Vector({"x": x.expand(x["x"]), "y": x.constant(0.0)})), "percent more flows out"),
        (lambda: steady(lid, values={"viscosity": lambda p, x: 0.1 + 0.01 * x["x"]}), "one viscosity > 0"),
        (lambda: steady((), domain=TORUS), "not one in a box between four walls"),
    ],
)
def test_what_the_stream_function_cannot_do_is_said_in_one_line(problem: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        solve(problem(), scheme="stream_function", resolution=16)
    assert "\n" not in str(error.value)


def test_what_flows_in_must_flow_out_of_elements_too() -> None:
    unbalanced = steady(lambda p, x: Vector({"x": x.expand(x["x"]), "y": x.constant(0.0)}))
    with pytest.raises(InputError, match="of the flow through the boundary is not balanced"):
        solve(unbalanced, scheme="elements", resolution=16)


def data(path: str) -> Path:
    folder = os.environ.get("PDESOLVE_DATA")
    if not folder:
        pytest.skip("PDESOLVE_DATA is not set: the reference files are not there to compare with")
    return Path(folder) / path


def test_agrees_with_the_cavity_of_others(cavity: Solution) -> None:
    """The test above against the table printed in it is its twin."""
    content = scipy.io.loadmat(data("jaxpi/examples/ldc/data/ldc_Re100.mat"))
    found = at(cavity, content["x"].ravel(), content["y"].ravel())
    u, v = (torch.from_numpy(np.ascontiguousarray(content[name])) for name in "uv")
    speed = torch.hypot(found["velocity_x"], found["velocity_y"])
    assert relative_l2(speed, torch.hypot(u, v)) < 5e-3
    assert relative_l2(found["velocity_x"], u) < 8e-3 and relative_l2(found["velocity_y"], v) < 8e-3
    table = np.loadtxt(data("petibm/examples/data/ghia_et_al_1982_lid_driven_cavity.dat"))
    assert np.abs(at(cavity, [0.5], table[:, 0])["velocity_x"][0].numpy() - table[:, 1]).max() < 6e-3
    assert np.abs(at(cavity, table[:, 6], [0.5])["velocity_y"][:, 0].numpy() - table[:, 7]).max() < 1.1e-2


def test_agrees_with_the_smooth_lid_of_others() -> None:
    problem = steady((still("x_min", "x_max", "y_min"), Dirichlet("velocity", "y_max", lid)))
    fine = solve(problem, resolution=32)
    # the twin without the file: the equation itself
    assert proof.residual(fine) < 1e-3 and max(proof.violations(fine).values()) < 1e-8
    content = torch.from_numpy(np.loadtxt(data("pinnacle/ref/lid_driven_a2.dat"), comments="%"))
    corners = torch.tensor([[0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    content = content[(torch.cdist(content[:, :2].contiguous(), corners) > 0.01).all(1)]
    found = fine.on(PointCloud(SQUARE.axes, content[:, :2].clamp(0, 1)))
    for i, (name, bound) in enumerate((("velocity_x", 1e-3), ("velocity_y", 1e-3), ("pressure", 5e-3))):
        a, b = found[name], content[:, 2 + i]
        free = i == 2
        assert relative_l2(a - free * a.mean(), b - free * b.mean()) < bound, name


# pressures up to a constant -------------------------------------------------------------------------------------------


def test_a_pressure_is_judged_less_its_mean_at_each_time() -> None:
    problem = dataclasses.replace(taylor_green_2d.problem(), evaluation=Evaluation(16, (0.0, 1.0)))
    truth = solve(problem).on()
    level = torch.tensor([3.0, -5.0], dtype=torch.float64)[:, None, None]
    moved = truth | {"pressure": truth["pressure"] + level}
    assert all(e["max"] < 1e-14 for e in proof.errors(problem, moved, truth).values())
    strict = dataclasses.replace(problem, up_to_constant=())
    assert proof.errors(strict, moved, truth)["pressure"]["max"] == pytest.approx(5.0)
    tilted = truth | {"velocity_x": truth["velocity_x"] + 1.0}
    assert proof.errors(problem, tilted, truth)["velocity_x"]["max"] == pytest.approx(1.0)
    with pytest.raises(InputError, match="unknown unknown 'presure': did you mean 'pressure'"):
        dataclasses.replace(problem, up_to_constant=("presure",))


def test_a_reference_is_shown_at_the_level_of_the_solution() -> None:
    problem = dataclasses.replace(taylor_green_2d.problem(), evaluation=Evaluation(16, (0.0, 1.0)))
    exact = problem.exact
    assert exact is not None

    def raised(p: Any, x: Any) -> Any:
        state = exact.formula(p, x)
        return {**state, "pressure": state["pressure"] + 3.0}

    found = FormulaSolution(problem, raised)
    shown, beside = found.dataset(), reference_dataset(found)
    assert beside is not None
    for name in ("pressure", "velocity_x"):
        assert float(abs(shown[name] - beside[name]).max()) < 1e-13
    assert float(shown["pressure"].mean()) == pytest.approx(3.0)


@pytest.mark.parametrize("make", [taylor_green_2d.problem, lid_cavity.problem], ids=["torus", "cavity"])
@pytest.mark.slow
def test_a_network_learns_a_flow(make: Any) -> None:
    problem = make()
    run = Run(budget=Budget.from_now(60.0), steps=30)
    solution = Pinn(width=8, depth=2, collocation=100, condition_points=30).solve(problem, run)
    assert all(bool(torch.isfinite(values).all()) for values in solution.on().values())
    assert math.isfinite(proof.residual(solution)) and solution.on().keys() == {"velocity_x", "velocity_y", "pressure"}
    first, last = run.history[0], run.history[-1]
    assert last["loss"] < 0.7 * first["loss"]
