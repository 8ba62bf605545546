"""The heat equation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Conserving, Energetic, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, dot, grad, laplacian


@dataclass(frozen=True)
class Heat(Energetic, Conserving):
    """Heat conduction, or diffusion, in any number of dimensions,

        u_t = D lap u,

    the gradient flow of E(u) = integral of D/2 |grad u|^2. A wave of wave number k decays like exp(-D k^2 t), so that
    solutions are smooth for t > 0 and tend to their mean where the walls are insulated; the heat content is then kept.
    `diffusivity` D >= 0: one number for all space; a time scale is length^2 / (pi^2 D).
    Source: J. Fourier, Theorie analytique de la chaleur (1822).
    """

    unknowns = (Unknown("u", unit="K", long_name="temperature"),)
    parameters = (
        Parameter("diffusivity", unit="m2 s-1", default=1.0, bounds=(0.0, math.inf), long_name="thermal diffusivity"),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        return {"u": p["diffusivity"] * laplacian(u["u"])}

    def energy(self, u: State, p: Values, x: Coordinates) -> Field:
        slope = grad(u["u"])
        return 0.5 * p["diffusivity"] * dot(slope, slope)

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"heat": u["u"]}
