"""Fields: named values with a unit on axes, and the arithmetic that keeps them honest."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pdesolve.errors import InputError, UnitError
from pdesolve.geometry import Axes
from pdesolve.unit import Unit


@dataclass(frozen=True)
class Quantity:
    """What a field measures: a name and a unit (None: not stated)."""

    name: str
    unit: Unit | None = None


class Field(ABC):
    """Values of one scalar quantity on some axes.

    `values` has the shape (*sample, *places): `sample` is empty, or one axis with an entry for each problem of a
    batch, and the places are those of the discretisation. What a field is decides how it is differentiated
    (`pdesolve.fields.calculus`). Sums need fields of the same axes and units; numbers, and constants that have one
    value per sample, combine with everything.
    """

    values: Tensor
    quantity: Quantity
    __array_ufunc__ = None  # numpy's numbers leave products with fields to the fields
    # kinds of field that keep more than values (a spectrum) do the arithmetic with kinds of lower precedence themselves
    precedence: ClassVar[int] = 0

    def __init__(self, values: Tensor, quantity: Quantity) -> None:
        self.values = values
        self.quantity = quantity
        self._partials: dict[tuple[str, int], Field] = {}

    @property
    @abstractmethod
    def axes(self) -> Axes:
        """The axes this field depends on."""

    @property
    @abstractmethod
    def place_dimensions(self) -> int:
        """How many trailing dimensions of `values` are places."""

    @abstractmethod
    def like(self, values: Tensor, quantity: Quantity) -> Field:
        """A field of other values at the same places (and without boundary conditions)."""

    @abstractmethod
    def same_places(self, other: Field) -> bool:
        """Whether the other field of the same axes is known at the same places."""

    @abstractmethod
    def differentiate(self, axis: str, order: int) -> Field:
        """The partial derivative of the given order along one axis, as `pdesolve.fields.calculus.d` asks for it."""

    def pointwise(self, operation: Callable[..., Any], operands: Sequence[Any], quantity: Quantity) -> Field:
        """The operation on the values of fields at these places (constants and numbers among them), value by value."""
        return self.like(operation(*[padded(operand, self.place_dimensions) for operand in operands]), quantity)

    def apply(self, function: Callable[[Tensor], Tensor], name: str, unit: Unit | None) -> Field:
        """The elementary function `name` of every value, in the given unit."""
        return self.pointwise(function, (self,), Quantity(f"{name}({self.name[:60]})", unit))

    def choose(self, a: Any, b: Any, operation: Callable[[Tensor, Tensor], Tensor], name: str) -> Field:
        """The larger or the smaller of two fields, one of which is this one, or of this one and a number."""
        a, b = (self._beside(value) for value in (a, b))
        result = combine(a, b, operation, "-")  # the units of a difference: both the same
        return result.named(f"{name}({a.name[:40]}, {b.name[:40]})", result.unit)

    def _beside(self, value: Any) -> Field:
        """A number as a constant in this field's unit, dtype and device: without a dtype torch makes it float32."""
        if isinstance(value, Field):
            return value
        number = torch.as_tensor(value, dtype=self.values.dtype, device=self.values.device)
        return Constant(number, Quantity(str(value), self.unit))

    @property
    def name(self) -> str:
        return self.quantity.name

    @property
    def unit(self) -> Unit | None:
        return self.quantity.unit

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape[: self.values.ndim - self.place_dimensions])

    def named(self, name: str, unit: Unit | None = None) -> Field:
        """The same values under another name (and unit, where one is given)."""
        return self.like(self.values, Quantity(name, unit or self.unit))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name} on {self.axes}, shape {tuple(self.values.shape)})"

    def _yields_to(self, other: Any) -> bool:
        return isinstance(other, Field) and other.precedence > self.precedence

    def __add__(self, other: Any) -> Field:
        return NotImplemented if self._yields_to(other) else combine(self, other, operator.add, "+")

    def __radd__(self, other: Any) -> Field:
        return combine(other, self, operator.add, "+")

    def __sub__(self, other: Any) -> Field:
        return NotImplemented if self._yields_to(other) else combine(self, other, operator.sub, "-")

    def __rsub__(self, other: Any) -> Field:
        return combine(other, self, operator.sub, "-")

    def __mul__(self, other: Any) -> Field:
        return NotImplemented if self._yields_to(other) else combine(self, other, operator.mul, "*")

    def __rmul__(self, other: Any) -> Field:
        return combine(other, self, operator.mul, "*")

    def __truediv__(self, other: Any) -> Field:
        return NotImplemented if self._yields_to(other) else combine(self, other, operator.truediv, "/")

    def __rtruediv__(self, other: Any) -> Field:
        return combine(other, self, operator.truediv, "/")

    def __neg__(self) -> Field:
        return self.pointwise(operator.neg, (self,), Quantity(f"-{_bracket(self.name)}", self.unit))

    def __pow__(self, exponent: float) -> Field:
        if not isinstance(exponent, Number):
            raise InputError(f"a field can be raised to a number only, got {type(exponent).__name__}")
        unit = None if self.unit is None else self.unit.power(exponent)  # type: ignore[arg-type]
        quantity = Quantity(f"{_bracket(self.name)}^{exponent}", unit)
        return self.pointwise(operator.pow, (self, exponent), quantity)


class Constant(Field):
    """A quantity that depends on no axis: a number, or one per sample. Its derivatives are zero."""

    def __init__(self, values: Tensor, quantity: Quantity) -> None:
        if values.ndim > 1:
            raise InputError(
                f"{quantity.name} must be a number or one per sample, got the shape {tuple(values.shape)}: "
                "values that vary in space are given as a field or a function of (p, x)"
            )
        super().__init__(values, quantity)

    @property
    def axes(self) -> Axes:
        return Axes(())

    @property
    def place_dimensions(self) -> int:
        return 0

    def like(self, values: Tensor, quantity: Quantity) -> Constant:
        return Constant(values, quantity)

    def same_places(self, other: Field) -> bool:
        return True

    def differentiate(self, axis: str, order: int) -> Constant:
        return Constant(torch.zeros_like(self.values), Quantity(f"d{self.name}/d{axis}", None))


def combine(left: Any, right: Any, operation: Callable[..., Tensor], symbol: str) -> Field:
    """`left symbol right` of fields, numbers and tensors (a number, or one per sample), with axes and units checked."""
    if not isinstance(left, Field) and not isinstance(right, Field):
        raise TypeError("combine needs a field")
    if not _combinable(left) or not _combinable(right):
        return NotImplemented
    field = left if isinstance(left, Field) else right
    a, b = _as_operand(left, field, symbol), _as_operand(right, field, symbol)
    if isinstance(a, Field) and isinstance(b, Field):
        main = _main(a, b, symbol)
        name = f"{_bracket(a.name, symbol)} {symbol} {_bracket(b.name, symbol)}"
        unit = _unit(a.unit, b.unit, symbol, a.name, b.name)
        return main.pointwise(operation, (a, b), Quantity(name, unit))
    if isinstance(a, Field):
        quantity = Quantity(f"{_bracket(a.name, symbol)} {symbol} {b:.4g}", a.unit)
        return a.pointwise(operation, (a, b), quantity)
    unit = b.unit.power(-1) if symbol == "/" and b.unit is not None else b.unit
    return b.pointwise(operation, (a, b), Quantity(f"{a:.4g} {symbol} {_bracket(b.name, symbol)}", unit))


def _combinable(operand: Any) -> bool:
    return isinstance(operand, (Field, Number, Tensor))


def _as_operand(operand: Any, field: Field, symbol: str) -> Any:
    """Numbers stay numbers (numpy's as Python's: theirs would take tensors for arrays), tensors become constants."""
    if isinstance(operand, np.generic):
        return operand.item()
    if isinstance(operand, Tensor):
        return Constant(operand.to(field.values.device), Quantity("constant"))
    return operand


def _main(a: Field, b: Field, symbol: str) -> Field:
    """The field that gives the places."""
    if isinstance(a, Constant) or isinstance(b, Constant):
        return b if isinstance(a, Constant) else a
    if a.axes.names != b.axes.names or not a.same_places(b):
        raise InputError(
            f"cannot compute {a.name} {symbol} {b.name}: {a.name} is a {type(a).__name__} on {a.axes} and "
            f"{b.name} is a {type(b).__name__} on {b.axes}; "
            + (
                "both need the same axes"
                if a.axes.names != b.axes.names
                else "they are known at different places: evaluate both on the same discretisation"
            )
        )
    return a


def padded(field: Any, places: int) -> Any:
    """The values of a field, one per sample broadcastable against values at `places` dimensions of places; numbers."""
    if not isinstance(field, Field):
        return field
    if isinstance(field, Constant) and field.values.ndim:
        return field.values.reshape(*field.values.shape, *[1] * places)
    return field.values


def _unit(a: Unit | None, b: Unit | None, symbol: str, name_a: str, name_b: str) -> Unit | None:
    if a is None or b is None:
        return None
    if symbol == "*":
        return a * b
    if symbol == "/":
        return a / b
    if a != b:
        raise UnitError(
            f"cannot compute {name_a} {symbol} {name_b}: {name_a} has unit {str(a)!r}, {name_b} has {str(b)!r}; "
            "check the units of the axes, the unknowns and the parameters"
        )
    return a


def _bracket(name: str, symbol: str = "*") -> str:
    """Names of results stay readable and bounded: long formulas are cut."""
    if len(name) > 60:
        return f"({name[:50]}...)"
    return f"({name})" if symbol in "*/" and any(s in name for s in " -") else name
