"""Jet fields agree with point fields: every equation, every problem with its conditions and lift, every operation."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
from test_equations import EQUATIONS
from test_function_fields import SUPPORTING, axes_of, gap, network, parameters, points
from torch import Tensor, nn

from pdesolve import make_problem
from pdesolve.catalogue import entries
from pdesolve.equation import assemble, flatten
from pdesolve.errors import InputError
from pdesolve.fields import (
    Constant,
    Coordinates,
    Field,
    GridField,
    JetField,
    Quantity,
    Vector,
    absolute,
    cos,
    d,
    div,
    dt,
    dx,
    dxx,
    dxxxx,
    exp,
    grad,
    integrate,
    laplacian,
    log,
    maximum,
    mean,
    minimum,
    sech,
    sin,
    sqrt,
    tanh,
)
from pdesolve.fields.interpolation import interpolate
from pdesolve.fields.multi_index import Combination
from pdesolve.geometry import Axes, Axis, Grid, PointCloud
from pdesolve.least_squares import Pointwise
from pdesolve.least_squares.modular import Modular
from pdesolve.least_squares.strips import StripJacobian
from pdesolve.nn import NetworkSolution, PeriodicEmbedding, Rescale, mlp
from pdesolve.physics.constraints import lift
from pdesolve.unit import Unit

T, X, Y = Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0), Axis("y", 0.0, 2.0)
PLANE = Axes((T, X, Y))
PROBLEMS = [e.name for e in entries("problem") if "point" in make_problem(e.name).equation.kinds]


def cloud_of(axes: Axes, n: int = 12) -> PointCloud:
    return PointCloud(axes, points(axes, n))


def gradients(values: list[Tensor], module: nn.Module) -> Tensor:
    total = torch.stack([v.square().mean() for v in values]).sum()
    found = torch.autograd.grad(total, list(module.parameters()), materialize_grads=True)
    return torch.cat([g.reshape(-1) for g in found])


def rows(name: str, x: Coordinates, module: nn.Module) -> dict[str, Field]:
    """The residual of an equation, with coefficients that vary where they may."""
    equation = EQUATIONS[name]()
    units = {scalar: Unit.parse(unknown.unit) for unknown in equation.unknowns for scalar in unknown.scalars}
    state = assemble(equation.unknowns, x.outputs(module, [Quantity(n, units[n]) for n in equation.scalars]))
    return flatten(equation.residual(state, parameters(name, equation, x), x))


@pytest.mark.parametrize("factor", [1.0, 4.0])
@pytest.mark.parametrize("name", SUPPORTING)
def test_every_equation_has_the_same_rows_and_gradients(name, factor):
    axes = axes_of(name)
    module, cloud = network(axes, len(EQUATIONS[name]().scalars)), cloud_of(axes)
    with torch.no_grad():
        for p in module.parameters():
            p.mul_(factor)
    exact = rows(name, Coordinates(cloud), module)
    known = gradients([f.values for f in exact.values()], module)
    for probe in (Coordinates.wanted_by, Coordinates.sums_wanted_by):
        ours = rows(name, Coordinates.of_jets(cloud, probe(lambda x: rows(name, x, module), cloud)), module)
        assert [(f.name, f.unit) for f in ours.values()] == [(f.name, f.unit) for f in exact.values()]
        for scalar, row in ours.items():
            assert isinstance(row, JetField) and gap(row.values, exact[scalar].values) < 1e-12
        assert gap(gradients([f.values for f in ours.values()], module), known) < 1e-12


def solution_of(name: str) -> NetworkSolution:
    problem = make_problem(name, {"dimension": 3} if name.startswith("poisson_nd") else None)
    generator = torch.Generator().manual_seed(0)
    layers: list[nn.Module] = [Rescale(problem.axes)]
    inputs = len(problem.axes)
    if any(axis.periodic for axis in problem.axes):
        layers.append(embedding := PeriodicEmbedding(problem.axes, 2))
        inputs = embedding.outputs
    layers += mlp(inputs, len(problem.equation.scalars), width=6, depth=2, generator=generator)
    try:
        own = lift(problem)
    except InputError:  # no box
        own = None
    return NetworkSolution(problem, nn.Sequential(*layers), lift=own)


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_has_the_same_rows_and_conditions(name):
    """With the lift where there is one, so that g, D and sources are carried too; conditions with their normals."""
    solution = solution_of(name)
    problem, generator = solution.problem, torch.Generator().manual_seed(1)

    def equation(x: Coordinates) -> Any:
        return problem.equation.residual(solution.state(x), problem.bind(x), x)

    places = {"equation": (problem.sample(9, "uniform", generator), equation)}
    for key, condition in problem.named_conditions.items():

        def left(x: Coordinates, condition: Any = condition) -> Any:
            return {"row": condition.residual(problem, solution.state, x, problem.bind(x))}

        places[key] = condition.sample(problem, 6, "uniform", generator), left
    for cloud, formula in places.values():
        wanted = Coordinates.sums_wanted_by(formula, cloud)
        ours, exact = (flatten(formula(x)) for x in (Coordinates.of_jets(cloud, wanted), Coordinates(cloud)))
        for row, field in ours.items():
            size = max(1.0, float(exact[row].values.detach().abs().max()))
            assert float((field.values - exact[row].values).detach().abs().max()) < 1e-12 * size
        if any(f.values.requires_grad for f in exact.values()):
            found, known = (gradients([f.values for f in fields.values()], solution.module) for fields in (ours, exact))
            assert float((found - known).abs().max()) < 1e-12 * max(1.0, float(known.abs().max()))


def plane(x: Coordinates, module: nn.Module) -> tuple[Field, Field]:
    return tuple(x.outputs(module, [Quantity("u"), Quantity("v")]).values())  # type: ignore[return-value]


FORMULAS = {
    "composite": lambda u, v, x: dx(u * dx(u)) + d(d(v * u, "t"), "y"),
    "divergence": lambda u, v, x: div(grad(u) * (1.0 + u**2)) - laplacian(v) * x["x"],
    "mixed of order 4": lambda u, v, x: d(d(u, "x", 2), "y", 2) + d(d(d(d(v, "t"), "x"), "y"), "x") + dxxxx(u * v),
    "elementary": lambda u, v, x: dxx(exp(u) * sin(v)) + dx(tanh(u) / (2.0 + cos(v))) + dt(log(3.0 + u**2)),
    "roots and powers": lambda u, v, x: dxx(sqrt(2.0 + u * u)) + dx((2.0 + v**2) ** -1.5) + dxx(1.0 / (2.0 + u**2)),
    "sech of x": lambda u, v, x: dxx(u * sech(3.0 * x["x"]) ** 2) - dt(u) * x["t"] ** 3 - (-v) / x["x"],
    "choices": lambda u, v, x: dx(maximum(u, v) * u) + dxx(minimum(u, 0.1) + absolute(v)) + maximum(0.3, v),
    "constants": lambda u, v, x: d(u * Constant(torch.tensor(0.7), Q) + x.constant(2.0) * x["x"] * v, "x", 2) - 2.0 * u,
    "numbers in front": lambda u, v, x: dx(2.0 - u) + dx(3.0 / (2.0 + u**2)) + (1.0 + v) * 0.0 + dxx(u - 1.0) + 1,
}
Q = Quantity("c")


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_formulas_follow_the_rules_of_calculus(name):
    module, cloud = network(PLANE, 2), cloud_of(PLANE)

    def formula(x: Coordinates) -> Field:
        return FORMULAS[name](*plane(x, module), x)

    exact = formula(Coordinates(cloud))
    known = gradients([exact.values], module)
    for probe in (Coordinates.wanted_by, Coordinates.sums_wanted_by):
        ours = formula(Coordinates.of_jets(cloud, probe(formula, cloud)))
        assert ours.name == exact.name and gap(ours.values, exact.values) < 1e-12
        assert gap(gradients([ours.values], module), known) < 1e-12


def test_the_probe_finds_exactly_what_is_asked_for():
    module, cloud = network(PLANE, 2), cloud_of(PLANE)
    state = lambda x: plane(x, module)  # noqa: E731
    found = Coordinates.wanted_by(
        lambda x: {"a": dx(state(x)[0]) * state(x)[1], "b": Vector({"x": dt(state(x)[1])})}, cloud
    )
    assert found == {"u": {(0, 0, 0), (0, 1, 0)}, "v": {(0, 0, 0), (1, 0, 0)}}
    assert Coordinates.wanted_by(lambda x: [dx(x["x"] * state(x)[0])], cloud)["u"] == {(0, 0, 0), (0, 1, 0)}
    assert Coordinates.wanted_by(lambda x: dx(2.0 * state(x)[0] + 1.0), cloud)["u"] == {(0, 0, 0), (0, 1, 0)}


U, T1, X1, X2, Y2 = (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 2, 0), (0, 0, 2)
NUMBER = Constant(torch.tensor(0.5, dtype=torch.float64), Quantity("k"))
LEARNED = Constant(torch.tensor(0.5, dtype=torch.float64, requires_grad=True), Quantity("k"))
# what a formula of u wants, and how much of it is one sum
SUMS: dict[str, tuple[Any, set[Any], dict[Any, float]]] = {
    "linear": (lambda u, x: dt(u) - NUMBER * dxx(u) + u * dx(u), {U, X1}, {T1: 1.0, X2: -0.5}),
    "lifted": (lambda u, x: dt(x["x"] * u) - dxx(x["x"] * u) / NUMBER, {U, X1}, {T1: 1.0, X2: -2.0}),
    "laplacian squared away": (lambda u, x: laplacian(u) ** 2 + dt(u), {U, T1, X2, Y2}, {}),
    "varies": (lambda u, x: dt(u) - x["x"] * laplacian(u), {U, T1}, {X2: 1.0, Y2: 1.0}),
    "varies with a jump": (lambda u, x: dt(u) - maximum(x["x"], 0.1) * dxx(u), {U, T1, X2}, {}),
    "learned": (lambda u, x: dt(u) - LEARNED * dxx(u), {U, T1, X2}, {}),
    "rows in proportion": (
        lambda u, x: [dt(u) - dxx(u) + dx(u) ** 2, x["x"] * (dxx(u) - dt(u))], {U, X1}, {T1: 1.0, X2: -1.0},
    ),
    "rows apart": (lambda u, x: [dt(u) - dxx(u), dt(u) + dxx(u)], {U, T1, X2}, {}),
    "chosen": (lambda u, x: maximum(dt(u) - dxx(u), 0.0), {U, T1, X2}, {}),
    "values taken": (lambda u, x: x.field(dxx(u).values, "w") - dxx(u) + dt(u), {U, T1, X2}, {}),
    "needed below": (lambda u, x: dxxxx(u) + dxx(u) + dt(u), {U, X2}, {(0, 4, 0): 1.0, T1: 1.0}),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(SUMS))
def test_partials_that_a_formula_only_adds_up_are_carried_as_their_sum(name):
    formula, single, proportion = SUMS[name]
    module, cloud = network(PLANE, 2), cloud_of(PLANE)
    found = Coordinates.sums_wanted_by(lambda x: formula(plane(x, module)[0], x), cloud)["u"]
    sums = [dict(channel.terms) for channel in found if isinstance(channel, Combination)]
    assert {channel for channel in found if not isinstance(channel, Combination)} == single
    if proportion:
        unit = proportion[next(iter(sums[0]))]
        assert sums == [pytest.approx({alpha: c / unit for alpha, c in proportion.items()}, rel=1e-15)]
    else:
        assert not sums


def test_what_was_not_carried_is_refused_with_the_line_to_write():
    module, cloud = network(PLANE, 2), cloud_of(PLANE)
    u, _ = plane(Coordinates.of_jets(cloud, {"u": {(0, 1, 0)}}), module)
    assert dx(u).values.shape == (12,)
    with pytest.raises(InputError, match=r"derivative dx\^2 of u was not carried .* Coordinates.wanted_by"):
        dxx(u).values  # noqa: B018
    with pytest.raises(InputError, match="axis"):
        d(u, "z")
    with pytest.raises(InputError, match="up to order 4 in all"):
        plane(Coordinates.of_jets(cloud, {"u": {(0, 5, 0)}}), module)


@pytest.mark.parametrize("formula", [lambda u, x: d(u, "x", 5), lambda u, x: d(x * d(u, "x", 2), "x", 3)])
def test_orders_above_four_are_refused_behind_lifts_too(formula: Any):
    """Sums are looked for by the Leibniz rule before any network is evaluated."""
    module, cloud = network(PLANE, 2), cloud_of(PLANE)

    def lifted(x: Coordinates) -> Any:
        return formula(x["t"] * plane(x, module)[0], x["x"])

    with pytest.raises(InputError, match=r"up to order 4 in all .* of order 5: write the equation as a system"):
        Coordinates.sums_wanted_by(lifted, cloud)


def test_errors_of_units_and_kinds_are_those_of_fields():
    cloud = cloud_of(Axes((Axis("x", 0.0, 1.0, unit="m"),)))
    x, other = Coordinates.of_jets(cloud, ()), Coordinates.of_jets(cloud, ())
    u = x.outputs(network(cloud.axes, 1), [Quantity("u", Unit.parse("m"))])["u"]
    assert str(d(u, "x").unit) == "1" and str(d(u * u, "x", 2).unit) == "1"
    with pytest.raises(InputError, match="unit"):
        u + d(u, "x")
    with pytest.raises(InputError, match="different places"):
        x["x"] + other["x"]
    with pytest.raises(InputError, match="dimensionless"):
        exp(u)
    values = x.field(torch.ones(12, dtype=torch.float64), "seen")
    assert float((values * 2.0).values.sum()) == 24.0
    with pytest.raises(InputError, match="seen is known by its values"):
        dx(values).values  # noqa: B018


def test_fields_of_coordinates_are_kept_and_leave_no_graph_in_rows():
    cloud, calls, module = cloud_of(PLANE), [], network(PLANE, 2)
    x = Coordinates.of_jets(cloud, {(0, 2, 0)})

    def bump(u: Tensor) -> Tensor:
        calls.append(1)
        return torch.exp(-u * u)

    def source() -> Field:
        return x["x"].apply(bump, "bump", None) * x["t"]

    counts = []
    for _ in range(3):
        u, _v = plane(x, module)
        dxx(u * x.once(cloud, source)).values.sum().backward()
        counts.append(len(calls))
    assert counts[0] > 0 and counts == counts[:1] * 3 and x["x"].values.grad is None
    exact = (4 * x["x"].values ** 2 - 2) * torch.exp(-(x["x"].values ** 2)) * x["t"].values
    assert gap(dxx(x.once(cloud, source)).values, exact) < 1e-13


def test_values_that_a_formula_computes_by_torch_are_differentiated():
    """From columns of the points, and from fields of them."""
    cloud, module = cloud_of(PLANE), network(PLANE, 2)

    def formula(x: Coordinates) -> Field:
        a, b = x["x"].values, (2.0 * x["y"]).values
        wave = x.field(torch.sin(a * b), "wave")
        return dx(wave * plane(x, module)[0]) + d(d(wave, "y"), "x")

    wanted = Coordinates.wanted_by(formula, cloud)
    ours, exact = formula(Coordinates.of_jets(cloud, wanted)), formula(Coordinates(cloud))
    assert gap(ours.values, exact.values) < 1e-12
    assert gap(gradients([ours.values], module), gradients([exact.values], module)) < 1e-12


def test_values_of_a_network_cannot_be_differentiated_again():
    x = Coordinates.of_jets(cloud_of(PLANE), ())
    u = plane(x, network(PLANE, 2))[0]
    with pytest.raises(InputError, match="squared is known by its values"):
        dx(x.field(u.values**2 * x["x"].values, "squared")).values  # noqa: B018


def test_grid_fields_are_interpolated_with_their_derivatives():
    axes = Axes((Axis("x", -1.0, 1.0), Axis("y", 0.0, 2.0)))
    grid = Grid.regular(axes, 40, bounded="chebyshev")
    g = Coordinates(grid)
    given = sin(2.0 * g["x"]) * exp(g["y"])
    assert isinstance(given, GridField)
    cloud = cloud_of(axes)
    ours, exact = (interpolate(given, x) for x in (Coordinates.of_jets(cloud, ()), Coordinates(cloud)))
    for index in (("x", 1), ("x", 2), ("y", 1)):
        found = d(ours, *index)
        assert gap(found.values, d(exact, *index).values) < 1e-12
    assert gap(d(dx(ours), "y").values, d(dx(exact), "y").values) < 1e-10  # rounding
    # at the feet of the points on a side it is constant across the side
    foot = interpolate(given, Coordinates.of_jets(cloud, ()).projected({"x": 0.25}))
    assert float(dx(foot).values.abs().max()) == 0.0 and float(d(foot, "y").values.abs().max()) > 0.1


def test_learned_coefficients_keep_their_gradient():
    cloud, module = cloud_of(PLANE), network(PLANE, 2)
    rate = nn.Parameter(torch.tensor(0.3, dtype=torch.float64))

    def formula(x: Coordinates) -> Field:
        u, v = plane(x, module)
        p = Constant(rate, Q)
        return dxx(p * u) + dx(exp(p * x["x"]) * v)

    wanted = Coordinates.wanted_by(formula, cloud)
    found, exact = (
        torch.autograd.grad(formula(x).values.square().sum(), rate)[0]
        for x in (Coordinates.of_jets(cloud, wanted), Coordinates(cloud))
    )
    assert gap(found, exact) < 1e-12


def test_projected_points_are_constant_across_the_side():
    """A network at the feet of the points: what a lift asks a network of the window before for."""
    cloud, module = cloud_of(PLANE), network(PLANE, 2)
    x = Coordinates.of_jets(cloud, {(0, 2, 0), (1, 0, 0), (0, 1, 1)}).projected({"x": -1.0})
    moved = Coordinates(cloud.replace_column("x", -1.0))
    u, exact = plane(x, module)[0], plane(moved, module)[0]
    assert gap(u.values, exact.values) < 1e-14 and gap(dt(u).values, dt(exact).values) < 1e-12
    assert float(dxx(u).values.abs().max()) == 0.0 == float(d(dx(u), "y").values.abs().max())


def test_integrals_use_the_weights_of_the_points():
    axes = Axes((X,))
    cloud = PointCloud(axes, points(axes), torch.full((12,), 2.0 / 12, dtype=torch.float64))
    x, y = Coordinates.of_jets(cloud, ()), Coordinates(cloud)
    assert gap(integrate(x["x"] ** 2).values, integrate(y["x"] ** 2).values) < 1e-15
    assert gap(mean(x["x"]).values, mean(y["x"]).values) < 1e-15
    assert torch.equal(x.at(cloud)["x"].values, x["x"].values) and x.at(cloud).carrier is x.carrier


def test_the_jacobian_of_every_point_follows_from_one_pass():
    """Dense J of Burgers rows by a tape of jets: that of nested autograd's tape, and of a function of one point."""
    axes = Axes((T, X))
    cloud, module = cloud_of(axes), mlp(2, 1, width=5, depth=2, generator=torch.Generator().manual_seed(0))

    def residual(x: Coordinates, function: Any = module) -> Field:
        u = x.outputs(function, [Quantity("u")])["u"]
        return dt(u) + u * dx(u) - 0.01 * dxx(u)

    def row(theta: Tensor, point: Tensor) -> Tensor:
        named, start = {}, 0
        for name, p in module.named_parameters():
            named[name] = theta[start : start + p.numel()].view_as(p)
            start += p.numel()
        x = Coordinates.of_functions(PointCloud(axes, point[None]))
        return residual(x, lambda table: torch.func.functional_call(module, named, (table,))).values[0]

    jets = Coordinates.of_jets(cloud, Coordinates.wanted_by(residual, cloud))
    found = Modular(module, lambda: {"equation": residual(jets).values})
    theta = found.theta()
    exact = Pointwise({"equation": (row, cloud.x)}).linearise(theta)
    here = found.linearise(theta)
    assert found.pointwise and isinstance(here.jacobian, StripJacobian)
    assert gap(here.jacobian.dense(), exact.jacobian.dense()) < 1e-12 and gap(here.gradient, exact.gradient) < 1e-12


def test_no_graph_is_made_where_none_is_wanted():
    module, cloud = network(PLANE, 2), cloud_of(PLANE)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        u, v = plane(Coordinates.of_jets(cloud, {(0, 2, 0)}), module)
        assert not (dxx(u) * v).values.requires_grad and math.isfinite(float(dxx(u).values.sum()))
