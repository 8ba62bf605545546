"""Problems as text: every problem of the catalogue there and back, problems of nobody's catalogue, what is refused."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pdesolve as ps
from pdesolve.catalogue import entries, make_problem
from pdesolve.cli import main
from pdesolve.condition import BoundaryCondition, InitialRate, InitialValue, evaluate
from pdesolve.equation import Evolution, FluxForm, assemble, flatten, velocity_name
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Vector
from pdesolve.physics.solvers.reference.solution import FormulaSolution
from pdesolve.problem_file import COPY, problem_text, read_problem
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

PROBLEMS = [entry.name for entry in entries("problem")]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str, **settings: Any) -> ps.Problem:
    Path("given.yaml").write_text(text)
    return read_problem("given.yaml", settings)


def written_out(text: str) -> str:
    """The text of a problem with the equation that stands in its comments in the place of the equation's name."""
    before, after = text.split("# the same, written out:\n")
    before = "\n".join(line for line in before.splitlines() if not line.startswith("equation:"))
    rows = list(itertools.takewhile(lambda line: line.startswith("# "), after.splitlines()))
    return "\n".join([before, *(row.removeprefix("# ") for row in rows), *after.splitlines()[len(rows) :]])


def clouds(problem: ps.Problem) -> Coordinates:
    return Coordinates(problem.sample(40, "uniform", torch.Generator().manual_seed(3)))


def rows(problem: ps.Problem, x: Coordinates) -> dict[str, Any]:
    """The rates (or residuals) of a fixed smooth state, to which every derivative contributes."""
    equation = problem.equation
    total: Any = sum(((i + 1.3) * x[a] for i, a in enumerate(problem.domain.axes.names)), 0.7 * x[x.axes.names[0]])
    scalars = {name: ps.sin(total + i) + 0.3 * ps.cos(2 * total) for i, name in enumerate(equation.scalars)}
    u: dict[str, Any] = dict(assemble(equation.unknowns, scalars))
    p = problem.bind(x)
    if not isinstance(equation, Evolution):
        return flatten(equation.residual(u, p, x))
    if equation.order == 2:
        rates = {name: ps.cos(total - i) for i, name in enumerate(equation.scalars)}
        u |= {velocity_name(name): field for name, field in assemble(equation.unknowns, rates).items()}
    return flatten({**equation.rate(u, p, x), **equation.constraint(u, p, x)})


def close(a: Any, b: Any, x: Coordinates) -> None:
    left, right = flatten({"": a}), flatten({"": b})
    assert list(left) == list(right)
    for name in left:
        values = x.expand(left[name]).values, x.expand(right[name]).values
        scale = 1.0 + float(values[1].abs().max())
        assert float((values[0] - values[1]).abs().max()) <= 1e-12 * scale, name


def agree(a: ps.Problem, b: ps.Problem) -> None:
    """Two problems with the same solution: equal axes, conditions, parameters, rows and evaluation sets."""
    assert a.axes == b.axes and a.evaluation == b.evaluation and a.name == b.name
    assert set(a.domain.boundaries) == set(b.domain.boundaries)
    x = clouds(a)
    first, second = rows(a, x), rows(b, x)
    assert list(first) == list(second)
    for name, row in first.items():
        close(row, second[name], x)
    conditions = {c.name: c for c in b.conditions}
    assert set(conditions) == {c.name for c in a.conditions}
    generator = torch.Generator().manual_seed(4)
    for condition in a.conditions:
        other: Any = conditions[condition.name]
        assert type(other) is type(condition)
        y = Coordinates(condition.sample(a, 30, "uniform", generator))
        assert isinstance(condition, (BoundaryCondition, InitialValue, InitialRate))
        if isinstance(condition, BoundaryCondition):
            assert condition.coefficients == other.coefficients and condition.parts(a) == other.parts(b)
        close(evaluate(condition.value, a.bind(y), y), evaluate(other.value, b.bind(y), y), y)
    assert (a.exact is None) == (b.exact is None) or a.name in RIEMANN
    assert a.up_to_constant == b.up_to_constant
    if a.exact is not None and b.exact is not None:
        left, right = a.exact.formula(a.bind(x), x), b.exact.formula(b.bind(x), x)
        for name in left:
            close(left[name], right[name], x)


# their exact solutions branch on the values of the parameters
RIEMANN = ("shallow_water_dam", "sod")
# draws of random fields, which are tensors and no formulas, and walls for one component of a vector
DRAWN = {
    "darcy_2d": "the parameter permeability",
    "navier_stokes_2d": "initial vorticity",
    "taylor_green_walls_2d": "velocity through the boundary",
    "taylor_green_walls_2d_sister": "velocity through the boundary",
}


@pytest.mark.parametrize("name", DRAWN)
def test_draws_of_random_fields_and_impermeable_walls_cannot_be_written(name: str) -> None:
    with pytest.raises(ps.InputError, match=f"{DRAWN[name]} cannot be written as text"):
        problem_text(make_problem(name))


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n.endswith("_sister") else ()) for n in PROBLEMS if n not in DRAWN],
)
def test_every_problem_of_the_catalogue_comes_back_the_same(name: str) -> None:
    problem = make_problem(name)
    text = problem_text(problem)
    by_name, by_rows = read(text), read(written_out(text))
    assert by_name.equation == problem.equation and type(by_rows.equation) is not type(problem.equation)
    assert by_name.description.split() == problem.description.split() and by_name.source == problem.source
    for again in (by_name, by_rows):
        agree(problem, again)
    assert by_name.conserved == problem.conserved


@pytest.mark.parametrize(
    "name", ["heat_1d", "poisson_2d", "wave_1d", pytest.param("teng_burgers", marks=pytest.mark.slow)]
)
def test_a_problem_that_came_back_has_the_same_reference(name: str) -> None:
    problem = make_problem(name, {"final_time": 0.05} if name.startswith("teng") else {})
    text = problem_text(problem)
    method = ps.make_method("reference", {"cache": "none", "resolution": 32})
    expected, found, spelt = (
        method.solve(p, Run(budget=Budget.from_now(60.0))).on()["u"]
        for p in (problem, read(text), read(written_out(text)))
    )
    assert torch.equal(expected, found)
    assert float((spelt - expected).abs().max()) < 1e-11


def test_the_written_problem_is_meant_to_be_read() -> None:
    text = problem_text(make_problem("burgers_shock"))
    assert "domain: {x: [-1, 1]}\ntime: [0, 1]\nparameters: {viscosity: 0.01/pi}\nequation: Burgers\n" in text
    assert "# unknowns: u\n# equation: dt(u) = -u*dx(u) + viscosity*dxx(u)\n" in text
    assert "initial: {u: -sin(pi*x)}\nboundary: {all: u = 0}\n" in text
    assert "evaluation: {points: 256, times: 100}\n" in text
    assert "# equation: -laplacian(u) = source\n" in problem_text(make_problem("poisson_2d"))


BASE = """
domain: {x: [0, 2], y: [0, 1]}
time: [0, 1]
unknowns: u
parameters: {k: 0.1}
equation: dt(u) = k*laplacian(u)
initial: {u: sin(pi*x)*sin(pi*y)}
boundary: {all: u = 0}
"""


def changed(*pairs: tuple[str, str], base: str = BASE) -> str:
    for old, new in pairs:
        assert old in base, old
        base = base.replace(old, new)
    return base


@pytest.mark.parametrize(
    ("equation", "rate"),
    [
        ("dt(u) = k*laplacian(u) - u**2", None),
        ("dt(u) - k*laplacian(u) = -u**2", None),
        ("k*laplacian(u) = dt(u) + u**2", None),
        ("2*dt(u)/4 = k*(dxx(u) + dyy(u))/2 - u*u/2", None),
        ("k*dt(u) + k*u**2 = k*div(k*grad(u))", None),
        ("dt(u) = k", lambda u, x: 0 * u + 0.1),
        ("dt(u) = x*y", lambda u, x: 0 * u + x["x"] * x["y"]),
        ("dt(u) = 3", lambda u, x: 0 * u + 3.0),
        ("dt(u) + advect(vector(y, -x), u) = 0", lambda u, x: -x["y"] * ps.dx(u) + x["x"] * ps.dy(u)),
        ("dt(u) = dxy(u)*t", lambda u, x: x["t"] * ps.dy(ps.dx(u))),
    ],
)
def test_equations_are_solved_for_the_rate(equation: str, rate: Any) -> None:
    problem = read(changed(("dt(u) = k*laplacian(u)", equation)))
    rate = rate or (lambda u, x: 0.1 * ps.laplacian(u) - u**2)
    x = clouds(problem)
    u = ps.sin(x["x"] * 2 + x["t"]) * ps.exp(x["y"])
    p = problem.bind(x)
    close(problem.evolution().rate({"u": u}, p, x)["u"], rate(u, x), x)
    close(problem.equation.residual({"u": u}, p, x)["u"], ps.dt(u) - rate(u, x), x)
    if isinstance(problem.equation, FluxForm):  # what finite elements take is the same equation
        flux, source = problem.equation.flux({"u": u}, p, x)["u"], problem.equation.source({"u": u}, p, x)
        close(-ps.div(flux) + source.get("u", 0 * u), rate(u, x), x)
    assert isinstance(problem.equation, FluxForm) == (
        "laplacian" in equation or "div" in equation or "dxy" in equation or "dyy" in equation
    )


def test_systems_vectors_and_constraints() -> None:
    problem = read(
        changed(
            ("unknowns: u", "unknowns: {v: {components: [x, y]}, q: {}}"),
            ("dt(u) = k*laplacian(u)", "\n  - dt(v) = k*laplacian(v) - advect(v, v) - grad(q)\n  - div(v) = 0"),
            ("{u: sin(pi*x)*sin(pi*y)}", "{v_x: sin(y), v_y: 0}"),
            ("{all: u = 0}", "{x_min: 'v = vector(y, 0)', x_max: 'dn(v) = 0', elsewhere: [v_x = 0, v_y = x*0.1]}"),
        )
    )
    assert [u.algebraic for u in problem.equation.unknowns] == [False, True]
    assert [c.name for c in problem.conditions] == ["initial v", "v at x_min", "v at x_max", "v at y_min, y_max"]
    x = clouds(problem)
    v = Vector({"x": ps.sin(x["x"] * x["t"]), "y": x["y"] ** 2})
    q = x["x"] * x["y"]
    found = problem.equation.residual({"v": v, "q": q}, problem.bind(x), x)
    for a, b in zip("xy", (ps.grad(q)["x"], ps.grad(q)["y"]), strict=True):
        expected = ps.dt(v[a]) - 0.1 * ps.laplacian(v[a]) + ps.dot(v, ps.grad(v[a])) + b
        close(found["v"][a], expected, x)
    close(found["q"], ps.div(v), x)
    wall: Any = problem.conditions[3]
    close(evaluate(wall.value, {}, x)["y"], 0.1 * x["x"], x)
    by_component = read(
        changed(
            ("unknowns: u", "unknowns: {v: {components: [x, y]}}"),
            ("dt(u) = k*laplacian(u)", "[dt(v_y) = dx(v_x), dt(v_x) = -v_y]"),
            ("{u: sin(pi*x)*sin(pi*y)}", "{v: 'vector(x, y)'}"),
            ("{all: u = 0}", "{all: v = 0}"),
        )
    )
    rate = by_component.evolution().rate({"v": v}, by_component.bind(x), x)["v"]
    close(rate["x"], -v["y"], x)
    close(rate["y"], ps.dx(v["x"]), x)


def test_second_order_in_time_with_damping() -> None:
    problem = read(
        changed(
            ("dt(u) = k*laplacian(u)", "dtt(u) + k*dt(u) = laplacian(u)"),
            ("{u: sin(pi*x)*sin(pi*y)}", "{u: sin(pi*x)*sin(pi*y), dt(u): x}"),
        )
    )
    assert problem.evolution().order == 2
    x = clouds(problem)
    u = ps.sin(x["t"] * x["x"]) * x["y"]
    expected = ps.dtt(u) + 0.1 * ps.dt(u) - ps.laplacian(u)
    close(problem.equation.residual({"u": u}, problem.bind(x), x)["u"], expected, x)


@pytest.mark.parametrize(
    ("condition", "kind", "coefficients", "value"),
    [
        ("u = 2", ps.Dirichlet, (1, 0), 2.0),
        ("3*u = x", ps.Dirichlet, (1, 0), "x/3"),
        ("2 = u", ps.Dirichlet, (1, 0), 2.0),
        ("dn(u) = 0", ps.Neumann, (0, 1), 0.0),
        ("-dn(u)/2 = t", ps.Neumann, (0, 1), "-2*t"),
        ("dn(u) = -5*(u - x)", ps.Robin, (5, 1), "5*x"),
        ("dn(u) + h*u = h*x", ps.Robin, (7, 1), "7*x"),
        ("2*u + dn(u) = 1", ps.Robin, (2, 1), 1.0),
    ],
)
def test_conditions_are_solved_for_their_form(condition: str, kind: Any, coefficients: Any, value: Any) -> None:
    problem = read(changed(("{all: u = 0}", f"{{all: {condition}}}"), ("{k: 0.1}", "{k: 0.1, h: 7}")))
    found: Any = problem.conditions[1]
    assert type(found) is kind and found.coefficients == coefficients
    x = clouds(problem)
    expected = {"x/3": x["x"] / 3, "-2*t": -2 * x["t"], "5*x": 5 * x["x"], "7*x": 7 * x["x"]}.get(value, value)
    close(evaluate(found.value, problem.bind(x), x), evaluate(lambda p, y: expected, {}, x), x)
    # a factor of a condition is a number for every solver: nobody may think it was learned
    assert ("h" in {p.name for p in problem.equation.parameters}) == ("h" not in condition)


def test_parts_of_a_domain_are_named() -> None:
    shape = "difference: [{x: [0, 2], y: [0, 1]}, {x: [1, 2], y: [0.5, 1]}, {disk: {centre: [0.5, 0.5], radius: 0.2}}]"
    problem = read(changed(("{x: [0, 2], y: [0, 1]}", f"{{{shape}, rename: {{circle: hole}}}}")))
    assert set(problem.domain.boundaries) == {"x_min", "x_max", "y_min", "y_max", "x_min_2", "y_min_2", "hole"}
    assert problem.domain.measure == pytest.approx(2 - 0.5 - math.pi * 0.04, rel=1e-9)
    again = read(problem_text(replace(problem, file=None)))
    assert again.domain.measure == pytest.approx(problem.domain.measure, rel=1e-12)
    assert set(again.domain.boundaries) == set(problem.domain.boundaries)
    for text, measure in (
        ("{polygon: {corners: [[0, 0], [1, 0], [0, 1]], edges: [a, b, a]}}", 0.5),
        ("{disk: {centre: [1, 1], radius: 2, boundary: rim}, unit: m}", 4 * math.pi),
        ("{union: [{x: [0, 1], y: [0, 1]}, {x: [1, 2], y: [0, 1]}]}", 2.0),
        ("{intersection: [{x: [0, 1], y: [0, 1]}, {disk: {centre: [0, 0], radius: 1}}]}", math.pi / 4),
        ("{box: {x: [0, 1], y: [0, pi]}, periodic: x}", math.pi),
    ):
        assert read(changed(("{x: [0, 2], y: [0, 1]}", text))).domain.measure == pytest.approx(measure, rel=1e-9), text


def test_numbers_are_settings() -> None:
    assert read(BASE).settings == {"k": 0.1}
    assert read(BASE, k="1/4").values == {"k": 0.25}
    with pytest.raises(InputError, match="unknown problem setting 'kk': did you mean 'k'"):
        read(BASE, kk=1)
    with pytest.raises(InputError, match="must be a number"):
        read(BASE, k="x")
    with pytest.raises(InputError, match=r"line 5.*bounds|line 5.*must be a number in \[0"):
        read(changed(("{k: 0.1}", "{k: {value: 0.1, bounds: [0, 1]}}")), k=2)
    named = "domain: {x: [0, 1], periodic: x}\ntime: [0, 1]\nequation: burgers\nparameters: {a: 2}\ninitial: {u: a*x}\n"
    problem = read(named, viscosity=0.5, a=3)
    assert problem.values == {"viscosity": 0.5} and problem.settings == {"a": 3.0, "viscosity": 0.5}
    assert problem.initial_state(Coordinates(problem.grid(4)))["u"].values.tolist() == [0.0, 0.75, 1.5, 2.25]
    with pytest.raises(InputError, match="unknown parameter 'b'"):
        read(named.replace("{a: 2}", "{a: 2, b: 1}"))
    stated = named.replace("{a: 2}", "{a: 2, viscosity: {value: 0.5, unit: m2 s-1}}")
    assert read(stated).values == {"viscosity": 0.5}
    with pytest.raises(InputError, match=r"line 4, .*viscosity has the unit 'm2 s-1' in the equation, got 'm s-1'"):
        read(stated.replace("m2 s-1", "m s-1"))


def test_a_data_set_knows_the_file_of_its_problem_and_its_residual(tmp_path: Path) -> None:
    """u = exp(-k t) sin(x) of dt(u) = k dxx(u), for which k is not the file's."""
    solved = read(
        "domain: {x: [0, 2*pi], periodic: x}\ntime: [0, 1]\nunknowns: u\nparameters: {k: 0.1}\n"
        "equation: dt(u) = k*dxx(u)\ninitial: {u: sin(x)}\nevaluation: {points: 16, times: 40}\n"
        "exact: {u: exp(-k*t)*sin(x)}\n",
        k=0.7,
    )
    assert solved.exact is not None
    solution = FormulaSolution(solved, solved.exact.formula)
    data = solution.dataset()
    assert data.attrs["problem_file"] == str(tmp_path / "given.yaml")
    assert float(abs(data.pde.residual()["u"]).max()) < 1e-5
    Path("given.yaml").rename("moved.yaml")
    with pytest.raises(InputError, match=r"given.yaml of given is not there any more: write .pde.residual\(problem="):
        data.pde.residual()
    assert float(abs(data.pde.residual("moved.yaml")["u"]).max()) < 1e-5
    # a run has a copy of its own, which nobody edits
    Path("run").mkdir()
    Path("moved.yaml").rename(f"run/{COPY}")
    solution.run = Path("run")
    assert float(abs(solution.dataset().pde.residual()["u"]).max()) < 1e-5
    Path(f"run/{COPY}").write_text("domain: 3")
    with pytest.raises(InputError, match=r"given cannot be read from .*problem.yaml any more, problem.yaml: the key"):
        solution.dataset().pde.residual()


def test_units_are_checked() -> None:
    units = changed(
        ("{x: [0, 2], y: [0, 1]}", "{x: [0, 2], y: [0, 1], unit: m}"), ("time: [0, 1]", "time: {t: [0, 1], unit: s}"),
        ("unknowns: u", "unknowns: {u: {unit: K}}"), ("{k: 0.1}", "{k: {value: 0.1, unit: m2 s-1}}"),
    )  # fmt: skip
    assert str(read(units).quantity("u").unit) == "K"
    for unit, words in {
        "m s-1": r"given\.yaml, line \d+, equation: cannot compute .* has unit",
        "m2 q-1": r"given\.yaml, line \d+, parameters\.k\.unit: unknown unit 'q'",
    }.items():
        with pytest.raises(InputError, match=words) as error:
            read(units.replace("m2 s-1", unit))
        assert "\n" not in str(error.value)
    again = read(problem_text(replace(read(units), file=None)))
    assert str(again.equation.parameters[0].unit) == "m2 s-1" and again.time.unit == "s"


REFUSED = {
    ("dt(u) = k*laplacian(u)", "dt(u)**2 = u"): "line 6, equation: 'dt(u)**2' is not linear",
    ("dt(u) = k*laplacian(u)", "dt(u) = u.values"): "nothing behind a dot",
    ("dt(u) = k*laplacian(u)", "dt(u) = 9**9**9"): "exponents go up to 32",
    ("dt(u) = k*laplacian(u)", "dt(u) = open(u)"): "unknown function 'open'",
    ("dt(u) = k*laplacian(u)", "dt(u) = kk*u"): "unknown name 'kk': did you mean 'k'",
    ("dt(u) = k*laplacian(u)", "dt(u)"): "one = sign and two sides",
    ("dt(u) = k*laplacian(u)", "dt(u) = u = 1"): "one = sign and two sides",
    ("dt(u) = k*laplacian(u)", "dt(dx(u)) = u"): "no rate that this row can be solved for",
    ("dt(u) = k*laplacian(u)", "dt(u) = dt(u)"): "cancels",
    ("dt(u) = k*laplacian(u)", "u*dt(u) = 1"): "has the factor u",
    ("dt(u) = k*laplacian(u)", "[dt(u) = u, dt(u) = 1]"): "has two rows",
    ("dt(u) = k*laplacian(u)", "[dt(u) = u, u = 1]"): "one row too many",
    ("dt(u) = k*laplacian(u)", "laplacian(u) = 0"): "no row has a time derivative",
    ("dt(u) = k*laplacian(u)", "dtt(u) = u"): "u has no initial rate: write dt(u): 0",
    ("dt(u) = k*laplacian(u)", "Burger"): "did you mean 'Burgers'",
    ("dt(u) = k*laplacian(u)", "dt(u) = grad(u)"): "a scalar was expected",
    ("unknowns: u", "unknowns: [u, v]"): "no row for v",
    ("unknowns: u", "unknowns: e"): "'e' has a meaning in formulas already",
    ("unknowns: u", "unknowns: x"): "names an axis already",
    ("unknowns: u\n", ""): "needs its unknowns",
    ("unknowns: u", "unknwons: u"): "line 4, unknwons: unknown key 'unknwons': did you mean 'unknowns'",
    ("unknowns: u", "name: ../up\nunknowns: u"): "it names run folders",
    ("unknowns: u", "conserved: x\nunknowns: u\nunknowns: v"): "'unknowns' is given twice",
    ("time: [0, 1]\n", ""): "dt: there is no axis t: write time: [0, 1]",
    ("time: [0, 1]", "time: [1, 0]"): "line 3, time: axis 't' has size zero or less",
    ("{k: 0.1}", "{k: kk}"): "line 5, parameters.k: unknown name 'kk'",
    ("{k: 0.1}", "{k: 2*j, j: x}"): "comes after it",
    ("{k: 0.1}", "{k: {file: no.nc}}"): "there is no file no.nc",
    ("{u: sin(pi*x)*sin(pi*y)}", "{u: z}"): "line 7, initial.u: unknown name 'z'",
    ("{u: sin(pi*x)*sin(pi*y)}", "{}"): "u has no initial value: write u: 0",
    ("{u: sin(pi*x)*sin(pi*y)}", "{u: 1/x}"): "not finite at x = 0",
    ("initial: {u: sin(pi*x)*sin(pi*y)}\n", ""): "write initial: {u: 0}",
    ("{all: u = 0}", "{x_mni: u = 0}"): "did you mean 'x_min'",
    ("{all: u = 0}", "{all: u = 0, x_min: u = 1}"): "write 'elsewhere'",
    ("{all: u = 0}", "{all: u*u = 1}"): "not linear in u",
    ("{all: u = 0}", "{all: x*u + dn(u) = 1}"): "have numbers as factors",
    ("{all: u = 0}", "{all: dx(u) = 1}"): "not linear in u",
    ("{all: u = 0}", "{all: 1 = 0}"): "got no unknown",
    ("{all: u = 0}", "{all: [u = 0, dn(u) = 0]}"): "2 conditions for u at x_min, expected at most one",
    ("{all: u = 0}", "{all: [u = 0, u = 1]}"): "u has 2 conditions here: expected one",
    ("{all: u = 0}", "{all: u = max(x, 1)}"): "within {...} a formula with commas needs quotes",
    ("{all: u = 0}", "all"): "write boundary: {all: u = 0}",
    ("{x: [0, 2], y: [0, 1]}", "{circle: {radius: 1}}"): "unknown domain 'circle'",
    ("{x: [0, 2], y: [0, 1]}", "{disk: {centre: [0, 0], radius: -1}}"): "must be positive",
    ("{x: [0, 2], y: [0, 1]}", "{polygon: [[0,0],[1,1],[1,0],[0,1]]}"): "crosses itself",
    ("{x: [0, 2], y: [0, 1]}", "{difference: [{x: [0, 1], y: [0, 1]}, {x: [0, 1], y: [0, 1]}]}"): "is empty",
    ("{x: [0, 2], y: [0, 1]}", "{x: [0, 2], y: [0, 1], periodic: z}"): "unknown axis 'z'",
    ("{x: [0, 2], y: [0, 1]}", "{t: [0, 2], y: [0, 1]}"): "time is no axis of the domain",
    ("{x: [0, 2], y: [0, 1]}", "{x: [0, 2], y: [0, 1], unit: furlong}"): "unknown unit 'furlong'",
}


@pytest.mark.parametrize("change", REFUSED, ids=lambda change: change[1][:40])
def test_what_is_no_problem_is_one_line_and_exit_2(change: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("given.yaml").write_text(changed(change))
    assert main(["show", "given.yaml"]) == 2
    out, err = capsys.readouterr()
    assert not out and REFUSED[change] in err
    assert err.startswith("pdesolve: ") and err.count("\n") == 1


def test_problems_that_cannot_be_written_say_which_part(capsys: pytest.CaptureFixture[str]) -> None:
    problem = make_problem("heat_1d")

    def branching(p: Any, x: Any) -> Any:
        return x["x"] if float(x["x"].values.max()) > 0 else 0.0

    values = np.zeros((3, 2)), np.zeros(3)
    for conditions, part in (
        (
            (ps.InitialValue("u", branching), ps.Dirichlet("u")),
            "initial u cannot be written as text: the formula looks",
        ),
        ((*problem.conditions, ps.Observed("u", *values)), "observed u cannot be written as text"),
    ):
        with pytest.raises(InputError, match=part):
            problem_text(replace(problem, conditions=conditions))
    with pytest.raises(InputError, match="the parameter diffusivity cannot be written as text"):
        problem_text(replace(problem, values={"diffusivity": torch.tensor([0.1, 0.2], dtype=torch.float64)}))
    assert main(["show", "pinn", "--yaml"]) == 2
    assert "only problems are written as text" in capsys.readouterr().err
