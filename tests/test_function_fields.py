"""Function fields agree with point fields for every equation, and their residuals are maps torch.func transforms."""

from __future__ import annotations

import math

import pytest
import torch
from test_equations import COEFFICIENTS, EQUATIONS, TIME, constants, least
from torch import Tensor
from torch.func import functional_call, jacrev, vmap

from pdesolve.condition import Neumann, Observed
from pdesolve.equation import Equation, Evolution, assemble, flatten
from pdesolve.errors import InputError
from pdesolve.fields import (
    Constant,
    Coordinates,
    FunctionField,
    GridField,
    PointField,
    Quantity,
    absolute,
    cos,
    d,
    div,
    dxxxx,
    exp,
    grad,
    integrate,
    maximum,
    mean,
    sin,
    sqrt,
)
from pdesolve.fields.interpolation import interpolate
from pdesolve.geometry import Axes, Axis, Grid, PointCloud, sample
from pdesolve.nn import NetworkSolution, mlp
from pdesolve.unit import Unit

X, Y = Axis("x", -1.0, 1.0, unit="m"), Axis("y", 0.0, 2.0, unit="m")
SUPPORTING = [name for name, equation in EQUATIONS.items() if "point" in equation.kinds]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def axes_of(name: str) -> Axes:
    space = (X, Y)[: max(least(name), 1)]
    return Axes((TIME, *space) if issubclass(EQUATIONS[name], Evolution) else space)


def points(axes: Axes, n: int = 12) -> Tensor:
    return torch.rand(n, len(axes), dtype=torch.float64, generator=generator())


def network(axes: Axes, outputs: int) -> torch.nn.Module:
    return mlp(len(axes), outputs, width=6, depth=2, generator=generator())


def parameters(name: str, equation: Equation, x: Coordinates) -> dict:
    """Every parameter; those that may vary as formulas of the coordinates."""
    p = constants(equation)
    for i, coefficient in enumerate(COEFFICIENTS.get(name, ())):
        wave = 1.0 + 0.3 * sin(x["x"] + i) * exp(-0.1 * x["x"])
        p[coefficient] = wave.named(coefficient, p[coefficient].unit)
    return p


def residual(name: str, x: Coordinates, module) -> dict[str, Tensor]:
    """The rows for the state that a module gives, as tensors (point,)."""
    equation = EQUATIONS[name]()
    units = {scalar: Unit.parse(unknown.unit) for unknown in equation.unknowns for scalar in unknown.scalars}
    state = assemble(equation.unknowns, x.outputs(module, [Quantity(n, units[n]) for n in equation.scalars]))
    rows = equation.residual(state, parameters(name, equation, x), x)
    kind = PointField if x.root is None else FunctionField
    assert all(isinstance(row, kind) for row in flatten(rows).values())
    return {scalar: row.values for scalar, row in flatten(rows).items()}


def gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().abs().max() / b.detach().abs().max())


@pytest.mark.parametrize("name", SUPPORTING)
def test_functions_and_points_agree_and_so_do_jacobians_in_the_weights(name):
    """Rows, and their derivatives in every weight: by vmap and jacrev, one point at a time, and by autograd."""
    axes = axes_of(name)
    module = network(axes, len(EQUATIONS[name]().scalars))
    cloud = PointCloud(axes, points(axes))
    at_points = residual(name, Coordinates(cloud), module)
    at_functions = residual(name, Coordinates.of_functions(cloud), module)
    theta = {key: weight.detach() for key, weight in module.named_parameters()}

    def row(theta: dict[str, Tensor], point: Tensor) -> dict[str, Tensor]:
        x = Coordinates.of_functions(PointCloud(axes, point[None]))
        rows = residual(name, x, lambda columns: functional_call(module, theta, (columns,)))
        return {scalar: values[0] for scalar, values in rows.items()}

    jacobians = vmap(jacrev(row), (None, 0))(theta, cloud.x)
    assert at_points.keys() == at_functions.keys()
    for scalar, expected in at_points.items():
        assert gap(at_functions[scalar], expected) < 1e-12
        for i in (0, len(cloud.x) - 1):
            slopes = torch.autograd.grad(
                expected[i], list(module.parameters()), retain_graph=True, materialize_grads=True
            )
            whole = torch.cat([slope.reshape(-1) for slope in slopes])
            found = torch.cat([jacobians[scalar][key][i].reshape(-1) for key in theta])
            assert found.shape == whole.shape and gap(found, whole) < 1e-12


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives_of_a_formula_are_exact(order):
    x = Coordinates.of_functions(PointCloud(Axes((TIME, X)), points(Axes((TIME, X)))))
    u = sin(2.0 * x["x"]) * exp(-x["t"])
    exact = 2.0**order * torch.sin(2 * x["x"].values + order * math.pi / 2) * torch.exp(-x["t"].values)
    assert gap(d(u, "x", order).values, exact) < 1e-13
    mixed = d(d(u, "t"), "x", order)
    assert gap(mixed.values, -exact) < 1e-13
    assert gap(d(d(u, "x", order), "t").values, mixed.values) < 1e-13
    if order == 4:
        assert gap(dxxxx(u).values, exact) < 1e-13


def test_arithmetic_composes():
    """Every operation, differentiated once: product, quotient, power and chain rules."""
    cloud = PointCloud(Axes((X,)), points(Axes((X,))))

    def formula(x: Coordinates):
        a = x["x"]
        first = (2.0 - a) * (a + 3.0) / (1.0 / (a + 2.0)) - a**3 / 2.0 + (-a) * Constant(torch.tensor(0.7), Q)
        return first + sqrt(a + 1.5) + absolute(cos(3.0 * a)) + maximum(a, 0.4) + x.constant(2.0) * a + 1.0

    at_points, at_functions = formula(Coordinates(cloud)), formula(Coordinates.of_functions(cloud))
    assert gap(at_functions.values, at_points.values) < 1e-15
    assert gap(d(at_functions, "x").values, d(at_points, "x").values) < 1e-14
    assert at_functions.name == at_points.name


Q = Quantity("c")


def test_a_subexpression_is_evaluated_once_a_level():
    """The network of two unknowns: once for the values of both, once more for the slopes of both along an axis."""
    calls = []
    x = Coordinates.of_functions(PointCloud(Axes((X,)), points(Axes((X,)))))

    def count(columns: Tensor) -> Tensor:
        calls.append(len(columns))
        return torch.cat([columns**2, columns**3], 1)

    fields = x.outputs(count, [Quantity("u"), Quantity("v")])
    assert not calls, "nothing is evaluated before values are asked for"
    total = fields["u"] * fields["v"] + fields["u"]
    _ = total.values, total.values, (fields["u"] + 1.0).values
    assert len(calls) == 1
    u = x["x"].values
    assert gap(d(total, "x").values, 5 * u**4 + 2 * u) < 1e-14
    assert len(calls) == 2


def test_samples_share_the_points():
    x = Coordinates.of_functions(PointCloud(Axes((X,)), points(Axes((X,)))))
    factor = Constant(torch.tensor([1.0, -2.0], dtype=torch.float64), Quantity("c"))
    u = factor * sin(x["x"])
    assert u.sample_shape == (2,) and u.values.shape == (2, 12)
    assert gap(d(u, "x", 2).values, -u.values) < 1e-14


def test_units_axes_and_places_are_kept_honest():
    axes = Axes((TIME, X))
    cloud = PointCloud(axes, points(axes))
    x, others = Coordinates.of_functions(cloud), Coordinates.of_functions(cloud)
    u = (x["x"] * x["t"]).named("u", Unit.parse("m"))
    assert str(d(u, "x", 2).unit) == str(Unit.parse("m") / Unit.parse("m2"))
    with pytest.raises(InputError, match="unknown axis 'y'"):
        d(u, "y")
    for other in (others["x"], Coordinates(cloud)["x"]):
        with pytest.raises(InputError, match="known at different places"):
            u + other
    with pytest.raises(InputError, match="unit"):
        u + x["x"].named("s", Unit.parse("s"))


def test_values_that_are_no_function_are_not_differentiated():
    x = Coordinates.of_functions(PointCloud(Axes((X,)), points(Axes((X,)))))
    data = x.field(torch.ones(12, dtype=torch.float64), "data")
    assert gap((x["x"] + data).values, x["x"].values + 1) == 0
    with pytest.raises(InputError, match="data is known by its values at points, not as a function") as error:
        _ = d(x["x"] * data, "x").values
    assert "\n" not in str(error.value)
    assert float(d(x.constant(2.0), "x").values.abs().max()) == 0.0


def test_integrals_take_the_weights_of_the_points():
    from pdesolve.geometry import Interval

    cloud = sample(Interval("x", 0.0, 1.0), 256, generator=generator(), sampler="sobol")
    x = Coordinates.of_functions(cloud)
    assert isinstance(integrate(x["x"]), Constant)
    assert float(mean(x["x"] ** 2).values) == pytest.approx(1 / 3, abs=1e-2)
    assert torch.equal(integrate(x["x"]).values, integrate(Coordinates(cloud)["x"]).values.detach())


def test_coefficients_on_grids_are_functions_too():
    """Darcy's div(a grad u) with a known on a grid: interpolated, differentiated, mapped over points."""
    square = Axes((Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)))
    grid = Coordinates(Grid.regular(square, 33))
    wave = grid.expand(1.5 + sin(2.0 * grid["x"]) * cos(grid["y"]))
    assert isinstance(wave, GridField)
    inside = 0.1 + 0.8 * points(square)

    def flow(x: Coordinates):
        return div(interpolate(wave, x) * grad(sin(x["x"]) * x["y"]))

    expected = flow(Coordinates(PointCloud(square, inside))).values
    assert gap(flow(Coordinates.of_functions(PointCloud(square, inside))).values, expected) < 1e-12
    one = vmap(lambda point: flow(Coordinates.of_functions(PointCloud(square, point[None]))).values[0])
    assert gap(one(inside), expected) < 1e-12
    assert torch.isnan(one(inside + 1.0)).all(), "a map cannot refuse"
    with pytest.raises(InputError, match=r"coordinate x runs from .* the field is known from 0 to 1"):
        _ = interpolate(wave, Coordinates.of_functions(PointCloud(square, inside + 1.0))).values


def test_conditions_and_network_solutions_take_them_as_they_are():
    import numpy as np

    from pdesolve import make_problem

    problem = make_problem("heat_1d")
    solution = NetworkSolution(problem, network(problem.axes, 1))
    slope = Neumann("u", "x_max", 0.3)
    table = points(problem.axes)
    conditions = [*problem.conditions, slope, Observed("u", table.numpy(), np.linspace(0, 1, 12))]
    for condition in conditions:
        cloud = condition.sample(problem, 8, "uniform", generator())
        found = []
        for x in (Coordinates(cloud), Coordinates.of_functions(cloud)):
            found.append(condition.residual(problem, solution.state, x, problem.bind(x)).values)
        assert gap(found[1], found[0]) < 1e-12, condition.name
    x = Coordinates.of_functions(PointCloud(problem.axes, table))
    rows = problem.equation.residual(solution.state(x), problem.bind(x), x)
    loss = rows["u"].values.square().mean()
    assert all(w.grad is None for w in solution.module.parameters())
    loss.backward()
    assert float(next(iter(solution.module.parameters())).grad.abs().max()) > 0  # type: ignore[union-attr]
    with torch.no_grad():
        assert (
            gap(solution.state(x)["u"].values, solution.state(Coordinates(PointCloud(problem.axes, table)))["u"].values)
            == 0
        )
