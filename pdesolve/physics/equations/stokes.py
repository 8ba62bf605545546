"""Creeping flow."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pdesolve.equation import Equation, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Vector, div, dx, dy, laplacian


@dataclass(frozen=True)
class Stokes(Equation):
    """Flow of a fluid so viscous, slow or small that its inertia does not count, in the plane,

        -mu lap u + grad p = f,   div u = 0,

    for the velocity u = (u_x, u_y) and the pressure p. The row of the pressure is div u. Where velocities are given on
    the whole boundary, as much must flow in as out, and p is known up to a constant. A pressure is given at an outlet,
    with du/dn = 0 there.
    `viscosity` mu: one number for all space; `force_x` and `force_y` per volume: numbers or fields.
    Source: G. G. Stokes, Trans. Cambridge Philos. Soc. 8 (1845) 287.
    """

    unknowns = (
        Unknown("velocity", unit="m s-1", components=("x", "y")),
        Unknown("pressure", unit="Pa", algebraic=True),
    )
    parameters = (
        Parameter("viscosity", unit="Pa s", default=1.0, bounds=(0.0, math.inf), long_name="dynamic viscosity"),
        Parameter("force_x", unit="N m-3", default=0.0, long_name="body force along x"),
        Parameter("force_y", unit="N m-3", default=0.0, long_name="body force along y"),
    )

    def residual(self, u: State, p: Values, x: Coordinates) -> State:
        v, pressure = u["velocity"], u["pressure"]
        friction = laplacian(v) * p["viscosity"]
        momentum = {
            "x": dx(pressure) - friction["x"] - p["force_x"],
            "y": dy(pressure) - friction["y"] - p["force_y"],
        }
        return {"velocity": Vector(momentum), "pressure": div(v)}
