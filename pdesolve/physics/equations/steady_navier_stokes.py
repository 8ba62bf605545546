"""The steady incompressible Navier-Stokes equations of the plane."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pdesolve.equation import Equation, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Vector, div, dot, grad, laplacian


@dataclass(frozen=True)
class SteadyNavierStokes(Equation):
    """The velocity v = (v_x, v_y) and the pressure p, over the density, of a steady incompressible flow in the plane,

        (v . grad) v + grad p - nu lap v = f,   div v = 0.

    What flows in through the boundary must flow out. The pressure is known up to a constant where no boundary gives it,
    and grows like 1/r towards a corner at which the velocity jumps. Several flows may solve it at high Reynolds numbers
    U L / nu, and the steady one need not be the one that occurs.
    `viscosity` nu > 0: a number. `force_x` and `force_y`, per mass: numbers or fields.
    Behind a grid it is solved by v = (1 - e cos 2 pi y, a e sin 2 pi y / 2 pi), e = exp(a x), p = -e^2 / 2 with
    a = 1/(2 nu) - (1/(4 nu^2) + 4 pi^2)^(1/2).
    Source: G. K. Batchelor, An Introduction to Fluid Dynamics (1967), chapter 4; L. I. G. Kovasznay, Math. Proc.
    Cambridge 44 (1948) 58.
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

    def residual(self, u: State, p: Values, x: Coordinates) -> State:
        v: Vector = u["velocity"]
        carried = v.map(lambda component: dot(v, grad(component)) - p["viscosity"] * laplacian(component))
        balance = carried + grad(u["pressure"])
        return {
            "velocity": Vector({name: balance[name] - p[f"force_{name}"] for name in v.names}),
            "pressure": div(v),
        }
