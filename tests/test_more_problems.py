"""The wider problems: the reference solver against files of others, closed forms and schemes written down here."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch

from pdesolve.condition import Dirichlet, InitialValue
from pdesolve.equation import flatten
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, d
from pdesolve.geometry import Grid, PointCloud
from pdesolve.method import Solution
from pdesolve.metrics import relative_l2
from pdesolve.physics.problems import (
    burgers_sine,
    flow_mixing,
    gray_scott,
    heat_multiscale_2d,
    kdv_two_solitons,
    nonlinear_diffusion_2d,
    poisson_nd,
    schroedinger,
    teng_allen_cahn,
    teng_burgers,
    teng_heat,
)
from pdesolve.physics.solvers.reference.method import Reference
from pdesolve.problem import Evaluation, Problem
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run


def solve(problem: Problem, **settings: Any) -> Solution:
    return Reference(cache="none", **settings).solve(problem, Run(budget=Budget.from_now(600.0)))


def judged(problem: Problem, points: int | dict[str, int], *times: float) -> Problem:
    """The problem with another evaluation set."""
    return dataclasses.replace(problem, evaluation=Evaluation(points, times))


def places(problem: Problem) -> np.ndarray:
    """The x of the evaluation set."""
    assert isinstance(problem.evaluation_set, Grid)
    return problem.evaluation_set["x"].points


def tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


# real files -----------------------------------------------------------------------------------------------------------

# problem, file and the keys of its times and values, settings, bound on the relative L2 difference over the whole file
FILES: list[tuple[ModuleType, str, str, str, dict[str, Any], float]] = [
    (burgers_sine, "raissi-deephpms/Data/burgers_sine.mat", "t", "usol", {}, 1e-6),
    # the jump at the ends of the period makes the file and every other grid differ
    (kdv_two_solitons, "pysindy/examples/data/kdv.mat", "t", "usol", {"resolution": 512, "steps": 1000}, 4e-5),
    (schroedinger, "raissi-pinns/main/Data/NLS.mat", "tt", "uu", {"resolution": 512, "steps": 800}, 5e-5),
]


@pytest.mark.parametrize(
    ("module", "path", "t", "u", "settings", "bound"),
    [
        pytest.param(*row, id=Path(row[1]).name, marks=[pytest.mark.slow] * (row[0] is not burgers_sine))
        for row in FILES
    ],
)
def test_agrees_with_files_of_others(module, path, t, u, settings, bound) -> None:
    folder = os.environ.get("PDESOLVE_DATA")
    if not folder:
        pytest.skip("PDESOLVE_DATA is not set: the reference files are not there to compare with")
    content = scipy.io.loadmat(Path(folder) / path)
    problem = module.problem()
    grid, values = problem.evaluation_set, content[u].T
    assert isinstance(grid, Grid)
    assert np.abs(grid["x"].points - content["x"].ravel()).max() < 1e-12
    assert np.abs(grid["t"].points - content[t].ravel()).max() < 1e-12
    parts = [values.real, values.imag] if len(problem.equation.scalars) == 2 else [values.real]
    truth = torch.stack([tensor(part) for part in parts])
    start = flatten(problem.initial_state(Coordinates(grid.without("t"))))
    for field, part in zip(start.values(), truth, strict=True):
        assert float((field.values - part[0]).abs().max()) < 1e-12
    found = solve(problem, **settings).on()
    assert relative_l2(torch.stack([found[name] for name in problem.equation.scalars]), truth) < bound


def rows() -> Any:
    """The table of experiments/accuracy/references.py, whose other files have tests of their own."""
    path = Path(__file__).parent.parent / "experiments/accuracy/references.py"
    specification = importlib.util.spec_from_file_location("accuracy_of_references", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


LONG = [pytest.param(name, marks=pytest.mark.slow) for name in ("reaction.npz", "kuramoto_sivishinky.mat")]


@pytest.mark.parametrize("name", ["burgers1d.dat", *LONG])
def test_agrees_with_files_of_the_table(name: str) -> None:
    folder = os.environ.get("PDESOLVE_DATA")
    if not folder:
        pytest.skip("PDESOLVE_DATA is not set: the reference files are not there to compare with")
    module = rows()
    (row,) = [row for row in module.ROWS if Path(row.path).name == name]
    assert module.measure(row, Path(folder))[1] < row.bound


# and what they check, without them ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_species_with_end_values_that_are_fields_of_time() -> None:
    """What reaction.npz is solved with: b = 2 a, a rational solution, its ends and its start sampled."""
    module = rows()

    def a(t: np.ndarray, x: np.ndarray) -> np.ndarray:
        s = x + 3.0
        return (2e-3 / 0.2) ** 0.5 * (2 * s + 1.0) / (s**2 + s + 6 * 2e-3 * t + 0.7)

    t, x = np.linspace(0, 10, 41), np.linspace(0, 1, 41)
    truth = a(t[:, None], x)
    problem = module.reaction(module.Content(t, x, np.stack([truth, 2 * truth])))
    found = solve(judged(problem, 41, *t[::4]), resolution=20, tolerance=1e-4).on()
    assert relative_l2(found["a"], tensor(truth[::4])) < 1e-6
    assert relative_l2(found["b"], tensor(2 * truth[::4])) < 1e-6
    assert np.abs(truth[-1] - truth[0]).max() > 1e-3 * truth.max()


def test_the_long_sine_wave_is_the_same_by_steps() -> None:
    problem = judged(burgers_sine.problem(), 64, 2.0, 10.0)
    stepped = solve(problem, scheme="etdrk4", resolution=512, steps=400)
    assert relative_l2(stepped.on()["u"], solve(problem, scheme="cole_hopf").on()["u"]) < 1e-8


def test_two_solitons_run_at_their_own_speeds() -> None:
    problem = judged(kdv_two_solitons.problem(), 256, 4.0, 10.0)
    u = solve(problem, resolution=512, steps=500).on()["u"]
    x = torch.from_numpy(places(problem))
    for found, t in zip(u, (4.0, 10.0), strict=True):
        truth = 0.5 / torch.cosh((x + 20 - t) / 2) ** 2 + 0.25 / torch.cosh((x - 5 - t / 2) / math.sqrt(8)) ** 2
        assert relative_l2(found, truth) < 3e-4


def test_the_pulse_is_the_soliton_of_order_two() -> None:
    """J. Satsuma, N. Yajima, Prog. Theor. Phys. Suppl. 55 (1974) 284; on the line, and far from the ends at first."""
    t = math.pi / 4
    problem = judged(schroedinger.problem(), 256, 0.2, t)
    found = solve(problem, resolution=256, steps=400).on()
    x = places(problem)
    middle = np.abs(x) < 1.5
    for i, time in enumerate((0.2, t)):
        h = found["h_real"][i].numpy() + 1j * found["h_imag"][i].numpy()
        upper = 4 * (np.cosh(3 * x) + 3 * np.exp(4j * time) * np.cosh(x)) * np.exp(0.5j * time)
        truth = upper / (np.cosh(4 * x) + 4 * np.cosh(2 * x) + 3 * np.cos(4 * time))
        assert np.abs(h - truth)[middle].max() < 5e-3


# schemes of our own, from the formulas in the papers ------------------------------------------------------------------


def bumps(n: int) -> np.ndarray:
    x = 2 * np.pi * np.arange(n) / n
    a, b = 3 * np.sin(x)[:, None], np.sin(x)[None]
    return (np.exp(a + b) + np.exp(-a + b) - np.exp(a - b) - np.exp(-a - b)) / 100


def waves(n: int) -> tuple[np.ndarray, np.ndarray]:
    k = np.fft.fftfreq(n, 1 / n)
    return np.meshgrid(k, k, indexing="ij")


def runge_kutta(rate: Callable[[np.ndarray], np.ndarray], u: np.ndarray, time: float, steps: int) -> np.ndarray:
    h = time / steps
    for _ in range(steps):
        a = rate(u)
        b = rate(u + h / 2 * a)
        c = rate(u + h / 2 * b)
        u = u + h / 6 * (a + 2 * b + 2 * c + rate(u + h * c))
    return u


def final(problem: Problem, n: int, **settings: Any) -> np.ndarray:
    """The reference at the last time on n points an axis, (scalar, x, y)."""
    assert problem.time is not None
    found = solve(judged(problem, n, problem.time.upper), **settings).on()
    return np.stack([found[name][-1].numpy() for name in problem.equation.scalars])


def test_bumps_that_fade_are_damped_wave_by_wave() -> None:
    k, m = waves(64)
    truth = np.fft.ifft2(np.exp(-0.1 * (k**2 + m**2) * 0.5) * np.fft.fft2(bumps(64))).real
    (found,) = final(teng_heat.problem(), 64)
    assert np.abs(found - truth).max() < 1e-14
    assert np.abs(bumps(64)).max() == pytest.approx(0.4733, abs=1e-4)


@pytest.mark.parametrize(
    ("module", "diffusivity", "n", "bound"), [(teng_allen_cahn, 0.005, 64, 1e-10), (teng_burgers, 0.01, 96, 1e-10)]
)
def test_bumps_that_react_agree_with_runge_kutta(module, diffusivity, n, bound) -> None:
    k, m = waves(n)
    kept = (np.abs(k) < n / 3) & (np.abs(m) < n / 3)

    def rate(u: np.ndarray) -> np.ndarray:
        v = np.fft.fft2(u)
        if module is teng_allen_cahn:
            bent = v + np.fft.fft2(-(u**3)) * kept
        else:
            bent = -0.5j * (k + m) * np.fft.fft2(u * u) * kept
        return np.fft.ifft2(bent - diffusivity * (k**2 + m**2) * v).real

    (found,) = final(module.problem(), n, resolution=n, steps=100)
    truth = runge_kutta(rate, bumps(n), 0.5, 100)
    assert np.linalg.norm(found - truth) < bound * np.linalg.norm(truth)


@pytest.mark.slow
def test_the_drop_agrees_with_runge_kutta() -> None:
    n, time = 96, 0.01
    k, m = waves(n)
    x = -1 + 2 * np.arange(n) / n
    a, b = np.meshgrid(x, x, indexing="ij")
    start = np.stack(
        [1 - np.exp(-10 * ((a + 0.05) ** 2 + (b + 0.02) ** 2)), np.exp(-10 * ((a - 0.05) ** 2 + (b - 0.02) ** 2))]
    )

    def rate(state: np.ndarray) -> np.ndarray:
        u, v = state
        spread = np.fft.ifft2(-(np.pi**2) * (k**2 + m**2) * np.fft.fft2(state)).real
        return np.stack([0.2 * spread[0] - 1e3 * u * v**2 + 40 * (1 - u), 0.1 * spread[1] + 1e3 * u * v**2 - 100 * v])

    # on so few points the waves that products confuse matter: neither leaves them out
    found = final(gray_scott.problem(final_time=time), n, resolution=n, steps=100, dealiasing="none")
    truth = runge_kutta(rate, start, time, 60)
    assert np.linalg.norm(found - truth) < 1e-7 * np.linalg.norm(truth)
    assert np.linalg.norm(truth - start) > 0.1 * np.linalg.norm(start)  # something happened


@pytest.mark.slow
def test_the_heaps_agree_with_differences_of_the_square() -> None:
    """D lap (u^2 / 2) by the 5-point formula: the equation in its other form, on a grid of its own."""
    n, walls = 65, 0.0094
    x = np.linspace(-1, 1, n)
    a, b = np.meshgrid(x, x, indexing="ij")
    start = (
        0.25 * np.exp(-((a - 0.3) ** 2 + (b - 0.2) ** 2) / 0.1)
        + 0.4 * np.exp(-15 * ((a + 0.5) ** 2 + (b + 0.1) ** 2))
        + 0.3 * np.exp(-20 * (a**2 + (b + 0.5) ** 2))
    )
    inside = np.zeros_like(start)
    inside[1:-1, 1:-1] = 1
    assert (start * (1 - inside)).max() == pytest.approx(walls, abs=1e-4)

    def rate(u: np.ndarray) -> np.ndarray:
        q = np.pad(0.5 * u * u, 1)
        bend = (q[2:, 1:-1] + q[:-2, 1:-1] + q[1:-1, 2:] + q[1:-1, :-2] - 4 * q[1:-1, 1:-1]) / (x[1] - x[0]) ** 2
        return 0.05 * bend * inside

    truth = runge_kutta(rate, start * inside, 1.0, 200)  # the papers' walls: zero from the start
    (found,) = final(nonlinear_diffusion_2d.problem(), n, resolution=64)
    assert np.linalg.norm(found - truth) < 2e-3 * np.linalg.norm(truth)


def test_walls_of_the_heaps_start_with_the_heaps_and_end_at_zero() -> None:
    problem = nonlinear_diffusion_2d.problem()
    start, condition = problem.conditions
    assert isinstance(start, InitialValue) and callable(start.value)
    assert isinstance(condition, Dirichlet) and callable(condition.value)
    heaps = start.value
    generator = torch.Generator().manual_seed(0)
    cloud = condition.sample(problem, 64, "sobol", generator).replace_column("t", 0.0)
    x = Coordinates(cloud)
    gap = condition.residual(problem, lambda x: {"u": heaps({}, x)}, x, problem.bind(x))
    assert float(gap.values.detach().abs().max()) < 1e-15
    later = Coordinates(cloud.replace_column("t", 0.3))
    assert float(condition.value({}, later).values.detach().abs().max()) < 1e-14


# closed forms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "settings", "bound"),
    [
        pytest.param(
            judged(heat_multiscale_2d.problem(), {"x": 81, "y": 9}, 1.0, 5.0),
            {"scheme": "series", "resolution": 80},
            1e-12,
            id="heat_multiscale_2d",
        ),
        pytest.param(
            judged(flow_mixing.problem(final_time=1.0), 24, 0.5, 1.0),
            {"scheme": "lines", "resolution": 48},
            5e-4,
            id="flow_mixing",
            marks=pytest.mark.slow,
        ),
        pytest.param(poisson_nd.problem(dimension=1), {"scheme": "sparse", "resolution": 64}, 1e-7, id="poisson_1d"),
        pytest.param(
            judged(poisson_nd.problem(dimension=3), 9),
            {"scheme": "sparse", "resolution": 12},
            5e-5,
            id="poisson_3d",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_schemes_on_grids_agree_with_exact_formulas(problem, settings, bound) -> None:
    found, truth = (solve(problem, **chosen).on()["u"] for chosen in (settings, {}))
    assert relative_l2(found, truth) < bound


def test_the_centre_of_the_vortex_is_out_of_the_evaluation_set_and_harmless_elsewhere() -> None:
    problem = flow_mixing.problem()
    grid = problem.evaluation_set
    assert isinstance(grid, Grid)
    assert min(np.abs(grid[axis].points).min() for axis in "xy") > 0.05
    centre = Coordinates(PointCloud(problem.axes, torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)))
    assert problem.exact is not None
    u = problem.exact.formula(problem.bind(centre), centre)["u"]
    # near the centre the fluid turns as a rigid body, by 1 / 0.385
    slope, angle = float(d(u, "y").values.detach()), 1.0 / 0.385
    assert float(u.values.detach()) == 0.0 and slope == pytest.approx(-0.5 * math.cos(angle), rel=1e-12)


def test_waves_that_do_not_fit_do_not_vanish_at_the_walls() -> None:
    plain, other = (heat_multiscale_2d.problem(**s) for s in ({}, {"x_waves": 19.3, "y_waves": 0.7}))
    condition = plain.conditions[1]
    assert isinstance(condition, Dirichlet) and condition.value == 0.0  # the number: nobody needs the exact solution
    condition = other.conditions[1]
    assert isinstance(condition, Dirichlet) and callable(condition.value)
    x = Coordinates(condition.sample(other, 64, "sobol", torch.Generator().manual_seed(0)))
    assert float(condition.value(other.bind(x), x).values.detach().abs().max()) > 0.3


@pytest.mark.parametrize("dimension", [1, 2, 5, 10, 12])
def test_poisson_in_any_dimension_has_points_that_fit(dimension) -> None:
    problem = poisson_nd.problem(dimension=dimension)
    assert problem.domain.dimension == dimension
    assert 1000 < math.prod(problem.evaluation_set.shape) < 100_000 or dimension == 1
    assert isinstance(problem.evaluation_set, PointCloud if dimension > 10 else Grid)


def test_poisson_refuses_dimensions_that_are_none() -> None:
    for dimension in (0, 101):
        with pytest.raises(InputError, match=f"a dimension from 1 to 100, got {dimension}: "):
            poisson_nd.problem(dimension=dimension)
