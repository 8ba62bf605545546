"""The heat equation of a body that conducts better one way than the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Conserving, Energetic, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, dx, dxx, dy, dyy


@dataclass(frozen=True)
class AnisotropicHeat(Energetic, Conserving):
    """Heat conduction in the plane along the grain of a material,

        u_t = D_x u_xx + D_y u_yy,

    the gradient flow of E(u) = integral of D_x u_x^2 / 2 + D_y u_y^2 / 2. A wave of wave numbers (k, l) decays like
    exp(-(D_x k^2 + D_y l^2) t). Stretching an axis by the root of its diffusivity gives the heat equation back.
    `diffusivity_x` D_x and `diffusivity_y` D_y >= 0: numbers for all space.
    Source: H. S. Carslaw, J. C. Jaeger, Conduction of Heat in Solids (1959), chapter 1.
    """

    unknowns = (Unknown("u", unit="K", long_name="temperature"),)
    parameters = (
        Parameter("diffusivity_x", unit="m2 s-1", default=1.0, bounds=(0.0, math.inf)),
        Parameter("diffusivity_y", unit="m2 s-1", default=1.0, bounds=(0.0, math.inf)),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        return {"u": p["diffusivity_x"] * dxx(u["u"]) + p["diffusivity_y"] * dyy(u["u"])}

    def energy(self, u: State, p: Values, x: Coordinates) -> Field:
        return 0.5 * (p["diffusivity_x"] * dx(u["u"]) ** 2 + p["diffusivity_y"] * dy(u["u"]) ** 2)

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"heat": u["u"]}
