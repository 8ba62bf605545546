"""The Burgers equation of a plane velocity."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pdesolve.equation import Evolution, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Vector, dot, grad, laplacian


@dataclass(frozen=True)
class Burgers2d(Evolution):
    """The viscous Burgers equation of a velocity v = (v_x, v_y) in the plane, a fluid without pressure,

        v_t = -(v . grad) v + nu lap v.

    The velocity carries itself; fronts of width about nu / |jump| form where it converges. A velocity without curl
    stays without it, and v = -2 nu grad log w turns the equation into w_t = nu lap w; with curl nothing is conserved.
    `viscosity` nu >= 0: one number for all space; 1/200 on the unit torus is that of PhyCRNet (Ren et al., 2022, arXiv
    2106.14103).
    Source: J. M. Burgers, Adv. Appl. Mech. 1 (1948) 171; J. D. Cole, Quart. Appl. Math. 9 (1951) 225.
    """

    unknowns = (Unknown("velocity", unit="m s-1", components=("x", "y")),)
    parameters = (
        Parameter("viscosity", unit="m2 s-1", default=0.01, bounds=(0.0, math.inf), long_name="kinematic viscosity"),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        v: Vector = u["velocity"]
        return {"velocity": v.map(lambda component: -dot(v, grad(component)) + p["viscosity"] * laplacian(component))}
