"""The shallow water equations along a channel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Conserving, FluxForm, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, Vector, absolute, d, dx, maximum, sqrt

_DRY = 1e-12  # depth below which water stands still: 0/0 otherwise


@dataclass(frozen=True)
class ShallowWater(FluxForm, Conserving):
    """The shallow water equations of Saint-Venant along a straight channel,

        h_t = -q_x,
        q_t = -(q^2 / h)_x - g h (h + b)_x,

    for the depth h > 0 and the discharge q = h v of each metre of width, over a bed of height b. Waves run at
    v +- sqrt(g h): crests overtake troughs and become bores, across which mass and momentum are kept and energy falls.
    Momentum is kept over a flat bed only. Where nothing moves, the surface h + b is level.
    `gravity` g: one number; `bed` b: a number or a field, continuous and under water.
    Source: A. Barre de Saint-Venant, C. R. Acad. Sci. 73 (1871) 147; R. J. LeVeque, Finite Volume Methods for
    Hyperbolic Problems (2002), chapter 13.
    """

    unknowns = (
        Unknown("depth", unit="m", long_name="depth of the water"),
        Unknown("momentum", unit="m2 s-1", long_name="discharge of a metre of width"),
    )
    parameters = (
        Parameter("gravity", unit="m s-2", default=1.0, bounds=(0.0, math.inf), long_name="gravitational acceleration"),
        Parameter("bed", unit="m", default=0.0, long_name="height of the bed"),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        h, q = u["depth"], u["momentum"]
        return {"depth": -dx(q), "momentum": -dx(q * velocity(q, h)) - p["gravity"] * h * dx(h + p["bed"])}

    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        h, q = u["depth"], u["momentum"]
        pressure = 0.5 * p["gravity"] * h**2
        return {"depth": Vector({"x": q}), "momentum": Vector({"x": q * velocity(q, h) + pressure})}

    def source(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"momentum": -p["gravity"] * u["depth"] * d(p["bed"], "x")}

    def wave_speed(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"x": absolute(velocity(u["momentum"], u["depth"])) + celerity(u["depth"], p["gravity"])}

    def characteristic_speeds(self, u: State, p: Values, x: Coordinates) -> Mapping[str, tuple[Field, Field]]:
        v, c = velocity(u["momentum"], u["depth"]), celerity(u["depth"], p["gravity"])
        return {"x": (v - c, v + c)}

    def primitive(self, u: State, p: Values, x: Coordinates) -> State:
        return {"level": u["depth"] + p["bed"], "velocity": velocity(u["momentum"], u["depth"])}

    def conservative(self, w: State, p: Values, x: Coordinates) -> State:
        h = maximum(w["level"] - p["bed"], 0.0)
        return {"depth": h, "momentum": h * w["velocity"]}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"mass": u["depth"], "momentum": u["momentum"]}


def velocity(momentum: Field, depth: Field) -> Field:
    """The velocity q / h, also where hardly any water is left."""
    return momentum / maximum(depth, _DRY)


def celerity(depth: Field, gravity: Field) -> Field:
    """The speed sqrt(g h) of small waves on water at rest."""
    return sqrt(gravity * maximum(depth, 0.0))
