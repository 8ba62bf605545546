"""Mesh fields: chain rule, distributions, what is refused, agreement with points, energies and Jacobians."""

from __future__ import annotations

import importlib
import math
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import pytest
import torch

import pdesolve.physics.equations
from pdesolve.condition import Dirichlet, InitialRate, InitialValue, Neumann, Robin
from pdesolve.equation import (
    Conserving,
    Energetic,
    Equation,
    Evolution,
    Parameter,
    Unknown,
    assemble,
    flatten,
    velocity_name,
)
from pdesolve.errors import InputError
from pdesolve.fields import (
    Constant,
    Coordinates,
    GridField,
    MeshField,
    Quantity,
    WeakField,
    cos,
    d,
    div,
    dx,
    dxx,
    dxxx,
    dy,
    exp,
    grad,
    integrate,
    laplacian,
    sin,
)
from pdesolve.fields.mesh import weak_parts
from pdesolve.geometry import (
    Axis,
    Box,
    Disk,
    Grid,
    Interval,
    Mesh,
    Quadrature,
    refine,
    simplex_rule,
    triangulate,
)
from pdesolve.integration.elements import Elements
from pdesolve.integration.weak import WeakForm
from pdesolve.problem import Evaluation, Problem
from pdesolve.unit import Unit

PLANE = Box(Axis("x", 0.0, 1.0, unit="m"), Axis("y", 0.0, 1.0, unit="m"))


@cache
def meshes() -> tuple[Mesh, Mesh]:
    coarse = triangulate(PLANE, 0.2)
    return coarse, refine(coarse)


def known(formula, mesh: Mesh, *, degree: int = 2, unit: str | None = None) -> tuple[MeshField, Coordinates]:
    """A formula of (x, y) on elements, as an unknown with its slopes."""
    elements = Elements.on(mesh, degree=degree)
    table = elements.inside
    x = Coordinates(table.quadrature)
    nodal = formula(*elements.nodes(degree).unbind(1))
    value = (table.functions[degree] @ nodal[elements.cell_nodes(degree)][:, None, :, None]).squeeze(-1)
    return x.places.unknown(value[..., 0], value[..., 1:], Quantity("u", Unit.parse(unit))), x


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_the_quadrature_is_exact_to_degree_five(dimension: int) -> None:
    places, weights = simplex_rule(dimension)
    worst = {5: 0.0, 6: 0.0}
    for powers in torch.cartesian_prod(*[torch.arange(7)] * (dimension + 1)).tolist():
        if sum(powers) > 6:
            continue
        found = float((weights * (places ** torch.tensor(powers)).prod(1)).sum())
        factorials = math.prod(math.factorial(k) for k in powers)
        exact = math.factorial(dimension) * factorials / math.factorial(sum(powers) + dimension)
        worst[max(5, sum(powers))] = max(worst[max(5, sum(powers))], abs(found - exact))
    assert worst[5] < 1e-15 < worst[6]


def test_functions_of_unknowns_and_space_follow_the_chain_rule() -> None:
    u, x = known(lambda a, b: a**2 - a * b, meshes()[0])
    a, b = x["x"].values, x["y"].values
    c = u**2 * x["x"] + sin(x["y"]) * u
    v, v_x, v_y = a**2 - a * b, 2 * a - b, -a
    assert isinstance(c, MeshField)
    torch.testing.assert_close(dx(c).values, 2 * v * v_x * a + v**2 + torch.sin(b) * v_x)
    torch.testing.assert_close(dy(c).values, 2 * v * v_y * a + torch.cos(b) * v + torch.sin(b) * v_y)
    torch.testing.assert_close(integrate(x["x"] * x["y"]).values, torch.tensor(0.25, dtype=torch.float64))


def test_two_states_at_the_same_places_are_told_apart() -> None:
    u, x = known(lambda a, b: a**2, meshes()[0])
    v = x.places.unknown(u.values.detach() * 3, torch.zeros(*u.values.shape, 2).double(), Quantity("v"))
    torch.testing.assert_close(dx(u * v).values, 2 * x["x"].values * v.values)
    assert float(dx(v).values.detach().abs().max()) == 0.0


@pytest.mark.parametrize(
    "formula",
    [
        lambda u, x: dxx(u) ** 2,
        lambda u, x: exp(dxx(u)),
        lambda u, x: dx(u) * dxx(u),
        lambda u, x: dxx(u) * dxx(u),
        lambda u, x: 1.0 / dxx(u),
        lambda u, x: dx(u) / dxx(u),
        lambda u, x: dxxx(u),
        lambda u, x: laplacian(laplacian(u)),
        lambda u, x: integrate(dxx(u)),
        lambda u, x: grad(laplacian(u)),
    ],
)
def test_what_needs_second_derivatives_at_points_is_refused(formula) -> None:
    u, x = known(lambda a, b: a**3, meshes()[0])
    with pytest.raises(InputError, match=r"no (second|third) derivatives|cannot integrate") as error:
        formula(u, x)
    assert "\n" not in str(error.value)


def test_units_of_distributions_are_checked() -> None:
    u, _ = known(lambda a, b: a**3, meshes()[0], unit="K")
    assert str(dxx(u).unit) == str(Unit.parse("K m-2"))
    with pytest.raises(InputError, match="has unit"):
        dxx(u) + u


def test_a_parameter_may_have_a_value_for_each_sample() -> None:
    u, x = known(lambda a, b: a**2, meshes()[0])
    k = Constant(torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64), Quantity("k"))
    row = k * laplacian(u) + dx(k * u * x["x"])
    density, flux = weak_parts(row, x.places)
    assert density.shape == flux["x"].shape == (3, *x.discretisation.shape)
    torch.testing.assert_close(density[2], 5 * 3 * x["x"].values ** 2)


def test_coordinates_of_a_mesh_are_its_points() -> None:
    x = Coordinates(meshes()[0])
    torch.testing.assert_close(integrate(x["x"] + 0.0).values, torch.tensor(0.5, dtype=torch.float64))
    assert torch.equal(x.columns().detach(), meshes()[0].points)


def test_fields_known_on_grids_are_interpolated_at_quadrature_points() -> None:
    from pdesolve.fields.interpolation import interpolate

    grid = Grid.regular(PLANE.axes, 21)
    g = Coordinates(grid)
    field = g.field(g.expand(sin(2.0 * g["x"]) * cos(g["y"])).values, "a")
    assert isinstance(field, GridField)
    x = Coordinates(Quadrature.of(meshes()[0]))
    found = interpolate(field, x)
    expected = sin(2.0 * x["x"]) * cos(x["y"])
    torch.testing.assert_close(found.values, expected.values, rtol=0, atol=1e-8)
    torch.testing.assert_close(dx(found).values, dx(expected).values, rtol=0, atol=1e-6)


# --- agreement with points, for every equation of the folder -----------------------------------------------------

EQUATIONS: dict[str, Equation] = {}
for module in pkgutil.iter_modules(pdesolve.physics.equations.__path__):
    content = vars(importlib.import_module(f"pdesolve.physics.equations.{module.name}"))
    (kind,) = [c for c in content.values() if isinstance(c, type) and c.__module__.endswith(f".{module.name}")]
    EQUATIONS[module.name] = kind()


# below all values of the state: what jumps at a front is tested where the front is known
BELOW = {"front_value": -2.0}


def coefficients(equation: Equation) -> dict:
    return {
        q.name: Constant(
            torch.tensor(BELOW.get(q.name, 1.1 + 0.1 * i), dtype=torch.float64), Quantity(q.name, Unit.parse(q.unit))
        )
        for i, q in enumerate(equation.parameters)
    }


def wave(i: int, x, y):
    return 0.5 * sin(2.0 * x + 0.3 + i) + 0.4 * cos(x - 1.5 * y + i) + 0.2


def rows_of(equation: Equation, scalars: dict, x: Coordinates) -> dict:
    x = x.at_instant(0.3)
    state = dict(assemble(equation.unknowns, scalars))
    if isinstance(equation, Evolution):
        if equation.order == 2:
            state |= {velocity_name(name): field for name, field in state.items()}
        p = coefficients(equation)
        return flatten({**equation.rate(state, p, x), **equation.constraint(state, p, x)})
    return flatten(equation.residual(state, coefficients(equation), x))


def weak(equation: Equation, mesh: Mesh) -> dict[str, float]:
    """The rows tested with a function that vanishes on the boundary, of P1 interpolants of a smooth state."""
    elements = Elements.on(mesh, degree=1)
    table = elements.inside
    x = Coordinates(table.quadrature)
    units = {scalar: unknown.unit for unknown in equation.unknowns for scalar in unknown.scalars}
    scalars = {}
    for i, name in enumerate(equation.scalars):
        nodal = wave(i, *mesh.points.unbind(1))
        value = (table.functions[1] @ nodal[mesh.cells][:, None, :, None]).squeeze(-1)
        scalars[name] = x.places.unknown(value[..., 0], value[..., 1:], Quantity(name, Unit.parse(units[name])))
    test = bump(x["x"], x["y"])
    found = {}
    for name, row in rows_of(equation, scalars, x).items():
        density, flux = weak_parts(row, x.places)
        total = density * test.values - sum(f * d(test, axis).values for axis, f in flux.items())
        found[name] = float((total * table.quadrature.weights).sum().detach())
    return found


def bump(x, y):
    return x * (1.0 - x) * y * (1.0 - y) * (1.0 + x)


def strong(equation: Equation) -> dict[str, float]:
    """The rows at points, by a Gauss rule."""
    from pdesolve.geometry import sample

    x = Coordinates(sample(PLANE, 400, generator=torch.Generator(), sampler="gauss_legendre"))
    units = {scalar: unknown.unit for unknown in equation.unknowns for scalar in unknown.scalars}
    scalars = {
        name: wave(i, x["x"], x["y"]).named(name, Unit.parse(units[name])) for i, name in enumerate(equation.scalars)
    }
    rows = rows_of(equation, scalars, x)
    test = bump(x["x"], x["y"]).values
    return {n: float(integrate(x.field(x.expand(row).values * test, n)).values.detach()) for n, row in rows.items()}


@pytest.mark.parametrize("name", [n for n, e in EQUATIONS.items() if "mesh" in e.kinds])
def test_weak_forms_agree_with_points_to_second_order(name: str) -> None:
    equation = EQUATIONS[name]
    truth = strong(equation)
    errors = [{n: abs(v - truth[n]) for n, v in weak(equation, mesh).items()} for mesh in meshes()]
    size = max(abs(v) for v in truth.values())
    assert size > 1e-3
    for scalar in truth:
        assert errors[1][scalar] < 0.05 * size, scalar
        # a quarter, but for where the leading terms cancel
        assert errors[1][scalar] < 0.4 * errors[0][scalar] or errors[1][scalar] < 2e-4 * size, scalar


@pytest.mark.parametrize("name", [n for n, e in EQUATIONS.items() if "mesh" not in e.kinds])
def test_equations_of_higher_order_do_not_claim_mesh_fields(name: str) -> None:
    with pytest.raises(InputError, match=r"of degree 1 and 2 have no|is a MeshField, and nonlocal"):
        weak(EQUATIONS[name], meshes()[0])


# --- weak forms of problems --------------------------------------------------------------------------------------


def closed(equation: Equation) -> Problem:
    """A problem of an equation whose values are given all around."""
    conditions: list = [Dirichlet(u.name, "all", 0.0) for u in equation.unknowns]
    evolves = isinstance(equation, Evolution)
    if evolves:
        conditions += [InitialValue(u.name, 0.0) for u in equation.evolving]
        conditions += [InitialRate(u.name, 0.0) for u in equation.evolving if equation.order == 2]
    values = {name: float(c.values) for name, c in coefficients(equation).items()}
    time = Axis("t", 0.0, 1.0, unit="s") if evolves else None
    evaluation = Evaluation(5, (1.0,) if evolves else ())
    return Problem("closed", equation, PLANE, tuple(conditions), time=time, values=values, evaluation=evaluation)


@pytest.mark.parametrize("name", [n for n, e in EQUATIONS.items() if isinstance(e, Energetic) and "mesh" in e.kinds])
def test_the_slope_of_the_discrete_energy_is_the_weak_residual(name: str) -> None:
    equation = EQUATIONS[name]
    assert isinstance(equation, Energetic)
    form = WeakForm(closed(equation), Elements.on(meshes()[0]))
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(form.size, generator=generator, dtype=torch.float64).requires_grad_()
    rates = torch.zeros_like(y) if form.order == 2 else None
    (slope,) = torch.autograd.grad(integrate(equation.energy(*form.fields(y, rates=rates))).values, y)
    rows = form.residual(y.detach(), 0.0 if isinstance(equation, Evolution) else None, rates=rates)
    sign = -1.0 if isinstance(equation, Evolution) else 1.0
    free = torch.from_numpy(~form.held)
    torch.testing.assert_close(sign * rows[free], slope[free], rtol=0, atol=1e-12 * float(slope.abs().max()))


@dataclass(frozen=True)
class Reactive(Equation):
    """-div((1 + u^2) grad u) + w u^3 = s(x), -div(w grad v) + u v_x = 1, coupled and nonlinear."""

    unknowns = (Unknown("u"), Unknown("v"))
    parameters = (Parameter("weight", default=2.0),)

    def residual(self, u, p, x):
        a, b = u["u"], u["v"]
        first = -div(grad(a) * (1.0 + a**2)) + p["weight"] * a**3 - sin(x["x"])
        return {"u": first, "v": -div(grad(b) * p["weight"] * x["x"]) + a * dx(b) - 1.0}


@dataclass(frozen=True)
class Damped(Evolution):
    """u_tt = lap u - |u_t| u_t: a wave with a drag."""

    order: ClassVar = 2
    unknowns = (Unknown("u"),)

    def rate(self, u, p, x):
        return {"u": laplacian(u["u"]) - u["u_t"] ** 3 + u["u"] * dx(u["u_t"])}


def differences(rows, y: torch.Tensor, matrix) -> float:
    """The largest gap of a matrix's product with a direction from central differences, relative."""
    direction = torch.randn(len(y), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    h = 1e-5
    central = (rows(y + h * direction) - rows(y - h * direction)) / (2 * h)
    product = torch.from_numpy(matrix @ direction.numpy())
    return float((product - central).abs().max() / central.abs().max())


def test_the_jacobian_is_that_of_the_residual() -> None:
    sides = (
        Dirichlet("u", "x_min"),
        Neumann("u", "x_max", lambda p, x: x["y"] * p["weight"]),
        Robin("u", 2.0, 0.5, ("y_min", "y_max"), 1.0),
        Dirichlet("v", ("x_max", "y_max")),
        Robin("v", 1.0, 2.0, "x_min", lambda p, x: cos(x["y"])),
        Neumann("v", "y_min", 0.3),
    )
    domain = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
    problem = Problem("coupled", Reactive(), domain, sides, evaluation=Evaluation(5))
    form = WeakForm(problem, Elements.on(meshes()[0]))
    y = torch.rand(form.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix, none = form.jacobian(y)
    assert none.nnz == 0
    assert differences(form.residual, y, matrix) < 1e-8


def test_the_jacobian_in_the_velocities_is_that_of_the_residual() -> None:
    domain, time = Disk(), Axis("t", 0.0, 1.0)
    conditions = (Robin("u", 1.0, 0.5), InitialValue("u", 0.0), InitialRate("u", 0.0))
    problem = Problem("drag", Damped(), domain, conditions, time=time, evaluation=Evaluation(5, (1.0,)))
    form = WeakForm(problem, Elements.on(triangulate(domain, 0.4), domain))
    generator = torch.Generator().manual_seed(0)
    y, v = torch.rand(2, form.size, generator=generator, dtype=torch.float64)
    by_value, by_rate = form.jacobian(y, 0.2, rates=v)
    assert differences(lambda y: form.residual(y, 0.2, rates=v), y, by_value) < 1e-8
    assert differences(lambda v: form.residual(y, 0.2, rates=v), v, by_rate) < 1e-8


MOVING = [n for n, e in EQUATIONS.items() if isinstance(e, Conserving) and e.order == 2 and "mesh" in e.kinds]


@pytest.mark.parametrize("name", MOVING)
def test_fields_carry_the_rates_that_energies_ask_for(name: str) -> None:
    equation = EQUATIONS[name]
    assert isinstance(equation, Conserving)
    form = WeakForm(closed(equation), Elements.on(meshes()[0]))
    ones = torch.ones(form.size, dtype=torch.float64)
    states = [form.fields(0.0 * ones, rates=c * ones) for c in (3.0, 0.0)]
    moving, still = (float(integrate(equation.conserved(*state)["energy"]).values.detach()) for state in states)
    assert math.isclose(moving - still, 4.5 * len(form.blocks), rel_tol=1e-12)


@pytest.mark.parametrize("of", [WeakForm.residual, WeakForm.jacobian, WeakForm.fields])
def test_a_state_of_second_order_without_rates_is_refused(of) -> None:
    form = WeakForm(closed(EQUATIONS["hyperelasticity"]), Elements.on(meshes()[0]))
    with pytest.raises(InputError, match=r"Hyperelasticity is of second order .* pass rates=") as error:
        of(form, form.boundary_values(0.0))
    assert "\n" not in str(error.value)


def test_a_part_without_a_condition_is_refused() -> None:
    problem = Problem(
        "open", Reactive(), Interval("x", 0.0, 1.0), (Dirichlet("u"), Dirichlet("v", "x_min")), evaluation=Evaluation(5)
    )
    form = WeakForm(problem, Elements.on(triangulate(problem.domain, 0.2)))
    with pytest.raises(InputError, match=r"v has second derivatives and no condition at x_max: add Neumann\('v'"):
        form.residual(form.boundary_values())


def test_distributions_are_named_and_shown() -> None:
    u, _ = known(lambda a, b: a**2, meshes()[0])
    row = dxx(u).named("curvature")
    assert isinstance(row, WeakField) and "curvature" in repr(row)
    assert isinstance(-row, WeakField) and row.same_places(u)
