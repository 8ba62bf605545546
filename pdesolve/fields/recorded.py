"""Recorded fields: what a formula in Python does to its fields, written down as a tree.

A formula is called with fields that have names and no values; what it returns holds the formula. So an equation can be
printed, and looked into, from its one definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Number as AnyNumber
from typing import Any, ClassVar

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.fields.coordinates import Coordinates
from pdesolve.fields.field import Constant, Field, Quantity
from pdesolve.fields.formula import Call, Name, Node, Number, Partial, Symbol, combined, negated, text
from pdesolve.fields.vector import Vector
from pdesolve.geometry import Axes
from pdesolve.unit import Unit


class RecordedField(Field):
    """A field that is a formula, on axes. Its operations give formulas; it has no values to look at.

    Raises:
        InputError: when values are asked for, so that what branches on them is refused rather than recorded in part.
    """

    precedence: ClassVar[int] = 100

    def __init__(self, node: Node, axes: Axes) -> None:
        self.node = node
        self._axes = axes

    @property
    def values(self) -> Tensor:  # type: ignore[override]
        raise InputError(f"the formula looks at the values of {self.name[:60]}: only arithmetic can be written as text")

    @property
    def quantity(self) -> Quantity:  # type: ignore[override]
        return Quantity(text(self.node))

    @property
    def axes(self) -> Axes:
        return self._axes

    @property
    def place_dimensions(self) -> int:
        return 0

    def like(self, values: Tensor, quantity: Quantity) -> Field:
        raise InputError(f"the formula makes new values for {self.name[:60]}: only arithmetic can be written as text")

    def named(self, name: str, unit: Unit | None = None) -> RecordedField:
        return self

    def same_places(self, other: Field) -> bool:
        return True

    def __repr__(self) -> str:
        return f"RecordedField({self.name})"

    def differentiate(self, axis: str, order: int) -> RecordedField:
        self.axes.index(axis)  # refuses an axis that is not there
        return self._of(Number(0.0) if isinstance(self.node, Number) else Partial(self.node, axis, order))

    def apply(self, function: Callable[[Tensor], Tensor], name: str, unit: Unit | None) -> RecordedField:
        return self.called(name)

    def choose(self, a: Any, b: Any, operation: Callable[[Tensor, Tensor], Tensor], name: str) -> RecordedField:
        return self._of(Call(name, (formula_of(a), formula_of(b))))

    def over(self, function: str, axes: Iterable[str]) -> RecordedField:
        """The integral or the mean over all of space."""
        if set(axes) - set(self.axes.space.names) or len(set(axes)) not in (0, len(self.axes.space)):
            raise InputError(f"{function} over {', '.join(axes)} cannot be written as text: only over all of space")
        return self.called(function)

    def called(self, function: str) -> RecordedField:
        """A function of this field."""
        return self._of(Call(function, (self.node,)))

    def _of(self, node: Node) -> RecordedField:
        return RecordedField(node, self.axes)

    def _combine(self, symbol: Symbol, left: Any, right: Any) -> Any:
        if isinstance(left, Vector) or isinstance(right, Vector):
            return NotImplemented
        return self._of(combined(symbol, formula_of(left), formula_of(right)))

    def __add__(self, other: Any) -> Any:
        return self._combine("+", self, other)

    def __radd__(self, other: Any) -> Any:
        return self._combine("+", other, self)

    def __sub__(self, other: Any) -> Any:
        return self._combine("-", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._combine("-", other, self)

    def __mul__(self, other: Any) -> Any:
        return self._combine("*", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._combine("*", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self._combine("/", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._combine("/", other, self)

    def __neg__(self) -> RecordedField:
        return self._of(negated(self.node))

    def __pow__(self, exponent: float) -> RecordedField:
        return self._combine("**", self, exponent)


class RecordedCoordinates(Coordinates):
    """Coordinates that are names; `at` lists them: time too, where a formula may use it."""

    def __init__(self, axes: Axes, at: Iterable[str]) -> None:
        self.recorded_axes = axes
        self.dtype, self.device = torch.float64, torch.device("cpu")
        self.fields = {name: RecordedField(Name(name), axes) for name in at}
        self.normals = None
        self.places = None

    @property
    def axes(self) -> Axes:
        return self.recorded_axes

    def expand(self, field: Field) -> Field:
        return field

    def constant(self, value: float, name: str = "constant") -> Field:
        return RecordedField(Number(float(value)), self.axes)

    def field(self, values: Tensor, name: str, unit: Unit | None = None) -> Field:
        raise InputError(f"the formula makes the values of {name}: only arithmetic can be written as text")


def formula_of(value: Any) -> Node:
    """The formula of a recorded field, a number or a constant.

    Raises:
        InputError: values of another kind, such as those of a grid or one per sample.
    """
    if isinstance(value, RecordedField):
        return value.node
    if isinstance(value, Constant):
        value = value.values
    if isinstance(value, Tensor) and value.ndim == 0:
        value = value.item()
    if isinstance(value, AnyNumber) and not isinstance(value, complex):
        return Number(float(value))  # type: ignore[arg-type]
    what = getattr(value, "name", None) or type(value).__name__
    raise InputError(f"{what} is given by values, not by a formula: only arithmetic can be written as text")
