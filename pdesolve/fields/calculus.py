"""The calculus of fields: derivatives, vector operators and integrals, the same words for every kind of field."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, overload

import torch

from pdesolve.errors import InputError
from pdesolve.fields.field import Constant, Field, Quantity
from pdesolve.fields.function import FunctionField
from pdesolve.fields.grid import GridField
from pdesolve.fields.jet_field import JetField
from pdesolve.fields.mesh import MeshField
from pdesolve.fields.point import PointField
from pdesolve.fields.recorded import RecordedField
from pdesolve.fields.vector import Vector
from pdesolve.unit import Unit


@overload
def d(field: Field, axis: str, order: int = 1) -> Field: ...
@overload
def d(field: Vector, axis: str, order: int = 1) -> Vector: ...
def d(field: Field | Vector, axis: str, order: int = 1) -> Field | Vector:
    """The partial derivative of the given order along one axis.

    Point fields: autograd. Function fields: torch.func. Jet fields: from what was carried, by the rules of calculus.
    Mesh fields: the chain rule; second derivatives are distributions. Grid fields: Fourier on periodic axes, Chebyshev
    matrices on Chebyshev axes, finite differences of the grid's accuracy elsewhere. Constants: zero.

    Raises:
        InputError: an axis that the field does not have; a grid with too few points.
    """
    if isinstance(field, Vector):
        return field.map(lambda component: component.differentiate(axis, order))
    return field.differentiate(axis, order)


def _partial(axis: str, order: int) -> Callable[[Field], Field]:
    def partial(field: Field) -> Field:
        return d(field, axis, order)

    partial.__name__ = f"d{axis * order}"
    partial.__doc__ = f"d(field, {axis!r}, {order})."
    return partial


dt, dx, dy, dz = (_partial(axis, 1) for axis in "txyz")
dtt, dxx, dyy, dzz = (_partial(axis, 2) for axis in "txyz")
dxxx = _partial("x", 3)
dxxxx = _partial("x", 4)


def grad(field: Field) -> Vector:
    """The gradient in space: one component per space axis."""
    return Vector({axis.name: d(field, axis.name) for axis in field.axes.space})


def div(vector: Vector) -> Field:
    """The divergence sum_i d v_i / d x_i; components are named by their axes."""
    return reduce(lambda a, b: a + b, [d(component, axis) for axis, component in vector.components.items()])


def curl(vector: Vector) -> Vector | Field:
    """The curl: of a plane vector (x, y) the scalar d v_y/dx - d v_x/dy, of (x, y, z) a vector."""
    if vector.names == ("x", "y"):
        return d(vector["y"], "x") - d(vector["x"], "y")
    if vector.names == ("x", "y", "z"):
        return Vector(
            {
                "x": d(vector["z"], "y") - d(vector["y"], "z"),
                "y": d(vector["x"], "z") - d(vector["z"], "x"),
                "z": d(vector["y"], "x") - d(vector["x"], "y"),
            }
        )
    raise InputError(f"curl needs the components x, y or x, y, z, got {', '.join(vector.names)}")


@overload
def laplacian(field: Field) -> Field: ...
@overload
def laplacian(field: Vector) -> Vector: ...
def laplacian(field: Field | Vector) -> Field | Vector:
    """The Laplacian: the sum of second derivatives along the space axes."""
    if isinstance(field, Vector):
        return field.map(laplacian)
    if not len(field.axes.space):
        return field.differentiate("x", 2)
    return reduce(lambda a, b: a + b, [d(field, axis.name, 2) for axis in field.axes.space])


def dot(a: Vector, b: Vector) -> Field:
    """The scalar product sum_i a_i b_i."""
    if a.names != b.names:
        raise InputError(f"dot needs equal components, got {', '.join(a.names)} and {', '.join(b.names)}")
    return reduce(lambda x, y: x + y, [a[name] * b[name] for name in a.names])


def integrate(field: Field, *axes: str) -> Field:
    """The integral over the named axes (all, when none is named) by the quadrature weights of the discretisation.

    Grid fields: spectral on periodic and Chebyshev axes, order 2 elsewhere; the result is a field on the other axes,
    or a Constant. Point, function and mesh fields: the weights of their points, over everything.
    """
    if isinstance(field, RecordedField):
        return field.over("integrate", axes)
    if isinstance(field, GridField):
        names = axes or field.axes.names
        values = field.values.expand(*field.sample_shape, *field.grid.shape)
        unit = field.unit
        for name in names:
            dim = values.ndim - len(field.grid.members) + field.axes.index(name)
            weights = torch.as_tensor(field.grid[name].weights, dtype=values.dtype, device=values.device)
            values = (values.movedim(dim, -1) @ weights).unsqueeze(dim)
            along = Unit.parse(field.axes[name].unit)
            unit = None if unit is None or along is None else unit * along
        kept = [i for i, axis in enumerate(field.axes) if axis.name not in names]
        values = values.reshape((*field.sample_shape, *[field.grid.shape[i] for i in kept]))
        quantity = Quantity(f"integral({field.name[:60]})", unit)
        if not kept:
            return Constant(values, quantity)
        return GridField(values, field.grid.without(*names), quantity)
    if isinstance(field, MeshField):
        if axes and set(axes) != set(field.axes.names):
            raise InputError(f"a field on a mesh is integrated over all its axes {field.axes}, not over {axes}")
        return Constant((field.values * field.places.weights).sum((-2, -1)), Quantity(f"integral({field.name[:60]})"))
    if isinstance(field, (PointField, FunctionField, JetField)):
        if axes and set(axes) != set(field.axes.names):
            raise InputError(f"a field at points is integrated over all its axes {field.axes}, not over {axes}")
        if field.places.weights is None:
            raise InputError(f"{field.name} is known at points without quadrature weights: sample them from a domain")
        return Constant((field.values * field.places.weights).sum(-1), Quantity(f"integral({field.name[:60]})"))
    raise InputError(f"cannot integrate {field.name}, a {type(field).__name__}")


def mean(field: Field, *axes: str) -> Field:
    """The average over the named axes (all, when none is named): the integral over the measure."""
    if isinstance(field, RecordedField):
        return field.over("mean", axes)
    total, one = integrate(field, *axes), integrate(field * 0.0 + 1.0, *axes)
    ratio: Any = total.values / one.values
    return total.like(ratio, Quantity(f"mean({field.name[:60]})", field.unit))
