"""The Burgers equation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Conserving, FluxForm, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, Vector, absolute, dx, dxx


@dataclass(frozen=True)
class Burgers(FluxForm, Conserving):
    """The viscous Burgers equation in one dimension,

        u_t = -u u_x + nu u_xx.

    Falling slopes steepen into shocks of width about nu / |jump|, which move at the mean of the values beside them;
    the Cole-Hopf transform u = -2 nu (log w)_x turns it into the heat equation. Momentum, the integral of u, is kept;
    energy, the integral of u^2 / 2, falls.
    `viscosity` nu >= 0: one number for all space; 0.01/pi gives the shock of the PINN paper, 0.001 to 0.1 are usual
    for data sets on the unit interval. A grid must resolve nu / max|u|.
    Source: J. M. Burgers, Adv. Appl. Mech. 1 (1948) 171; E. Hopf, Comm. Pure Appl. Math. 3 (1950) 201.
    """

    unknowns = (Unknown("u", unit="m s-1", long_name="velocity"),)
    parameters = (
        Parameter("viscosity", unit="m2 s-1", default=0.01, bounds=(0.0, math.inf), long_name="kinematic viscosity"),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        v = u["u"]
        return {"u": -v * dx(v) + p["viscosity"] * dxx(v)}

    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        v = u["u"]
        return {"u": Vector({"x": 0.5 * v**2 - p["viscosity"] * dx(v)})}

    def wave_speed(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"x": absolute(u["u"])}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"momentum": u["u"]}
