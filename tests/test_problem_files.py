"""Problems as text: every problem of the catalogue there and back, problems of nobody's catalogue, what is refused."""

from __future__ import annotations

import json
import math
import random
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
from pdesolve.fields import Coordinates, GridField
from pdesolve.geometry import Grid, PointCloud
from pdesolve.problem_file import problem_text, read_problem

PROBLEMS = [entry.name for entry in entries("problem")]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str, **settings: Any) -> ps.Problem:
    Path("given.yaml").write_text(text)
    return read_problem("given.yaml", settings)


def written_out(text: str) -> str:
    """The text of a problem with the equation that stands in its comments in the place of the equation's name."""
    kept = [line for line in text.splitlines() if not line.startswith(("equation:", "# the same"))]
    return "\n".join(line.removeprefix("# ") for line in kept)


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
    assert (a.exact is None) == (b.exact is None)
    if a.exact is not None and b.exact is not None:
        left, right = a.exact.formula(a.bind(x), x), b.exact.formula(b.bind(x), x)
        for name in left:
            close(left[name], right[name], x)


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_of_the_catalogue_comes_back_the_same(name: str) -> None:
    problem = make_problem(name)
    text = problem_text(problem)
    by_name, by_rows = read(text), read(written_out(text))
    assert by_name.equation == problem.equation and type(by_rows.equation) is not type(problem.equation)
    assert by_name.description.split() == problem.description.split() and by_name.source == problem.source
    for again in (by_name, by_rows):
        agree(problem, again)
    assert by_name.conserved == problem.conserved


@pytest.mark.parametrize("name", ["burgers_shock", "heat_1d", "poisson_2d", "wave_1d"])
def test_a_problem_that_came_back_has_the_same_reference(name: str) -> None:
    method = ps.make_method("reference", {"scheme": "auto"})
    problem = make_problem(name)
    expected = ps.solve(problem, method, out="first").on()["u"]
    text = problem_text(problem)
    found = ps.solve(read(text), method, out="second").on()["u"]
    assert torch.equal(expected, found)
    solution = ps.solve(read(written_out(text)), method, out="third")
    bound = 1e-12 if problem.exact is not None else 1e-6  # without its name the equation has no closed form
    assert float((solution.on()["u"] - expected).abs().max()) < bound
