"""Advection by a velocity field."""

from __future__ import annotations

from dataclasses import dataclass

from pdesolve.equation import Evolution, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Vector, dot, grad


@dataclass(frozen=True)
class Transport(Evolution):
    """A quantity carried by a given plane velocity v(x, y), steady or not,

        u_t = -v . grad u = -v_x u_x - v_y u_y.

    u stays what it is along the paths dx/dt = v, so that its extremes never change while its slopes grow with the
    shear, without bound. Where div v = 0 every integral of a function of u is kept. Only parts of the boundary where v
    points inwards take a condition. (Advection is the case of one uniform speed along x, in conservation form.)
    `velocity_x` and `velocity_y`: numbers or fields.
    Source: R. J. LeVeque, Finite Volume Methods for Hyperbolic Problems (2002), chapter 9.
    """

    unknowns = (Unknown("u", unit="1", long_name="concentration"),)
    parameters = (
        Parameter("velocity_x", unit="m s-1", default=1.0),
        Parameter("velocity_y", unit="m s-1", default=0.0),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        return {"u": -dot(Vector({"x": p["velocity_x"], "y": p["velocity_y"]}), grad(u["u"]))}
