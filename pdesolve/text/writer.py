"""From a Problem to a document: formulas are recorded from the Python that computes them, numbers stay numbers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from pdesolve import catalogue
from pdesolve.condition import BoundaryCondition, Dirichlet, InitialRate, InitialValue, Neumann, Observed
from pdesolve.equation import Equation, flatten
from pdesolve.errors import InputError
from pdesolve.fields import Vector
from pdesolve.fields.formula import (
    Number,
    number_text,
)
from pdesolve.fields.recorded import formula_of
from pdesolve.problem import Evaluation, Problem
from pdesolve.settings import plain
from pdesolve.text.domains import domain_content
from pdesolve.text.equation import rows_of
from pdesolve.text.layout import block, flow, mapping, scalar
from pdesolve.text.recording import equation_rows, formula_text, recorded


def written(problem: Problem) -> str:
    """The YAML of a problem.

    Raises:
        InputError: the part that cannot be written.
    """
    known = _named(problem.equation)
    rows = _rows(problem)
    parts: list[str] = [f"name: {problem.name}"]
    if problem.description.strip():
        parts.append(block("description", inspect.cleandoc(problem.description)))
    if problem.source:
        parts.append(f"paper: {scalar(problem.source)}")
    with _Part("the domain"):
        parts.append(mapping("domain", domain_content(problem.domain)))
    if problem.time is not None:
        bounds = [problem.time.lower, problem.time.upper]
        unit = problem.time.unit
        parts.append(f"time: {flow(bounds if unit is None else {'t': bounds, 'unit': unit})}")
    if not known:
        parts.append(_unknowns(problem))
    parameters = dict(_parameters(problem, units=not known))
    if parameters:
        parts.append(mapping("parameters", parameters))
    if known:
        parts.append(f"equation: {flow(known) if len(known) > 1 else known['name']}")
        if rows:
            lines = [_unknowns(problem), *_equation(rows)]
            parts.append("\n".join(["# the same, written out:", *(f"# {line}" for line in lines)]))
    else:
        parts += _equation(rows)
    initial, boundary = _conditions(problem)
    if initial:
        parts.append(mapping("initial", initial))
    if boundary:
        parts.append(mapping("boundary", boundary))
    if problem.conserved:
        parts.append(f"conserved: {flow(list(problem.conserved))}")
    if problem.up_to_constant:
        parts.append(f"up_to_constant: {flow(list(problem.up_to_constant))}")
    parts += _exact(problem)
    parts.append(mapping("evaluation", _evaluation(problem.evaluation, problem)))
    return "\n".join(parts) + "\n"


def _rows(problem: Problem) -> tuple[str, ...]:
    """The rows, where the equation can be written; of a named equation they are for readers only."""
    try:
        return rows_of(problem.equation) or equation_rows(problem)
    except InputError as error:
        if _named(problem.equation):
            return ()
        raise InputError(f"{problem.name}: the equation cannot be written as text: {error}") from None


def _parameters(problem: Problem, *, units: bool) -> Iterator[tuple[str, object]]:
    """The values of the parameters, numbers first: formulas may use them. Units where the equation is not named."""
    declared = {parameter.name: parameter for parameter in problem.equation.parameters}
    given = {**{k: v.default for k, v in declared.items() if v.default is not None}, **problem.values}
    formulas = {}
    for name, parameter in declared.items():
        if name not in given:
            continue
        value = given[name]
        if callable(value):
            formulas[name] = value
            continue
        with _Part(f"the parameter {name}"):
            number = number_text(_number(value))
        about: dict[str, object] = {"value": number}
        if parameter.unit is not None and not problem.nondimensional:
            about["unit"] = parameter.unit
        yield name, about if units and len(about) > 1 else number
    for name, value in formulas.items():
        with _Part(f"the parameter {name}"):
            yield name, formula_text(problem, value(*recorded(problem, problem.axes.names)))


def _number(value: Any) -> float:
    node = formula_of(value)
    assert isinstance(node, Number)
    return node.value


def _conditions(problem: Problem) -> tuple[dict[str, object], dict[str, object]]:
    """The initial values, and the conditions on each part of the boundary."""
    initial: dict[str, object] = {}
    boundary: dict[str, list[str]] = {}
    for condition in problem.conditions:
        with _Part(condition.name):
            if isinstance(condition, (InitialValue, InitialRate)):
                form = "{}" if isinstance(condition, InitialValue) else "dt({})"
                for name, value in _scalars(problem, condition.unknown, condition.value, problem.axes.names):
                    initial[form.format(name)] = value
            elif isinstance(condition, BoundaryCondition):
                where = condition.boundary if isinstance(condition.boundary, str) else ", ".join(condition.boundary)
                rows = [
                    f"{_left(condition, name)} = {value}"
                    for name, value in _scalars(problem, condition.unknown, condition.value, problem.axes.names)
                ]
                boundary.setdefault(where, []).extend(rows)
            elif isinstance(condition, Observed):
                raise InputError("observations are values: keep them in a CSV file and write observations: data.csv")
            else:
                raise InputError(f"a {type(condition).__name__} has no form as text")
    if "all" in boundary and len(boundary) > 1:  # each part by its name, since all of them has another meaning there
        everywhere = boundary.pop("all")
        for part in problem.domain.boundaries:
            boundary.setdefault(part, []).extend(everywhere)
    return initial, {where: rows[0] if len(rows) == 1 else rows for where, rows in boundary.items()}


def _scalars(problem: Problem, unknown: str, given: Any, at: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The scalars of a given value: one of the unknown, or one for each component."""
    value = given(*recorded(problem, at)) if callable(given) else given
    owner = problem.unknown(unknown)
    if isinstance(value, Vector):
        for name, component in zip(owner.scalars, value, strict=True):
            yield name, formula_text(problem, component)
    else:
        node = formula_of(value)
        yield unknown, number_text(node.value) if isinstance(node, Number) else formula_text(problem, value)


def _left(condition: BoundaryCondition, name: str) -> str:
    match condition:
        case Dirichlet():
            return name
        case Neumann():
            return f"dn({name})"
    alpha, beta = (number_text(value) for value in condition.coefficients)
    return f"{alpha}*{name} + {beta}*dn({name})".replace("+ -", "- ")


def _unknowns(problem: Problem) -> str:
    found: dict[str, object] = {}
    for unknown in problem.equation.unknowns:
        about: dict[str, object] = {}
        if unknown.unit is not None and not problem.nondimensional:
            about["unit"] = unknown.unit
        if unknown.components:
            about["components"] = list(unknown.components)
        found[unknown.name] = about
    if any(found.values()):
        return f"unknowns: {flow(found)}"
    return f"unknowns: {next(iter(found)) if len(found) == 1 else flow(list(found))}"


def _equation(rows: Sequence[str]) -> list[str]:
    if len(rows) == 1:
        return [f"equation: {scalar(rows[0])}"]
    return ["equation:", *(f"  - {scalar(row)}" for row in rows)]


def _named(equation: Equation) -> dict[str, object]:
    """Name and settings of an equation of the catalogue; nothing for others."""
    import dataclasses

    kind = type(equation)
    target = f"{kind.__module__}:{kind.__qualname__}"
    if all(entry.target != target for entry in catalogue.entries("equation")):
        return {}
    settings = {f.name: plain(getattr(equation, f.name)) for f in dataclasses.fields(equation)}  # type: ignore[arg-type]
    return {"name": kind.__name__, **settings}


def _evaluation(evaluation: Evaluation, problem: Problem) -> dict[str, object]:
    points = evaluation.points if isinstance(evaluation.points, int) else dict(evaluation.points)
    placed = {} if evaluation.bounded == "nodes" else {"placement": evaluation.bounded}
    if problem.time is None:
        return {"points": points, **placed}
    steps = len(evaluation.times) - 1
    even = steps > 0 and Evaluation.uniform(evaluation.points, problem.time, steps).times == evaluation.times
    return {"points": points, "times": steps if even else list(evaluation.times), **placed}


def _exact(problem: Problem) -> list[str]:
    """The exact solution; a remark in its place where it is more than a formula, as with shocks."""
    if problem.exact is None:
        return []
    try:
        state = problem.exact.formula(*recorded(problem, problem.axes.names))
        exact = {name: formula_text(problem, field) for name, field in flatten(state).items()}
    except InputError:
        return [f"# an exact solution is known ({problem.exact.source}), but no formula of this file can say it"]
    return [mapping("exact", {**exact, **({"source": problem.exact.source} if problem.exact.source else {})})]


class _Part:
    """Errors from within say which part of the problem cannot be written."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, InputError):
            raise InputError(f"{self.what} cannot be written as text: {error}") from None
