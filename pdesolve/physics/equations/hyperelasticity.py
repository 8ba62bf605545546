"""An elastic body of any deformation in the plane."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from pdesolve.equation import Conserving, Energetic, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, Vector, dot, dx, dy, sqrt


@dataclass(frozen=True)
class Hyperelasticity(Conserving, Energetic):
    """Motion of a body that resists stretches s_1, s_2 and changes of volume, in plane strain, per density,

        u_tt = div P,  P = 2 a (F - R) + 2 b (J - 1) cof F,  F = I + grad u,  J = det F = s_1 s_2,

    with R the rotation nearest to F, for the displacement u. P is the slope of the energy density

        a ((s_1 - 1)^2 + (s_2 - 1)^2) + b (J - 1)^2 = a |F - R|^2 + b (J - 1)^2,

    which no rotation changes. For small strains it is linear elasticity with mu = a and lambda = 2 b, so that waves
    travel at (a)^(1/2) and (2 a + 2 b)^(1/2). R has no meaning where s_1 + s_2 = 0 in the formula used here, which
    a body turned inside out comes to. The energy, kinetic and elastic, is kept where sides are held or free.
    `shape_stiffness` a >= 0 and `volume_stiffness` b >= 0: numbers.
    Source: D. Terzopoulos, J. Platt, A. Barr, K. Fleischer, SIGGRAPH 1987; the energy of Chen et al., 2023,
    arXiv 2210.00124.
    """

    order: ClassVar[Literal[1, 2]] = 2
    unknowns = (Unknown("displacement", unit="m", components=("x", "y")),)
    parameters = (
        Parameter("shape_stiffness", unit="m2 s-2", default=1.0, bounds=(0.0, math.inf)),
        Parameter("volume_stiffness", unit="m2 s-2", default=1.0, bounds=(0.0, math.inf)),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        a, b = 2.0 * p["shape_stiffness"], 2.0 * p["volume_stiffness"]
        xx, xy, yx, yy = deformation(u)
        cosine, sine = rotation(xx, xy, yx, yy)
        press = b * (xx * yy - xy * yx - 1.0)
        return {
            "displacement": Vector(
                {
                    "x": dx(a * (xx - cosine) + press * yy) + dy(a * (xy + sine) - press * yx),
                    "y": dx(a * (yx - sine) - press * xy) + dy(a * (yy - cosine) + press * xx),
                }
            )
        }

    def strains(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        """The rows whose squares are the energy density: (a)^(1/2) (F - R) and (b)^(1/2) (J - 1)."""
        xx, xy, yx, yy = deformation(u)
        cosine, sine = rotation(xx, xy, yx, yy)
        a, b = sqrt(p["shape_stiffness"]), sqrt(p["volume_stiffness"])
        return {
            "xx": a * (xx - cosine),
            "xy": a * (xy + sine),
            "yx": a * (yx - sine),
            "yy": a * (yy - cosine),
            "volume": b * (xx * yy - xy * yx - 1.0),
        }

    def energy(self, u: State, p: Values, x: Coordinates) -> Field:
        rows = Vector(self.strains(u, p, x))
        return dot(rows, rows)

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        velocity: Vector = u["displacement_t"]
        return {
            "energy": 0.5 * dot(velocity, velocity) + self.energy(u, p, x),
            "momentum_x": velocity["x"],
            "momentum_y": velocity["y"],
        }


def deformation(u: State) -> tuple[Field, Field, Field, Field]:
    """F = I + grad u, row by row."""
    v: Vector = u["displacement"]
    return 1.0 + dx(v["x"]), dy(v["x"]), dx(v["y"]), 1.0 + dy(v["y"])


def rotation(xx: Field, xy: Field, yx: Field, yy: Field) -> tuple[Field, Field]:
    """Cosine and sine of the rotation nearest to F, of positive determinant."""
    trace, skew = xx + yy, yx - xy
    length = sqrt(trace**2 + skew**2)
    return trace / length, skew / length
