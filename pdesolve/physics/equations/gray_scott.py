"""The Gray-Scott equations."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pdesolve.equation import Evolution, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, laplacian


@dataclass(frozen=True)
class GrayScott(Evolution):
    """A substrate that feeds a catalyst, in any number of dimensions,

        u_t = D_u lap u - r u v^2 + f (1 - u),
        v_t = D_v lap v + r u v^2 - (f + k) v.

    u is fed in and v makes more of itself from it. u = 1, v = 0 is stable to small disturbances; larger ones grow to
    spots that split, worms and mazes, by f and k. Patterns amplify errors: compare grids before trusting late times.
    `substrate_diffusivity` D_u, `catalyst_diffusivity` D_v >= 0 and `reaction` r: numbers for all space; `feed` f and
    `kill` k: numbers or fields. D_u = 2 D_v, r = 1, f from 0.01 to 0.06 and k from 0.04 to 0.07 give patterns. Some
    papers write d for the sum f + k, and b for f.
    Source: P. Gray, S. K. Scott, Chem. Eng. Sci. 39 (1984) 1087; J. E. Pearson, Science 261 (1993) 189.
    """

    unknowns = (Unknown("u", unit="1", long_name="substrate"), Unknown("v", unit="1", long_name="catalyst"))
    parameters = (
        Parameter("substrate_diffusivity", unit="m2 s-1", default=2e-5, bounds=(0.0, math.inf)),
        Parameter("catalyst_diffusivity", unit="m2 s-1", default=1e-5, bounds=(0.0, math.inf)),
        Parameter("reaction", unit="s-1", default=1.0, long_name="reaction rate"),
        Parameter("feed", unit="s-1", default=0.04, long_name="feed rate"),
        Parameter("kill", unit="s-1", default=0.06, long_name="rate at which the catalyst dies"),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        substrate, catalyst = u["u"], u["v"]
        used = p["reaction"] * substrate * catalyst**2
        return {
            "u": p["substrate_diffusivity"] * laplacian(substrate) - used + p["feed"] * (1.0 - substrate),
            "v": p["catalyst_diffusivity"] * laplacian(catalyst) + used - (p["feed"] + p["kill"]) * catalyst,
        }
