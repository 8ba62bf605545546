"""The incompressible Navier-Stokes equations of the plane."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pdesolve.equation import Evolution, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Vector, div, dot, grad, laplacian


@dataclass(frozen=True)
class NavierStokes(Evolution):
    """The velocity v = (v_x, v_y) and the pressure p, over the density, of an incompressible fluid in the plane,

        v_t = -(v . grad) v - grad p + nu lap v + f,   div v = 0.

    The pressure has no rate of its own: at each instant it is what keeps the velocity free of divergence, up to a
    constant where no boundary gives it. An initial velocity with a divergence has no solution. Momentum is kept on a
    torus, without viscosity and force energy too; the Reynolds number is U L / nu.
    `viscosity` nu >= 0: a number. `force_x` and `force_y`, per mass: numbers or fields.
    Taylor-Green vortices solve it with no force, v = (cos kx sin ky, -sin kx cos ky) e, e = exp(-2 nu k^2 t), with
    p = -(cos 2kx + cos 2ky) e^2 / 4.
    Source: G. K. Batchelor, An Introduction to Fluid Dynamics (1967), chapter 3; G. I. Taylor, A. E. Green, Proc. Roy.
    Soc. A 158 (1937) 499.
    """

    unknowns = (
        Unknown("velocity", unit="m s-1", components=("x", "y")),
        Unknown("pressure", unit="m2 s-2", long_name="pressure over density", algebraic=True),
    )
    parameters = (
        Parameter("viscosity", unit="m2 s-1", default=0.01, bounds=(0.0, math.inf), long_name="kinematic viscosity"),
        Parameter("force_x", unit="m s-2", default=0.0, long_name="force per mass along x"),
        Parameter("force_y", unit="m s-2", default=0.0, long_name="force per mass along y"),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        v: Vector = u["velocity"]
        carried = v.map(lambda component: -dot(v, grad(component)) + p["viscosity"] * laplacian(component))
        pushed = carried - grad(u["pressure"])
        return {"velocity": Vector({name: pushed[name] + p[f"force_{name}"] for name in v.names})}

    def constraint(self, u: State, p: Values, x: Coordinates) -> State:
        return {"pressure": div(u["velocity"])}
