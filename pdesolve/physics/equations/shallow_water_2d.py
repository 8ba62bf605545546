"""The shallow water equations in the plane."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Conserving, FluxForm, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, Vector, absolute, d, div, maximum
from pdesolve.physics.equations.shallow_water import celerity, velocity


@dataclass(frozen=True)
class ShallowWater2d(FluxForm, Conserving):
    """The shallow water equations of Saint-Venant in the plane,

        h_t = -div q,
        q_t = -div (q q / h) - g h grad(h + b),

    for the depth h > 0 and the discharge q = h v, over a bed of height b. Along each axis waves run at
    v +- sqrt(g h) and eddies are carried along at v. Momentum is kept over a flat bed only. Where nothing moves, the
    surface h + b is level.
    `gravity` g: one number; `bed` b: a number or a field, continuous and under water.
    Source: A. Barre de Saint-Venant, C. R. Acad. Sci. 73 (1871) 147; R. J. LeVeque, Finite Volume Methods for
    Hyperbolic Problems (2002), chapter 21.
    """

    unknowns = (
        Unknown("depth", unit="m", long_name="depth of the water"),
        Unknown("momentum", unit="m2 s-1", components=("x", "y"), long_name="discharge of a metre of width"),
    )
    parameters = (
        Parameter("gravity", unit="m s-2", default=1.0, bounds=(0.0, math.inf), long_name="gravitational acceleration"),
        Parameter("bed", unit="m", default=0.0, long_name="height of the bed"),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        h, q = u["depth"], u["momentum"]
        level, v = h + p["bed"], _velocity(u)
        return {
            "depth": -div(q),
            "momentum": Vector({a: -div(v * q[a]) - p["gravity"] * h * d(level, a) for a in "xy"}),
        }

    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        h, q = u["depth"], u["momentum"]
        v, pressure = _velocity(u), 0.5 * p["gravity"] * h**2
        return {
            "depth": q,
            "momentum_x": Vector({"x": q["x"] * v["x"] + pressure, "y": q["x"] * v["y"]}),
            "momentum_y": Vector({"x": q["y"] * v["x"], "y": q["y"] * v["y"] + pressure}),
        }

    def source(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {f"momentum_{a}": -p["gravity"] * u["depth"] * d(p["bed"], a) for a in "xy"}

    def wave_speed(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        v, c = _velocity(u), celerity(u["depth"], p["gravity"])
        return {a: absolute(v[a]) + c for a in "xy"}

    def characteristic_speeds(self, u: State, p: Values, x: Coordinates) -> Mapping[str, tuple[Field, Field]]:
        v, c = _velocity(u), celerity(u["depth"], p["gravity"])
        return {a: (v[a] - c, v[a] + c) for a in "xy"}

    def primitive(self, u: State, p: Values, x: Coordinates) -> State:
        return {"level": u["depth"] + p["bed"], "velocity": _velocity(u)}

    def conservative(self, w: State, p: Values, x: Coordinates) -> State:
        h = maximum(w["level"] - p["bed"], 0.0)
        return {"depth": h, "momentum": w["velocity"] * h}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"mass": u["depth"], "momentum_x": u["momentum"]["x"], "momentum_y": u["momentum"]["y"]}


def _velocity(u: State) -> Vector:
    return Vector({a: velocity(u["momentum"][a], u["depth"]) for a in "xy"})
