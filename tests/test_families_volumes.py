"""Families on boxes with walls and jumps: exact values, orders, other people's files, samples that stand alone."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml

from pdesolve.catalogue import make_family
from pdesolve.condition import Dirichlet, InitialValue, Neumann, Robin
from pdesolve.data.dataset import Dataset
from pdesolve.errors import InputError
from pdesolve.family import Draws, Family
from pdesolve.fields import Coordinates, GridField, Quantity, cos, maximum, step
from pdesolve.geometry import Axis, Box, Grid, GridAxis, Interval, PointCloud
from pdesolve.integration import legendre, riemann, tracing
from pdesolve.integration.cell_simulators import DiffusionSimulator, WaveSimulator
from pdesolve.integration.initial import initial_values
from pdesolve.integration.lines import Lines
from pdesolve.integration.tracing import Replays, compiled
from pdesolve.physics.equations.diffusion_sorption import DiffusionSorption
from pdesolve.physics.equations.fitzhugh_nagumo import FitzHughNagumo
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.equations.porous_medium import PorousMedium
from pdesolve.physics.families.shock_tube import ShockTubes
from pdesolve.physics.families.stefan import front_coefficient
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_waves import SineWaves


class Given(Draws):
    """Draws whose first uniform numbers are the given ones."""

    def __init__(self, numbers: list[float]) -> None:
        super().__init__(0, range(len(numbers)))
        self.given = [np.array(numbers)]

    def uniform(self, lower: float, upper: float, *shape: int) -> np.ndarray:
        return self.given.pop() if self.given else super().uniform(lower, upper, *shape)


def solved(family: Family, draws: Draws) -> tuple[Problem, Dataset]:
    (problem,) = family.problems(draws)
    return problem, family.simulator.simulate(problem)


def gap(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def mass(data: Dataset) -> np.ndarray:
    """(sample, t): by the trapezoidal rule over closed points."""
    return np.trapezoid(data.read("u"), data.coordinates["x"].points, axis=-1)


# formulas -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "z", "height", "front"), [(0.6, 0.525670, 0.736966, 0.235087), (0.5, 0.620063, 0.807155, 0.277300)]
)
def test_the_front_of_stefan_is_where_it_should(value: float, z: float, height: float, front: float) -> None:
    found = front_coefficient(torch.tensor([value], dtype=torch.float64))
    assert float(found) == pytest.approx(z, abs=1e-6)
    points = 20_001
    _, data = solved(make_family("stefan", {"points": points, "frames": 3}), Given([value]))
    u, x = data.read("u")[0, 1], data.coordinates["x"].points
    assert x[u > 0].max() == pytest.approx(front, abs=1.0 / (points - 1) + 1e-6)
    assert u[u > 0].min() == pytest.approx(value, abs=1e-3) and u[0] == 1.0 and u.argmax() == 0
    expected = 2 * height * math.sqrt(0.05 / math.pi)
    assert mass(data)[0, 1] == pytest.approx(expected, abs=1e-4)
    assert data.read("u")[0, 0].tolist() == [1.0] + [0.0] * (points - 1)


@pytest.mark.parametrize("m", [1.0, 3.0, 6.0])
def test_the_front_of_the_porous_medium_has_its_mass(m: float) -> None:
    _, data = solved(make_family("porous_medium_front", {"points": 20_001, "frames": 5}), Given([m]))
    t, x = data.coordinates["t"].points, data.coordinates["x"].points
    np.testing.assert_allclose(mass(data)[0], m ** (1 + 1 / m) / (m + 1) * t ** (1 + 1 / m), atol=2e-4)
    u = data.read("u")[0, 2]
    assert x[u > 0].max() == pytest.approx(0.5, abs=1e-4) and u[0] == pytest.approx((m / 2) ** (1 / m), rel=1e-14)


def test_heat_fades_as_it_should() -> None:
    _, data = solved(make_family("heat", {"points": 64, "frames": 3}), Given([1.0, 5.0]))
    x = data.coordinates["x"].points
    for i, k in enumerate((1.0, 5.0)):
        np.testing.assert_allclose(data.read("u")[i, 1], math.exp(-0.5 * k) * np.sin(x), atol=1e-15)
    assert data.read("diffusivity").tolist() == [1.0, 5.0]


@pytest.mark.parametrize(("name", "limit"), [("heat", 1e-3), ("porous_medium_front", 2e-2)])
def test_finite_volumes_come_to_the_formulas(name: str, limit: float) -> None:
    """The formula and the equation are two things."""
    (problem,) = make_family(name).problems(Given([2.0]))
    assert problem.time is not None and problem.exact is not None
    times = tuple(problem.time.upper * f for f in (0.0, 0.5))
    on_cells = replace(problem, evaluation=Evaluation(60, times, bounded="cells"))
    data = DiffusionSimulator(tolerance=1e-5, subcells=8).simulate(on_cells)
    x = Coordinates(on_cells.evaluation_set)
    true = problem.exact.formula(problem.bind(x), x)["u"].values.numpy()
    assert gap(data.read("u")[:, 1], true[:, 1]) < limit


# Riemann problems -----------------------------------------------------------------------------------------------------


def tube_errors(family: ShockTubes, count: int) -> np.ndarray:
    """(sample,): mean |rho - exact| of the last frame, relative, the exact solution averaged over cells."""
    draws = range(count)
    _, data = solved(family, Draws(0, draws))
    sides, membrane = family.states(Draws(0, draws))
    x = data.coordinates["x"].points
    fine = (np.arange(16) + 0.5) / 16 - 0.5
    places = torch.as_tensor((x[:, None] + fine * 2.0 / len(x)).reshape(-1))
    ratio, errors = torch.tensor(family.heat_capacity_ratio, dtype=torch.float64), []
    for i in draws:
        left, right = [tuple(torch.as_tensor(side[j]) for j in range(3)) for side in sides[i]]
        rho = riemann.euler((places - membrane[i]) / family.final_time, left, right, ratio)[0].numpy()  # type: ignore[arg-type]
        rho = rho.reshape(-1, 16).mean(1)
        errors.append(np.abs(data.read("density")[i, -1] - rho).mean() / rho.mean())
    return np.array(errors)


def test_random_tubes_come_to_the_exact_riemann_problem() -> None:
    coarse, fine = (tube_errors(ShockTubes(points=n, frames=2), 6) for n in (100, 400))
    assert fine.mean() < 7.5e-3 and fine.mean() < 0.5 * coarse.mean(), (coarse, fine)


def test_a_finer_grid_is_averaged() -> None:
    """Means over fine cells are nearer to the truth, and keep what the fine ones hold."""
    plain, refined = (tube_errors(ShockTubes(points=60, frames=2, refinement=r), 3) for r in (1, 3))
    assert refined.mean() < 0.6 * plain.mean()
    problem, data = solved(make_family("euler_1d", {"points": 32, "frames": 3, "refinement": 3}), Draws(0, range(2)))
    totals = data.read("density").sum(-1)
    np.testing.assert_allclose(totals, np.broadcast_to(totals[:, :1], totals.shape), rtol=1e-13)
    simulator = make_family("euler_1d", {"refinement": 3}).simulator
    assert simulator.defect(problem, data).max() < 1e-2


# files of others ------------------------------------------------------------------------------------------------------


def shared(name: str) -> Path:
    if "PDESOLVE_DATA" not in os.environ:
        pytest.skip("PDESOLVE_DATA is not set")
    return Path(os.environ["PDESOLVE_DATA"]) / name


def pdebench(name: str) -> Path:
    return shared("pdebench-generated") / name


def test_agrees_with_the_porous_medium_of_probconserv() -> None:
    """At its scattered points (t, x), in float32."""
    folder = "probconserv/deep_pdes/experiments/output/paper/1b_pme_var_m/datasets"
    content, about = torch.load(shared(folder) / "valid.pt", weights_only=True)
    degrees = about[:, 0].double()
    (problem,) = make_family("porous_medium_front").problems(Given(degrees.tolist()))
    for i in range(0, len(degrees), 10):
        x = Coordinates(PointCloud(problem.axes, content["input_contexts"][i].double()))
        assert problem.exact is not None
        u = problem.exact.formula(problem.bind(x, {"degree": degrees[i]}), x)["u"].values
        torch.testing.assert_close(u, content["output_contexts"][i, :, 0].double(), rtol=0, atol=1e-6)


def soil(initial: torch.Tensor, times: np.ndarray, cells: int) -> tuple[Problem, Lines]:
    """The soil as PDEBench's program has it: walls half a cell outside of the ends."""
    half = 0.5 / cells
    problem = Problem(
        "soil", DiffusionSorption(), Interval("x", -half, 1.0 + half),
        (
            InitialValue("u", lambda p, x: step(-half - x["x"]) * (1.0 - initial) + initial),
            Dirichlet("u", "x_min", 1.0),
            Robin("u", 1.0, 5e-4, "x_max"),
        ),
        Axis("t", 0.0, float(times[-1])), evaluation=Evaluation(cells + 2, tuple(times.tolist())),
    )  # fmt: skip
    return problem, Lines(problem, Grid(problem.grid(cells + 2).members, accuracy=2))


def test_agrees_with_the_diffusion_sorption_of_pdebench() -> None:
    with h5py.File(pdebench("1D_diff-sorp_NA_NA_128.h5")) as file:
        data = np.stack([file[group]["data"][..., 0] for group in file]).astype(float)
        times = np.array(file["0000/grid/t"], dtype=float)
    problem, lines = soil(torch.as_tensor(data[:, 0, 64]), times, 128)
    states = legendre.frames(lines, problem.evaluation.times, lines.start(), tolerance=1e-5)
    found = torch.stack(list(states), 1)[:, :, 0, 1:-1].numpy()
    assert gap(found[:, 1:], data[:, 1:]) < 2e-3  # the tolerance of its steps is 1e-3
    # the family's walls lie at the ends: what is left is half a cell
    _, ours = solved(make_family("diffusion_sorption", {"points": 128}), Given(data[:, 0, 64].tolist()))
    assert gap(ours.read("u")[:, -1], data[:, -1]) < 1e-2


def test_agrees_with_the_diffusion_reaction_of_pdebench() -> None:
    with h5py.File(pdebench("2D_diff-react_NA_NA_32x32.h5")) as file:
        data = np.stack([file[group]["data"][()] for group in file]).astype(float)
    data = data.transpose(0, 1, 3, 2, 4)  # its files have y before x
    family = make_family("diffusion_reaction_2d", {"points": 32, "frames": data.shape[1]})
    (problem,) = family.problems(Draws(0, range(4)))
    cells = Grid(tuple(GridAxis(axis, "cells", 32) for axis in problem.domain.axes))
    noise = [GridField(torch.as_tensor(data[:, 0, ..., i]), cells, Quantity(n)) for i, n in enumerate("uv")]
    conditions = [c for c in problem.conditions if not isinstance(c, InitialValue)]
    problem = replace(problem, conditions=(*(InitialValue(*c) for c in zip("uv", noise, strict=True)), *conditions))
    found = family.simulator.simulate(problem)
    for i, name in enumerate("uv"):
        assert gap(found.read(name)[:, 1:], data[:, 1:, ..., i]) < 1e-3  # the tolerance of its steps is 1e-3


def test_agrees_with_the_dam_breaks_of_pdebench() -> None:
    with h5py.File(pdebench("2D_rdb_NA_NA_48x48.h5")) as file:
        data = np.stack([file[group]["data"][..., 0] for group in file]).astype(float)
        radii = [yaml.safe_load(file[group].attrs["config"])["sim"]["dam_radius"] for group in file]
    _, found = solved(make_family("shallow_water", {"points": 48, "frames": data.shape[1]}), Given(radii))
    # two schemes on a grid of 48 cells: of the depth 1 percent, of the waves on it a tenth
    assert gap(found.read("depth")[:, 5:], data[:, 5:]) < 1.2e-2


# stabilised steps -----------------------------------------------------------------------------------------------------


def insulated(points: int, frames: int = 3) -> Problem:
    """Heat between insulated walls: waves cos(pi k x) of two diffusivities."""
    time = Axis("t", 0.0, 0.4)
    return Problem(
        "insulated", Heat(), Interval("x", 0.0, 1.0),
        (InitialValue("u", lambda p, x: 1.0 + cos(math.pi * x["x"]) + 0.5 * cos(3 * math.pi * x["x"])), Neumann("u")),
        time, {"diffusivity": torch.tensor([0.2, 0.05], dtype=torch.float64)},
        evaluation=Evaluation.uniform(points, time, frames - 1, bounded="cells"),
    )  # fmt: skip


def faded(problem: Problem, x: np.ndarray, t: float) -> np.ndarray:
    k = np.asarray(problem.values["diffusivity"]).reshape(-1, 1) * math.pi**2
    return 1 + np.exp(-k * t) * np.cos(math.pi * x) + 0.5 * np.exp(-9 * k * t) * np.cos(3 * math.pi * x)


def test_diffusion_is_of_order_two_in_space() -> None:
    errors = []
    for n in (20, 40):
        problem = insulated(n)
        data = DiffusionSimulator(tolerance=1e-7, subcells=4).simulate(problem)
        errors.append(gap(data.read("u")[:, -1], faded(problem, data.coordinates["x"].points, 0.4)))
    assert errors[1] < 1e-3 and math.log2(errors[0] / errors[1]) > 1.9


def test_steps_keep_to_their_tolerance() -> None:
    """Against the semi-discrete system's own solution, the exponential of its matrix."""
    problem = insulated(50)
    grid = problem.grid(50, bounded="cells")
    y = initial_values(problem, Coordinates(grid)).expand(2, 1, 50)
    system = DiffusionSimulator().system(problem, grid, problem.values, y)
    t = torch.zeros(2, dtype=torch.float64)
    columns = torch.eye(50, dtype=torch.float64)
    errors = []
    for tolerance in (1e-4, 1e-6):
        last = list(legendre.frames(system, [0.0, 0.2, 0.4], y, tolerance=tolerance))[-1]
        gaps = []
        for i in range(2):
            matrix = torch.stack([system(t, c.expand(2, 1, 50))[i, 0] for c in columns], 1)
            gaps.append(gap(last[i, 0].numpy(), (torch.linalg.matrix_exp(0.4 * matrix) @ y[i, 0]).numpy()))
        errors.append(max(gaps))
    assert errors[0] < 1e-3 and errors[1] < 2e-5 and errors[1] < 0.1 * errors[0]


def test_barenblatt_spreads_as_he_said() -> None:
    """u_t = (u^n)_xx with n = 3: the edge, the mass and the height."""
    n, time = 3.0, Axis("t", 1.0, 3.0)
    a = 1 / (n + 1)
    k = a * (n - 1) / (2 * n)

    def profile(p, x):
        square = maximum(0.2 - k * x["x"] ** 2 / x["t"] ** (2 * a), 0.0)
        return (square / x["t"] ** (a * (n - 1))) ** (1 / (n - 1))

    errors = []
    for points in (60, 120):
        problem = Problem(
            "barenblatt", PorousMedium(), Interval("x", -3.0, 3.0), (InitialValue("u", profile), Neumann("u")),
            time, {"diffusivity": n, "degree": n - 1},
            evaluation=Evaluation.uniform(points, time, 2, bounded="cells"), conserved=("mass",),
        )  # fmt: skip
        data = DiffusionSimulator(tolerance=1e-6, subcells=8).simulate(problem)
        x = Coordinates(problem.evaluation_set)
        true, u = x.expand(profile({}, x)).values.numpy()[-1], data.read("u")[0]
        errors.append(np.abs(u[-1] - true).mean() / true.mean())
        assert u.min() > -1e-5
        np.testing.assert_allclose(u.sum(-1), u[0].sum(), rtol=1e-12)
    assert errors[1] < 5e-3 and errors[1] < 0.6 * errors[0]


def test_reactions_that_are_not_linear_are_followed() -> None:
    """Uniform states of activator and inhibitor are an ordinary differential equation: a fine Euler run of it."""
    time = Axis("t", 0.0, 2.0)
    start = torch.tensor([2.0, -1.0], dtype=torch.float64)
    problem = Problem(
        "uniform", FitzHughNagumo(), Box(Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0)),
        (InitialValue("u", lambda p, x: x.constant(1.0) * start), InitialValue("v", 0.3), Neumann("u"), Neumann("v")),
        time, evaluation=Evaluation.uniform(8, time, 2, bounded="cells"),
    )  # fmt: skip
    data = DiffusionSimulator(tolerance=1e-6).simulate(problem)
    u, v, h = start.numpy().copy(), np.array([0.3, 0.3]), 1e-4
    for _ in range(20_000):
        u, v = u + h * (u - u**3 - 5e-3 - v), v + h * (u - v)
    np.testing.assert_allclose(data.read("u")[:, -1, 0, 0], u, rtol=0, atol=5e-4)
    np.testing.assert_allclose(data.read("u")[:, -1], np.broadcast_to(u[:, None, None], (2, 8, 8)), atol=5e-4)


# samples and settings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["euler_1d", "euler_2d", "porous_medium", "diffusion_reaction_2d"])
def test_samples_in_chunks_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    family = make_family(name, {"points": 12, "frames": 3, "final_time": 0.1})
    problem, whole = solved(family, Draws(4, range(3)))
    scalars = sum(len(unknown.scalars) for unknown in problem.equation.unknowns)
    two = 2 * scalars * math.prod(problem.evaluation_set.shape[1:])
    for most in (1, two):
        monkeypatch.setattr("pdesolve.integration.cell_simulators._AT_ONCE", {"cpu": most})
        parts = family.simulator.simulate(problem)
        for variable in whole.variables:
            np.testing.assert_allclose(parts.read(variable), whole.read(variable), rtol=1e-12, atol=1e-13)


def test_fast_copies_are_made_once_and_are_the_function() -> None:
    x = torch.linspace(0.0, 1.0, 5, dtype=torch.float64)
    replay, called = Replays("traced"), []

    def wave(x: torch.Tensor) -> torch.Tensor:
        called.append(1)
        return x.sin() * 2.0

    first = replay(wave, x)
    count = len(called)
    assert replay(wave, x + 1.0) is first and len(called) == count and torch.equal(first(x), x.sin() * 2.0)
    assert replay(wave, x[:3]) is not first


def test_what_cannot_be_compiled_is_still_computed() -> None:
    def looks(x: torch.Tensor) -> torch.Tensor:
        return x if float(x.sum()) > 0 else -x

    copy = compiled(looks, torch.ones(3, dtype=torch.float64))
    assert copy(-torch.ones(3, dtype=torch.float64)).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_compiled_steps_are_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    family = make_family("euler_2d", {"points": 16, "frames": 3, "final_time": 0.1})
    problem, plain = solved(family, Draws(4, range(3)))
    monkeypatch.setattr("pdesolve.integration.cell_simulators._DEAR", 0)
    before = set(tracing._COMPILED)
    fast = family.simulator.simulate(problem)
    made = set(tracing._COMPILED) - before
    assert len(made) == 2  # a step, and how long it may be
    for variable in plain.variables:
        np.testing.assert_allclose(fast.read(variable), plain.read(variable), rtol=1e-12, atol=1e-13)
    family.simulator.simulate(problem)
    assert set(tracing._COMPILED) - before == made, "known again"


@pytest.mark.parametrize(("frames", "least"), [(3, 1e-4), (41, 1e-8)])
def test_the_defect_is_that_of_halved_steps_between_any_frames(frames: int, least: float) -> None:
    problem, data = solved(make_family("shallow_water", {"points": 24, "frames": frames}), Draws(0, range(2)))
    defect = make_family("shallow_water").simulator.defect(problem, data)
    assert defect.shape == (2,) and (defect > least).all() and (defect < 1e-2).all()


def test_waves_are_the_same_functions_on_every_grid() -> None:
    axis = Axis("x", -1.0, 1.0, periodic=True)
    waves = SineWaves.draw(Box(axis).axes, Draws(0, range(4)), waves=3, highest=4).scaled(np.full(4, 2.0), 1.0)
    coarse, fine = (waves({}, Coordinates(Grid((GridAxis(axis, "periodic", n),)))).values for n in (16, 64))
    torch.testing.assert_close(coarse, fine[:, ::4], rtol=0, atol=1e-13)
    assert ((fine - 1.0).abs().amax(1) <= torch.as_tensor(waves.bound) + 1e-12).all()
    assert fine.mean(1).tolist() == pytest.approx([1.0] * 4, abs=1e-13)


def test_gases_begin_with_their_mach_numbers() -> None:
    family = make_family("euler_2d", {"points": 64, "frames": 2, "final_time": 1e-6, "mach": 1.0})
    _, data = solved(family, Draws(0, range(8)))
    rho, q, energy = (data.read(n, {"t": 0}) for n in ("density", "momentum", "energy"))
    speed = np.sqrt((q**2).sum(1)) / rho
    pressure = (energy - 0.5 * (q**2).sum(1) / rho) * (2 / 3)
    assert rho.min() > 0 and pressure.min() > 0
    sound = np.sqrt(5 / 3 * pressure.mean((1, 2)) / rho.mean((1, 2)))
    mach = np.sqrt((speed**2).mean((1, 2))) / sound
    # waves of the same numbers may meet in a sum
    assert np.abs(mach - 1.0).max() < 0.4 and abs(mach.mean() - 1.0) < 0.15


def test_what_cannot_be_simulated_is_said() -> None:
    with pytest.raises(InputError, match="two at least"):
        make_family("euler_1d", {"frames": 1}).sample(1)
    problem = replace(insulated(8), evaluation=Evaluation(8, (0.0, 0.4)))
    with pytest.raises(InputError, match="bounded='cells'"):
        DiffusionSimulator().simulate(problem)
    late = replace(insulated(8), evaluation=Evaluation(8, (0.2, 0.4), bounded="cells"))
    with pytest.raises(InputError, match="from its initial time on"):
        WaveSimulator().simulate(late)


def test_soil_takes_up_what_flows_in() -> None:
    """The total grows by what the slope at the wall lets in: the twin of the comparison with PDEBench's file."""
    problem, data = solved(make_family("diffusion_sorption", {"points": 200, "frames": 101}), Given([0.1, 0.02]))
    x = Coordinates(data.grid()).at_instant(0.0)
    u = torch.as_tensor(data.read("u"))
    totals = []
    for i in range(u.shape[1]):
        field = x.field(u[:, i], "u")
        totals.append(problem.equation.conserved({"u": field}, problem.bind(x), x)["mass"].values.mean(-1))  # type: ignore[attr-defined]
    total = torch.stack(totals, 1)
    h = 1.0 / 200
    left = 5e-4 * (8 - 9 * u[..., 0] + u[..., 1]) / (3 * h)  # second order from the wall's value 1
    wall = u[..., -1] * 5e-4 / (5e-4 + h / 2)
    right = 5e-4 * (u[..., -1] - wall) / (h / 2)
    rate = left - right
    gained = torch.trapezoid(rate[:, 20:], torch.as_tensor(data.coordinates["t"].points[20:]))
    assert ((total[:, -1] - total[:, 20]) / gained).tolist() == pytest.approx([1.0, 1.0], rel=5e-3)
    assert bool((u[:, 1:, 0] > 0.9).all())
