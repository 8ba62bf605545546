"""The FitzHugh-Nagumo equations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Evolution, FluxForm, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, Vector, grad, laplacian


@dataclass(frozen=True)
class FitzHughNagumo(FluxForm, Evolution):
    """An activator and an inhibitor, in any number of dimensions,

        u_t = D_u lap u + a (u - u^3 - k - v),
        v_t = D_v lap v + b (u - v).

    u rises by itself and raises v, which holds it down. With an inhibitor that spreads faster (D_v > D_u) patterns of
    spots and stripes arise from noise; with a slow one (b << a) pulses and spirals run.
    `activator_diffusivity` D_u and `inhibitor_diffusivity` D_v >= 0, `excitation` a and `recovery` b: numbers for all
    space; `threshold` k: a number or a field. 1e-3, 5e-3, 1, 1 and 5e-3 on [-1, 1]^2 are those of PDEBench's
    diffusion-reaction data (Takamoto et al., 2022, arXiv 2210.07182).
    Source: R. FitzHugh, Biophys. J. 1 (1961) 445; J. Nagumo, S. Arimoto, S. Yoshizawa, Proc. IRE 50 (1962) 2061.
    """

    unknowns = (Unknown("u", unit="1", long_name="activator"), Unknown("v", unit="1", long_name="inhibitor"))
    parameters = (
        Parameter("activator_diffusivity", unit="m2 s-1", default=1e-3, bounds=(0.0, math.inf)),
        Parameter("inhibitor_diffusivity", unit="m2 s-1", default=5e-3, bounds=(0.0, math.inf)),
        Parameter("excitation", unit="s-1", default=1.0, long_name="rate of the activator"),
        Parameter("recovery", unit="s-1", default=1.0, long_name="rate of the inhibitor"),
        Parameter("threshold", unit="1", default=5e-3, long_name="threshold of the activator"),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        source = self.source(u, p, x)
        return {
            "u": p["activator_diffusivity"] * laplacian(u["u"]) + source["u"],
            "v": p["inhibitor_diffusivity"] * laplacian(u["v"]) + source["v"],
        }

    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        return {
            "u": grad(u["u"]).map(lambda slope: -p["activator_diffusivity"] * slope),
            "v": grad(u["v"]).map(lambda slope: -p["inhibitor_diffusivity"] * slope),
        }

    def source(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        activator, inhibitor = u["u"], u["v"]
        return {
            "u": p["excitation"] * (activator - activator**3 - p["threshold"] - inhibitor),
            "v": p["recovery"] * (activator - inhibitor),
        }
