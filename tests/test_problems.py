"""Every problem in the folder: exact solutions solve it, settings reach it, evaluation sets fit the files, sisters."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import os
import pkgutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import loadmat

import pdesolve.physics.problems
from pdesolve.condition import Dirichlet, InitialRate, InitialValue, Periodic
from pdesolve.equation import Conserving, Evolution, flatten, velocity_name
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, GridField, d, integrate, sin
from pdesolve.geometry import Axis, Grid, GridAxis, Interval, PointCloud, sample
from pdesolve.physics.equations.burgers import Burgers
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.problem import Evaluation, Problem

MODULES = {
    m.name: importlib.import_module(f"pdesolve.physics.problems.{m.name}")
    for m in pkgutil.iter_modules(pdesolve.physics.problems.__path__)
}
every = pytest.mark.parametrize("name", MODULES)
exact = pytest.mark.parametrize("name", [n for n, m in MODULES.items() if m.problem().exact is not None])
# settings that are not the defaults, for the exact solutions to follow
OTHERS = {
    "heat_1d": {"diffusivity": 0.07},
    "wave_1d": {"speed": 0.9},
    "helmholtz_2d": {"x_waves": 1.3, "y_waves": 3.7, "wavenumber": 2.5},
    "klein_gordon_2d": {"quadratic": 0.4, "final_time": 2.0},
    "poisson_2d": {},
    "heat_multiscale_2d": {"x_waves": 19.3, "y_waves": 0.7, "diffusivity_y": 0.2},
    "flow_mixing": {"final_time": 1.0},
    "poisson_nd": {"dimension": 3},
    "shallow_water_dam": {"left_depth": 0.6, "right_depth": 1.1, "gravity": 2.0, "final_time": 0.2},
    "sod": {"heat_capacity_ratio": 5 / 3, "final_time": 0.15},
    "heat_1d_sister": {"diffusivity": 0.07},
    "wave_1d_sister": {"speed": 0.9},
    "helmholtz_2d_sister": {"wavenumber": 2.5},
    "heat_multiscale_2d_sister": {"diffusivity_y": 0.2},
    "poisson_2d_sister": {},
    "poisson_nd_sister": {"dimension": 2},
    "taylor_green_2d": {"waves": 2, "viscosity": 0.2},
    "elastic_plate": {"tension": 0.3},
    "advection_1d": {"speed": 0.4, "width": 0.2, "final_time": 2.0},
    "advection_2d": {"turns": 0.3, "width": 0.15},
    "taylor_green_walls_2d": {"viscosity": 0.05, "final_time": 1.0},
    "taylor_green_walls_2d_sister": {"final_time": 1.0},
}
# parameters that an exact solution is for one value of
FIXED = {"elastic_plate": {"force_x", "force_y"}}


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@every
def test_a_module_holds_one_function_with_settings(name):
    module = MODULES[name]
    functions = [f for f in vars(module).values() if inspect.isfunction(f) and f.__module__ == module.__name__]
    assert functions == [module.problem]
    for setting in inspect.signature(module.problem, eval_str=True).parameters.values():
        assert setting.kind is setting.KEYWORD_ONLY
        assert setting.annotation in (int, float) and type(setting.default) is setting.annotation
    summary, rest = module.__doc__.split("\n", 1)
    assert summary.endswith(".") and len(summary) <= 117 and rest.startswith("\n")
    assert " = " in rest and module.problem.__doc__


@every
def test_a_problem_is_well_posed_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problem = MODULES[name].problem()
    assert problem.name == name and problem.source and problem.description == MODULES[name].__doc__
    evaluation = problem.evaluation_set
    assert evaluation.axes.names == problem.axes.names
    for member in evaluation.members if isinstance(evaluation, Grid) else ():
        if member.axis.name == "t":
            assert member.points[0] == problem.time.lower and member.points[-1] == pytest.approx(problem.time.upper)
        else:
            assert member.placement == ("periodic" if member.axis.periodic else problem.evaluation.bounded)


@every
def test_settings_reach_the_parameters(name):
    make = MODULES[name].problem
    declared = {parameter.name for parameter in make().equation.parameters}
    for setting in inspect.signature(make).parameters.values():
        if setting.name in declared:
            problem = make(**{setting.name: 1.5 * setting.default})
            places = problem.grid(8) if problem.domain.is_box else sample(problem.domain, 8, generator=generator())
            x = Coordinates(places).at_instant(0.0)
            assert float(problem.bind(x)[setting.name].values) == 1.5 * setting.default


@exact
@pytest.mark.parametrize("other", [False, True], ids=["default", "other settings"])
def test_exact_solutions_leave_no_residual_and_satisfy_every_condition(name, other):
    problem = MODULES[name].problem(**(OTHERS[name] if other else {}))
    formula = problem.exact.formula

    def state(x):
        return formula(problem.bind(x), x)

    x = Coordinates(problem.sample(200, "sobol", generator()))
    u = flatten(state(x))
    rows = flatten(problem.equation.residual(state(x), problem.bind(x), x))
    size = max(float(d(f, axis.name, 2).values.detach().abs().max()) for f in u.values() for axis in problem.axes)
    for row in rows.values():
        assert float(row.values.detach().abs().max()) < 1e-11 * size
    for condition in problem.all_conditions:
        places = Coordinates(condition.sample(problem, 64, "sobol", generator()))
        left = condition.residual(problem, state, places, problem.bind(places))
        for part in flatten({"left": left}).values():
            assert float(part.values.detach().abs().max()) < 1e-13, condition.name


@exact
def test_exact_solutions_follow_values_that_travel_beside_the_problem(name):
    """Numbers, one per sample, take the place of the problem's own in the formula and in what is derived from them."""
    problem = MODULES[name].problem()
    x = Coordinates(problem.sample(50, "sobol", generator()))
    for parameter in problem.equation.parameters:
        if callable(problem.values.get(parameter.name)) or parameter.name in FIXED.get(name, ()):
            continue
        numbers = [0.3, 1.1] if parameter.bounds[0] < 0.3 else [1.3, 1.7]
        p = problem.bind(x, {parameter.name: torch.tensor(numbers, dtype=torch.float64)})
        state = problem.exact.formula(p, x)
        rows = flatten(problem.equation.residual(state, p, x)).values()
        assert any(row.sample_shape == (2,) for row in rows)
        for row in rows:
            assert float(row.values.detach().abs().max()) < 1e-9


def made_of_sines(problem: Problem) -> bool:
    """Whether u_4 + a u_2 + b u = 0 along each axis, without positive roots: at most two sines and a constant.

    u_k is the derivative of order k; a and b are fitted at random points. Polynomials, by pieces too, soon have no u_k.
    """
    x = Coordinates(problem.sample(60, "sobol", generator()))
    state = flatten(problem.exact.formula(problem.bind(x), x))
    for u in state.values():
        for axis in problem.domain.axes.names:
            rows = [x.expand(d(u, axis, k) if k else u).values.detach() for k in (0, 2, 4)]
            flat, bent, twice = (row.numpy() for row in rows)
            if np.abs(bent).max() < 1e-9 * np.abs(flat).max() or np.abs(twice).max() < 1e-9 * np.abs(bent).max():
                return False
            single = (bent @ flat) / (flat @ flat)
            if np.abs(bent - single * flat).max() < 1e-8 * np.abs(bent).max():
                if single > 0:
                    return False
                continue
            fit = np.linalg.lstsq(np.stack([bent, flat], 1), -twice, rcond=None)[0]
            if np.abs(twice + fit[0] * bent + fit[1] * flat).max() > 1e-7 * np.abs(twice).max():
                return False
            roots = np.roots([1.0, *fit])
            if np.abs(roots.imag).max() > 1e-6 * np.abs(roots).max() or roots.real.max() > 1e-6 * np.abs(roots).max():
                return False
    return True


@exact
def test_what_is_made_of_sines_has_a_sister_that_is_not(name):
    problem = MODULES[name].problem()
    assert made_of_sines(problem) == bool(problem.sister), "give it a sister: same equation and domain, other solution"
    if not problem.sister:
        return
    sister = MODULES[problem.sister].problem()
    assert not sister.sister
    assert sister.equation == problem.equation and sister.domain == problem.domain and sister.time == problem.time
    assert [c.name for c in sister.conditions] == [c.name for c in problem.conditions]
    assert sister.evaluation == problem.evaluation


@pytest.mark.parametrize("name", [n for n, m in MODULES.items() if m.problem().conserved])
def test_what_a_problem_says_is_conserved_is_so(name):
    """By the exact solution; without one by the balance of the initial state."""
    problem = MODULES[name].problem()
    equation = problem.equation
    assert isinstance(equation, Conserving)
    times = (0.0, 0.13, 0.58, 1.0)
    points = dict.fromkeys(problem.domain.axes.names, 64)
    grid = problem.grid(points, times if problem.exact else None, bounded="chebyshev")
    x = Coordinates(grid)
    if problem.exact is None:
        x = x.at_instant(0.0)
        state = problem.initial_state(x)
        rate = equation.rate(state, problem.bind(x), x)
        for quantity in problem.conserved if equation.order == 2 else ():
            totals = []
            for step in (-1e-4, 1e-4):
                fast = {velocity_name(n): state[velocity_name(n)] + step * rate[n] for n in rate}
                moved = {n: state[n] + step * state[velocity_name(n)] for n in rate}
                density = equation.conserved({**moved, **fast}, problem.bind(x), x)[quantity]
                totals.append(float(integrate(density).values))
            assert abs(totals[1] - totals[0]) < 1e-9 * totals[0]
        for quantity in problem.conserved if equation.order == 1 else ():
            density = equation.conserved(rate, problem.bind(x), x)[quantity]  # linear densities only
            assert abs(float(integrate(density).values)) < 1e-10
        return
    points = Coordinates(PointCloud(problem.axes, x.columns()))
    state = problem.exact.formula(problem.bind(points), points)
    if equation.order == 2:
        state = {**state, **{velocity_name(n): d(f, "t") for n, f in state.items()}}
    for quantity in problem.conserved:
        density = equation.conserved(state, problem.bind(points), points)[quantity].values.detach()
        totals = integrate(x.field(density.reshape(grid.shape), quantity), "x").values
        assert float((totals - totals[0]).abs().max()) < 1e-10 * float(totals[0])


def test_boundaries_and_settings_are_those_of_the_benchmarks():
    burgers = MODULES["burgers_shock"].problem()
    assert not burgers.domain.axes["x"].periodic
    assert [c for c in burgers.conditions if isinstance(c, Dirichlet)] == [Dirichlet("u", "all", 0.0)]
    assert float(burgers.values["viscosity"]) == 0.01 / math.pi
    for name in ("allen_cahn", "kdv", "kuramoto_sivashinsky"):
        conditions = MODULES[name].problem().all_conditions
        assert [type(c) for c in conditions] == [InitialValue, Periodic]
    kinds = [type(c) for c in MODULES["klein_gordon_2d"].problem().conditions]
    assert kinds.count(InitialRate) == 1


def test_helmholtz_has_one_wave_along_x_and_four_along_y():
    problem = MODULES["helmholtz_2d"].problem()
    square = problem.grid({"x": 201, "y": 201})
    x = Coordinates(square)
    u = x.expand(problem.exact.formula(problem.bind(x), x)["u"]).values
    changes = {axis: (u.movedim(dim, 1)[23].sign().diff().abs() > 1).sum() for dim, axis in ((0, "x"), (1, "y"))}
    assert changes["x"] <= 1 and changes["y"] >= 6
    assert problem.conditions[0].value == 0.0  # the number: nobody needs the exact solution
    sister = MODULES["helmholtz_2d"].problem(x_waves=1.3, y_waves=3.7)
    sides = Coordinates(sister.conditions[0].sample(sister, 64, "sobol", generator()))
    values = sister.conditions[0].value(sister.bind(sides), sides).values
    assert float(values.detach().abs().max()) > 0.3


def test_a_problem_binds_numbers_samples_fields_and_functions():
    def problem(**values):
        time = Axis("t", 0.0, 1.0)
        return Problem(
            "mine",
            Burgers(),
            Interval("x", 0.0, 1.0, periodic=True),
            conditions=(InitialValue("u", lambda p, x: p["viscosity"] * sin(2 * math.pi * x["x"])),),
            time=time,
            values=values,
            evaluation=Evaluation.uniform(16, time, 2),
        )

    plain = problem()
    x = Coordinates(plain.grid(16))
    assert float(plain.bind(x)["viscosity"].values) == 0.01  # the equation's default
    batch = plain.bind(x, {"viscosity": torch.tensor([0.1, 0.2], dtype=torch.float64)})
    assert batch["viscosity"].sample_shape == (2,)
    assert plain.initial_state(x, {"viscosity": torch.tensor([0.1, 0.2])})["u"].values.shape == (2, 16)
    learnable = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert plain.bind(x, {"viscosity": learnable})["viscosity"].values.requires_grad
    varying = problem(viscosity=lambda p, x: 0.1 + 0.05 * sin(2 * math.pi * x["x"]))
    assert varying.bind(x)["viscosity"].values.shape == (16,)
    field = x.field(torch.linspace(0.1, 0.2, 16, dtype=torch.float64), "viscosity")
    assert isinstance(field, GridField)
    assert torch.equal(problem(viscosity=field).bind(x)["viscosity"].values, field.values)
    with pytest.raises(InputError, match=r"unknown parameter 'viscosty': did you mean 'viscosity'\?"):
        problem(viscosty=0.1)
    with pytest.raises(InputError, match=r"viscosity must be a number in \[0.0, inf\], got -1.0"):
        problem(viscosity=-1.0)
    with pytest.raises(InputError, match=r"viscosity must be a number .* got nan"):
        plain.bind(x, {"viscosity": math.nan})
    assert dataclasses.replace(plain, name="other").name == "other"


def test_a_problem_in_metres_and_seconds_carries_units():
    time = Axis("t", 0.0, 1.0, unit="s")
    problem = Problem(
        "rod",
        Heat(),
        Interval("x", 0.0, 1.0, unit="m"),
        conditions=(InitialValue("u", 300.0), Dirichlet("u", "all", 300.0)),
        time=time,
        evaluation=Evaluation.uniform(16, time, 2),
    )
    x = Coordinates(problem.grid(16, (0.0, 0.5, 1.0)))
    state = problem.state({"u": torch.zeros(3, 16, dtype=torch.float64)}, x)
    assert not problem.nondimensional
    assert str(state["u"].unit) == "K" and str(problem.bind(x)["diffusivity"].unit) == "m2 s-1"
    x = Coordinates(Grid((GridAxis(time, "nodes", 8), *problem.grid(16).members)))
    state = problem.state({"u": torch.zeros(8, 16, dtype=torch.float64)}, x)
    assert str(problem.equation.residual(state, problem.bind(x), x)["u"].unit) == "s-1 K"
    without = dataclasses.replace(problem, domain=Interval("x", 0.0, 1.0))
    assert without.nondimensional and without.quantity("u").unit is None
    with pytest.raises(InputError, match="unknown 'w': known: u"):
        problem.quantity("w")


def test_an_evolution_is_asked_for_by_name():
    assert isinstance(MODULES["heat_1d"].problem().evolution(), Evolution)
    with pytest.raises(InputError, match="poisson_2d is stationary: Poisson is not an evolution in time"):
        MODULES["poisson_2d"].problem().evolution()
    assert isinstance(MODULES["poisson_2d"].problem().equation, Poisson)


# file, key and order of its values, and what of its coordinates the evaluation set leaves out or adds
FILES = {
    "burgers_shock": ("raissi-pinns/appendix/Data/burgers_shock.mat", "x", "t", "usol"),
    "allen_cahn": ("raissi-pinns/main/Data/AC.mat", "x", "tt", "uu"),
    "kdv": ("raissi-pinns/main/Data/KdV.mat", "x", "tt", "uu"),
    "kuramoto_sivashinsky": ("jaxpi/examples/ks/data/ks.mat", "x", "t", "usol"),
}


@pytest.mark.parametrize("name", FILES)
def test_evaluation_sets_and_initial_states_are_those_of_the_files(name):
    folder = os.environ.get("PDESOLVE_DATA")
    if not folder:
        pytest.skip("PDESOLVE_DATA is not set: the benchmark files are not there to compare with")
    path, x_key, t_key, u_key = FILES[name]
    content = loadmat(Path(folder) / path)
    x, t, u = content[x_key].ravel(), content[t_key].ravel(), content[u_key]
    problem = MODULES[name].problem()
    grid = problem.evaluation_set
    if name == "kuramoto_sivashinsky":
        x, u = x[:-1], u.T[:-1]  # closed: the last point repeats the first
    times = grid["t"].points[: len(t)]  # burgers_shock is judged at t = 1 too
    assert np.abs(grid["x"].points - x).max() < 1e-12 and np.abs(times - t).max() < 1e-12
    initial = problem.initial_state(Coordinates(grid.without("t")))["u"].values.numpy()
    assert np.abs(initial - u[:, 0]).max() < 1e-12
