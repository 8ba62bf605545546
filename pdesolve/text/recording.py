"""The formulas of a problem's Python: of its equation and of its values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pdesolve.equation import Evolution, assemble, flatten, velocity_name
from pdesolve.fields.formula import (
    Call,
    Name,
    Node,
    Operation,
    Partial,
    children,
    substitute,
    text,
)
from pdesolve.fields.recorded import RecordedCoordinates, RecordedField, formula_of
from pdesolve.geometry import Axes
from pdesolve.problem import Problem
from pdesolve.text.equation import rate_name


def equation_rows(problem: Problem) -> tuple[str, ...]:
    """The rows of the problem's equation, one for each scalar, as text.

    Raises:
        InputError: an equation that is more than arithmetic.
    """
    return tuple(f"{left} = {right}" for left, right in _sides(problem))


def _sides(problem: Problem) -> Iterator[tuple[str, str]]:
    equation, space = problem.equation, problem.domain.axes
    p, x = recorded(problem, problem.axes.names)
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
        yield f"{left}({name})", formula_text(problem, field)
    for field in flatten(equation.constraint(u, p, x)).values():
        yield formula_text(problem, field), "0"


def recorded(problem: Problem, at: Iterable[str]) -> tuple[dict[str, RecordedField], RecordedCoordinates]:
    """Parameters and coordinates that are names."""
    axes = problem.axes
    return (
        {p.name: RecordedField(Name(p.name), axes) for p in problem.equation.parameters},
        RecordedCoordinates(axes, at),
    )


def formula_text(problem: Problem, field: Any) -> str:
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
