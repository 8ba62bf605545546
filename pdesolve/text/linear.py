"""What a formula is linear in, and which part of it is a divergence."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pdesolve.errors import InputError
from pdesolve.fields.formula import (
    Call,
    Negative,
    Node,
    Number,
    Operation,
    Partial,
    combined,
    names,
    negated,
    text,
    walk,
)

ZERO = Number(0.0)


def contains(node: Node, parts: Collection[Node]) -> bool:
    """Whether any of the parts is in the formula."""
    return any(part in parts for part in walk(node))


def split(node: Node, part: Node) -> tuple[Node, Node]:
    """The coefficient a and the rest b of a formula a*part + b, neither of which contains the part.

    Raises:
        InputError: a formula that is not linear in the part.
    """
    if node == part:
        return Number(1.0), ZERO
    if not contains(node, [part]):
        return ZERO, node
    match node:
        case Negative(operand):
            a, b = split(operand, part)
            return negated(a), negated(b)
        case Operation("+" | "-" as symbol, left, right):
            (a, b), (c, d) = split(left, part), split(right, part)
            return combined(symbol, a, c), combined(symbol, b, d)
        case Operation("*", left, right) if not contains(left, [part]):
            a, b = split(right, part)
            return combined("*", left, a), combined("*", left, b)
        case Operation("*" | "/" as symbol, left, right) if not contains(right, [part]):
            a, b = split(left, part)
            return combined(symbol, a, right), combined(symbol, b, right)
    raise InputError(f"{text(node)[:50]!r} is not linear in {text(part)}: write {text(part)} alone on the left")


@dataclass(frozen=True)
class Divergence:
    """div(flux) + rest of a formula, for a flux made of first derivatives of the unknowns, a rest without any.

    `axes` are those of space, `unknowns` the names that depend on them. Factors of a divergence must be `constants`:
    numbers and names that are the same everywhere in space.
    """

    axes: tuple[str, ...]
    unknowns: frozenset[str]
    constants: frozenset[str]

    def of(self, node: Node) -> tuple[Node, Node] | None:
        """The flux, a vector, and the rest; None where the formula is not of that form, or has no divergence."""
        flux, rest = self._parts(node)
        if flux is None or self._slopes(rest) or self._bends(flux):
            return None
        return flux, rest

    def _parts(self, node: Node) -> tuple[Node | None, Node]:
        match node:
            case Negative(operand):
                flux, rest = self._parts(operand)
                return None if flux is None else negated(flux), negated(rest)
            case Operation("+" | "-" as symbol, left, right):
                (a, b), (c, d) = self._parts(left), self._parts(right)
                if a is None or c is None:
                    total = a if c is None else c if symbol == "+" else negated(c)
                else:
                    total = Operation(symbol, a, c)
                return total, combined(symbol, b, d)
            case Operation("*", left, right) if self._constant(left):
                flux, rest = self._parts(right)
                return None if flux is None else combined("*", left, flux), combined("*", left, rest)
            case Operation("*" | "/" as symbol, left, right) if self._constant(right):
                flux, rest = self._parts(left)
                return None if flux is None else combined(symbol, flux, right), combined(symbol, rest, right)
            case Call("laplacian", (operand,)) if names(operand) & self.unknowns:
                return Call("grad", (operand,)), ZERO
            case Call("div", (vector,)) if self._diffusive(vector):
                return vector, ZERO
            case Partial(operand, axis, order) if axis in self.axes and order <= 2:
                inner = Partial(operand, axis) if order == 2 else operand
                if self._diffusive(inner):
                    return self._along(inner, axis), ZERO
        return None, node

    def _along(self, node: Node, axis: str) -> Node:
        """The vector along one axis; zero times the same elsewhere, so that every component is a field."""
        zero = Operation("*", ZERO, node)
        return Call("vector", tuple(node if name == axis else zero for name in self.axes))

    def _constant(self, node: Node) -> bool:
        return names(node) <= self.constants

    def _diffusive(self, node: Node) -> bool:
        """Whether each of the terms has a derivative of an unknown: a flux that only carries makes waves."""
        match node:
            case Negative(operand):
                return self._diffusive(operand)
            case Operation("+" | "-", left, right):
                return self._diffusive(left) and self._diffusive(right)
        return self._slopes(node)

    def _slopes(self, node: Node) -> bool:
        return any(
            (isinstance(part, Partial) or (isinstance(part, Call) and part.function in _DERIVATIVES))
            and names(part) & self.unknowns
            for part in walk(node)
        )

    def _bends(self, node: Node) -> bool:
        """Whether a flux has derivatives of higher order, in one or by one of another."""
        for part in walk(node):
            if isinstance(part, Partial) and (part.order > 1 or self._slopes(part.operand)):
                return True
            if isinstance(part, Call) and part.function in _HIGHER:
                return True
            if isinstance(part, Call) and part.function in _DERIVATIVES and any(map(self._slopes, part.arguments)):
                return True
        return False


_HIGHER = {"laplacian", "div", "curl", "integrate", "mean"}
_DERIVATIVES = {"grad", "advect", *_HIGHER}
