"""Mesh fields: values at the quadrature points of a mesh, for unknowns that are continuous with slopes that jump."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.fields.field import Constant, Field, Quantity
from pdesolve.fields.point import derivative_unit
from pdesolve.geometry import Axes, Quadrature


class MeshPlaces:
    """The quadrature points that mesh fields share, a column (cell, point) per axis, and the unknowns that live there.

    An unknown is known with its slopes, so that the derivatives of functions of the unknowns and of space follow by
    the chain rule. Columns, unknowns and slopes are nodes of the autograd graph that functions are differentiated in.
    """

    def __init__(
        self, quadrature: Quadrature, *, dtype: torch.dtype, device: torch.device | str, gradients: bool = True
    ) -> None:
        self.quadrature = quadrature
        self.axes = quadrature.axes
        columns = quadrature.columns(dtype=dtype, device=device)
        self.columns = {name: column.clone().requires_grad_(gradients) for name, column in columns.items()}
        self.weights = quadrature.weights.to(dtype=dtype, device=device)
        self.unknowns: list[tuple[Tensor, Tensor]] = []

    def without_unknowns(self) -> MeshPlaces:
        """The same points, and the same nodes of the graph, for other unknowns."""
        places = object.__new__(MeshPlaces)
        places.__dict__.update(self.__dict__)
        places.unknowns = []
        return places

    def unknown(self, values: Tensor, slopes: Tensor, quantity: Quantity) -> MeshField:
        """A field from its values (cell, point) and its gradient (cell, point, axis)."""
        for tensor in (values, slopes):
            if not tensor.requires_grad:
                tensor.requires_grad_()
        self.unknowns.append((values, slopes))
        field = MeshField(values, self, quantity)
        for i, axis in enumerate(self.axes.names):
            name = Quantity(f"d({quantity.name})/d{axis}", derivative_unit(quantity.unit, self.axes, axis, 1))
            field.hold(axis, MeshField(slopes[..., i], self, name))
        return field


class MeshField(Field):
    """Values (*sample, cell, point) at the quadrature points of a mesh.

    A function c of the unknowns u and of x has the derivatives sum_k dc/du_k grad u_k + dc/dx. What contains slopes
    jumps between cells, so that its derivative is a distribution, known by its integrals only: a `WeakField`.
    """

    def __init__(self, values: Tensor, places: MeshPlaces, quantity: Quantity) -> None:
        super().__init__(values, quantity)
        self.places = places

    @property
    def axes(self) -> Axes:
        return self.places.axes

    @property
    def place_dimensions(self) -> int:
        return 2

    def like(self, values: Tensor, quantity: Quantity) -> MeshField:
        return MeshField(values, self.places, quantity)

    def same_places(self, other: Field) -> bool:
        return isinstance(other, MeshField) and other.places is self.places

    def moved(self, places: MeshPlaces) -> MeshField:
        """The same values at the same points, beside other unknowns."""
        return MeshField(self.values, places, self.quantity)

    def hold(self, axis: str, slope: MeshField) -> None:
        """Give the first derivative along an axis, where it is known."""
        self._partials[axis, 1] = slope

    def differentiate(self, axis: str, order: int) -> Field:
        first = self._first(axis)
        return first if order == 1 else first.differentiate(axis, order - 1)

    def _first(self, axis: str) -> Field:
        self.axes.index(axis)  # refuses an axis that is not there
        if (axis, 1) not in self._partials:
            slopes = self._slopes()
            for i, name in enumerate(self.axes.names):
                quantity = Quantity(f"d({self.name[:60]})/d{name}", derivative_unit(self.unit, self.axes, name, 1))
                if slopes is None:
                    nothing = self.like(torch.zeros_like(self.values), quantity)
                    self._partials[name, 1] = WeakField(nothing, {name: self})
                else:
                    self._partials[name, 1] = self.like(slopes[i], quantity)
        return self._partials[axis, 1]

    def _slopes(self) -> list[Tensor] | None:
        """The first derivatives along every axis; None where the values contain slopes of unknowns."""
        columns, unknowns = list(self.places.columns.values()), self.places.unknowns
        if not self.values.requires_grad:
            return [torch.zeros_like(self.values) for _ in columns]
        nodes = [c for c in columns if c.requires_grad] + [u for u, _ in unknowns] + [g for _, g in unknowns]
        partials: list[list[Tensor]] = [[] for _ in columns]
        for row in self.values.reshape(-1, *self.values.shape[-2:]):
            found = torch.autograd.grad(row.sum(), nodes, create_graph=True, retain_graph=True, allow_unused=True)
            n = len(nodes) - 2 * len(unknowns)
            if any(part is not None for part in found[n + len(unknowns) :]):
                return None
            for i, partial in enumerate(partials):
                total = found[i] if n and found[i] is not None else torch.zeros_like(row)
                for part, (_, slopes) in zip(found[n:], unknowns, strict=False):
                    if part is not None:
                        total = total + part * slopes[..., i]
                partial.append(total)
        return [torch.stack(partial).reshape(self.values.shape) for partial in partials]


class WeakField(Field):
    """v + div f for a density v and a flux f: what the second derivatives of an unknown are part of.

    It has no values at points; tested with w, a function that is continuous, it is the integral of v w - f . grad w,
    and of f . n w over the boundary. Sums, and products with functions c of the unknowns and of space, are of the same
    form, since c div f = div(c f) - grad c . f.

    Raises:
        InputError: everything else (products of second derivatives, third derivatives, functions of them).
    """

    precedence: ClassVar[int] = 1

    def __init__(self, density: MeshField, flux: Mapping[str, MeshField]) -> None:
        self.density, self.flux = density, dict(flux)
        self.quantity = density.quantity
        self._partials = {}

    @property
    def values(self) -> Tensor:  # type: ignore[override]
        raise self._refusal()

    @property
    def axes(self) -> Axes:
        return self.density.axes

    @property
    def place_dimensions(self) -> int:
        return 2

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return self.density.sample_shape

    def like(self, values: Tensor, quantity: Quantity) -> Field:
        raise self._refusal()

    def named(self, name: str, unit: Any = None) -> WeakField:
        return WeakField(self.density.like(self.density.values, Quantity(name, unit or self.unit)), self.flux)

    def same_places(self, other: Field) -> bool:
        return self.density.same_places(other.density if isinstance(other, WeakField) else other)

    def differentiate(self, axis: str, order: int) -> Field:
        raise InputError(
            f"mesh fields of degree 1 and 2 have no third derivatives: d/d{axis} of {self.name[:80]} holds one; split "
            "the equation into equations of second order, with an unknown more for each"
        )

    def __repr__(self) -> str:
        return f"WeakField({self.name} on {self.axes})"

    def __add__(self, other: Any) -> WeakField:
        if not isinstance(other, WeakField):
            return WeakField(_mesh(self.density + other), self.flux)
        flux = dict(self.flux)
        for axis, part in other.flux.items():
            flux[axis] = _mesh(flux[axis] + part) if axis in flux else part
        return WeakField(_mesh(self.density + other.density), flux)

    __radd__ = __add__

    def __neg__(self) -> WeakField:
        return WeakField(_mesh(-self.density), {axis: _mesh(-part) for axis, part in self.flux.items()})

    def __sub__(self, other: Any) -> WeakField:
        return self + (-other)

    def __rsub__(self, other: Any) -> WeakField:
        return -self + other

    def __mul__(self, other: Any) -> WeakField:
        if isinstance(other, WeakField):
            raise self._refusal()
        density = self.density * other
        flux = {axis: _mesh(part * other) for axis, part in self.flux.items()}
        if isinstance(other, MeshField):
            for axis, part in self.flux.items():
                slope = other.differentiate(axis, 1)
                if isinstance(slope, WeakField):
                    raise self._refusal()
                density = density - slope * part
        return WeakField(_mesh(density), flux)

    def __rmul__(self, factor: Any) -> WeakField:
        return self * factor

    def __truediv__(self, divisor: Any) -> WeakField:
        return self * (1.0 / divisor)

    def __rtruediv__(self, other: Any) -> Field:
        raise self._refusal()

    def __pow__(self, exponent: float) -> Field:
        raise self._refusal()

    def _refusal(self) -> InputError:
        return InputError(
            f"mesh fields of degree 1 and 2 have no second derivatives at points: {self.name[:80]} holds one and may "
            "be added to and multiplied by functions of the unknowns and of space only, not of their slopes; write "
            "the equation as div(...) of first derivatives"
        )


def _mesh(field: Field) -> MeshField:
    assert isinstance(field, MeshField)
    return field


def weak_parts(field: Field, like: MeshPlaces) -> tuple[Tensor, dict[str, Tensor]]:
    """The density and the flux of a row of a residual at the given places, a constant row included."""
    if isinstance(field, WeakField):
        return field.density.values, {axis: part.values for axis, part in field.flux.items()}
    if isinstance(field, Constant):
        return field.values.reshape(*field.values.shape, 1, 1).expand(*field.values.shape, *like.weights.shape), {}
    return field.values, {}
