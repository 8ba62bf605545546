"""The incompressible Navier-Stokes equations of the plane in vorticity form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Conserving, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, d, inverse_laplacian, laplacian


@dataclass(frozen=True)
class NavierStokesVorticity(Conserving):
    """The vorticity w = dv/dx - du/dy of an incompressible fluid in the plane, on a torus,

        w_t = -(u, v) . grad w + nu lap w + f,   u = psi_y,   v = -psi_x,   lap psi = -w,

    for the stream function psi of mean zero: the velocity has no mean, nor can w have one. Advection is written as the
    curl of the divergence of the momentum flux, (u, v) . grad w = (uv)_xx - (uv)_yy + (v^2 - u^2)_xy, which is the same
    and needs one transform less. The velocity follows from w everywhere at once: only grids with periodic axes x and y
    will do. The integral of w is kept, without viscosity and forcing those of w^2 and of |(u, v)|^2 too. Products are
    resolved as long as the thinnest filaments, of width about (nu / |grad u|)^(1/2), are.
    `viscosity` nu >= 0: a number. `forcing` f, the curl of the force per mass: a number or a field of mean zero.
    Taylor-Green vortices, w = 2 k cos kx cos ky exp(-2 nu k^2 t), solve it without forcing.
    Source: G. K. Batchelor, An Introduction to Fluid Dynamics (1967), chapter 5; C. Basdevant, J. Comput. Phys. 50
    (1983) 209, for the form of the advection.
    """

    unknowns = (Unknown("vorticity", unit="s-1"),)
    parameters = (
        Parameter("viscosity", unit="m2 s-1", default=1e-3, bounds=(0.0, math.inf), long_name="kinematic viscosity"),
        Parameter("forcing", unit="s-2", default=0.0, long_name="curl of the force per mass"),
    )
    kinds = ("grid",)

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        w: Field = u["vorticity"]
        psi = inverse_laplacian(-w)
        a, b = d(psi, "y"), -d(psi, "x")
        shear, stretch = a * b, b * b - a * a
        advection = d(shear, "x", 2) - d(shear, "y", 2) + d(d(stretch, "x"), "y")
        return {"vorticity": -advection + p["viscosity"] * laplacian(w) + p["forcing"]}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"vorticity": u["vorticity"]}
