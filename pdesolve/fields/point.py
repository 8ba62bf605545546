"""Point fields: values of a function at scattered points, differentiated through the function by autograd."""

from __future__ import annotations

import torch
from torch import Tensor

from pdesolve.fields.field import Field, Quantity
from pdesolve.geometry import Axes, PointCloud
from pdesolve.unit import Unit


class Places:
    """The points that point fields share: one column (*sample, point) per axis, leaves of the autograd graph."""

    def __init__(self, cloud: PointCloud, *, dtype: torch.dtype, device: torch.device | str, gradients: bool = True):
        self.axes = cloud.axes
        columns = cloud.columns(dtype=dtype, device=device)
        # not requires_grad_(False): transforms of torch.func refuse it on what they trace
        self.columns = {n: c.clone().requires_grad_() if gradients else c for n, c in columns.items()}
        self.weights = None if cloud.weights is None else cloud.weights.to(dtype=dtype, device=device)


class PointField(Field):
    """Values (*sample, point) at the points `places`."""

    def __init__(self, values: Tensor, places: Places, quantity: Quantity) -> None:
        super().__init__(values, quantity)
        self.places = places

    @property
    def axes(self) -> Axes:
        return self.places.axes

    @property
    def place_dimensions(self) -> int:
        return 1

    def like(self, values: Tensor, quantity: Quantity) -> PointField:
        return PointField(values, self.places, quantity)

    def same_places(self, other: Field) -> bool:
        return isinstance(other, PointField) and other.places is self.places

    def differentiate(self, axis: str, order: int) -> PointField:
        if order > 1:
            lower = self._partials.get((axis, order - 1)) or self.differentiate(axis, order - 1)
            assert isinstance(lower, PointField)
            return lower.differentiate(axis, 1)
        self.axes.index(axis)  # refuses an axis that is not there
        key = (axis, 1)
        if key not in self._partials:
            # one backward pass gives the partials along every axis: most equations ask for several
            for name, values in zip(self.places.columns, self._gradient(), strict=True):
                unit = derivative_unit(self.unit, self.axes, name, 1)
                quantity = Quantity(f"d({self.name[:60]})/d{name}", unit)
                self._partials[name, 1] = PointField(values, self.places, quantity)
        partial = self._partials[key]
        assert isinstance(partial, PointField)
        return partial

    def _gradient(self) -> list[Tensor]:
        """The first partials along every axis, each of the shape of the values."""
        columns = list(self.places.columns.values())
        if not self.values.requires_grad:
            return [torch.zeros_like(self.values) for _ in columns]
        # samples share the points, so that each needs its own backward pass
        rows = self.values.reshape(-1, self.values.shape[-1])
        gradients = [
            torch.autograd.grad(row.sum(), columns, create_graph=True, retain_graph=True, materialize_grads=True)
            for row in rows
        ]
        return [torch.stack(parts).reshape(self.values.shape) for parts in zip(*gradients, strict=True)]


def derivative_unit(unit: Unit | None, axes: Axes, axis: str, order: int) -> Unit | None:
    """The unit of a derivative of the given order along the axis."""
    along = Unit.parse(axes[axis].unit)
    return None if unit is None or along is None else unit / along.power(order)
