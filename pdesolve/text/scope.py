"""What a formula may use: names with their kinds, axes, and the functions there are."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pdesolve import fields
from pdesolve.errors import InputError, unknown_name
from pdesolve.fields import Vector
from pdesolve.fields.formula import (
    CONSTANTS,
    Call,
    Name,
    Negative,
    Node,
    Operation,
    Partial,
    constant,
    text,
    walk,
)
from pdesolve.text.syntax import parse

Kind = Literal["scalar", "vector"]
_LARGEST = 4000  # parts of a formula
_ORDER = 8  # of a partial derivative


@dataclass(frozen=True)
class Function:
    """A function of formulas: the kinds of its arguments ("any": scalar or vector), and what it gives."""

    apply: Callable[..., Any]
    takes: tuple[Kind | Literal["any"], ...] = ("scalar",)
    gives: Kind | Literal["same as the last"] = "scalar"


def advect(velocity: Vector, carried: Any) -> Any:
    """(v . grad) f, for each component of a vector f."""
    if isinstance(carried, Vector):
        return carried.map(lambda component: advect(velocity, component))
    return fields.dot(velocity, fields.grad(carried))


ELEMENTARY = {
    name: Function(getattr(fields, name))
    for name in ("sin", "cos", "tan", "exp", "log", "sqrt", "sinh", "cosh", "tanh", "sech", "arctan", "erf", "step")
}
FUNCTIONS: dict[str, Function] = {
    **ELEMENTARY,
    "abs": Function(fields.absolute),
    "max": Function(fields.maximum, ("scalar", "scalar")),
    "min": Function(fields.minimum, ("scalar", "scalar")),
    "grad": Function(fields.grad, ("scalar",), "vector"),
    "div": Function(fields.div, ("vector",)),
    "curl": Function(fields.curl, ("vector",)),
    "laplacian": Function(fields.laplacian, ("any",), "same as the last"),
    "dot": Function(fields.dot, ("vector", "vector")),
    "advect": Function(advect, ("vector", "any"), "same as the last"),
    "mean": Function(lambda f: fields.mean(f, *f.axes.space.names)),
    "integrate": Function(lambda f: fields.integrate(f, *f.axes.space.names)),
    "inverse_laplacian": Function(fields.inverse_laplacian),
}
NONLOCAL = {"mean", "integrate", "inverse_laplacian"}
_OF_FIELDS = {"grad", "laplacian", *NONLOCAL}  # nothing of a number alone


@dataclass(frozen=True)
class Scope:
    """What a formula may use: names with their kinds, and the axes along which it may be differentiated.

    `components` are those of vectors that `vector(a, b)` makes.
    """

    kinds: Mapping[str, Kind]
    axes: tuple[str, ...]
    components: tuple[str, ...] = ()
    functions: Mapping[str, Function] = field(default_factory=lambda: FUNCTIONS)

    def known(self, more: Mapping[str, Kind]) -> Scope:
        """This scope with more names."""
        return replace(self, kinds={**self.kinds, **more})

    def read(self, written: str, kind: Kind | None = "scalar") -> Node:
        """The formula of a text, its names and functions looked up; of any kind, where None is asked for.

        Raises:
            InputError: text that is no formula, a name or a function that is not known, a vector in the wrong place.
        """
        node = self.resolve(parse(written))
        if sum(1 for _ in walk(node)) > _LARGEST:
            raise InputError(f"the formula {written[:40]!r}... has too many parts: name them as parameters")
        found = self.kind(node)
        if kind is not None and found != kind:
            hint = "write vector(a, b)" if kind == "vector" else "take a component, or dot(a, b)"
            raise InputError(f"{text(node)[:50]!r} is a {found}, a {kind} was expected: {hint}")
        return node

    def resolve(self, node: Node) -> Node:
        """The formula with d(u, x, 2), dxx(u) and dxy(u) as derivatives, every name being known."""
        match node:
            case Name(name):
                if name not in self.kinds and name not in CONSTANTS:
                    if name in self.functions:
                        raise InputError(f"{name} is a function: write {name}(...)")
                    raise unknown_name("name", name, {*self.kinds, *CONSTANTS})
            case Negative(operand):
                return Negative(self.resolve(operand))
            case Operation(symbol, left, right):
                found = Operation(symbol, self.resolve(left), self.resolve(right))
                if constant(left) is not None and constant(right) is not None and constant(found) is None:
                    raise InputError(f"{text(found)[:50]!r} has no value")
                return found
            case Call(name, arguments):
                return self._call(name, arguments)
        return node

    def _call(self, name: str, arguments: tuple[Node, ...]) -> Node:
        if name == "d":
            return self._derivative(arguments)
        if name in self.functions or name == "vector":
            takes = len(self.components) if name == "vector" else len(self.functions[name].takes)
            if name == "vector" and not self.components:
                raise InputError("vector(a, b) stands where a vector is asked for: give each component by its name")
            if len(arguments) != takes:
                raise InputError(f"{name} takes {takes} argument{'s' * (takes > 1)}, got {len(arguments)}")
            found = Call(name, tuple(self.resolve(argument) for argument in arguments))
            numbers = [constant(argument) for argument in found.arguments]
            if name in _OF_FIELDS and numbers[0] is not None:
                raise InputError(f"{text(found)[:50]!r}: {name} takes a field, not a number")
            if name in ELEMENTARY and numbers[0] is not None and not math.isfinite(ELEMENTARY[name].apply(numbers[0])):
                raise InputError(f"{text(found)[:50]!r} has no value")
            return found
        letters = name[1:]
        if name[:1] == "d" and letters and all(letter in self.axes for letter in letters) and len(letters) <= _ORDER:
            if len(arguments) != 1:
                raise InputError(f"{name} takes 1 argument, got {len(arguments)}: write {name}(u)")
            node = self.resolve(arguments[0])
            for part in re.finditer(r"(.)\1*", letters):
                node = Partial(node, part[0][0], len(part[0]))
            return node
        if name in self.kinds:
            raise InputError(f"{name} is no function: write {name}*(...) for a product")
        if name[:1] == "d" and len(letters) == 1 and letters.isalpha() and len(arguments) == 1:
            hint = "write time: [0, 1]" if letters == "t" else f"the axes are {', '.join(self.axes)}"
            raise InputError(f"{name}: there is no axis {letters}: {hint}")
        derivatives = [f"d{axis * order}" for axis in self.axes for order in (1, 2) if len(axis) == 1]
        raise unknown_name("function", name, {*self.functions, *derivatives, "d"})

    def _derivative(self, arguments: tuple[Node, ...]) -> Node:
        """d(u, x) and d(u, x, 2)."""
        if len(arguments) not in (2, 3) or not isinstance(arguments[1], Name):
            raise InputError("a derivative is written d(u, x) or d(u, x, 2): an expression, an axis, an order")
        axis, order = arguments[1].name, constant(arguments[2]) if len(arguments) == 3 else 1.0
        if axis not in self.axes:
            raise unknown_name("axis", axis, self.axes)
        if order is None or order != int(order) or not 1 <= order <= _ORDER:
            raise InputError(f"the order of a derivative is a whole number from 1 to {_ORDER}: write d(u, {axis}, 2)")
        return Partial(self.resolve(arguments[0]), axis, int(order))

    def kind(self, node: Node) -> Kind:
        """Whether a formula is a scalar or a vector.

        Raises:
            InputError: operations that vectors do not have.
        """
        match node:
            case Name(name):
                return self.kinds.get(name, "scalar")
            case Negative(operand) | Partial(operand):
                return self.kind(operand)
            case Operation(symbol, left, right):
                a, b = self.kind(left), self.kind(right)
                if symbol in "+-" and a != b:
                    raise InputError(f"{text(node)[:50]!r} adds a {a} and a {b}: both sides need the same kind")
                if (symbol == "**" and a == "vector") or (symbol in "*/**" and b == "vector" and symbol != "*"):
                    raise InputError(
                        f"{text(node)[:50]!r}: a vector has no powers and divides nothing: write dot(a, a)"
                    )
                if symbol == "*" and a == b == "vector":
                    raise InputError(f"{text(node)[:50]!r} multiplies two vectors: write dot(a, b)")
                return "vector" if "vector" in (a, b) else "scalar"
            case Call(name, arguments):
                given: list[Kind] = [self.kind(argument) for argument in arguments]
                if name == "vector":
                    if "vector" in given:
                        raise InputError(f"{text(node)[:50]!r}: the components of a vector are scalars")
                    return "vector"
                function = self.functions[name]
                for takes, found in zip(function.takes, given, strict=True):
                    if takes not in ("any", found):
                        hint = " such as grad(u)" if takes == "vector" else ""
                        raise InputError(f"{text(node)[:50]!r}: {name} takes a {takes}{hint}, got a {found}")
                gives: Kind = given[-1] if function.gives == "same as the last" else function.gives
                return gives
        return "scalar"
