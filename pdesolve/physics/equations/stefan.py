"""The one-phase Stefan problem as diffusion that stops below a value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Conserving, FluxForm, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, Vector, grad, laplacian, step


@dataclass(frozen=True)
class Stefan(FluxForm, Conserving):
    """Heat that melts its way into ice, in any number of dimensions,

        u_t = D div (k(u) grad u),    k = 1 for u >= u*, 0 for u < u*,

    u the heat content of a volume. Heat flows where u >= u* alone, so that u jumps from u* to what was there at a
    front, which moves at -D du/dn / (u* - u_ahead). `rate` holds on both sides of the front, D k lap u; what happens
    across it only the flux tells. On cells whose faces take k of the mean of both sides the front stands still where u*
    is more than that mean: the families' data come from the formula.
    `diffusivity` D >= 0 and `front_value` u*: one number each for all space; from 0.55 to 0.7 beside a wall of u = 1
    in ProbConserv (Hansen et al., 2023, arXiv 2302.11002).
    Source: J. Stefan, Ann. Phys. 278 (1891) 269; D. C. Maddix, L. Sampaio, M. Gerritsen, J. Comput. Phys. 371 (2018)
    200, for this form.
    """

    unknowns = (Unknown("u", unit="1", long_name="heat content"),)
    parameters = (
        Parameter("diffusivity", unit="m2 s-1", default=1.0, bounds=(0.0, math.inf)),
        Parameter("front_value", unit="1", default=0.6, long_name="heat content behind the front"),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        return {"u": p["diffusivity"] * step(u["u"] - p["front_value"]) * laplacian(u["u"])}

    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        conduction = p["diffusivity"] * step(u["u"] - p["front_value"])
        return {"u": grad(u["u"]).map(lambda slope: -conduction * slope)}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"mass": u["u"]}
