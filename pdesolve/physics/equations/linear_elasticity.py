"""Linear elasticity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Elastic, Energetic, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, Vector, div, dx, dy, sqrt


@dataclass(frozen=True)
class LinearElasticity(Elastic, Energetic):
    """Small displacements of an elastic body in plane strain, a slice of a body that is long across the plane,

        -div sigma = f,   sigma = lambda (div u) I + 2 mu e,   e = (grad u + grad u^T) / 2,

    for the displacement u = (u_x, u_y) under the force f per volume. The solution makes E(u) = integral of
    lambda (div u)^2 / 2 + mu e:e - f . u least; moving the whole body costs none of it, so that some part of the
    boundary must be held. lambda >> mu (a body that keeps its volume) locks P1 elements and slows iterations down.
    `first_lame` lambda and `shear_modulus` mu: numbers or fields; of Young's modulus E and Poisson's ratio n they are
    E n / ((1 + n) (1 - 2 n)) and E / (2 (1 + n)); plane stress has 2 lambda mu / (lambda + 2 mu) in the place of
    lambda. `force_x` and `force_y`: numbers or fields.
    Source: L. D. Landau, E. M. Lifshitz, Theory of Elasticity (1986), chapter 1.
    """

    unknowns = (Unknown("displacement", unit="m", components=("x", "y")),)
    parameters = (
        Parameter("first_lame", unit="Pa", default=1.0, long_name="first Lame parameter"),
        Parameter("shear_modulus", unit="Pa", default=1.0),
        Parameter("force_x", unit="N m-3", default=0.0, long_name="body force along x"),
        Parameter("force_y", unit="N m-3", default=0.0, long_name="body force along y"),
    )

    def residual(self, u: State, p: Values, x: Coordinates) -> State:
        sigma = self.stress(u, p, x)
        return {"displacement": Vector({i: -div(sigma[i]) - p[f"force_{i}"] for i in ("x", "y")})}

    def stress(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        v: Vector = u["displacement"]
        pressure = p["first_lame"] * div(v)
        shear = p["shear_modulus"] * (dy(v["x"]) + dx(v["y"]))
        return {
            "x": Vector({"x": pressure + 2.0 * p["shear_modulus"] * dx(v["x"]), "y": shear}),
            "y": Vector({"x": shear, "y": pressure + 2.0 * p["shear_modulus"] * dy(v["y"])}),
        }

    def equivalent_stress(self, u: State, p: Values, x: Coordinates) -> Field:
        """With sigma_zz = lambda div u, which holds the slice between its neighbours."""
        sigma = self.stress(u, p, x)
        xx, yy, xy = sigma["x"]["x"], sigma["y"]["y"], sigma["x"]["y"]
        zz = p["first_lame"] * div(u["displacement"])
        return sqrt(0.5 * ((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) + 3.0 * xy**2)

    def energy(self, u: State, p: Values, x: Coordinates) -> Field:
        v: Vector = u["displacement"]
        strain = dx(v["x"]) ** 2 + dy(v["y"]) ** 2 + 0.5 * (dy(v["x"]) + dx(v["y"])) ** 2
        work = p["force_x"] * v["x"] + p["force_y"] * v["y"]
        return 0.5 * p["first_lame"] * div(v) ** 2 + p["shear_modulus"] * strain - work
