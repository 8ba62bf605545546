"""The terms of an equation: the summands of each row of its residual, and how large they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from pdesolve.equation import State, Values, assemble, flatten
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Field
from pdesolve.fields.formula import Name, Negative, Node, Operation, text
from pdesolve.fields.recorded import RecordedField, formula_of
from pdesolve.problem import Problem
from pdesolve.text.formula import Formula
from pdesolve.text.recording import recorded, with_laplacians

WHOLE = "residual"  # what a row is called that is no sum of formulas


def summands(problem: Problem) -> dict[str, dict[str, Formula]] | None:
    """The summands of each row of the residual, {row: {text: formula}}, signs left out.

    None for an equation that is more than arithmetic, which cannot be looked into.
    """
    p, x = recorded(problem, problem.axes.names)
    scalars = {name: RecordedField(Name(name), problem.axes) for name in problem.equation.scalars}
    try:
        rows = problem.equation.residual(assemble(problem.equation.unknowns, scalars), p, x)
        nodes = {name: with_laplacians(formula_of(row), problem.domain.axes) for name, row in flatten(rows).items()}
    except InputError:
        return None
    return {
        name: {text(part).removeprefix("-"): Formula(part) for part in _split(node)} for name, node in nodes.items()
    }


def _split(node: Node) -> Iterator[Node]:
    match node:
        case Negative(operand):
            yield from _split(operand)
        case Operation("+" | "-", left, right):
            yield from _split(left)
            yield from _split(right)
        case _:
            yield node


def term_values(problem: Problem, u: State, p: Values, x: Coordinates) -> dict[str, dict[str, Tensor]]:
    """The values of every summand of the residual of a state, {row: {text: values}}."""
    formulas = summands(problem)
    if formulas is None:
        rows = flatten(problem.equation.residual(u, p, x))
        return {name: {WHOLE: _values(row, x)} for name, row in rows.items()}
    fields = {**p, **flatten(u)}
    return {
        name: {words: _values(formula(x, fields), x) for words, formula in parts.items()}
        for name, parts in formulas.items()
    }


def _values(value: Any, x: Coordinates) -> Tensor:
    if not isinstance(value, Field):  # a number
        return torch.full(x.discretisation.shape, float(value), dtype=x.dtype, device=x.device)
    return x.expand(value).values.detach()


def root_mean_square(values: Tensor) -> float:
    """Over the values that are finite; 0 where none is."""
    finite = values[torch.isfinite(values)]
    return float(finite.square().mean().sqrt()) if len(finite) else 0.0


def sizes(problem: Problem, u: State, p: Values, x: Coordinates) -> dict[str, dict[str, float]]:
    """The root mean square of every summand that is not zero everywhere, {row: {text: size}}."""
    found: Mapping[str, Mapping[str, Tensor]] = term_values(problem, u, p, x)
    return {
        name: {words: size for words, values in parts.items() if (size := root_mean_square(values)) > 0}
        for name, parts in found.items()
    }
