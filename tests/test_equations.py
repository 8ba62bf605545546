"""Conformance of every equation in the folder: what it says of itself holds, on every kind of field it supports.

The table is the folder: a new equation is tested by existing. (Only a known solution must be given for it, in
test_known_solutions.py or as the exact solution of a problem.)
"""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import math
import pkgutil

import pytest
import torch

import pdesolve.physics.equations
from pdesolve.equation import (
    Conserving,
    Energetic,
    Equation,
    Evolution,
    FluxForm,
    Parameter,
    Unknown,
    assemble,
    flatten,
    velocity_name,
)
from pdesolve.errors import InputError
from pdesolve.fields import Constant, Coordinates, Quantity, cos, d, div, integrate, sin
from pdesolve.geometry import Axes, Axis, Grid, GridAxis, PointCloud
from pdesolve.unit import Unit

PERIOD = 2 * math.pi
TIME = Axis("t", 0.0, 1.0, unit="s")
INSTANT = 0.4


def found() -> dict[str, type[Equation]]:
    """Every equation in the folder by the name of its module."""
    package = pdesolve.physics.equations
    table = {}
    for module in pkgutil.iter_modules(package.__path__):
        content = vars(importlib.import_module(f"{package.__name__}.{module.name}"))
        own = [c for c in content.values() if isinstance(c, type) and c.__module__.endswith(f".{module.name}")]
        assert len(own) == 1 and issubclass(own[0], Equation), f"{module.name} holds exactly one equation"
        table[module.name] = own[0]
    return table


EQUATIONS = found()
# equations that name the axis y; the others live anywhere
PLANE = {
    "anisotropic_heat", "burgers_2d", "euler_2d", "hyperelasticity", "linear_elasticity", "navier_stokes",
    "navier_stokes_vorticity", "shallow_water_2d", "steady_navier_stokes", "stokes", "transport",
}  # fmt: skip
# nonlocal equations, which points refuse
ON_GRIDS = {name for name, kind in EQUATIONS.items() if "point" not in kind.kinds}
# factors of the smooth states where a formula of the slope would need more waves than the grids have
FLAT = {"Hyperelasticity": 0.02, "MinimalSurface": 0.02, "PLaplacian": 0.02}
# what must be positive is given a level, and waves so low that quotients are resolved
LEVELS = {
    "diffusion_sorption": {"u": 0.8},
    "euler": {"density": 1.3, "energy": 4.0},
    "euler_2d": {"density": 1.3, "energy": 5.0},
    "porous_medium": {"u": 1.2},
    "shallow_water": {"depth": 1.3},
    "shallow_water_2d": {"depth": 1.3},
    "stefan": {"u": 2.3},
}
LOW = 0.01
every = pytest.mark.parametrize("name", EQUATIONS)


def least(name: str) -> int:
    """The least dimension an equation lives in."""
    return 2 if name in PLANE else 1


def module_of(equation: Equation) -> str:
    return type(equation).__module__.rsplit(".", 1)[1]


def those(contract: type):
    """Every equation of a contract, on an interval and in the plane."""
    table = [(n, i) for n, c in EQUATIONS.items() if issubclass(c, contract) for i in range(least(n), 3)]
    return pytest.mark.parametrize(("name", "dimension"), table)


def space(dimension: int) -> Axes:
    return Axes(tuple(Axis(n, 0.0, PERIOD, unit="m", periodic=True) for n in "xy"[:dimension]))


def grid_of_space(dimension: int, equation: Equation | None = None) -> Grid:
    fine = equation is not None and module_of(equation) in LEVELS
    return Grid.regular(space(dimension), 32 if dimension == 1 or fine else 16)


def grid_of_all(equation: Equation, dimension: int) -> Grid:
    """Spectral along every axis: Fourier in space, Chebyshev in time."""
    members = grid_of_space(dimension, equation).members
    return Grid((GridAxis(TIME, "chebyshev", 12), *members) if isinstance(equation, Evolution) else members)


def scalars(equation: Equation, x: Coordinates, *, rate: bool = False) -> dict:
    """A smooth periodic state with few waves (so that products are resolved), or its time derivative."""
    units = {scalar: unknown.unit for unknown in equation.unknowns for scalar in unknown.scalars}
    fields = {}
    for i, name in enumerate(equation.scalars):
        amplitude = 0.2 * cos(1.3 * x["t"] + i) * 1.3 if rate else 1.0 + 0.2 * sin(1.3 * x["t"] + i)
        profile = 0.5 * sin(x["x"] + 0.3 + i) + 0.3 * cos(2 * x["x"]) + 0.2
        if "y" in x.axes:
            profile = profile + 0.4 * cos(x["x"] - x["y"] + i)
        level = LEVELS.get(module_of(equation), {}).get(name)
        if level is not None:
            profile = LOW * profile + (0.0 if rate else level / amplitude)
        unit = Unit.parse(units[name])
        if rate:
            unit = unit / Unit.parse("s") if unit else None
        scale = FLAT.get(type(equation).__name__, 1.0)
        fields[name] = x.field(x.expand(scale * amplitude * profile).values, name, unit)
    return fields


def smooth(equation: Equation, x: Coordinates) -> dict:
    """The state on space and time; at an instant with the velocities of an evolution of second order."""
    if "t" not in x:
        x = x.at_instant(INSTANT)
    state = dict(assemble(equation.unknowns, scalars(equation, x)))
    if isinstance(equation, Evolution) and equation.order == 2 and "t" not in x.axes:
        rates = assemble(equation.unknowns, scalars(equation, x, rate=True))
        state |= {velocity_name(name): field for name, field in rates.items()}
    return state


NUMBERS = {"porosity": 0.6}
# rows depend on these by a step, which has no slope
STEPS = {("stefan", "front_value")}


def number(parameter: Parameter, *, default: bool = False) -> float:
    """The default, or a number that is not zero and not one, so that no term hides."""
    if default and parameter.default is not None:
        return parameter.default
    if parameter.name in NUMBERS:
        return NUMBERS[parameter.name]
    value = 0.7 + 0.1 * (len(parameter.name) % 5)
    assert parameter.bounds[0] <= value <= parameter.bounds[1], f"choose a value for {parameter.name} here"
    return value


def constants(equation: Equation, *, default: bool = False, **given) -> dict:
    """Every parameter with its unit, `given` values in the place of numbers."""
    return {
        q.name: Constant(
            torch.as_tensor(given.get(q.name, number(q, default=default)), dtype=torch.float64),
            Quantity(q.name, Unit.parse(q.unit)),
        )
        for q in equation.parameters
    }


# parameters that may vary in space
COEFFICIENTS = {
    "darcy": ("permeability", "source"),
    "fitzhugh_nagumo": ("threshold",),
    "gray_scott": ("feed", "kill"),
    "helmholtz": ("wavenumber", "source"),
    "linear_elasticity": ("first_lame", "shear_modulus", "force_x", "force_y"),
    "minimal_surface": ("tension", "pressure"),
    "navier_stokes": ("force_x", "force_y"),
    "navier_stokes_vorticity": ("forcing",),
    "nonlinear_poisson": ("source",),
    "p_laplacian": ("source",),
    "poisson": ("source",),
    "schroedinger": ("potential",),
    "shallow_water": ("bed",),
    "shallow_water_2d": ("bed",),
    "steady_navier_stokes": ("force_x", "force_y"),
    "stokes": ("force_x", "force_y"),
    "transport": ("velocity_x", "velocity_y"),
}


def coefficients(name: str, equation: Equation, x: Coordinates) -> dict:
    """The parameters, those that may vary as smooth fields with few waves."""
    p = constants(equation)
    for i, coefficient in enumerate(COEFFICIENTS[name]):
        wave = 1.0 + 0.3 * sin(x["x"] + i) + (0.2 * cos(x["y"] - i) if "y" in x.axes else 0.0)
        p[coefficient] = x.field(x.expand(wave).values, coefficient, p[coefficient].unit)
    return p


def gap(a, b) -> float:
    """The largest difference of two states, relative to the largest value."""
    a, b = flatten(a), flatten(b)
    assert a.keys() == b.keys()
    size = max(float(f.values.detach().abs().max()) for f in b.values())
    return max(float((a[n].values - b[n].values).detach().abs().max()) for n in b) / max(size, 1e-12)


@every
def test_an_equation_is_one_frozen_dataclass_with_its_formula(name):
    kind = EQUATIONS[name]
    assert dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert kind() == kind() and hash(kind()) == hash(kind())
    assert " = " in (kind.__doc__ or "") and "Source:" in (kind.__doc__ or "")
    assert kind.__name__.lower() == name.replace("_", "")
    for parameter in kind.parameters:
        assert f"`{parameter.name}`" in (kind.__doc__ or ""), f"{parameter.name} is not explained"


def test_the_folder_holds_what_it_should():
    expected = {"advection", "heat", "burgers", "allen_cahn", "korteweg_de_vries", "kuramoto_sivashinsky", "wave"}
    expected |= {"klein_gordon", "poisson", "helmholtz", "reaction_diffusion", "two_species_reaction", "gray_scott"}
    expected |= {"fitzhugh_nagumo", "burgers_2d", "burgers_scalar", "cahn_hilliard", "nonlinear_diffusion", "darcy"}
    expected |= {"p_laplacian", "minimal_surface", "stokes"}
    expected |= {"navier_stokes", "navier_stokes_vorticity", "steady_navier_stokes"}
    expected |= {"schroedinger", "nonlinear_poisson", "transport", "linear_elasticity", "anisotropic_heat"}
    assert expected <= set(EQUATIONS)


@those(Equation)
def test_points_and_grids_agree_on_a_smooth_state(name, dimension):
    equation = EQUATIONS[name]()
    p = constants(equation)
    grid = Coordinates(grid_of_all(equation, dimension))
    points = Coordinates(PointCloud(grid.axes, grid.columns()))
    assert "grid" in equation.kinds
    if name in ON_GRIDS:
        with pytest.raises(InputError, match=r"nonlocal operators .* evaluate it on a grid") as error:
            equation.residual(smooth(equation, points), p, points)
        assert "\n" not in str(error.value)
        return
    on_grid, at_points = (equation.residual(smooth(equation, x), p, x) for x in (grid, points))
    assert set(on_grid) == {unknown.name for unknown in equation.unknowns}
    assert gap(moved(on_grid, grid, points), at_points) < 1e-8


def moved(state, grid: Coordinates, points: Coordinates) -> dict:
    """Fields on a grid as fields at its points."""
    return {n: points.field(grid.expand(f).values.reshape(-1), n) for n, f in flatten(state).items()}


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_coefficients_may_vary_in_space(name):
    """Points and grids agree, an energy still gives the equation, and the rows differ from those of numbers."""
    equation = EQUATIONS[name]()
    assert set(COEFFICIENTS[name]) <= {parameter.name for parameter in equation.parameters}
    grid = Coordinates(grid_of_all(equation, least(name)))
    points = Coordinates(PointCloud(grid.axes, grid.columns()))
    on_grid = equation.residual(smooth(equation, grid), coefficients(name, equation, grid), grid)
    if name not in ON_GRIDS:
        at_points = equation.residual(smooth(equation, points), coefficients(name, equation, points), points)
        assert gap(moved(on_grid, grid, points), at_points) < 1e-8
    assert gap(on_grid, equation.residual(smooth(equation, grid), constants(equation), grid)) > 1e-3
    if isinstance(equation, Energetic):
        x = Coordinates(grid_of_space(least(name))).at_instant(INSTANT)
        assert energy_gap(equation, coefficients(name, equation, x), x) < 1e-10


@those(Evolution)
def test_the_residual_is_the_time_derivative_less_the_rate(name, dimension):
    """And the rate needs nothing but space: it is taken on a grid of space at one instant."""
    equation = EQUATIONS[name]()
    assert isinstance(equation, Evolution)
    p = constants(equation)
    x = Coordinates(grid_of_space(dimension, equation)).at_instant(INSTANT)
    rate = flatten(equation.rate(smooth(equation, x), p, x))
    if name in ON_GRIDS:  # time is an axis of the grid
        grid = Coordinates(grid_of_all(equation, dimension))
        state = smooth(equation, grid)
        rows = flatten(equation.residual(state, p, grid))
        # a Chebyshev node of time in the place of the instant
        node = grid.discretisation["t"].points[5]  # type: ignore[index]
        here = Coordinates(grid_of_space(dimension)).at_instant(float(node))
        now = {n: here.field(grid.expand(f).values[5], n, f.unit) for n, f in flatten(state).items()}
        rate = flatten(equation.rate(assemble(equation.unknowns, now), p, here))
        for scalar, found_rate in rate.items():
            expected = (d(flatten(state)[scalar], "t", equation.order) - rows[scalar]).values[5]
            assert float((found_rate.values - expected).abs().max()) < 1e-9 * (1 + float(expected.abs().max()))
        return
    columns = torch.cat([torch.full((len(x.columns()), 1), INSTANT, dtype=torch.float64), x.columns()], 1)
    points = Coordinates(PointCloud(Axes((TIME, *x.axes.members)), columns))
    state = smooth(equation, points)
    residual = flatten(equation.residual(state, p, points))
    evolving = {s for unknown in equation.evolving for s in unknown.scalars}
    assert set(rate) == evolving
    for scalar in evolving:
        expected = (d(flatten(state)[scalar], "t", equation.order) - residual[scalar]).values.detach()
        found_rate = x.expand(rate[scalar]).values.detach().reshape(-1)
        assert float((found_rate - expected).abs().max()) < 1e-9 * (1 + float(expected.abs().max()))


@those(Equation)
def test_units_are_consistent(name, dimension):
    equation = EQUATIONS[name]()
    x = Coordinates(grid_of_all(equation, dimension))
    rows = flatten(equation.residual(smooth(equation, x), constants(equation), x))
    for unknown in equation.unknowns:
        for scalar in unknown.scalars:
            assert rows[scalar].unit is not None, "an unknown or a parameter states no unit"
            if isinstance(equation, Evolution) and not unknown.algebraic:
                assert rows[scalar].unit * Unit.parse("s").power(equation.order) == Unit.parse(unknown.unit)
    if isinstance(equation, Energetic):
        assert equation.energy(smooth(equation, x), constants(equation), x).unit is not None


@every
def test_a_wrong_unit_is_refused_and_both_are_named(name):
    equation = EQUATIONS[name]()
    x = Coordinates(grid_of_all(equation, least(name)))
    for parameter in equation.parameters:
        p = constants(equation)
        p[parameter.name] = p[parameter.name].named(parameter.name, Unit.parse("kg A"))
        with pytest.raises(
            InputError, match=r"has unit '.*', .* has '.*'|dimensionless argument, .* has unit"
        ) as error:
            equation.residual(smooth(equation, x), p, x)
        assert any(unit in str(error.value) for unit in ("kg", "A-1")) and "\n" not in str(error.value)


@every
def test_parameters_are_one_number_for_each_sample(name):
    equation = EQUATIONS[name]()
    x = Coordinates(grid_of_all(equation, least(name)))
    state = smooth(equation, x)
    for parameter in equation.parameters:
        values = torch.tensor([0.5, 0.9, 1.7], dtype=torch.float64)
        together = flatten(equation.residual(state, constants(equation, **{parameter.name: values}), x))
        for i, value in enumerate(values):
            alone = flatten(equation.residual(state, constants(equation, **{parameter.name: value}), x))
            for scalar, field in alone.items():
                one, all_of_them = x.expand(field).values, x.expand(together[scalar]).values
                # a row without the parameter has no samples; transforms of a batch round differently
                sample = all_of_them[i] if together[scalar].sample_shape else all_of_them
                torch.testing.assert_close(sample, one, rtol=0, atol=1e-13 * float(one.abs().max()))
        assert any(field.sample_shape == (3,) for field in together.values())


@every
@pytest.mark.parametrize("kind", ["point", "grid"])
def test_gradients_flow_into_parameters(name, kind):
    equation = EQUATIONS[name]()
    if kind == "point" and name in ON_GRIDS:
        return
    grid = Coordinates(grid_of_all(equation, least(name)))
    x = grid if kind == "grid" else Coordinates(PointCloud(grid.axes, grid.columns()[::5]))
    state = smooth(equation, x)

    def loss(parameter: Parameter, value) -> torch.Tensor:
        rows = equation.residual(state, constants(equation, **{parameter.name: value}), x)
        return torch.stack([f.values.square().mean() for f in flatten(rows).values()]).sum()

    for parameter in equation.parameters:
        if (name, parameter.name) in STEPS:
            continue
        value = torch.tensor(number(parameter), dtype=torch.float64, requires_grad=True)
        # the height of an even bed changes nothing
        (gradient,) = torch.autograd.grad(loss(parameter, value), value, materialize_grads=True)
        h = 1e-5
        central = float((loss(parameter, value.detach() + h) - loss(parameter, value.detach() - h)).detach()) / (2 * h)
        assert float(gradient) == pytest.approx(central, rel=1e-6, abs=1e-9)


def leaves(equation: Equation, x: Coordinates) -> tuple[dict[str, torch.Tensor], dict]:
    """The smooth state at an instant with its values as leaves, scalars and velocities alike."""
    tensors, fields = {}, {}
    for name, field in flatten(smooth(equation, x)).items():
        tensors[name] = x.expand(field).values.detach().clone().requires_grad_()
        fields[name] = x.field(tensors[name], name, field.unit)
    unknowns = list(equation.unknowns)
    if isinstance(equation, Evolution) and equation.order == 2:
        unknowns += [Unknown(velocity_name(u.name), components=u.components) for u in equation.unknowns]
    return tensors, dict(assemble(unknowns, fields))


@those(Energetic)
def test_the_energy_gives_the_equation(name, dimension):
    """rate = -dE/du for a gradient flow, residual = dE/du for a minimiser, by autograd on a periodic grid."""
    equation = EQUATIONS[name]()
    assert isinstance(equation, Energetic)
    x = Coordinates(grid_of_space(dimension, equation)).at_instant(INSTANT)
    assert energy_gap(equation, constants(equation), x) < 1e-10


def energy_gap(equation: Energetic, p: dict, x: Coordinates) -> float:
    """How far dE/du is from the residual of a minimiser, or -dE/du from the rate of a gradient flow."""
    tensors, state = leaves(equation, x)
    own = [tensors[scalar] for scalar in equation.scalars]
    gradients = torch.autograd.grad(integrate(equation.energy(state, p, x)).values, own)
    cell = PERIOD ** len(x.axes) / math.prod(x.discretisation.shape)
    if isinstance(equation, Evolution):
        expected = {n: -f for n, f in flatten(equation.rate(state, p, x)).items()}
    else:
        expected = flatten(equation.residual(state, p, x))
    slope = {n: x.field(g / cell, n) for n, g in zip(equation.scalars, gradients, strict=True)}
    return gap(slope, {n: x.field(f.values, n) for n, f in expected.items()})


@those(Conserving)
def test_conserved_quantities_do_not_change_on_a_periodic_domain(name, dimension):
    """d/dt of each integral, by the chain rule through the rate, against the size of its terms."""
    equation = EQUATIONS[name]()
    assert isinstance(equation, Conserving)
    x = Coordinates(grid_of_space(dimension, equation)).at_instant(INSTANT)
    p = constants(equation, default=True)  # sources are zero by default
    tensors, state = leaves(equation, x)
    rate = {n: x.expand(f).values for n, f in flatten(equation.rate(state, p, x)).items()}
    if equation.order == 1:
        change = rate
    else:
        speeds = [Unknown(velocity_name(u.name), components=u.components).scalars for u in equation.unknowns]
        named = dict(zip(rate, itertools.chain(*speeds), strict=True))
        change = {named[n]: r for n, r in rate.items()} | {n: tensors[named[n]] for n in rate}
    densities = equation.conserved(state, p, x)
    assert densities
    for quantity, density in densities.items():
        total = integrate(density).values
        slopes = torch.autograd.grad(total, list(tensors.values()), retain_graph=True, materialize_grads=True)
        terms = torch.stack([g * change[n] for n, g in zip(tensors, slopes, strict=True) if n in change]).detach()
        fastest = max(float(r.detach().abs().max()) for r in rate.values())
        assert float(terms.abs().sum()) > 1e-3 * fastest > 0, f"{quantity} is trivial"
        assert abs(float(terms.sum())) < 1e-11 * float(terms.abs().sum()), quantity


@those(FluxForm)
def test_the_flux_gives_the_rate_or_the_residual(name, dimension):
    equation = EQUATIONS[name]()
    assert isinstance(equation, FluxForm)
    x = Coordinates(grid_of_space(dimension, equation)).at_instant(INSTANT)
    p = constants(equation)
    state = smooth(equation, x)
    source = flatten(equation.source(state, p, x))
    if isinstance(equation, Evolution):
        rows, sign = flatten(equation.rate(state, p, x)), -1.0
    else:
        rows, sign = flatten(equation.residual(state, p, x)), 1.0
    for scalar, flux in equation.flux(state, p, x).items():
        balance = div(flux) - source[scalar] if scalar in source else div(flux)
        assert gap({scalar: sign * balance}, {scalar: rows[scalar]}) < 1e-10


@those(FluxForm)
def test_the_wave_speed_bounds_the_characteristics(name, dimension):
    """Of the flux Jacobian at uniform states: its eigenvalues are the characteristic speeds."""
    equation = EQUATIONS[name]()
    assert isinstance(equation, FluxForm)
    x = Coordinates(grid_of_space(dimension, equation)).at_instant(INSTANT)
    p = constants(equation)
    ones = torch.ones(x.discretisation.shape, dtype=torch.float64)

    levels = LEVELS.get(name, {})

    def uniform(c):
        fields = {n: x.field((c[i] + levels.get(n, 0.0)) * ones, n) for i, n in enumerate(equation.scalars)}
        return assemble(equation.unknowns, fields)

    state = smooth(equation, x)
    signed = equation.characteristic_speeds(state, p, x)
    speeds = equation.wave_speed(state, p, x)
    assert signed.keys() == speeds.keys()
    for axis, bound in speeds.items():
        assert float(bound.values.min()) >= 0
        assert all(float((bound - s).values.min()) >= 0 <= float((bound + s).values.min()) for s in signed[axis])
    for start in (0.8, -1.7 if not levels else -0.4, 0.1):
        c = torch.full((len(equation.scalars),), start, dtype=torch.float64)
        signed = equation.characteristic_speeds(uniform(c), p, x)
        for axis, bound in equation.wave_speed(uniform(c), p, x).items():

            def along(c, axis=axis):
                fluxes = equation.flux(uniform(c), p, x)
                return torch.stack([x.expand(fluxes[n][axis]).values.reshape(-1)[0] for n in equation.scalars])

            eigenvalues = torch.linalg.eigvals(torch.autograd.functional.jacobian(along, c))
            assert float(eigenvalues.imag.abs().max()) < 1e-7, "a flux without diffusion is hyperbolic"
            slowest, fastest = (float(x.expand(s).values.reshape(-1)[0]) for s in signed[axis])
            slack = 1e-7 * float(bound.values.max())
            assert slowest <= float(eigenvalues.real.min()) + slack
            assert fastest >= float(eigenvalues.real.max()) - slack
            assert float(eigenvalues.abs().max()) <= float(bound.values.max()) + slack
            assert float(eigenvalues.abs().max()) > 0


@those(FluxForm)
def test_primitive_variables_are_the_state_in_other_words(name, dimension):
    """There and back, over a bed that varies too; and mixtures of admissible ones are admissible."""
    equation = EQUATIONS[name]()
    assert isinstance(equation, FluxForm)
    x = Coordinates(grid_of_space(dimension, equation)).at_instant(INSTANT)
    p = coefficients(name, equation, x) if name in COEFFICIENTS else constants(equation)
    state = smooth(equation, x)
    w = equation.primitive(state, p, x)
    assert gap(equation.conservative(w, p, x), state) < 1e-14


def test_burgers_in_metres_and_seconds():
    equation = EQUATIONS["burgers"]()
    assert isinstance(equation, Evolution)
    x = Coordinates(grid_of_space(1)).at_instant(0.0)
    u = smooth(equation, x)
    p = constants(equation)
    rate = equation.rate(u, p, x)["u"]
    assert str(rate.unit) == "m s-2"
    a = x["x"].values
    v = u["u"].values
    scale = float(1.0 + 0.2 * math.sin(0.0))
    v_x = scale * (0.5 * torch.cos(a + 0.3) - 0.6 * torch.sin(2 * a))
    v_xx = scale * (-0.5 * torch.sin(a + 0.3) - 1.2 * torch.cos(2 * a))
    assert float((rate.values - (-v * v_x + float(p["viscosity"].values) * v_xx)).abs().max()) < 1e-12
    p["viscosity"] = p["viscosity"].named("viscosity", Unit.parse("m s-1"))
    with pytest.raises(InputError, match=r"has unit 'm s-2', .* has 's-2'"):
        equation.rate(u, p, x)
