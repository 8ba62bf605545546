"""The porous medium equation of any degree."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Conserving, FluxForm, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, Vector, dot, exp, grad, laplacian, log, maximum

_VACUUM = 1e-100  # the logarithm of nothing


@dataclass(frozen=True)
class PorousMedium(FluxForm, Conserving):
    """A gas that makes its own way, in any number of dimensions,

        u_t = D div (u^m grad u) = D u^(m - 1) (u lap u + m |grad u|^2),

    for a density u >= 0; with n = m + 1 this is u_t = D / n lap u^n. Where u = 0 nothing diffuses, so that what starts
    on a bounded set keeps an edge, which moves at -D u^(m - 1) du/dn and at which the slope of u is infinite for m > 1.
    The mass, the integral of u, is kept; negative u counts as none.
    `diffusivity` D >= 0, that of u = 1, and `degree` m > 0: one number each for all space; m = 1 is a gas that flows
    slowly through a porous medium, m = 2.5 the heat of a plasma, m from 1 to 6 the range of ProbConserv (Hansen et al.,
    2023, arXiv 2302.11002).
    Source: G. I. Barenblatt, Prikl. Mat. Mekh. 16 (1952) 67; J. L. Vazquez, The Porous Medium Equation (2007).
    """

    unknowns = (Unknown("u", unit="1", long_name="density"),)
    parameters = (
        Parameter("diffusivity", unit="m2 s-1", default=1.0, bounds=(0.0, math.inf)),
        Parameter("degree", unit="1", default=1.0, bounds=(0.0, math.inf)),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        v, m, slope = u["u"], p["degree"], grad(u["u"])
        conduction = p["diffusivity"] * _power(v, m - 1.0)
        return {"u": conduction * (v * laplacian(v) + m * dot(slope, slope))}

    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        conduction = p["diffusivity"] * _power(u["u"], p["degree"])
        return {"u": grad(u["u"]).map(lambda slope: -conduction * slope)}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"mass": u["u"]}


def _power(u: Field, exponent: Field) -> Field:
    return exp(exponent * log(maximum(u, _VACUUM)))
