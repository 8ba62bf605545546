"""Diffusion whose diffusivity grows with the density: the porous medium equation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Conserving, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, dot, grad, laplacian


@dataclass(frozen=True)
class NonlinearDiffusion(Conserving):
    """Gas in a porous medium, in any number of dimensions,

        u_t = D div (u grad u) = D (u lap u + |grad u|^2).

    Where u = 0 nothing diffuses: gas in a vacuum keeps an edge, where its slope jumps, and the edge moves at -D du/dn.
    Barenblatt's parabola t^(-a) (C - r^2 / (2 (2 + d) D t^(2 a / d))), a = d / (2 + d) in d dimensions, is what
    every bounded amount tends to. Negative u makes the equation ill-posed. The mass, the integral of u, is kept.
    `diffusivity` D >= 0, that of u = 1: one number for all space.
    Source: G. I. Barenblatt, Prikl. Mat. Mekh. 16 (1952) 67; J. L. Vazquez, The Porous Medium Equation (2007).
    """

    unknowns = (Unknown("u", unit="1", long_name="density"),)
    parameters = (Parameter("diffusivity", unit="m2 s-1", default=0.05, bounds=(0.0, math.inf)),)

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        v, slope = u["u"], grad(u["u"])
        # the product written out: on grids with walls both terms then see what u obeys there
        return {"u": p["diffusivity"] * (v * laplacian(v) + dot(slope, slope))}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"mass": u["u"]}
