"""The Fisher-KPP equation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pdesolve.equation import Energetic, Evolution, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, dot, grad, laplacian


@dataclass(frozen=True)
class ReactionDiffusion(Energetic, Evolution):
    """A population that spreads and grows to its capacity, in any number of dimensions (Fisher-KPP),

        u_t = D lap u + r u (1 - u),

    the gradient flow of E(u) = integral of D/2 |grad u|^2 - r (u^2 / 2 - u^3 / 3). u = 0 is unstable, u = 1 stable;
    fronts of width sqrt(D / r) run into the empty state at 2 sqrt(r D) or faster. Values stay between 0 and 1 when they
    start there; negative ones blow up.
    `diffusivity` D >= 0 and `growth` r: numbers for all space; D = 0.5 to 5 with r = 1 to 10 on the unit interval are
    the values of PDEBench (Takamoto et al., 2022, arXiv 2210.07182).
    Source: R. A. Fisher, Ann. Eugen. 7 (1937) 355; A. Kolmogorov, I. Petrovsky, N. Piskunov (1937).
    """

    unknowns = (Unknown("u", unit="1", long_name="density over capacity"),)
    parameters = (
        Parameter("diffusivity", unit="m2 s-1", default=0.5, bounds=(0.0, math.inf)),
        Parameter("growth", unit="s-1", default=1.0, long_name="growth rate"),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        v = u["u"]
        return {"u": p["diffusivity"] * laplacian(v) + p["growth"] * (v - v**2)}

    def energy(self, u: State, p: Values, x: Coordinates) -> Field:
        v, slope = u["u"], grad(u["u"])
        return 0.5 * p["diffusivity"] * dot(slope, slope) - p["growth"] * (0.5 * v**2 - v**3 / 3.0)
