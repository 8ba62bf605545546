"""Jet fields: values at scattered points with the partial derivatives that were asked for, by the rules of calculus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pdesolve.fields.field import Field, Quantity, padded
from pdesolve.fields.multi_index import refuse_above, unit, zero
from pdesolve.fields.partials import Column, Composite, Known, Operand, Partials, View, rule
from pdesolve.fields.point import Places, derivative_unit
from pdesolve.fields.smooth import ELEMENTARY, generic
from pdesolve.geometry import Axes
from pdesolve.unit import Unit


class JetField(Field):
    """Values (*sample, point) at the points `places`, differentiated by the sum, product and chain rules.

    Nothing is evaluated before `values` are asked for, so that a network's partials are those that a formula really
    needs: `Coordinates.wanted_by` finds them out. Fields of the coordinates alone have no graph, and keep what was
    computed of them: make them once for a set of points (`Coordinates.once`) and use them at each step.
    """

    def __init__(self, view: View, places: Places, quantity: Quantity) -> None:
        # not Field's: values are computed when they are asked for
        self.view, self.places, self.quantity = view, places, quantity
        self._partials = {}

    @property
    def values(self) -> Tensor:  # type: ignore[override]
        part = self.view.part(zero(len(self.axes)))
        if isinstance(part, Tensor):
            return part
        return torch.full_like(next(iter(self.places.columns.values())), part)

    @property
    def axes(self) -> Axes:
        return self.places.axes

    @property
    def place_dimensions(self) -> int:
        return 1

    def like(self, values: Tensor, quantity: Quantity) -> JetField:
        return known(values, self.places, quantity)

    def named(self, name: str, unit: Unit | None = None) -> JetField:
        return JetField(self.view, self.places, Quantity(name, unit or self.unit))

    def same_places(self, other: Field) -> bool:
        return isinstance(other, JetField) and other.places is self.places

    def differentiate(self, axis: str, order: int) -> JetField:
        i, quantity = self.axes.index(axis), self.quantity
        for _ in range(order):
            along = derivative_unit(quantity.unit, self.axes, axis, 1)
            quantity = Quantity(f"d({quantity.name[:60]})/d{axis}", along)
        view = self.view.along(i, order)
        if not view.partials.free:
            refuse_above(sum(view.index), quantity.name)
        return JetField(view, self.places, quantity)

    def pointwise(self, operation: Callable[..., Tensor], operands: Sequence[Any], quantity: Quantity) -> JetField:
        return of(rule(operation, [_operand(operand) for operand in operands]), self.places, quantity)

    def apply(self, function: Callable[[Tensor], Tensor], name: str, unit: Unit | None) -> JetField:
        composite = Composite(ELEMENTARY.get(name) or generic(function), self.view)
        return of(composite, self.places, Quantity(f"{name}({self.name[:60]})", unit))


def _operand(value: Any) -> Operand:
    if isinstance(value, JetField):
        return value.view
    if isinstance(value, Field):  # a Constant: sums of other kinds were refused
        return padded(value, 1)
    return float(value)


def of(partials: Partials, places: Places, quantity: Quantity) -> JetField:
    """The field whose partials these are."""
    return JetField(View(partials, zero(len(places.axes))), places, quantity)


def coordinate(name: str, places: Places) -> JetField:
    """The coordinate of one axis."""
    axes = places.axes
    return of(Column(places.columns[name], unit(len(axes), axes.index(name))), places, Quantity(name))


def known(values: Tensor, places: Places, quantity: Quantity) -> JetField:
    """Values (*sample, point) at the points themselves."""
    return of(Known(values, quantity.name, list(places.columns.values())), places, quantity)
