"""The advection equation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Conserving, FluxForm, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, Vector, absolute, dx


@dataclass(frozen=True)
class Advection(FluxForm, Conserving):
    """Linear advection along x with a uniform speed,

        u_t = -c u_x.

    Every profile moves unchanged, u(t, x) = u0(x - c t): nothing is smoothed, so that errors of phase and of amplitude
    are a scheme's own. On a bounded interval only the inflow end takes a condition (x_min where c > 0).
    `speed` c: one number for all space; 0.1 to 7 on the unit interval are the values of PDEBench (Takamoto et al.,
    2022, arXiv 2210.07182), 30 and more on [0, 2 pi] is where plain networks fail (Krishnapriyan et al., 2021,
    arXiv 2109.01050).
    Source: R. J. LeVeque, Finite Volume Methods for Hyperbolic Problems (2002), chapter 2.
    """

    unknowns = (Unknown("u", unit="1", long_name="concentration"),)
    parameters = (Parameter("speed", unit="m s-1", default=1.0, long_name="advection speed"),)

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        return {"u": -p["speed"] * dx(u["u"])}

    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        return {"u": Vector({"x": p["speed"] * u["u"]})}

    def wave_speed(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"x": absolute(p["speed"])}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"mass": u["u"], "energy": 0.5 * u["u"] ** 2}
