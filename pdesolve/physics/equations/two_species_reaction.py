"""Two species that diffuse and react."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Conserving, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, laplacian


@dataclass(frozen=True)
class TwoSpeciesReaction(Conserving):
    """The reaction A + 2 B -> products of two dissolved species, in any number of dimensions,

        a_t = D lap a - k a b^2,
        b_t = D lap b - 2 k a b^2.

    Both are used up, two of B for one of A, so that the excess, the integral of 2 a - b, is kept where nothing leaves;
    the reaction slows down as 1 / (k a b) once one is rare. With b = 2 a both obey a_t = D lap a - 4 k a^3.
    `diffusivity` D >= 0, the same for both, and `reaction` k: numbers for all space; 2e-3 and 0.1 on the unit interval
    to t = 10 are those of DeepXDE's inverse problem (Lu et al., SIAM Review 63 (2021) 208, arXiv 1907.04502).
    Source: P. W. Atkins, J. de Paula, Physical Chemistry, chapter on chemical kinetics.
    """

    unknowns = (
        Unknown("a", unit="mol m-3", long_name="concentration of A"),
        Unknown("b", unit="mol m-3", long_name="concentration of B"),
    )
    parameters = (
        Parameter("diffusivity", unit="m2 s-1", default=2e-3, bounds=(0.0, math.inf)),
        Parameter("reaction", unit="m6 mol-2 s-1", default=0.1, long_name="rate constant"),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        a, b = u["a"], u["b"]
        used = p["reaction"] * a * b**2
        return {
            "a": p["diffusivity"] * laplacian(a) - used,
            "b": p["diffusivity"] * laplacian(b) - 2.0 * used,
        }

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"excess": 2.0 * u["a"] - u["b"]}
