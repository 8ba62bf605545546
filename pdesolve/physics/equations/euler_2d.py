"""The compressible Euler equations in the plane."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Conserving, FluxForm, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, Vector, absolute, div, dot
from pdesolve.physics.equations.euler import speed_of_sound


@dataclass(frozen=True)
class Euler2d(FluxForm, Conserving):
    """The Euler equations of an ideal gas without viscosity in the plane,

        rho_t = -div q,
        q_t = -div (q v) - grad p,
        E_t = -div ((E + p) v),      v = q / rho,  p = (gamma - 1) (E - q . v / 2),

    for the density rho > 0, the momentum q and the total energy E of a volume, with a pressure p > 0. Along each axis
    sound runs at v +- sqrt(gamma p / rho), heat, composition and eddies are carried along at v. Mass, momentum and
    energy are kept.
    `heat_capacity_ratio` gamma > 1: one number; 1.4 for air, 5/3 for a gas of single atoms and PDEBench's data
    (Takamoto et al., 2022, arXiv 2210.07182).
    Source: L. Euler, Mem. Acad. Sci. Berlin 11 (1757) 274; E. F. Toro, Riemann Solvers and Numerical Methods for Fluid
    Dynamics (2009), chapter 3.
    """

    unknowns = (
        Unknown("density", unit="kg m-3"),
        Unknown("momentum", unit="kg m-2 s-1", components=("x", "y"), long_name="momentum of a volume"),
        Unknown("energy", unit="J m-3", long_name="total energy of a volume"),
    )
    parameters = (Parameter("heat_capacity_ratio", unit="1", default=1.4, bounds=(1.0, math.inf)),)

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        f = self.flux(u, p, x)
        momentum = Vector({a: -div(f[f"momentum_{a}"]) for a in "xy"})
        return {"density": -div(f["density"]), "momentum": momentum, "energy": -div(f["energy"])}

    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        w = self.primitive(u, p, x)
        v, q, pressure = w["velocity"], u["momentum"], w["pressure"]
        return {
            "density": q,
            "momentum_x": Vector({"x": q["x"] * v["x"] + pressure, "y": q["x"] * v["y"]}),
            "momentum_y": Vector({"x": q["y"] * v["x"], "y": q["y"] * v["y"] + pressure}),
            "energy": v * (u["energy"] + pressure),
        }

    def wave_speed(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        w = self.primitive(u, p, x)
        c = speed_of_sound(w, p)
        return {a: absolute(w["velocity"][a]) + c for a in "xy"}

    def characteristic_speeds(self, u: State, p: Values, x: Coordinates) -> Mapping[str, tuple[Field, Field]]:
        w = self.primitive(u, p, x)
        c = speed_of_sound(w, p)
        return {a: (w["velocity"][a] - c, w["velocity"][a] + c) for a in "xy"}

    def primitive(self, u: State, p: Values, x: Coordinates) -> State:
        v = u["momentum"].map(lambda component: component / u["density"])
        pressure = (p["heat_capacity_ratio"] - 1.0) * (u["energy"] - 0.5 * dot(u["momentum"], v))
        return {"density": u["density"], "velocity": v, "pressure": pressure}

    def conservative(self, w: State, p: Values, x: Coordinates) -> State:
        q = w["velocity"] * w["density"]
        energy = w["pressure"] / (p["heat_capacity_ratio"] - 1.0) + 0.5 * dot(q, w["velocity"])
        return {"density": w["density"], "momentum": q, "energy": energy}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        q = u["momentum"]
        return {"mass": u["density"], "momentum_x": q["x"], "momentum_y": q["y"], "energy": u["energy"]}
