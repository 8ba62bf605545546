"""Formulas: expressions of fields as trees, and as text with the fewest brackets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}

Symbol = Literal["+", "-", "*", "/", "**"]


@dataclass(frozen=True)
class Number:
    """A number, at least 0 where a formula is read; recorded ones may be negative."""

    value: float


@dataclass(frozen=True)
class Name:
    """A coordinate, an unknown, a parameter, or one of `CONSTANTS`."""

    name: str


@dataclass(frozen=True)
class Negative:
    """-operand."""

    operand: Node


@dataclass(frozen=True)
class Operation:
    """left symbol right."""

    symbol: Symbol
    left: Node
    right: Node


@dataclass(frozen=True)
class Call:
    """function(arguments): elementary functions, and the words of the calculus but for partial derivatives."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Partial:
    """The partial derivative of the given order along one axis."""

    operand: Node
    axis: str
    order: int = 1


Node = Number | Name | Negative | Operation | Call | Partial


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below."""
    match node:
        case Negative(operand) | Partial(operand):
            return (operand,)
        case Operation(_, left, right):
            return (left, right)
        case Call(_, arguments):
            return arguments
    return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def names(node: Node) -> set[str]:
    """The names in a formula, constants left out."""
    return {part.name for part in walk(node) if isinstance(part, Name)} - set(CONSTANTS)


def substitute(node: Node, replacements: Mapping[Any, Node]) -> Node:
    """The formula with some of its nodes replaced, the outermost first."""
    if node in replacements:
        return replacements[node]
    match node:
        case Negative(operand) | Partial(operand):
            return replace(node, operand=substitute(operand, replacements))
        case Operation(symbol, left, right):
            return Operation(symbol, substitute(left, replacements), substitute(right, replacements))
        case Call(function, arguments):
            return Call(function, tuple(substitute(argument, replacements) for argument in arguments))
    return node


def constant(node: Node) -> float | None:
    """The value of a formula of numbers alone; None for others, and where it has none (1/0)."""
    try:
        match node:
            case Number(value):
                return value
            case Name(name):
                return CONSTANTS.get(name)
            case Negative(operand):
                value = constant(operand)
                return None if value is None else -value
            case Operation(symbol, left, right):
                a, b = constant(left), constant(right)
                return None if a is None or b is None else _number(symbol, a, b)
            case Call("sqrt", (argument,)):
                value = constant(argument)
                return None if value is None else math.sqrt(value)
    except (ArithmeticError, ValueError):
        return None
    return None


def _number(symbol: Symbol, a: float, b: float) -> float | None:
    match symbol:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return a / b
    result = a**b
    return result if isinstance(result, float) else None  # a root of a negative number


def combined(symbol: Symbol, left: Node, right: Node) -> Node:
    """left symbol right without what says nothing: sums with 0, products with 1, operations of two numbers."""
    a = left.value if isinstance(left, Number) else None
    b = right.value if isinstance(right, Number) else None
    if a is not None and b is not None:
        value = constant(Operation(symbol, left, right))
        if value is not None and math.isfinite(value):
            return Number(value)
    match symbol:
        case "+" if a == 0:
            return right
        case "+" | "-" if b == 0:
            return left
        case "-" if a == 0:
            return negated(right)
        case "+" if isinstance(right, Negative):
            return Operation("-", left, right.operand)
        case "-" if isinstance(right, Negative):
            return Operation("+", left, right.operand)
        case "+" | "-" if b is not None and b < 0:
            return Operation("-" if symbol == "+" else "+", left, Number(-b))
        case "*" if a == 0 or b == 0:
            return Number(0.0)
        case "*" if a == 1:
            return right
        case "*" if a == -1:
            return negated(right)
        case "*" | "/" | "**" if b == 1:
            return left
        case "/" if a == 0:
            return left
    return Operation(symbol, left, right)


def negated(node: Node) -> Node:
    """-node, two minus signs being none."""
    match node:
        case Negative(operand):
            return operand
        case Number(value):
            return Number(-value)
    return Negative(node)


_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = 1, 2, 3, 4, 5
_STRENGTH = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "**": _POWER}


def text(node: Node) -> str:
    """The formula as text, which reads back as the same values."""
    return _written(node)[0]


def _written(node: Node) -> tuple[str, int]:
    """The text of a node and how strongly it holds together."""
    match node:
        case Number(value):
            return number_text(value), _number_strength(value)
        case Name(name):
            return name, _ATOM
        case Negative(operand):
            return f"-{_bracketed(operand, _SIGN)}", _SIGN
        case Operation(symbol, left, right):
            strength = _STRENGTH[symbol]
            if symbol == "**":
                return f"{_bracketed(left, _ATOM)}**{_bracketed(right, _SIGN)}", strength
            # what follows - and / needs brackets where its own operations are as weak; sums of sums and products of
            # products are the same read from the left
            after = _bracketed(right, strength + (symbol in "-/"))
            space = " " if strength == _SUM else ""
            return f"{_bracketed(left, strength)}{space}{symbol}{space}{after}", strength
        case Call(function, arguments):
            return f"{function}({', '.join(text(argument) for argument in arguments)})", _ATOM
        case Partial(operand, axis, order):
            if len(axis) == 1 and order <= 4:
                return f"d{axis * order}({text(operand)})", _ATOM
            return f"d({text(operand)}, {axis}{f', {order}' if order > 1 else ''})", _ATOM
    raise TypeError(f"no formula: {node!r}")


def _bracketed(node: Node, least: int) -> str:
    written, strength = _written(node)
    return written if strength >= least else f"({written})"


def number_text(value: float) -> str:
    """A number as people write it: 2, 0.1, 1e-30, and 2*pi, 0.01/pi or pi**2 where it is exactly that."""
    plain = f"{value:.15g}" if float(f"{value:.15g}") == value else repr(value)
    if len(plain) < 9:
        return plain
    for n in range(2, 17):
        if abs(value) == math.pi / n:
            return f"{'-' if value < 0 else ''}pi/{n}"
    for power, name in ((math.pi, "pi"), (math.pi**2, "pi**2")):
        over, times = f"{value * power:.6g}", f"{value / power:.6g}"
        if len(times) < 9 and float(times) * power == value:
            return {"1": name, "-1": f"-{name}"}.get(times, f"{times}*{name}")
        if len(over) < 9 and float(over) / power == value:
            return f"{over}/{name}"
    return plain


def _number_strength(value: float) -> int:
    written = number_text(value)
    if written in CONSTANTS or written.replace(".", "").replace("e-", "").replace("e+", "").isdigit():
        return _ATOM
    if written == "pi**2":
        return _POWER
    return _PRODUCT if "pi" in written else _SIGN
