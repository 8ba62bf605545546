"""Finite volumes: orders, conservation, positivity, symmetry, rest, walls, batches, and the exact Riemann problems."""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch
import yaml
from torch import Tensor

from pdesolve import proof
from pdesolve.condition import Dirichlet, InitialValue, Neumann, Robin
from pdesolve.equation import Conserving, FluxForm, State, Unknown, Values
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Vector, cos, div, dx, dy, exp, maximum, sin, step
from pdesolve.geometry import Axis, Box, Grid, GridAxis, Interval
from pdesolve.integration.finite_volume import FiniteVolumes, march
from pdesolve.integration.reconstruction import face_values
from pdesolve.physics.equations.advection import Advection
from pdesolve.physics.equations.burgers import Burgers
from pdesolve.physics.equations.burgers_scalar import BurgersScalar
from pdesolve.physics.equations.euler import Euler
from pdesolve.physics.equations.euler_2d import Euler2d
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.equations.shallow_water import ShallowWater
from pdesolve.physics.equations.shallow_water_2d import ShallowWater2d
from pdesolve.physics.problems import burgers_shock, diffusion_sorption, shallow_water_dam, shallow_water_radial, sod
from pdesolve.physics.solvers.reference.method import Reference
from pdesolve.physics.solvers.reference.solution import FILE, GridSolution
from pdesolve.physics.solvers.reference.storage import fetch
from pdesolve.problem import Evaluation, Problem
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

PI = math.pi


def pose(equation: Any, initial: Mapping[str, Any], *conditions: Any, final=0.5, periodic=True, dimension=1, **values):
    """On the unit box, periodic or not."""
    axes = tuple(Axis(name, 0.0, 1.0, periodic=periodic) for name in "xy"[:dimension])
    given = tuple(InitialValue(name, value) for name, value in initial.items())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # open boundaries are on purpose here
        return Problem(
            name="test", equation=equation, domain=Box(*axes),
            time=Axis("t", 0.0, final), conditions=(*given, *conditions), values=values,
            evaluation=Evaluation(17, (0.5 * final, final)),
        )  # fmt: skip


def system(problem: Problem, n: int | dict[str, int], **options: Any) -> FiniteVolumes:
    return FiniteVolumes(problem, problem.grid(n, bounded="cells"), **options)


def at_end(problem: Problem, n: int | dict[str, int], **options: Any) -> Tensor:
    """y (*sample, scalar, *grid) at the final time."""
    assert problem.time is not None
    with torch.no_grad():
        return march(system(problem, n, **options), [0.0, problem.time.upper])[-1]


def solve(problem: Problem, **settings: Any) -> Any:
    return Reference(cache="none", **settings).solve(problem, Run(budget=Budget.from_now(600.0)))


def instant(problem: Problem, *times: float) -> GridAxis:
    assert problem.time is not None
    return GridAxis.at(problem.time, times)


def order(errors: list[float]) -> float:
    return math.log2(errors[-2] / errors[-1])


# orders ---------------------------------------------------------------------------------------------------------------


def wave(x: Any) -> Any:
    return 1.5 + 0.4 * sin(2 * PI * x)


def density_wave(ratio: float, v: float) -> dict[str, Any]:
    """A wave of density that is carried at the velocity v."""
    return {
        "density": lambda p, x: wave(x["x"]),
        "momentum": lambda p, x: v * wave(x["x"]),
        "energy": lambda p, x: 1.0 / (ratio - 1) + 0.5 * v**2 * wave(x["x"]),
    }


def steepened(x: Tensor, t: float) -> Tensor:
    """Burgers without viscosity before the shock: u = u0(x - u t), by Newton's method."""
    u = wave(x)
    for _ in range(50):
        y = x - u * t
        u = u - (u - wave(y)) / (1 + 0.8 * PI * torch.cos(2 * PI * y) * t)
    return u


# problem, and its first unknown at the final time
SMOOTH: dict[str, tuple[Callable[[], Problem], Callable[[Tensor], Tensor]]] = {
    "advection": (
        lambda: pose(Advection(), {"u": lambda p, x: wave(x["x"])}, speed=-0.8),
        lambda x: wave(x + 0.4),
    ),
    "advection in a wind that turns": (
        lambda: pose(Advection(), {"u": lambda p, x: wave(x["x"])}, speed=lambda p, x: cos(6 * x["t"])),
        lambda x: wave(x - math.sin(3.0) / 6),
    ),
    "Burgers before the shock": (
        lambda: pose(Burgers(), {"u": lambda p, x: wave(x["x"])}, viscosity=0.0, final=0.15),
        lambda x: steepened(x, 0.15),
    ),
    "Euler": (
        lambda: pose(Euler(), density_wave(1.4, 0.7), heat_capacity_ratio=1.4),
        lambda x: wave(x - 0.35),
    ),
    "inflow that changes": (
        lambda: pose(
            Advection(),
            {"u": lambda p, x: wave(x["x"])},
            Dirichlet("u", "x_min", lambda p, x: wave(-x["t"])),
            periodic=False,
        ),
        lambda x: wave(x - 0.5),
    ),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_waves_converge_with_order_two(name) -> None:
    problem, truth = SMOOTH[name][0](), SMOOTH[name][1]
    errors = []
    for n in (64, 128):
        f = system(problem, n)
        errors.append(float((at_end(problem, n)[0] - truth(f.x["x"].values)).abs().mean()))
    assert order(errors) > 1.8 and errors[-1] < 1e-3


def test_without_a_limiter_the_largest_error_is_of_order_two() -> None:
    problem, truth = SMOOTH["Euler"][0](), SMOOTH["Euler"][1]
    errors = []
    for n in (64, 128):
        x = system(problem, n).x["x"].values
        errors.append(float((at_end(problem, n, limiter="none")[0] - truth(x)).abs().max()))
    assert order(errors) > 1.9


def test_diffusion_of_a_flux_is_of_order_two() -> None:
    """Viscous Burgers between walls against Cole-Hopf, and the time step knows the viscosity."""
    problem = dataclasses.replace(burgers_shock.problem(viscosity=0.1), evaluation=Evaluation(33, (0.5, 1.0)))
    exact = solve(problem, scheme="cole_hopf")
    errors = []
    for n in (32, 64):
        x = problem.grid(n, bounded="cells")
        truth = exact.on(Grid((instant(problem, 1.0), *x.members)))["u"][0]
        errors.append(float((at_end(problem, n)[0] - truth).abs().mean()))
    assert order(errors) > 1.8 and errors[-1] < 2e-3


def test_in_the_plane_a_wave_along_the_diagonal_converges_too() -> None:
    def diagonal(x: Any) -> Any:
        return wave(x["x"] + x["y"])

    initial = {
        "density": lambda p, x: diagonal(x),
        "momentum": lambda p, x: Vector({"x": 0.6 * diagonal(x), "y": 0.2 * diagonal(x)}),
        "energy": lambda p, x: 2.5 + 0.2 * diagonal(x),
    }
    problem = pose(Euler2d(), initial, dimension=2, final=0.25)
    errors = []
    for n in (24, 48):
        x = system(problem, n).x
        truth = wave(x["x"].values + x["y"].values - 0.8 * 0.25)
        errors.append(float((at_end(problem, n)[0] - truth).abs().mean()))
    assert order(errors) > 1.8


@pytest.mark.parametrize("limiter", ["van_leer", "minmod"])
def test_values_at_faces_lie_between_those_of_cells(limiter) -> None:
    cells = torch.randn(5, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lower, upper = face_values(cells, -1, limiter)
    left, right = cells[:, 1:-2], cells[:, 2:-1]  # of the 37 faces between inner cells
    small, large = torch.minimum(left, right), torch.maximum(left, right)
    assert lower.shape == upper.shape == (5, 37)
    for side in (lower, upper):
        assert bool((side >= small - 1e-15).all() and (side <= large + 1e-15).all())
    line = torch.arange(9.0, dtype=torch.float64) ** 1
    assert torch.equal(face_values(line, -1, limiter)[0], torch.arange(1.5, 7.0, dtype=torch.float64))


# what is kept ---------------------------------------------------------------------------------------------------------


def blocks(x: Any) -> Any:
    return step(x["x"] - 0.3) * step(0.7 - x["x"])


def squares(x: Any) -> Any:
    return step(0.06 - (x["x"] - 0.4) ** 2 - (x["y"] - 0.6) ** 2)


KEPT: dict[str, Callable[[], Problem]] = {
    "Burgers": lambda: pose(Burgers(), {"u": lambda p, x: blocks(x) - 0.2}, viscosity=0.0),
    "viscous Burgers in the plane": lambda: pose(
        BurgersScalar(), {"u": lambda p, x: squares(x)}, dimension=2, final=0.1
    ),
    "gas": lambda: pose(
        Euler2d(), {"density": lambda p, x: 1 + squares(x), "momentum": 0.3, "energy": lambda p, x: 3 + 5 * squares(x)},
        dimension=2, final=0.1,
    ),
    "water": lambda: pose(
        ShallowWater2d(), {"depth": lambda p, x: 1 + squares(x), "momentum": 0.2}, dimension=2, final=0.1
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_on_periodic_boxes_every_integral_is_kept_to_rounding(name) -> None:
    problem = KEPT[name]()
    n = 64 if problem.domain.dimension == 1 else 20
    start, end = system(problem, n).start(), at_end(problem, n)
    space = tuple(range(1, start.ndim))
    assert float((end - start).abs().max()) > 0.05
    assert float((end.sum(space) - start.sum(space)).abs().max()) < 1e-13 * float(start.abs().sum())


@pytest.mark.parametrize("limiter", ["van_leer", "minmod"])
def test_one_unknown_gets_no_new_extremes(limiter) -> None:
    problem = KEPT["Burgers"]()
    start, end = system(problem, 80).start(), at_end(problem, 80, limiter=limiter)
    assert float(end.min()) >= float(start.min()) - 1e-14 and float(end.max()) <= float(start.max()) + 1e-14


def test_a_plane_wave_runs_the_same_along_either_axis() -> None:
    """And a round one is symmetric to the last bits."""
    u = at_end(shallow_water_radial.problem(final_time=0.4), 30)
    h, q_x, q_y = u
    scale = float(q_x.abs().max())
    assert scale > 0.2
    torch.testing.assert_close(h, h.T, rtol=0, atol=1e-13)
    torch.testing.assert_close(h, h.flip(0), rtol=0, atol=1e-13)
    torch.testing.assert_close(q_x, q_y.T, rtol=0, atol=1e-13)
    torch.testing.assert_close(q_x, -q_x.flip(0), rtol=0, atol=1e-13)


def tube(left: tuple[float, ...], right: tuple[float, ...], final: float) -> Problem:
    """Two gases (density, velocity, pressure) that meet in the middle, open ends."""

    def jump(a: float, b: float) -> Any:
        return lambda p, x: a + (b - a) * step(x["x"] - 0.5)

    (ra, va, pa), (rb, vb, pb) = left, right
    energies = pa / 0.4 + 0.5 * ra * va**2, pb / 0.4 + 0.5 * rb * vb**2
    initial = {"density": jump(ra, rb), "momentum": jump(ra * va, rb * vb), "energy": jump(*energies)}
    return pose(Euler(), initial, final=final, periodic=False)


@pytest.mark.parametrize(
    ("left", "right", "final"),
    [((1, -2, 0.4), (1, 2, 0.4), 0.15), ((1, 0, 1000), (1, 0, 0.01), 0.012), ((1, 0, 1e-6), (1e-3, 0, 1e3), 1e-5)],
    ids=["near vacuum", "blast", "blast into thin gas"],
)
def test_density_and_pressure_stay_positive(left, right, final) -> None:
    problem = tube(left, right, final)
    f = system(problem, 100)
    with torch.no_grad():
        states = march(f, torch.linspace(0, final, 6).tolist())
    rho, q, energy = states.unbind(1)
    assert bool(torch.isfinite(states).all())
    assert float(rho.min()) > 0 and float((energy - 0.5 * q**2 / rho).min()) > 0


def test_water_runs_over_a_dry_bed() -> None:
    problem = shallow_water_dam.problem(right_depth=0.0, final_time=0.2)
    errors = []
    for n in (100, 200):
        y = at_end(problem, n)
        assert float(y[0].min()) >= 0.0
        assert float(y[0].sum() / n) == pytest.approx(0.5, abs=1e-13)
        errors.append(float((y[0] - exact_cells(problem, n)["depth"]).abs().mean()))
    assert errors[-1] < 2e-3 and errors[-1] < 0.65 * errors[0]


# rest and walls -------------------------------------------------------------------------------------------------------


def hill(x: Any) -> Any:
    high = exp(-60 * (x["x"] - 0.4) ** 2)
    return 0.6 * high * (exp(-30 * (x["y"] - 0.5) ** 2) if "y" in x else 1.0)


@pytest.mark.parametrize("dimension", [1, 2])
@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "walls"])
@pytest.mark.slow
def test_a_lake_at_rest_over_a_hill_stays_at_rest(dimension, periodic) -> None:
    equation = ShallowWater() if dimension == 1 else ShallowWater2d()
    walls = () if periodic else (Dirichlet("momentum"), Neumann("depth"))
    lake = {"depth": lambda p, x: 1.0 - p["bed"], "momentum": 0.0}
    given = {"bed": lambda p, x: hill(x)}
    problem = pose(equation, lake, *walls, periodic=periodic, dimension=dimension, final=0.3, **given)
    n = 40 if dimension == 1 else 16
    start, end = system(problem, n).start(), at_end(problem, n)
    assert float(start[0].max() - start[0].min()) > 0.3
    assert float((end - start).abs().max()) < 1e-14
    # and a wave on it moves over the hill as over any other ground
    lake["depth"] = lambda p, x: 1.0 - p["bed"] + 0.01 * exp(-200 * (x["x"] - 0.7) ** 2)
    problem = pose(equation, lake, *walls, periodic=periodic, dimension=dimension, final=0.3, **given)
    assert float(at_end(problem, n)[1].abs().max()) > 1e-3


@pytest.mark.slow
def test_water_flows_over_a_hill_as_bernoulli_says() -> None:
    """Steady subcritical flow: q constant, q^2 / 2 h^2 + g (h + b) constant; it converges with order two."""
    g, q, head = 1.0, 0.3, 1.0 + 0.3**2 / 2

    def depth(bed: Any) -> Any:
        h = 1.0 + 0.0 * bed
        for _ in range(60):
            h = head - bed - 0.5 * q**2 / h**2
        return h

    def bed(x: Any) -> Any:
        return 0.2 * sin(PI * x["x"]) ** 4

    errors = []
    for n in (32, 64):
        problem = pose(
            ShallowWater(),
            {"depth": lambda p, x: depth(bed(x)), "momentum": q},
            final=1.0,
            bed=lambda p, x: bed(x),
            gravity=g,
        )
        y, x = at_end(problem, n), system(problem, n).x
        errors.append(float((y[0] - depth(bed(x)).values).abs().mean()))
    assert order(errors) > 1.7 and errors[-1] < 1e-3


def test_a_wall_is_a_mirror() -> None:
    """Half a symmetric problem with a wall in the middle is half its solution; mass and energy stay."""

    def blob(x: Any) -> Any:
        return exp(-80 * (x["x"] - 1.3) ** 2) + exp(-80 * (x["x"] - 0.7) ** 2)

    axis = Axis("x", 0.0, 2.0)
    walls = (Dirichlet("momentum"), Neumann("density"), Neumann("energy"))
    initial = (
        InitialValue("density", lambda p, x: 1 + blob(x)),
        InitialValue("momentum", 0.0),
        InitialValue("energy", lambda p, x: 2.5 + 2 * blob(x)),
    )
    whole = Problem(
        "whole", Euler(), Box(axis), (*initial, *walls), time=Axis("t", 0.0, 0.6), evaluation=Evaluation(9, (0.6,))
    )
    half = dataclasses.replace(whole, domain=Interval("x", 1.0, 2.0))
    both, right = at_end(whole, 80), at_end(half, 40)
    torch.testing.assert_close(right, both[:, 40:], rtol=0, atol=1e-13)
    start = system(half, 40).start()
    kept = (right - start).sum(-1)[[0, 2]]
    assert float(kept.abs().max()) < 1e-12 and float((right - start).abs().max()) > 0.05


def test_what_flows_out_does_not_come_back() -> None:
    """Sound that leaves by an open end: what is left is a thousandth of what was sent."""
    pulse = {
        "density": lambda p, x: 1 + 0.01 * exp(-200 * (x["x"] - 0.5) ** 2),
        "momentum": 0.0,
        "energy": lambda p, x: 2.5 + 0.035 * exp(-200 * (x["x"] - 0.5) ** 2),
    }
    problem = pose(Euler(), pulse, final=1.0, periodic=False)
    assert float((at_end(problem, 100)[2] - 2.5).abs().max()) < 3.5e-5


def test_water_comes_in_where_there_was_no_motion() -> None:
    """No wave is seen at first: Burgers with u = 0 inside and 1 at the inflow, whose shock runs at 1/2."""
    problem = pose(Burgers(), {"u": 0.0}, Dirichlet("u", "x_min", 1.0), periodic=False, viscosity=0.0, final=1.0)
    u = at_end(problem, 100)[0]
    x = system(problem, 100).x["x"].values
    assert float((u - (x < 0.5).double()).abs().mean()) < 0.02
    torch.testing.assert_close(u[:40], torch.ones(40, dtype=torch.float64), rtol=0, atol=1e-3)


@pytest.mark.slow
def test_a_condition_of_the_third_kind_holds() -> None:
    """alpha u + beta du/dn = value at an outflow with diffusion, against the method of lines."""
    conditions = (Dirichlet("u", "x_min", 1.0), Robin("u", 1.0, 0.5, "x_max", 0.3))
    problem = pose(
        Burgers(), {"u": lambda p, x: 1 - 0.4 * x["x"] - 0.15 * x["x"] ** 2}, *conditions, periodic=False, viscosity=0.2
    )
    fine = solve(problem, scheme="lines", resolution=24)
    errors = []
    for n in (16, 32):
        grid = problem.grid(n, bounded="cells")
        truth = fine.on(Grid((instant(problem, 0.5), *grid.members)))["u"][0]
        errors.append(float((at_end(problem, n)[0] - truth).abs().max()))
    assert order(errors) > 1.7 and errors[-1] < 1e-3


# exact Riemann problems -----------------------------------------------------------------------------------------------


def exact_cells(problem: Problem, n: int) -> dict[str, Tensor]:
    """The exact solution at the final time at the centres of n cells."""
    assert problem.time is not None and problem.exact is not None
    grid = problem.grid(n, bounded="cells").with_times(problem.time, [problem.time.upper])
    x = Coordinates(grid)
    return {name: f.values[0] for name, f in problem.exact.formula(problem.bind(x), x).items()}


@pytest.mark.parametrize(("module", "bound"), [(sod, 2.5e-3), (shallow_water_dam, 1.5e-3)], ids=["sod", "dam"])
def test_shocks_converge_with_order_one_in_the_mean(module, bound) -> None:
    problem = module.problem()
    errors = []
    for n in (64, 256):
        truth = exact_cells(problem, n)
        y = at_end(problem, n)
        errors.append([float((y[i] - u).abs().mean()) for i, u in enumerate(truth.values())])
    assert errors[1][0] < bound
    for coarse, fine in zip(*errors, strict=True):
        assert fine < 0.35 * coarse  # order one would be a quarter; contacts and fans are slower


def test_formulas_end_where_waves_come_back() -> None:
    for module, late in ((sod, 0.3), (shallow_water_dam, 0.6)):
        assert module.problem().exact is not None and module.problem(final_time=late).exact is None
        problem = module.problem()
        ratio = "heat_capacity_ratio" if module is sod else "gravity"
        x = Coordinates(problem.evaluation_set)
        with pytest.raises(InputError, match="reach a wall") as error:
            problem.exact.formula(problem.bind(x, {ratio: 9.81}), x)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="depths are zero or more"):
        shallow_water_dam.problem(right_depth=-0.1)
    # what comes back is solved all the same: mass stays within walls
    y = at_end(shallow_water_dam.problem(final_time=1.0), 64)
    assert float(y[0].mean()) == pytest.approx(0.5625, abs=1e-13)


# batches and gradients ------------------------------------------------------------------------------------------------


def test_a_batch_is_a_loop_with_time_steps_of_their_own() -> None:
    problem = shallow_water_dam.problem()
    numbers = torch.tensor([0.5, 4.0, 1.0], dtype=torch.float64)
    together = at_end(problem, 32, values={"gravity": numbers})
    assert together.shape == (3, 2, 32)
    for i, number in enumerate(numbers.tolist()):
        torch.testing.assert_close(together[i], at_end(problem, 32, values={"gravity": number}), rtol=0, atol=1e-13)


def test_gradients_are_central_differences() -> None:
    problem = pose(ShallowWater(), {"depth": lambda p, x: wave(x["x"]), "momentum": 0.1}, final=0.1)

    def total(g: Tensor) -> Tensor:
        return march(system(problem, 16, values={"gravity": g}), [0.0, 0.1])[-1].square().sum()

    g = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(total(g), g)
    with torch.no_grad():
        central = float(total(g + 1e-6) - total(g - 1e-6)) / 2e-6
    # limiters have kinks, and the number of steps may not change between the two
    assert float(gradient) == pytest.approx(central, rel=1e-5)


# in the reference solver ----------------------------------------------------------------------------------------------


def block(**values: Any) -> Problem:
    return pose(Burgers(), {"u": lambda p, x: blocks(x)}, Dirichlet("u", "x_min", 0.0), periodic=False, **values)


@pytest.mark.slow
def test_it_is_chosen_where_nothing_keeps_solutions_smooth() -> None:
    def name(problem: Problem) -> str:
        return solve(problem, resolution=32, tolerance=1.0, steps=4).notes["scheme"]

    smooth = {"u": lambda p, x: sin(2 * PI * x["x"])}
    assert name(block(viscosity=0.0)) == "finite_volume"
    arch = {"u": lambda p, x: sin(PI * x["x"])}
    assert name(pose(Burgers(), arch, Neumann("u"), periodic=False, viscosity=0.1)) == "lines"
    assert name(pose(BurgersScalar(), {"u": lambda p, x: squares(x)}, dimension=2, diffusivity=0.0)) == "finite_volume"
    assert name(pose(BurgersScalar(), {"u": lambda p, x: squares(x)}, dimension=2, diffusivity=0.1)) == "etdrk4"
    assert name(pose(Advection(), smooth)) == "series"
    assert name(shallow_water_radial.problem(final_time=0.1)) == "finite_volume"
    assert name(sod.problem(final_time=0.3)) == "finite_volume"
    assert name(sod.problem()) == "exact"


def test_its_error_is_estimated_and_said_not_to_be_small(tmp_path: Path) -> None:
    problem = sod.problem()
    exact = solve(problem).on()
    solution = solve(problem, scheme="finite_volume", resolution=128)
    assert isinstance(solution, GridSolution) and solution.degree == 1
    assert not solution.converged and not solution.smooth
    errors = proof.errors(problem, solution.on(), exact)
    worst = max(e["relative_l2"] for e in errors.values())
    assert 0.3 * worst < solution.notes["estimated_error"] < 3 * worst
    # linear interpolation does not overshoot, wherever it is asked
    x = Coordinates(problem.sample(4000, "sobol", torch.Generator().manual_seed(0)), gradients=False)
    rho = solution.state(x)["density"].values
    assert float(rho.min()) > 0.125 - 1e-6 and float(rho.max()) < 1 + 1e-6
    solution.write(tmp_path)
    again = fetch(tmp_path / FILE, problem)
    assert again.degree == 1 and torch.equal(again.state(x)["density"].values, rho)


@dataclass(frozen=True)
class Sheared(FluxForm, Conserving):
    """u_t = u_xy, with a flux along x that depends on the slope along y."""

    unknowns = (Unknown("u"),)

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        return {"u": -div(self.flux(u, p, x)["u"])}

    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        return {"u": Vector({"x": -dy(u["u"])})}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Any]:
        return {"mass": u["u"]}


@dataclass(frozen=True)
class Product(FluxForm, Conserving):
    """u_t = (u^2)_xx, with a flux that differentiates a product."""

    unknowns = (Unknown("u"),)

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        return {"u": -div(self.flux(u, p, x)["u"])}

    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        return {"u": Vector({"x": -dx(u["u"] ** 2)})}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Any]:
        return {"mass": u["u"]}


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (lambda: pose(Heat(), {"u": lambda p, x: wave(x["x"])}), "Heat states no flux"),
        (lambda: pose(Sheared(), {"u": lambda p, x: wave(x["x"])}, dimension=2), "depends on slopes along y"),
        (
            lambda: pose(Product(), {"u": lambda p, x: wave(x["x"])}),
            "first derivatives of unknowns and parameters alone",
        ),
    ],
    ids=["no flux", "shear", "product"],
)
def test_what_it_cannot_do_is_said_in_one_line(problem, message) -> None:
    with pytest.raises(InputError, match=message) as error:
        solve(problem(), scheme="finite_volume")
    assert "\n" not in str(error.value)


# real files -----------------------------------------------------------------------------------------------------------


def data(path: str) -> Path:
    folder = os.environ.get("PDESOLVE_DATA")
    if not folder:
        pytest.skip("PDESOLVE_DATA is not set: the reference files are not there to compare with")
    return Path(folder) / path


# bounds on the mean difference: to the file, whose own is that of the last column (their L1 to the exact solution)
PYRO = [
    (sod, "pyro2/pyro/compressible/tests/sod_x_0076.h5", ("density", "x-momentum", "energy"), 1.5e-3, 3.94e-3),
    (shallow_water_dam, "pyro2/pyro/swe/tests/dam_x_0081.h5", ("height", "x-momentum"), 1.5e-3, 2.17e-3),
]


@pytest.mark.parametrize(("module", "path", "names", "bound", "own"), PYRO, ids=["sod_x", "dam_x"])
def test_agrees_with_the_finite_volumes_of_pyro(module, path, names, bound, own) -> None:
    with h5py.File(data(path)) as file:
        truth = [torch.from_numpy(file["state"][name]["data"][:, 0]) for name in names]  # type: ignore[index]
    problem = module.problem()
    exact, y = exact_cells(problem, 128), at_end(problem, 128)
    assert float((truth[0] - next(iter(exact.values()))).abs().mean()) == pytest.approx(own, rel=0.01)
    for i, field in enumerate(truth):
        assert float((y[i] - field).abs().mean()) < bound


def test_agrees_with_the_radial_dam_break_of_pdebench() -> None:
    with h5py.File(data("pdebench-generated/2D_rdb_NA_NA_48x48.h5")) as file:
        for group in ("0000", "0002"):
            radius = yaml.safe_load(file[group].attrs["config"])["sim"]["dam_radius"]  # type: ignore[arg-type]
            truth = torch.from_numpy(file[group]["data"][..., 0]).double()  # type: ignore[index]
            times = [0.04 * i for i in range(26)]
            with torch.no_grad():
                h = march(system(shallow_water_radial.problem(radius=radius), 48), times)[:, 0]
            assert float((h[0] - truth[0]).abs().max()) == 0.0
            assert float((h - truth).norm() / truth.norm()) < 1e-2


@pytest.mark.slow
def test_agrees_with_the_diffusion_and_sorption_of_pdebench() -> None:
    """Where its walls are: half a cell outside."""
    with h5py.File(data("pdebench-generated/1D_diff-sorp_NA_NA_128.h5")) as file:
        group: Any = file["0000"]
        truth, places = torch.from_numpy(group["data"][:, :, 0]).double(), group["grid"]["x"][:].astype(float)
    problem = diffusion_sorption.problem(initial=float(truth[0, 0]), final_time=100.0)
    times = [5.0 * i for i in range(1, 21)]
    problem = dataclasses.replace(
        problem, domain=Interval("x", -1 / 256, 1 + 1 / 256), evaluation=Evaluation(9, tuple(times))
    )
    solution = solve(problem, resolution=129, accuracy=2, tolerance=1e-4)
    grid = Grid((instant(problem, *times), GridAxis.at(problem.domain.axes["x"], places)))
    u = solution.on(grid)["u"]

    assert float((u - truth[1:21]).norm() / truth[1:21].norm()) < 3e-3
    assert float((u[-1] - truth[20]).norm() / truth[20].norm()) < 1.5e-3


@pytest.mark.slow
def test_a_round_wave_is_that_of_one_dimension() -> None:
    """The twin of the files: radially h_t + q_r = -q / r and q_t + (q^2 / h + h^2 / 2)_r = -q^2 / (h r)."""

    @dataclass(frozen=True)
    class Radial(FluxForm, Conserving):
        unknowns = (Unknown("depth"), Unknown("momentum"))

        def rate(self, u: State, p: Values, x: Coordinates) -> State:
            source = self.source(u, p, x)
            return {n: source[n] - div(f) for n, f in self.flux(u, p, x).items()}

        def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
            h, q = u["depth"], u["momentum"]
            return {"depth": Vector({"x": q}), "momentum": Vector({"x": q * q / h + 0.5 * h**2})}

        def source(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Any]:
            q, r = u["momentum"], maximum(x["x"], 1e-3)
            return {"depth": -q / r, "momentum": -q * q / (u["depth"] * r)}

        def wave_speed(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Any]:
            return ShallowWater().wave_speed(u, p | {"gravity": x["x"] * 0.0 + 1.0}, x)  # type: ignore[operator]

        def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Any]:
            return {"none": u["depth"] * 0.0}

    line = Problem(
        "line", Radial(), Interval("x", 0.0, 2.5), time=Axis("t", 0.0, 0.6), evaluation=Evaluation(9, (0.6,)),
        conditions=(
            InitialValue("depth", lambda p, x: 1 + step(0.5 - x["x"])), InitialValue("momentum", 0.0),
            Dirichlet("momentum", "x_min"), Neumann("momentum", "x_max"), Neumann("depth"),
        ),
    )  # fmt: skip
    profile = at_end(line, 500)[0]
    errors = []
    for n in (40, 80):
        f = system(shallow_water_radial.problem(final_time=0.6), n)
        r = (f.x["x"].values ** 2 + f.x["y"].values ** 2).sqrt()
        nearest = profile[(r / 0.005).long().clamp_max(499)]
        with torch.no_grad():
            h = march(f, [0.0, 0.6])[-1][0]
        errors.append(float((h - nearest)[r < 2.4].abs().mean()))
    assert errors[1] < 0.6 * errors[0] and errors[1] < 1e-2
