"""From a Problem to a document: formulas are recorded from the Python that computes them, numbers stay numbers."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pdesolve import catalogue
from pdesolve.condition import BoundaryCondition, Dirichlet, InitialRate, InitialValue, Neumann, Observed
from pdesolve.equation import Equation, Evolution, assemble, flatten, velocity_name
from pdesolve.errors import InputError
from pdesolve.fields import Vector
from pdesolve.fields.formula import (
    Call,
    Name,
    Node,
    Number,
    Operation,
    Partial,
    children,
    number_text,
    substitute,
    text,
)
from pdesolve.fields.recorded import RecordedCoordinates, RecordedField, formula_of
from pdesolve.geometry import Axes
from pdesolve.problem import Evaluation, Problem
from pdesolve.settings import plain
from pdesolve.text.domains import domain_content
from pdesolve.text.equation import rate_name, rows_of

_WIDTH = 116


def written(problem: Problem) -> str:
    """The YAML of a problem.

    Raises:
        InputError: the part that cannot be written.
    """
    known = _named(problem.equation)
    rows = _rows(problem)
    parts: list[str] = [f"name: {problem.name}"]
    if problem.description.strip():
        parts.append(_block("description", inspect.cleandoc(problem.description)))
    if problem.source:
        parts.append(f"paper: {_scalar(problem.source)}")
    with _Part("the domain"):
        parts.append(_mapping("domain", domain_content(problem.domain)))
    if problem.time is not None:
        bounds = [problem.time.lower, problem.time.upper]
        unit = problem.time.unit
        parts.append(f"time: {_flow(bounds if unit is None else {'t': bounds, 'unit': unit})}")
    if not known:
        parts.append(_unknowns(problem))
    parameters = dict(_parameters(problem, units=not known))
    if parameters:
        parts.append(_mapping("parameters", parameters))
    if known:
        parts.append(f"equation: {_flow(known) if len(known) > 1 else known['name']}")
        if rows:
            lines = [_unknowns(problem), *_equation(rows)]
            parts.append("\n".join(["# the same, written out:", *(f"# {line}" for line in lines)]))
    else:
        parts += _equation(rows)
    initial, boundary = _conditions(problem)
    if initial:
        parts.append(_mapping("initial", initial))
    if boundary:
        parts.append(_mapping("boundary", boundary))
    if problem.conserved:
        parts.append(f"conserved: {_flow(list(problem.conserved))}")
    if problem.exact is not None:
        with _Part("the exact solution"):
            state = problem.exact.formula(*_recorded(problem, problem.axes.names))
            exact = {name: _formula(problem, field) for name, field in flatten(state).items()}
        parts.append(_mapping("exact", {**exact, **({"source": problem.exact.source} if problem.exact.source else {})}))
    parts.append(_mapping("evaluation", _evaluation(problem.evaluation, problem)))
    return "\n".join(parts) + "\n"


def equation_rows(problem: Problem) -> tuple[str, ...]:
    """The rows of the problem's equation, one for each scalar, as text.

    Raises:
        InputError: an equation that is more than arithmetic.
    """
    return tuple(f"{left} = {right}" for left, right in _sides(problem))


def _rows(problem: Problem) -> tuple[str, ...]:
    """The rows, where the equation can be written; of a named equation they are for readers only."""
    try:
        return rows_of(problem.equation) or equation_rows(problem)
    except InputError as error:
        if _named(problem.equation):
            return ()
        raise InputError(f"{problem.name}: the equation cannot be written as text: {error}") from None


def _sides(problem: Problem) -> Iterator[tuple[str, str]]:
    equation, space = problem.equation, problem.domain.axes
    p, x = _recorded(problem, problem.axes.names)
    scalars = {name: RecordedField(Name(name), space) for name in equation.scalars}
    u: dict[str, Any] = dict(assemble(equation.unknowns, scalars))
    if not isinstance(equation, Evolution):
        for field in flatten(equation.residual(u, p, x)).values():
            match formula_of(field):
                case Operation("-", left, right):
                    yield tuple(text(with_laplacians(side, space)) for side in (left, right))  # type: ignore[misc]
                case node:
                    yield text(with_laplacians(node, space)), "0"
        return
    if equation.order == 2:
        rates = {name: RecordedField(rate_name(name), space) for name in equation.scalars}
        u |= {velocity_name(name): field for name, field in assemble(equation.unknowns, rates).items()}
    left = "d" + "t" * equation.order
    for name, field in flatten(equation.rate(u, p, x)).items():
        yield f"{left}({name})", _formula(problem, field)
    for field in flatten(equation.constraint(u, p, x)).values():
        yield _formula(problem, field), "0"


def _recorded(problem: Problem, at: Iterable[str]) -> tuple[dict[str, RecordedField], RecordedCoordinates]:
    """Parameters and coordinates that are names."""
    axes = problem.axes
    return (
        {p.name: RecordedField(Name(p.name), axes) for p in problem.equation.parameters},
        RecordedCoordinates(axes, at),
    )


def _formula(problem: Problem, field: Any) -> str:
    return text(with_laplacians(formula_of(field), problem.domain.axes))


def with_laplacians(node: Node, space: Axes) -> Node:
    """The formula with sums of second derivatives along every axis of space written as Laplacians."""
    if len(space) < 2:
        return node
    found: dict[Node, Node] = {}

    def visit(node: Node) -> None:
        inner: Node = node
        for axis in reversed(space.names[1:]):
            if not (isinstance(inner, Operation) and inner.symbol == "+" and isinstance(inner.right, Partial)):
                break
            if (inner.right.axis, inner.right.order) != (axis, 2):
                break
            inner = inner.left
        else:
            if isinstance(inner, Partial) and (inner.axis, inner.order) == (space.names[0], 2):
                operand = inner.operand
                total: Node = inner
                for axis in space.names[1:]:
                    total = Operation("+", total, Partial(operand, axis, 2))
                if total == node:
                    found[node] = Call("laplacian", (with_laplacians(operand, space),))
                    return
        for child in children(node):
            visit(child)

    visit(node)
    return substitute(node, found)


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
            yield name, _formula(problem, value(*_recorded(problem, problem.axes.names)))


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
    value = given(*_recorded(problem, at)) if callable(given) else given
    owner = problem.unknown(unknown)
    if isinstance(value, Vector):
        for name, component in zip(owner.scalars, value, strict=True):
            yield name, _formula(problem, component)
    else:
        node = formula_of(value)
        yield unknown, number_text(node.value) if isinstance(node, Number) else _formula(problem, value)


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
        return f"unknowns: {_flow(found)}"
    return f"unknowns: {next(iter(found)) if len(found) == 1 else _flow(list(found))}"


def _equation(rows: Sequence[str]) -> list[str]:
    if len(rows) == 1:
        return [f"equation: {_scalar(rows[0])}"]
    return ["equation:", *(f"  - {_scalar(row)}" for row in rows)]


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
    if problem.time is None:
        return {"points": points}
    steps = len(evaluation.times) - 1
    even = steps > 0 and Evaluation.uniform(evaluation.points, problem.time, steps).times == evaluation.times
    return {"points": points, "times": steps if even else list(evaluation.times)}


class _Part:
    """Errors from within say which part of the problem cannot be written."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, InputError):
            raise InputError(f"{self.what} cannot be written as text: {error}") from None


def _block(key: str, content: str) -> str:
    return "\n".join([f"{key}: |", *(f"  {line}".rstrip() for line in content.strip().splitlines())])


def _mapping(key: str, content: Mapping[str, object]) -> str:
    """A mapping in one line where it is short, else an entry a line."""
    line = f"{key}: {_flow(content)}"
    if len(line) <= 60:
        return line
    return "\n".join([f"{key}:", *(f"  {name}: {_flow(value)}" for name, value in content.items())])


def _flow(value: object) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_flow(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flow(entry) for entry in value) + "]"
    if isinstance(value, float):
        return number_text(value)
    return _scalar(str(value))


def _scalar(value: str) -> str:
    """A text as YAML reads it back: in quotes where it holds what YAML has a meaning for."""
    plain_text = not any(mark in value for mark in (": ", " #", "{", "}", "[", "]", ",", "'", '"', "\n"))
    if (
        plain_text
        and value
        and value[0] not in "&*!|>%@`#"
        and not value.startswith(("- ", "? "))
        and value == value.strip()
    ):
        return value
    return "'" + value.replace("'", "''").replace("\n", " ") + "'"
