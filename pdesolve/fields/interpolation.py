"""Values of a grid field elsewhere: local Lagrange interpolation, differentiable in the values and the coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, reduce

import numpy as np
import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.fields.coordinates import Coordinates
from pdesolve.fields.field import Constant, Field
from pdesolve.fields.function import FunctionField
from pdesolve.fields.grid import GridField
from pdesolve.fields.jet_field import of
from pdesolve.fields.partials import Function
from pdesolve.fields.point import Places
from pdesolve.fields.stencils import apply_matrix
from pdesolve.geometry import Grid, GridAxis

_DEGREE = 7  # along each axis, so that second derivatives of the interpolant are of order 6
_REFINED = 2**22  # spectral refinement stops at this many values


def interpolate(field: GridField, x: Coordinates, *, degree: int = _DEGREE) -> Field:
    """The field at coordinates of its axes (and maybe more), by products of Lagrange polynomials of odd degree.

    Periodic and Chebyshev axes are first refined spectrally, where memory allows. At points, derivatives of the result
    are those of the interpolant (autograd through the coordinates). On a node the value is the node's. A field that
    depends on time is taken at the instant of coordinates that have one. Degree 1 is for fields that jump: it refines
    nothing and never overshoots between nodes.

    Raises:
        InputError: other axes, or coordinates outside the grid.
    """
    for name in field.axes.names:
        if name in x and isinstance(x[name], Constant):
            field = _at_constant(field, name, x[name].values, degree)
    if not set(field.axes.names) <= set(x.axes.names):
        raise InputError(f"{field.name} is known on {field.axes}, not on {x.axes}")
    if not len(field.axes) and field.values.ndim <= 1:
        return Constant(field.values, field.quantity)
    if isinstance(x.discretisation, Grid):
        # a tuple: a field of time has no axes left at an instant
        values = field.values.expand((*field.sample_shape, *field.grid.shape))
        for i, source in enumerate(field.grid.members):
            member = x.discretisation[source.axis.name]
            if source == member:
                continue
            dim = values.ndim - len(field.grid.members) + i
            targets = torch.as_tensor(member.points, dtype=values.dtype, device=values.device)
            values, refined = _refine(values, dim, source, degree)
            indices, weights = lagrange(refined, targets, values, degree=degree)
            gathered = values.index_select(dim, indices.reshape(-1)).unflatten(dim, tuple(indices.shape))
            values = (gathered * weights.reshape(*weights.shape, *[1] * (values.ndim - dim - 1))).sum(dim + 1)
        # axes that the field does not depend on stay thin
        shape = [m.size if m.axis.name in field.axes else 1 for m in x.discretisation.members]
        return x.field(values.reshape(*field.sample_shape, *shape), field.name, field.unit)
    if x.root is not None:
        return FunctionField(lambda at: _at_points(field, at.columns, degree), x.root, field.quantity)
    if x.carrier is not None:
        return _jet(field, x, degree)
    shape = x.discretisation.shape
    columns = {name: x[name].values.expand(shape).reshape(-1) for name in field.axes.names}
    values = _at_points(field, columns, degree)
    return x.field(values.reshape(*values.shape[:-1], *shape), field.name, field.unit)


def _at_constant(field: GridField, axis: str, places: Tensor, degree: int) -> GridField:
    """The field of the other axes at one value of an axis (a time, a side), or at one per sample."""
    values = field.values.expand(*field.sample_shape, *field.grid.shape)
    first = values.ndim + field.dimension_of(axis)
    values, refined = _refine(values, first, field.grid[axis], degree)
    indices, weights = lagrange(refined, places.reshape(-1), values, degree=degree)
    gathered = values.index_select(first, indices.reshape(-1)).unflatten(first, tuple(indices.shape))
    values = (gathered * weights.reshape(*weights.shape, *[1] * (values.ndim - first - 1))).sum(first + 1)
    if not places.ndim:
        values = values.squeeze(first)
    elif field.sample_shape:
        values = values.diagonal(dim1=0, dim2=first).movedim(-1, 0)  # each sample at its own place
    else:
        values = values.movedim(first, 0)
    return GridField(values, field.grid.without(axis), field.quantity)


def _jet(field: GridField, x: Coordinates, degree: int) -> Field:
    """At the points of jet coordinates, some of which may be held fixed."""
    assert isinstance(x.places, Places)
    columns = {name: x[name].values.expand(x.discretisation.shape) for name in field.axes.names}
    free = {name: column for name, column in columns.items() if not isinstance(x[name], Constant)}
    function = Function(lambda at: _at_points(field, {**columns, **at}, degree), free, x.axes.names)
    return of(function, x.places, field.quantity)


def _at_points(field: GridField, columns: Mapping[str, Tensor], degree: int) -> Tensor:
    members = field.grid.members
    values = field.values.expand(*field.sample_shape, *field.grid.shape)
    first = values.ndim - len(members)
    stencils = []
    for i, member in enumerate(members):
        values, refined = _refine(values, first + i, member, degree)
        stencils.append(lagrange(refined, columns[member.axis.name], values, degree=degree))
    # gather the block of neighbours of each point, then contract one axis after the other
    flat = values.reshape(*values.shape[:first], -1)
    strides = [int(s) for s in torch.tensor([1, *values.shape[first + 1 :][::-1]]).cumprod(0).flip(0)]
    places = torch.zeros((stencils[0][0].shape[0], *[1] * len(members)), dtype=torch.long, device=values.device)
    for i, (indices, _) in enumerate(stencils):
        shape = [len(indices), *[1] * len(members)]
        shape[1 + i] = -1
        places = places + strides[i] * indices.reshape(shape)
    block = flat[..., places]
    for _, weights in reversed(stencils):
        block = (block * weights.reshape(weights.shape[0], *[1] * (block.ndim - first - 2), weights.shape[1])).sum(-1)
    return block


def _refine(values: Tensor, dim: int, member: GridAxis, degree: int) -> tuple[Tensor, GridAxis]:
    """Values on a finer axis, old nodes among the new: by zero padding of the spectrum, or the Chebyshev polynomial."""
    if member.placement not in ("periodic", "chebyshev") or degree == 1:
        return values, member
    factor = 1
    while factor < 16 and member.size * factor < 2048 and values.numel() * 2 * factor <= _REFINED:
        factor *= 2
    if factor == 1:
        return values, member
    n = member.size
    if member.placement == "chebyshev":
        matrix = _chebyshev_refinement(n, factor).to(values)
        return apply_matrix(values, dim, matrix), replace(member, size=len(matrix))
    spectrum = torch.fft.rfft(values, dim=dim)
    if n % 2 == 0:  # the Nyquist mode is shared by both signs
        half = torch.ones(n // 2 + 1, dtype=values.dtype, device=values.device)
        half[-1] = 0.5
        spectrum = spectrum * half.reshape([-1 if i == dim else 1 for i in range(values.ndim)])
    return torch.fft.irfft(spectrum, n=n * factor, dim=dim) * factor, replace(member, size=n * factor)


@lru_cache(maxsize=64)
def _chebyshev_refinement(n: int, factor: int) -> Tensor:
    """The matrix (m, n) from n Gauss-Lobatto points to m = factor (n - 1) + 1, by the barycentric formula.

    J.-P. Berrut, L. N. Trefethen, SIAM Review 46 (2004) 501.
    """
    coarse = np.cos(np.pi * np.arange(n) / (n - 1))
    fine = np.cos(np.pi * np.arange(factor * (n - 1) + 1) / (factor * (n - 1)))
    weights = (-1.0) ** np.arange(n)
    weights[[0, -1]] *= 0.5
    gaps = fine[:, None] - coarse
    gaps[::factor][np.eye(n, dtype=bool)] = 1.0
    matrix = weights / gaps
    matrix /= matrix.sum(1, keepdims=True)
    matrix[::factor] = np.eye(n)
    return torch.from_numpy(matrix)


def lagrange(member: GridAxis, targets: Tensor, like: Tensor, *, degree: int = _DEGREE) -> tuple[Tensor, Tensor]:
    """Indices and weights (target, width) of the nearest points of one axis; weights are differentiable in targets."""
    axis, size = member.axis, member.size
    tolerance = 1e-9 * axis.length
    ends = (axis.lower, axis.upper) if member.placement != "listed" else (member.points[0], member.points[-1])
    where = targets.detach().contiguous()
    outside = (where < ends[0] - tolerance) | (where > ends[1] + tolerance)
    try:
        refused = not axis.periodic and bool(outside.any())
    except RuntimeError:  # vmap decides nothing: what lies outside is not a number instead
        refused, targets = False, torch.where(outside, torch.nan, targets)
    if refused:
        raise InputError(
            f"coordinate {axis.name} runs from {float(where.min()):.6g} to {float(where.max()):.6g}, "
            f"the field is known from {ends[0]:.6g} to {ends[1]:.6g}"
        )
    width = min(degree + 1, size)
    if axis.periodic and member.placement == "listed":
        # a file's coordinate: continued by a period on either side, less an end that repeats the start
        points = torch.as_tensor(member.points, dtype=like.dtype, device=like.device)
        points = points[: size - 1] if float(points[-1] - points[0]) > axis.length - tolerance else points
        targets = points[0] + torch.remainder(targets - points[0], axis.length)
        size, width = len(points), min(degree + 1, len(points))
        points = torch.cat([points - axis.length, points, points + axis.length])
        start = torch.searchsorted(points, targets.detach()) - width // 2
        indices = start[:, None] + torch.arange(width, device=like.device)
        nodes, indices = points[indices], indices % size
    elif member.placement == "periodic":
        spacing = axis.length / size
        start = torch.floor((where - axis.lower) / spacing).long() - (width // 2 - 1)
        raw = start[:, None] + torch.arange(width, device=like.device)
        nodes = axis.lower + spacing * raw.to(like)
        indices = raw % size
    else:
        points = torch.as_tensor(member.points, dtype=like.dtype, device=like.device)
        start = (torch.searchsorted(points, where) - width // 2).clamp(0, size - width)
        indices = start[:, None] + torch.arange(width, device=like.device)
        nodes = points[indices]
    return indices, lagrange_weights(nodes, targets)


def lagrange_weights(nodes: Tensor, targets: Tensor) -> Tensor:
    """The Lagrange polynomials (target, width) of nodes (target, width) at targets (target,), exact on the nodes."""
    width = nodes.shape[-1]
    if width == 1:
        return torch.ones_like(nodes)
    others = torch.tensor([[j for j in range(width) if j != i] for i in range(width)], device=nodes.device)
    ratios = (targets[:, None, None] - nodes[:, others]) / (nodes[:, :, None] - nodes[:, others])
    # not prod(): its derivatives divide by the factors, which loses all digits of high ones near a node
    return reduce(torch.mul, ratios.unbind(-1))
