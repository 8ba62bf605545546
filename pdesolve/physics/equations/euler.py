"""The compressible Euler equations along a tube."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Conserving, FluxForm, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, Vector, absolute, dx, sqrt


@dataclass(frozen=True)
class Euler(FluxForm, Conserving):
    """The Euler equations of an ideal gas without viscosity along a tube,

        rho_t = -q_x,
        q_t = -(q v + p)_x,
        E_t = -((E + p) v)_x,      v = q / rho,  p = (gamma - 1) (E - q v / 2),

    for the density rho > 0, the momentum q and the total energy E of a volume, with a pressure p > 0. Sound runs at
    v +- sqrt(gamma p / rho) and steepens into shocks, heat and composition are carried along at v. Mass, momentum and
    energy are kept.
    `heat_capacity_ratio` gamma > 1: one number; 1.4 for air, 5/3 for a gas of single atoms and PDEBench's data
    (Takamoto et al., 2022, arXiv 2210.07182).
    Source: L. Euler, Mem. Acad. Sci. Berlin 11 (1757) 274; E. F. Toro, Riemann Solvers and Numerical Methods for Fluid
    Dynamics (2009), chapter 3.
    """

    unknowns = (
        Unknown("density", unit="kg m-3"),
        Unknown("momentum", unit="kg m-2 s-1", long_name="momentum of a volume"),
        Unknown("energy", unit="J m-3", long_name="total energy of a volume"),
    )
    parameters = (Parameter("heat_capacity_ratio", unit="1", default=1.4, bounds=(1.0, math.inf)),)

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        return {name: -dx(flux["x"]) for name, flux in self.flux(u, p, x).items()}

    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        w = self.primitive(u, p, x)
        v, q = w["velocity"], u["momentum"]
        return {
            "density": Vector({"x": q}),
            "momentum": Vector({"x": q * v + w["pressure"]}),
            "energy": Vector({"x": (u["energy"] + w["pressure"]) * v}),
        }

    def wave_speed(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        w = self.primitive(u, p, x)
        return {"x": absolute(w["velocity"]) + speed_of_sound(w, p)}

    def characteristic_speeds(self, u: State, p: Values, x: Coordinates) -> Mapping[str, tuple[Field, Field]]:
        w = self.primitive(u, p, x)
        c = speed_of_sound(w, p)
        return {"x": (w["velocity"] - c, w["velocity"] + c)}

    def primitive(self, u: State, p: Values, x: Coordinates) -> State:
        v = u["momentum"] / u["density"]
        pressure = (p["heat_capacity_ratio"] - 1.0) * (u["energy"] - 0.5 * u["momentum"] * v)
        return {"density": u["density"], "velocity": v, "pressure": pressure}

    def conservative(self, w: State, p: Values, x: Coordinates) -> State:
        q = w["density"] * w["velocity"]
        energy = w["pressure"] / (p["heat_capacity_ratio"] - 1.0) + 0.5 * q * w["velocity"]
        return {"density": w["density"], "momentum": q, "energy": energy}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"mass": u["density"], "momentum": u["momentum"], "energy": u["energy"]}


def speed_of_sound(w: State, p: Values) -> Field:
    """sqrt(gamma p / rho) of primitive variables."""
    return sqrt(p["heat_capacity_ratio"] * w["pressure"] / w["density"])
