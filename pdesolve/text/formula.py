"""Formulas to be evaluated on fields, many times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from pdesolve import fields
from pdesolve.fields import Constant, Field, Quantity, Vector
from pdesolve.fields.formula import (
    Call,
    Name,
    Negative,
    Node,
    Operation,
    Partial,
    constant,
    names,
    text,
)
from pdesolve.text.scope import FUNCTIONS


@dataclass(frozen=True)
class Formula:
    """A formula to be evaluated: equal parts are computed once.

    Called with mappings of fields, of which the first that has a name gives its value; the last must have it.
    """

    node: Node
    components: tuple[str, ...] = ()

    def __call__(self, *scopes: Mapping[str, Any]) -> Any:
        values: list[Any] = []
        for step in self._steps:
            values.append(step(values, scopes))
        return values[-1]

    def __str__(self) -> str:
        return text(self.node)

    @cached_property
    def names(self) -> set[str]:
        return names(self.node)

    @cached_property
    def _steps(self) -> tuple[Callable[[list[Any], tuple[Mapping[str, Any], ...]], Any], ...]:
        places: dict[Node, int] = {}
        steps: list[Callable[[list[Any], tuple[Mapping[str, Any], ...]], Any]] = []

        def place(node: Node) -> int:
            if node not in places:
                step = self._step(node, place)
                places[node] = len(steps)
                steps.append(step)
            return places[node]

        place(self.node)
        return tuple(steps)

    def _step(self, node: Node, place: Callable[[Node], int]) -> Callable[[list[Any], Any], Any]:
        """What computes a node from the values of the nodes before it."""
        known = constant(node)
        if known is not None:
            return lambda values, scopes: known
        match node:
            case Name(name):
                return lambda values, scopes: _find(name, scopes)
            case Negative(operand):
                i = place(operand)
                return lambda values, scopes: -values[i]
            case Operation("**", left, right):
                i, exponent = place(left), constant(right)
                assert exponent is not None
                power = int(exponent) if exponent == int(exponent) else exponent
                return lambda values, scopes: values[i] ** power
            case Operation(symbol, left, right):
                i, j, operation = place(left), place(right), _OPERATIONS[symbol]
                return lambda values, scopes: operation(values[i], values[j])
            case Partial(operand, axis, order):
                i = place(operand)
                return lambda values, scopes: _partial(values[i], axis, order)
            case Call(name, arguments):
                positions = [place(argument) for argument in arguments]
                if name == "vector":
                    return lambda values, scopes: Vector(
                        {c: _component(values[i]) for c, i in zip(self.components, positions, strict=True)}
                    )
                function = FUNCTIONS[name].apply
                return lambda values, scopes: function(*[values[i] for i in positions])
        raise TypeError(f"no formula: {node!r}")


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


def _find(name: str, scopes: tuple[Mapping[str, Any], ...]) -> Any:
    for scope in scopes[:-1]:
        if name in scope:
            return scope[name]
    return scopes[-1][name]


def _component(value: Any) -> Field:
    # a tensor without dimensions takes the dtype and the device of what it meets
    return value if isinstance(value, Field) else Constant(torch.tensor(value, dtype=torch.float64), Quantity("number"))


def _partial(value: Any, axis: str, order: int) -> Any:
    return fields.d(value, axis, order) if isinstance(value, (Field, Vector)) else 0.0
