"""Slow flow at the corners of a box whose walls move at different speeds: what no polynomial can follow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

# x and y end of each corner: -1 the lower, 1 the upper one
CORNERS = ((-1, -1), (1, -1), (-1, 1), (1, 1))
_NEAREST = 1e-12  # parts of a side: closer to a corner the pressure stays what it is there


@dataclass(frozen=True, eq=False)
class CornerFlow:
    """The sum of the similarity solutions of creeping flow in each corner of a box, lap lap psi = 0.

    With xi and eta the distances from the walls, theta = arctan(eta / xi) and r^2 = xi^2 + eta^2 they are

        psi_0 = a xi + b eta + (c xi + d eta) theta        where the velocity jumps from one wall to the other,
        psi_1 = r^2 (A + B theta + C cos 2 theta + D sin 2 theta)   where u_x + v_y of the walls does not vanish,

    with pressures like 1/r and log r. They carry the whole of both on the wall of constant y; on the other wall of the
    corner psi_0 and psi_1 are at rest. G. I. Taylor, in Miszellen der angewandten Mechanik (1962) 313 (the scraper).

    lower, upper: the box. jumps (*sample, corner, 2): velocity on the wall of constant y less that on the other.
    slopes (*sample, corner): du/dx along the one plus dv/dy along the other. viscosity: (*sample).
    """

    lower: tuple[float, float]
    upper: tuple[float, float]
    jumps: Tensor
    slopes: Tensor
    viscosity: Tensor

    @property
    def vanishes(self) -> bool:
        """Whether the walls agree at all corners."""
        return not bool(self.jumps.any()) and not bool(self.slopes.any())

    def with_viscosity(self, viscosity: float) -> CornerFlow:
        """The same velocities, and the pressure of another viscosity."""
        return replace(self, viscosity=torch.as_tensor(viscosity, dtype=torch.float64))

    def complete(self, rest: Mapping[str, Tensor], x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Velocity and pressure from `rest`: the velocity less this one, and p + |v|^2 / 2 less this pressure."""
        u, v, _, pressure = self.flow(x, y)
        u, v = rest["velocity_x"] + u, rest["velocity_y"] + v
        return {"velocity_x": u, "velocity_y": v, "pressure": rest["pressure"] + pressure - 0.5 * (u**2 + v**2)}

    def flow(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Velocity u and v, lap psi and pressure (*sample, *places) at places x and y that broadcast."""
        places = np.broadcast_shapes(x.shape, y.shape)
        nothing = torch.zeros((*self.slopes.shape[:-1], *places), dtype=x.dtype, device=x.device)
        u, v, vorticity, pressure = nothing, nothing, nothing, nothing
        for i, (right, top) in enumerate(CORNERS):
            jump, slope = self.jumps[..., i, :].to(x), self.slopes[..., i].to(x)
            if not bool(jump.any()) and not bool(slope.any()):
                continue
            xi = self.upper[0] - x if right > 0 else x - self.lower[0]
            eta = self.upper[1] - y if top > 0 else y - self.lower[1]
            sx, sy = -right, -top  # of d xi / d x and d eta / d y
            size = min(self.upper[0] - self.lower[0], self.upper[1] - self.lower[1])
            square = (xi**2 + eta**2).clamp(min=(_NEAREST * size) ** 2)
            angle = torch.atan2(eta, xi)
            a, g = -sx * jump[..., 1], sy * jump[..., 0]
            d = (a + g * math.pi / 2) / (1 - math.pi**2 / 4)
            b = -d * math.pi / 2
            c = g - b
            m = sx * sy * slope
            a, b, c, d, m = (_padded(k, len(places)) for k in (a, b, c, d, m))
            sides = c * xi + d * eta
            psi_xi = a + c * angle - sides * eta / square
            psi_eta = b + d * angle + sides * xi / square
            psi_xi = psi_xi + m * xi * angle
            psi_eta = psi_eta + m * (eta * angle - 0.5 * math.pi * eta + xi)
            # in the corner itself the walls of constant x have it
            apart = (xi**2 + eta**2 >= square).to(x)
            u, v = u + apart * sy * psi_eta, v - apart * sx * psi_xi
            vorticity = vorticity + 2 * (d * xi - c * eta) / square + m * (2 * angle - 0.5 * math.pi)
            force = 2 * sides / square + m * torch.log(square)
            pressure = pressure + sx * sy * _padded(self.viscosity.to(x), len(places)) * force
        return u, v, vorticity, pressure

    def json(self) -> dict[str, Any]:
        """Numbers and lists, from which `read` makes the same."""
        tensors = {name: getattr(self, name).detach().cpu().tolist() for name in ("jumps", "slopes", "viscosity")}
        return {"lower": list(self.lower), "upper": list(self.upper), **tensors}

    @staticmethod
    def read(content: Mapping[str, Any], device: torch.device | str = "cpu") -> CornerFlow:
        """What `json` wrote."""
        lower, upper = (tuple(content[name]) for name in ("lower", "upper"))
        tensors = [
            torch.tensor(content[k], dtype=torch.float64, device=device) for k in ("jumps", "slopes", "viscosity")
        ]
        return CornerFlow(lower, upper, *tensors)


def _padded(values: Tensor, places: int) -> Tensor:
    return values.reshape(*values.shape, *[1] * places)
