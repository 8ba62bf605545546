"""Values that jump: those of the nearest node of a grid."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pdesolve.equation import Values
from pdesolve.fields import Coordinates, Field, GridField
from pdesolve.fields.jet_field import of
from pdesolve.fields.partials import Function
from pdesolve.fields.point import Places


@dataclass(frozen=True, eq=False)
class Nearest:
    """The value of the nearest node of a grid: for masks and materials, that jump."""

    field: GridField

    def __call__(self, p: Values, x: Coordinates) -> Field:
        indices = []
        for member in self.field.grid.members:
            points = torch.as_tensor(member.points, dtype=x.dtype, device=x.device)
            where = x[member.axis.name].values.detach()
            middle = (points[1:] + points[:-1]) / 2
            if member.axis.periodic:
                around = (points[-1:] + points[:1] + member.axis.length) / 2
                middle = torch.cat([middle, around])
                where = points[0] + torch.remainder(where - points[0], member.axis.length)
            indices.append(torch.bucketize(where.contiguous(), middle) % member.size)
        values = self.field.values.to(dtype=x.dtype, device=x.device)
        found = values[tuple(indices)]
        if x.carrier is not None and isinstance(x.places, Places):  # constant around each point
            return of(Function(lambda _: found, {}, x.axes.names), x.places, self.field.quantity)
        return x.field(found, self.field.name, self.field.unit)
