"""The Burgers equation of one unknown in any number of dimensions."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from pdesolve.equation import Conserving, FluxForm, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, Vector, absolute, d, grad, laplacian


@dataclass(frozen=True)
class BurgersScalar(FluxForm, Conserving):
    """The viscous Burgers equation of one unknown that is carried along the diagonal, in any number of dimensions,

        u_t = D lap u - u (u_x + u_y + ...).

    In one dimension the Burgers equation; in more, profiles steepen along the diagonal only, and lines beside it are
    joined by diffusion alone. The integral of u is kept.
    `diffusivity` D >= 0: one number for all space; 0.01 on [0, 2 pi]^2 is that of TENG (Chen et al., 2024, arXiv
    2404.10771), where fronts need 400 points an axis after t = 1.
    Source: J. M. Burgers, Adv. Appl. Mech. 1 (1948) 171.
    """

    unknowns = (Unknown("u", unit="m s-1", long_name="velocity along each axis"),)
    parameters = (Parameter("diffusivity", unit="m2 s-1", default=0.01, bounds=(0.0, math.inf)),)

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        v = u["u"]
        return {"u": p["diffusivity"] * laplacian(v) - v * reduce(operator.add, grad(v))}

    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        v = u["u"]
        return {
            "u": Vector({a.name: 0.5 * v**2 - p["diffusivity"] * d(v, a.name) for a in v.axes.space}),
        }

    def wave_speed(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {axis.name: absolute(u["u"]) for axis in u["u"].axes.space}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"momentum": u["u"]}
