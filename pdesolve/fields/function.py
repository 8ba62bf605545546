"""Function fields: functions of the coordinates, differentiated by torch.func."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.fields.field import Field, Quantity, padded
from pdesolve.fields.point import Places, PointField, derivative_unit
from pdesolve.geometry import Axes

Function = Callable[["Argument"], Tensor]


class Argument:
    """Columns (point,) of coordinates at one level of differentiation, and what was computed from them.

    Every level of `torch.func.jvp` has an argument of its own, so that no value of one level is taken for that of
    another; within a level a subexpression (a network that several unknowns share) is evaluated once.
    """

    def __init__(self, places: Places, columns: Mapping[str, Tensor] | None = None) -> None:
        self.places = places
        self.columns = dict(places.columns if columns is None else columns)
        # weak: what belongs to the fields of one training step goes with them
        self._known: WeakKeyDictionary[Function, Tensor] = WeakKeyDictionary()

    def once(self, function: Function) -> Tensor:
        """function(self), computed the first time it is asked for."""
        if function not in self._known:
            self._known[function] = function(self)
        return self._known[function]

    def derivative(self, function: Function, axis: str) -> Tensor:
        """The partial derivative along one axis: values at a point depend on that point alone, so that one
        Jacobian-vector product in the direction of a whole column gives it at every point."""

        def along(column: Tensor) -> Tensor:
            return Argument(self.places, {**self.columns, axis: column}).once(function)

        column = self.columns[axis]
        value, slope, *_ = torch.func.jvp(along, (column,), (torch.ones_like(column),))
        self._known.setdefault(function, value)
        return slope

    def table(self) -> Tensor:
        """The points (point, axis), as a network takes them."""
        return torch.stack(list(self.columns.values()), -1)


class FunctionField(Field):
    """A field known as a function of its coordinates; arithmetic composes functions, torch.func differentiates them.

    Nothing is evaluated before `values` (*sample, point) are asked for. A residual of such fields is a pure function
    of the network's parameters and the points, without an autograd graph through leaves, so that `torch.func` maps
    and differentiates it: the Jacobian of every row in the parameters is

        def row(theta, point):
            x = Coordinates.of_functions(PointCloud(axes, point[None]))
            outputs = x.outputs(lambda columns: functional_call(module, theta, (columns,)), quantities)
            return equation.residual(assemble(equation.unknowns, outputs), p, x)["u"].values[0]

        vmap(jacrev(row), (None, 0))(theta, points)

    Such a map takes a thirtieth of the time of a backward pass for each row (1000 points, 900 weights, on a CPU). A
    derivative of order n is n nested forward passes, about 2^n evaluations; for rows alone, without Jacobians, point
    fields are several times faster.
    """

    def __init__(self, function: Function, root: Argument, quantity: Quantity) -> None:
        # not Field's: values are computed when they are asked for
        self.function = function
        self.root = root
        self.quantity = quantity
        self._partials: dict[tuple[str, int], Field] = {}

    @cached_property
    def values(self) -> Tensor:  # type: ignore[override]
        return self.root.once(self.function)

    @property
    def places(self) -> Places:
        return self.root.places

    @property
    def axes(self) -> Axes:
        return self.places.axes

    @property
    def place_dimensions(self) -> int:
        return 1

    def like(self, values: Tensor, quantity: Quantity) -> PointField:
        """Other values at the same points: a point field, since they are no function any more."""
        return PointField(values, self.places, quantity)

    def named(self, name: str, unit: Any = None) -> FunctionField:
        return FunctionField(self.function, self.root, Quantity(name, unit or self.unit))

    def same_places(self, other: Field) -> bool:
        return isinstance(other, FunctionField) and other.root is self.root

    def pointwise(self, operation: Callable[..., Tensor], operands: Sequence[Any], quantity: Quantity) -> FunctionField:
        def composed(at: Argument) -> Tensor:
            return operation(*[at.once(f.function) if isinstance(f, FunctionField) else padded(f, 1) for f in operands])

        return FunctionField(composed, self.root, quantity)

    def differentiate(self, axis: str, order: int) -> FunctionField:
        if order > 1:
            return self.differentiate(axis, order - 1).differentiate(axis, 1)
        unit = derivative_unit(self.unit, self.axes, axis, 1)  # refuses an axis that is not there
        if (axis, 1) not in self._partials:
            function = self.function

            def slope(at: Argument) -> Tensor:
                return at.derivative(function, axis)

            quantity = Quantity(f"d({self.name[:60]})/d{axis}", unit)
            self._partials[axis, 1] = FunctionField(slope, self.root, quantity)
        partial = self._partials[axis, 1]
        assert isinstance(partial, FunctionField)
        return partial


def coordinate(name: str, root: Argument) -> FunctionField:
    """The coordinate of one axis."""
    return FunctionField(lambda at: at.columns[name], root, Quantity(name))


def outputs(
    function: Callable[[Tensor], Tensor], quantities: Sequence[Quantity], root: Argument
) -> dict[str, FunctionField]:
    """One field for each output of a function (point, axis) -> (point, output), which is evaluated once for all."""

    def whole(at: Argument) -> Tensor:
        return function(at.table())

    def one(i: int) -> Function:
        return lambda at: at.once(whole)[:, i]

    return {quantity.name: FunctionField(one(i), root, quantity) for i, quantity in enumerate(quantities)}


def known(values: Tensor, root: Argument, quantity: Quantity) -> FunctionField:
    """Values (*sample, point) at the points themselves (observations, normals), which no derivative can be taken of."""

    def given(at: Argument) -> Tensor:
        if at is not root:
            raise InputError(
                f"{quantity.name} is known by its values at points, not as a function: it cannot be differentiated; "
                "write it as a formula of the coordinates, or as x.outputs(function, ...)"
            )
        return values

    return FunctionField(given, root, quantity)
