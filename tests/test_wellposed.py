"""What cannot work is refused in one line that names it; what may be meant is warned of."""

from __future__ import annotations

import dataclasses
import math
import warnings

import numpy as np
import pytest
import torch

from pdesolve.catalogue import make_method, make_problem
from pdesolve.condition import Dirichlet, InitialRate, InitialValue, Neumann, Observed, Periodic, Robin
from pdesolve.equation import Equation, Parameter, Unknown
from pdesolve.errors import InputError, unknown_name
from pdesolve.fields import Coordinates, d, sin
from pdesolve.geometry import Axis, Box, Grid, Interval
from pdesolve.orders import normal_orders
from pdesolve.physics.equations.heat import Heat
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.physics.equations.wave import Wave
from pdesolve.problem import Evaluation, Problem
from pdesolve.problem_file import problem_text
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

TIME = Axis("t", 0.0, 1.0)
LINE = Interval("x", 0.0, 1.0)
START = InitialValue("u", lambda p, x: sin(math.pi * x["x"]))


def heat(*conditions, **given) -> Problem:
    given = {"domain": LINE, "time": TIME, "evaluation": Evaluation.uniform(16, TIME, 2), **given}
    return Problem("rod", given.pop("equation", Heat()), conditions=conditions, **given)


def on_grid(*, bad: float, where: int = 37):
    x = Coordinates(Grid.regular(LINE.axes, 101))
    values = torch.zeros(101, dtype=torch.float64)
    values[where] = bad
    return x.field(values, "u")


class Renamed(Heat):
    def rate(self, u, p, x):
        return {"v": d(u["u"], "x", 2)}


class Bare(Heat):
    def rate(self, u, p, x):
        return d(u["u"], "x", 2)


CASES = {
    "unknown boundary": (
        lambda: heat(START, Dirichlet("u", "x_mim")),
        "unknown boundary 'x_mim': did you mean 'x_min'",
    ),
    "boundary of another axis": (
        lambda: heat(START, Dirichlet("u", "y_min")),
        r"unknown boundary 'y_min'.*x_max, x_min",
    ),
    "one of several boundaries": (lambda: heat(START, Neumann("u", ("x_min", "left"))), "unknown boundary 'left'"),
    "no boundary at all": (
        lambda: heat(START, Dirichlet("u"), domain=Interval("x", 0, 1, periodic=True)),
        "rod: u at the boundary cannot hold, the domain has no boundary: every axis is periodic",
    ),
    "periodicity as a condition": (
        lambda: heat(START, Periodic("x")),
        r"write Axis\('x', ..., periodic=True\) instead",
    ),
    "unknown unknown": (lambda: heat(START, Dirichlet("temperature")), "unknown 'temperature': known: u"),
    "missing initial value": (
        lambda: heat(Dirichlet("u")),
        r"rod: u has no initial value: add InitialValue\('u', ...\)",
    ),
    "missing initial rate": (
        lambda: heat(START, equation=Wave()),
        r"Wave is of second order in time and u has no initial rate: add InitialRate\('u', 0.0\)",
    ),
    "initial rate too many": (
        lambda: heat(START, InitialRate("u", 0.0)),
        "Heat is of first order in time: its initial value determines it, leave out the initial rate of u",
    ),
    "two initial values": (lambda: heat(START, START), "2 conditions give the initial value of u, expected one"),
    "two conditions on one side": (
        lambda: heat(START, Dirichlet("u", "x_min"), Neumann("u")),
        "rod: 2 conditions for u at x_min, expected at most one: drop all but one",
    ),
    "no time axis": (lambda: heat(START, time=None), r"rod: Heat evolves in time: give time=Axis\('t', 0, 1\)"),
    "a time axis of another name": (
        lambda: heat(START, time=Axis("time", 0.0, 1.0)),
        r"the time axis is called 't', got 'time': write Axis\('t', 0.0, 1.0\)",
    ),
    "time where nothing evolves": (lambda: heat(equation=Poisson()), "rod: Poisson is stationary: leave time out"),
    "initial value where nothing evolves": (
        lambda: heat(START, equation=Poisson(), time=None),
        "rod: initial u needs an evolution in time",
    ),
    "no evaluation times": (lambda: heat(START, evaluation=Evaluation(16)), "the evaluation set has no times: write"),
    "evaluation times outside": (
        lambda: heat(START, evaluation=Evaluation(16, (0.0, 2.0))),
        r"evaluation times from 0.0 to 2.0 leave the time axis \[0.0, 1.0\]",
    ),
    "NaN in an initial function": (
        lambda: heat(InitialValue("u", lambda p, x: (x["x"] - 0.7) ** 0.5)),
        r"rod: the initial state u is not finite at x = 0",
    ),
    "NaN as an initial number": (
        lambda: heat(InitialValue("u", math.nan)),
        "the value of initial u is not finite, got nan",
    ),
    "NaN in an initial field": (
        lambda: heat(InitialValue("u", on_grid(bad=math.nan))),  # type: ignore[arg-type]
        "rod: the value of initial u is not finite at x = 0.37",
    ),
    "infinity in a boundary value": (lambda: heat(START, Dirichlet("u", "all", math.inf)), "is not finite, got inf"),
    "NaN in a parameter field": (
        lambda: heat(START, values={"diffusivity": on_grid(bad=math.nan, where=100)}),
        "the parameter diffusivity is not finite at x = 1",
    ),
    "NaN in a parameter": (lambda: heat(START, values={"diffusivity": math.nan}), "diffusivity is not finite, got nan"),
    "parameter out of bounds": (
        lambda: heat(START, values={"diffusivity": -1.0}),
        r"a number in \[0.0, inf\], got -1.0",
    ),
    "unknown parameter": (lambda: heat(START, values={"difusivity": 1.0}), "did you mean 'diffusivity'"),
    "unknown axis in a formula": (
        lambda: heat(InitialValue("u", lambda p, x: sin(x["y"]))),
        "unknown axis 'y': known: t, x",
    ),
    "unknown axis of a grid": (lambda: heat(START, Dirichlet("u")).grid({"y": 8}), "unknown axis 'y'"),
    "unknown axis of an evaluation set": (
        lambda: heat(START, evaluation=Evaluation({"z": 8}, (1.0,))),
        "unknown axis 'z'",
    ),
    "unknown unit of an unknown": (lambda: Unknown("u", unit="furlong"), "unknown unit 'furlong'"),
    "unknown unit of a parameter": (lambda: Parameter("k", unit="m sec-1"), "unknown unit 'sec'"),
    "a domain of size zero": (lambda: heat(START, domain=Interval("x", 1.0, 1.0)), "axis 'x' has size zero or less"),
    "no boundary named": (lambda: heat(START, Dirichlet("u", ())), "u at no boundary: name some of x_min, x_max"),
    "NaN in a boundary function": (
        lambda: heat(START, Dirichlet("u", "x_min", lambda p, x: (x["t"] - 0.5) ** 0.5)),
        "rod: the value of u at x_min is not finite at t = ",
    ),
    "NaN in a parameter function": (
        lambda: heat(START, values={"diffusivity": lambda p, x: (x["x"] - 0.5) ** 0.5}),
        "rod: the parameter diffusivity is not finite at t = ",
    ),
    "a word for a value": (
        lambda: heat(START, Dirichlet("u", "all", "zero")),  # type: ignore[arg-type]
        "the value of u at the boundary must be a number, a function of .p, x. or a field, got 'zero'",
    ),
    "a list for a parameter": (
        lambda: heat(START, values={"diffusivity": [0.1, 0.2]}),
        r"the parameter diffusivity must be a number, .* got \[0.1, 0.2\]: .*torch.tensor",
    ),
    "nothing for a value": (lambda: heat(InitialValue("u", None)), "initial u has no value"),  # type: ignore[arg-type]
    "one condition bare": (
        lambda: Problem("rod", Heat(), LINE, START, TIME),  # type: ignore[arg-type]
        "conditions is a list, got one condition",
    ),
    "a name for a condition": (lambda: heat(START, "x_min"), "a condition is Dirichlet, .* got 'x_min'"),
    "an axis for a domain": (lambda: heat(START, domain=Axis("x", 0.0, 1.0)), "the domain must be a Domain, got Axis"),
    "a rate of another name": (lambda: heat(START, equation=Renamed()), "Renamed.rate must return {'u': ...}, got v"),
    "a rate that is a field": (
        lambda: heat(START, equation=Bare()),
        "Bare.rate must return {'u': ...}, got a PointField",
    ),
    "units that disagree": (
        lambda: heat(START, domain=Interval("x", 0, 1, unit="s"), time=Axis("t", 0.0, 1.0, unit="s")),
        "has unit .* check the units of the axes",
    ),
    "observations outside": (
        lambda: heat(START, Observed("u", np.array([[0.5, 7.0]]), np.ones(1))),
        r"rod: observed u: x runs from 7 to 7, outside of \[0, 1\]",
    ),
    "observations of another shape": (
        lambda: Observed("u", np.zeros((3, 2)), np.zeros(4)),
        r"observations of u need points \(n, axes\) and values \(n,\), got \(3, 2\) and \(4,\)",
    ),
    "observations without time": (
        lambda: heat(START, Observed("u", np.zeros((3, 1)), np.zeros(3))),
        r"observed u: points need the 2 columns \(t, x\), got 1",
    ),
    "observations with NaN": (lambda: Observed("u", np.zeros((1, 2)), np.array([math.nan])), "hold NaN or infinity"),
    "observations without noise": (
        lambda: Observed("u", np.zeros((1, 2)), np.zeros(1), noise=0.0),
        "positive standard",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_in_one_line(case):
    make, message = CASES[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=message) as error:
            make()
    assert "\n" not in str(error.value)


def test_a_good_problem_raises_and_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rod = heat(START, Dirichlet("u"))
        heat(START, Neumann("u", "x_min"), Dirichlet("u", "x_max"))
        dataclasses.replace(rod, name="other")


def corner(make) -> str:
    with pytest.warns(UserWarning, match="at the corner") as caught:
        make()
    assert len(caught) == 1 and "\n" not in str(caught[0].message)
    return str(caught[0].message)


def test_boundary_and_initial_value_that_disagree_are_warned_of():
    message = corner(lambda: heat(START, Dirichlet("u", "x_max", 0.5), Dirichlet("u", "x_min")))
    assert message.startswith("rod: at the corner t = 0, x = 1 the condition u at x_max gives 0.5 and initial u gives ")


def test_boundary_values_that_disagree_at_a_corner_of_the_domain_are_warned_of():
    square = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 2.0))

    def lid(value):
        sides = (Dirichlet("u", ("x_min", "x_max", "y_min")), Dirichlet("u", "y_max", value))
        return Problem("cavity", Poisson(), square, conditions=sides)

    with pytest.warns(UserWarning) as caught:
        lid(1.0)
    messages = sorted(str(w.message) for w in caught)
    assert messages == [
        "cavity: at the corner x = 0, y = 2 the condition u at x_min gives 0 and u at y_max gives 1",
        "cavity: at the corner x = 1, y = 2 the condition u at x_max gives 0 and u at y_max gives 1",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lid(lambda p, x: x["x"] * (1 - x["x"]))  # a lid that slows down towards the corners


def test_a_disagreement_in_the_midst_of_an_edge_is_found():
    square = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
    message = corner(
        lambda: heat(InitialValue("u", lambda p, x: sin(math.pi * x["y"])), Dirichlet("u", "x_min"), domain=square)
    )
    assert "at the corner t = 0, x = 0, y = 0.5 the condition u at x_min gives 0 and initial u gives 1" in message


def test_unknown_names_come_with_the_nearest_known_one():
    assert str(unknown_name("thing", "vsicosity", ["viscosity", "speed"])) == (
        "unknown thing 'vsicosity': did you mean 'viscosity'? known: speed, viscosity"
    )
    assert str(unknown_name("thing", "qqq", [])) == "unknown thing 'qqq': known: none"


def test_a_boundary_without_any_condition_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"rod: u has no condition on the boundary \(x_min, x_max\).*Dirichlet"):
        heat(START)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        heat(START, Dirichlet("u", "x_min"))  # one side says that the user thought of it
        heat(START, domain=Interval("x", 0, 1, periodic=True))


class Beam(Equation):
    """u_xxxx = 1: a beam under its own weight, in a domain of any dimension."""

    unknowns = (Unknown("u"),)

    def residual(self, u, p, x):
        return {"u": d(d(u["u"], "x", 2), "x", 2) - 1.0}


def beam(*conditions, domain=LINE) -> Problem:
    return Problem("beam", Beam(), domain, conditions)


def test_an_equation_of_order_four_takes_a_value_and_a_slope_at_each_end() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clamped = beam(Dirichlet("u"), Neumann("u"))
        strip = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
        ends = ("x_min", "x_max")
        beam(Dirichlet("u"), Neumann("u", ends), domain=strip)  # along y it is of order 0
    assert list(clamped.named_conditions) == ["u at the boundary", "slope of u at the boundary"]
    mixed = beam(Dirichlet("u"), Robin("u", 1.0, 0.5))
    assert list(mixed.named_conditions) == ["u at the boundary", "mix of value and slope of u at the boundary"]
    assert normal_orders(clamped) == {("u", "x_min"): 4, ("u", "x_max"): 4}
    with pytest.raises(InputError, match="beam: 2 conditions for u at y_min, expected at most one"):
        beam(Dirichlet("u"), Neumann("u"), domain=strip)
    with pytest.raises(InputError, match=r"3 conditions for u at x_max, expected at most 2$"):
        beam(Dirichlet("u"), Neumann("u"), Robin("u", 1.0, 1.0, "x_max"))
    for twice in ((Dirichlet("u"), Dirichlet("u", "x_min", 1.0)), (Neumann("u"), Robin("u", 1.0, 1.0, "x_min"))):
        with pytest.raises(InputError, match="2 conditions for u at x_min of the same kind, expected a value and a sl"):
            beam(*twice)


def test_too_few_conditions_for_the_order_are_warned_of() -> None:
    with pytest.warns(UserWarning) as caught:
        beam(Dirichlet("u"), Neumann("u", "x_max"))
    assert [str(w.message) for w in caught] == [
        "beam: the equation has derivatives of order 4 of u across x_min and 1 condition there, expected 2: its "
        "solution is not unique, give a slope too: Neumann('u', 'all', 0.0) beside Dirichlet('u', 'all', 0.0)"
    ]


def test_a_clamped_beam_is_solved_and_the_reference_says_why_it_cannot() -> None:
    problem = beam(Dirichlet("u"), Neumann("u"))
    run = Run(budget=Budget.from_now(4))
    solution = make_method("pinn").solve(problem, run)
    x = Coordinates(problem.evaluation_set)["x"].values
    exact = x**2 * (1 - x) ** 2 / 24
    assert float((solution.on()["u"] - exact).abs().max()) < 1e-8 * float(exact.max())
    with pytest.raises(
        InputError, match=r"of order 4 in u across x_min and needs 2 conditions there.*take --method pi"
    ):
        make_method("reference").solve(problem, run)


def test_values_and_slopes_at_one_end_are_read_and_written(tmp_path) -> None:
    text = "domain: {x: [0, 1]}\nunknowns: u\nequation: dxx(dxx(u)) = 1\nboundary: {all: [u = 0, dn(u) = 0.5]}\n"
    (tmp_path / "beam.yaml").write_text(text)
    read = make_problem(str(tmp_path / "beam.yaml"))
    assert read.conditions == (Dirichlet("u", "all", 0.0), Neumann("u", "all", 0.5))
    written = dataclasses.replace(beam(*read.conditions), equation=read.equation)
    (tmp_path / "again.yaml").write_text(problem_text(written))
    assert make_problem(str(tmp_path / "again.yaml")).conditions == read.conditions
