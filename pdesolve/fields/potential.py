"""Nonlocal calculus: operators whose value at a point depends on the field everywhere, on periodic axes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.fields.calculus import div, grad
from pdesolve.fields.field import Constant, Field, Quantity
from pdesolve.fields.grid import GridField
from pdesolve.fields.recorded import RecordedField
from pdesolve.fields.stencils import wavenumbers
from pdesolve.fields.vector import Vector
from pdesolve.geometry import GridAxis
from pdesolve.unit import Unit


def inverse_laplacian(field: Field) -> Field:
    """The potential psi with lap psi = f - mean(f) over space and mean(psi) = 0, at each time:

        psi_k = -f_k / |k|^2,   psi_0 = 0.

    By FFT on grid fields whose axes of space are all periodic; gradients flow.

    Raises:
        InputError: a field at points, on a mesh, or on an axis of space that is bounded.
    """
    return poisson(field, 2)


def leray(vector: Vector) -> Vector:
    """The divergence-free part of a vector, P v = v - grad lap^-1 div v: what pressure leaves of a force.

    P P = P and div P v = 0 to rounding, the shortest waves included; the mean stays. By FFT, as `inverse_laplacian`.

    Raises:
        InputError: components at points, on a mesh, or on an axis of space that is bounded.
    """
    return vector - grad(poisson(div(vector), 1))


@singledispatch
def poisson(field: Field, order: int) -> Field:
    """u of mean zero with sum_i D_i D_i u = f - mean(f): D_i D_i the second derivative (order 2), or the first twice.

    They differ in the shortest wave of an even number of points alone, which has no first derivative. Kinds of field
    register their own way.
    """
    raise InputError(
        f"{field.name} is a {type(field).__name__}, and nonlocal operators (inverse_laplacian, leray) need all of "
        "space: evaluate it on a grid with periodic axes"
    )


@poisson.register
def _(field: Constant, order: int) -> Field:
    return field.like(torch.zeros_like(field.values), Quantity("zero"))


@poisson.register
def _(field: GridField, order: int) -> Field:
    grid, space = field.grid, field.axes.space
    members = [grid[axis.name] for axis in space]
    for member in members:
        if member.placement != "periodic":
            raise InputError(
                f"nonlocal operators need periodic axes, {member.axis.name!r} of {field.name} is {member.placement!r}: "
                f"write Axis({member.axis.name!r}, {member.axis.lower}, {member.axis.upper}, periodic=True)"
            )
    values = field.values.expand(*field.sample_shape, *grid.shape)
    dims = tuple(range(-len(members), 0))
    spectrum = torch.fft.rfftn(values, dim=dims) * inverse_symbol(members, order, values)
    potential = torch.fft.irfftn(spectrum, s=[member.size for member in members], dim=dims)
    along = Unit.parse(members[0].axis.unit)
    unit = None if field.unit is None or along is None else field.unit * along.power(2)
    return field.like(potential, Quantity(f"lap^-1({field.name[:60]})", unit))


def inverse_symbol(members: Sequence[GridAxis], order: int, like: Tensor) -> Tensor:
    """1 / sum_i D_i^2 for the real transform over periodic axes, zero where the sum is.

    D_i^2 is -k_i^2, for order 1 without the shortest wave of an even number of points.
    """
    total = torch.zeros((), dtype=like.dtype, device=like.device)
    for i, member in enumerate(members):
        square = (wavenumbers(member, order, like) ** (2 // order)).real
        if i < len(members) - 1:  # the negative wave numbers
            square = torch.cat([square, square[1 : member.size - member.size // 2].flip(0)])
        total = total + square.reshape([-1 if i == j else 1 for j in range(len(members))])
    zero = total == 0
    return torch.where(zero, 0.0, 1.0 / torch.where(zero, 1.0, total))


@poisson.register
def _(field: RecordedField, order: int) -> Field:
    if order != 2:
        raise InputError(f"the projection of {field.name[:60]} cannot be written as text: write inverse_laplacian")
    return field.called("inverse_laplacian")
