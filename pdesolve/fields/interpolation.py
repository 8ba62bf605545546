"""Values of a grid field elsewhere: local Lagrange interpolation, differentiable in the values and in the coordinates."""

from __future__ import annotations

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.fields.coordinates import Coordinates
from pdesolve.fields.field import Field
from pdesolve.fields.grid import GridField
from pdesolve.geometry import Grid, GridAxis

_WIDTH = 8  # points an axis: degree 7, so that second derivatives of the interpolant are of order 6
_REFINED = 2**22  # spectral refinement of periodic axes stops at this many values


def interpolate(field: GridField, x: Coordinates) -> Field:
    """The field at coordinates of its axes (and maybe more), by products of degree-7 Lagrange polynomials.

    Periodic axes are first refined by zero padding of the spectrum, where memory allows. At points, derivatives of
    the result are those of the interpolant (autograd through the coordinates). On a node the value is the node's.

    Raises:
        InputError: other axes, or coordinates outside the grid.
    """
    if not set(field.axes.names) <= set(x.axes.names):
        raise InputError(f"{field.name} is known on {field.axes}, not on {x.axes}")
    if isinstance(x.discretisation, Grid):
        values = field.values.expand(*field.sample_shape, *field.grid.shape)
        for i, source in enumerate(field.grid.members):
            member = x.discretisation[source.axis.name]
            if source == member:
                continue
            dim = values.ndim - len(field.grid.members) + i
            targets = torch.as_tensor(member.points, dtype=values.dtype, device=values.device)
            values, refined = _refine(values, dim, source)
            indices, weights = _lagrange(source, refined, targets, values)
            gathered = values.index_select(dim, indices.reshape(-1)).unflatten(dim, tuple(indices.shape))
            values = (gathered * weights.reshape(*weights.shape, *[1] * (values.ndim - dim - 1))).sum(dim + 1)
        # axes that the field does not depend on stay thin
        shape = [m.size if m.axis.name in field.axes else 1 for m in x.discretisation.members]
        return x.field(values.reshape(*field.sample_shape, *shape), field.name, field.unit)
    return x.field(_at_points(field, x), field.name, field.unit)


def _at_points(field: GridField, x: Coordinates) -> Tensor:
    members = field.grid.members
    values = field.values
    first = values.ndim - len(members)
    stencils = []
    for i, member in enumerate(members):
        values, refined = _refine(values, first + i, member)
        stencils.append(_lagrange(member, refined, x[member.axis.name].values, values))
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


def _refine(values: Tensor, dim: int, member: GridAxis) -> tuple[Tensor, int]:
    """Values refined along a periodic axis by zero padding, and the refined size."""
    if member.placement != "periodic":
        return values, member.size
    factor = 1
    while factor < 16 and member.size * factor < 2048 and values.numel() * 2 * factor <= _REFINED:
        factor *= 2
    if factor == 1:
        return values, member.size
    n = member.size
    spectrum = torch.fft.rfft(values, dim=dim)
    if n % 2 == 0:  # the Nyquist mode is shared by both signs
        half = torch.ones(n // 2 + 1, dtype=values.dtype, device=values.device)
        half[-1] = 0.5
        spectrum = spectrum * half.reshape([-1 if i == dim else 1 for i in range(values.ndim)])
    return torch.fft.irfft(spectrum, n=n * factor, dim=dim) * factor, n * factor


def _lagrange(member: GridAxis, size: int, targets: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Indices and weights (target, width) of the nearest points of one axis; weights are differentiable in targets."""
    axis = member.axis
    tolerance = 1e-9 * axis.length
    ends = (axis.lower, axis.upper) if member.placement != "listed" else (member.points[0], member.points[-1])
    where = targets.detach()
    if not axis.periodic and bool(((where < ends[0] - tolerance) | (where > ends[1] + tolerance)).any()):
        raise InputError(
            f"coordinate {axis.name} runs from {float(where.min()):.6g} to {float(where.max()):.6g}, "
            f"the field is known from {ends[0]:.6g} to {ends[1]:.6g}"
        )
    width = min(_WIDTH, size)
    if member.placement == "periodic":
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
    weights = []
    for i in range(width):
        others = [j for j in range(width) if j != i]
        ratio = (targets[:, None] - nodes[:, others]) / (nodes[:, i : i + 1] - nodes[:, others])
        weights.append(ratio.prod(1))
    return indices, torch.stack(weights, 1)
