"""Nondimensionalisation: sizes of unknowns and terms, and training that no unit changes."""

from __future__ import annotations

import dataclasses
import json
import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pdesolve import catalogue, make_problem
from pdesolve.condition import Dirichlet, InitialValue, Neumann, Observed, Robin
from pdesolve.equation import Equation, Parameter, Unknown, flatten
from pdesolve.fields import absolute, dx, laplacian, sin
from pdesolve.geometry import Axis, Box, Interval
from pdesolve.least_squares import LeastSquares, LevenbergMarquardt
from pdesolve.nn import Affine, NetworkSolution, Rescale, mlp
from pdesolve.physics.collocation.task import remedies
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.equations.p_laplacian import PLaplacian
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.physics.solvers.pinn.method import Pinn
from pdesolve.problem import Evaluation, Problem
from pdesolve.scales import Scales, scales

PROBLEMS = [entry.name for entry in catalogue.entries("problem")]


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_has_finite_positive_sizes(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem = make_problem(name)
    found = scales(problem)
    numbers = [scale for _, scale in found.unknowns.values()] + list(found.rows.values())
    numbers += [size for parts in found.terms.values() for size in parts.values()]
    assert all(math.isfinite(n) and 1e-6 < n < 1e6 for n in numbers)
    assert all(math.isfinite(offset) for offset, _ in found.unknowns.values())
    assert set(found.unknowns) == set(problem.equation.scalars) == set(found.terms)
    assert set(found.rows) == {*problem.equation.scalars, *problem.named_conditions}
    assert json.loads(json.dumps(dataclasses.asdict(found))) == dataclasses.asdict(found) | {
        "unknowns": {name: list(pair) for name, pair in found.unknowns.items()}
    }
    for unknown in problem.equation.unknowns:
        assert len({found.unknowns[scalar] for scalar in unknown.scalars}) == 1
        assert len({found.rows[scalar] for scalar in unknown.scalars if scalar in found.rows}) <= 1


@pytest.mark.slow
def test_sizes_of_known_problems() -> None:
    burgers = scales(make_problem("burgers_shock"))
    assert burgers.unknowns == {"u": (0.0, 1.0)}
    assert set(burgers.terms["u"]) == {"dt(u)", "u*dx(u)", "viscosity*dxx(u)"}
    assert 0.1 < burgers.terms["u"]["u*dx(u)"] < 3 and 3e-3 < burgers.terms["u"]["viscosity*dxx(u)"] < 3e-2
    assert burgers.rows["u"] == max(burgers.terms["u"].values())
    assert burgers.warning() is None
    # amplitudes that are given by the source alone: of all these exact solutions about 1
    for name in ("poisson_2d", "helmholtz_2d"):
        assert 0.4 < scales(make_problem(name)).unknowns["u"][1] < 2.5
    assert 0.003 < scales(make_problem("darcy_2d")).unknowns["u"][1] < 0.03
    kirsch = scales(make_problem("elastic_plate", {"tension": 50.0})).unknowns
    one = scales(make_problem("elastic_plate")).unknowns
    assert kirsch["displacement_x"][1] == pytest.approx(50 * one["displacement_x"][1], rel=0.02)
    assert scales(make_problem("poisson_2d")) == scales(make_problem("poisson_2d")), "the same each time"
    tube = scales(make_problem("sod")).unknowns
    assert tube["density"] == (0.0, 1.0) and 0.1 < tube["momentum"][1] < 1.0
    flow = scales(make_problem("lid_cavity")).unknowns
    assert flow["velocity_x"] == flow["velocity_y"] == (0.0, 1.0) and 0.03 < flow["pressure"][1] < 1.0


def test_terms_that_are_far_apart_are_said() -> None:
    found = scales(make_problem("allen_cahn"))
    line = found.warning(["--method.windows 4", "a wish"])
    assert line is not None and "\n" not in line
    assert "diffusivity*dxx(u) is 4e+03 times smaller than reaction*(u - u**3)" in line
    assert line.endswith("what may help: --method.windows 4, a wish")
    assert scales(make_problem("allen_cahn", {"diffusivity": 0.1})).warning() is None
    table = "\n".join(found.lines())
    assert "size of u: 1" in table and "size of diffusivity*dxx(u) in the equation of u: 3.9e-04" in table


def test_what_is_given_says_offset_and_scale() -> None:
    rod = Interval("x", 0.0, 2.0)

    def heated(*conditions: Any) -> Scales:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            time = Axis("t", 0.0, 10.0)
            return scales(Problem("rod", Heat(), rod, conditions, time, evaluation=Evaluation(9, (10.0,))))

    far = heated(InitialValue("u", lambda p, x: 300.0 + 10 * sin(math.pi * x["x"])), Dirichlet("u", "all", 300.0))
    assert far.unknowns["u"] == (300.0, 10.0) and far.rows["initial u"] == 10.0
    same = heated(InitialValue("u", 300.0), Dirichlet("u", "all", 300.0))
    assert same.unknowns["u"] == (0.0, 300.0)
    side = heated(InitialValue("u", 0.0), Dirichlet("u", "x_min", 0.0), Neumann("u", "x_max", -3.0))
    assert side.unknowns["u"] == (0.0, 6.0) and side.rows["u at x_max"] == 3.0  # a slope of 3 over a length of 2
    surface = heated(InitialValue("u", 0.0), Robin("u", 2.0, 1.0, "all", 8.0))
    assert surface.unknowns["u"] == (0.0, 4.0) and surface.rows["u at the boundary"] == 10.0
    seen = Observed("u", np.array([[1.0, 1.0]]), np.array([-7.0]))
    watched = heated(InitialValue("u", 0.0), Dirichlet("u", "all", 0.0), seen)
    assert watched.unknowns["u"] == (0.0, 7.0) and watched.rows["observed u"] == 7.0
    noisy = heated(InitialValue("u", 0.0), Dirichlet("u", "all", 0.0), dataclasses.replace(seen, noise=0.1))
    assert noisy.rows["observed u"] == 1.0
    nothing = heated(InitialValue("u", 0.0), Dirichlet("u", "all", 0.0))
    assert nothing.unknowns["u"] == (0.0, 1.0)


def test_a_source_is_balanced_by_a_power_of_the_unknown() -> None:
    """-div(|grad u|^2 grad u) = f: the unknown grows with the third root of the source."""
    found = []
    for source in (1.0, 1e9):
        problem = Problem(
            "power",
            PLaplacian(),
            Interval("x", 0.0, 1.0),
            (Dirichlet("u"),),
            values={"exponent": 4.0, "source": source},
        )
        found.append(scales(problem))
    assert found[1].unknowns["u"][1] == pytest.approx(1e3 * found[0].unknowns["u"][1], rel=0.02)
    assert found[1].rows["u"] == pytest.approx(1e9 * found[0].rows["u"], rel=0.1)


@dataclasses.dataclass(frozen=True)
class Branching(Equation):
    """-lap u + |u| if the parameter is positive, which no formula says."""

    unknowns = (Unknown("u"),)
    parameters = (Parameter("slope", default=1.0),)

    def residual(self, u: Mapping[str, Any], p: Mapping[str, Any], x: Any) -> dict[str, Any]:
        sign = 1.0 if float(p["slope"].values) > 0 else -1.0
        return {"u": -laplacian(u["u"]) + sign * absolute(u["u"]) + dx(u["u"])}


def test_only_remedies_that_are_not_on_are_told() -> None:
    problem = make_problem("allen_cahn")
    assert remedies(Pinn(), problem) == ["--method.windows 4", "--method.features fourier"]
    off = Pinn(conditions="soft", windows=2, adaptivity="none", features="fourier")
    assert remedies(off, problem) == ["--method.conditions exact", "--method.adaptivity rad"]
    assert remedies(Pinn(features="sine"), make_problem("poisson_2d")) == []


def test_an_equation_that_is_no_formula_has_one_size() -> None:
    problem = Problem("branch", Branching(), Interval("x", 0.0, 1.0), (Dirichlet("u", "all", 2.0),))
    found = scales(problem)
    assert list(found.terms["u"]) == ["residual"] and found.rows["u"] == found.terms["u"]["residual"] > 0
    assert found.warning() is None


class Rows(nn.Module):
    """Rows of a stationary problem and of its conditions, each divided by its scale."""

    def __init__(self, solution: NetworkSolution, found: Scales, points: int = 100) -> None:
        super().__init__()
        self.solution, self.found, self.module = solution, found, solution.module
        problem, generator = solution.problem, torch.Generator().manual_seed(0)
        self.x = solution.coordinates(problem.sample(points, "regular", generator), gradients=True)
        self.p = problem.bind(self.x)
        self.edges = {
            name: (c, solution.coordinates(c.sample(problem, points // 3, "sobol", generator), gradients=True))
            for name, c in problem.named_conditions.items()
        }

    def rows(self) -> dict[str, Tensor]:
        problem, u = self.solution.problem, self.solution.state
        parts = flatten(problem.equation.residual(u(self.x), self.p, self.x))
        scaled = torch.stack([row.values / self.found.rows[name] for name, row in parts.items()])
        terms = {"equation": scaled / scaled.shape[-1] ** 0.5}
        for name, (condition, y) in self.edges.items():
            row = condition.residual(problem, u, y, {}).values
            terms[name] = row / self.found.rows[name] / row.shape[-1] ** 0.5
        return terms


def trained(factor: float, steps: int = 20) -> float:
    """The relative error in -lap u = f, f times the factor, after a few steps of Levenberg-Marquardt."""

    def solution(x: Any) -> Any:
        return factor * sin(math.pi * x["x"]) * sin(math.pi * x["y"])

    problem = Problem(
        "pressed", Poisson(), Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)), (Dirichlet("u"),),
        values={"source": lambda p, x: 2 * math.pi**2 * solution(x)}, evaluation=Evaluation(21),
    )  # fmt: skip
    found = scales(problem)
    offsets, sizes = zip(*found.unknowns.values(), strict=True)
    net = mlp(2, 1, width=12, depth=1, generator=torch.Generator().manual_seed(0))
    objective = Rows(NetworkSolution(problem, nn.Sequential(Rescale(problem.axes), net, Affine(offsets, sizes))), found)
    optimiser = LeastSquares(objective, LevenbergMarquardt())
    for _ in range(steps):
        optimiser.step(objective.rows)
    x = objective.solution.coordinates(problem.evaluation_set)
    exact = x.expand(solution(x)).values
    return float((objective.solution.on()["u"] - exact).norm() / exact.norm())


@pytest.mark.slow
def test_a_unit_of_a_million_changes_no_training() -> None:
    one = trained(1.0)
    assert one < 0.01
    assert trained(1e6) == pytest.approx(one, rel=1e-4)
    assert trained(1e-9) == pytest.approx(one, rel=1e-4)


def test_affine_outputs() -> None:
    layer = Affine([1.0, -2.0], [10.0, 0.5])
    y = torch.tensor([[0.0, 0.0], [1.0, 2.0]], dtype=torch.float64)
    assert layer(y).tolist() == [[1.0, -2.0], [11.0, -1.0]]
    assert not list(layer.parameters()) and set(layer.state_dict()) == {"offset", "scale"}
    assert layer.to(torch.float32)(y.float()).dtype == torch.float32
