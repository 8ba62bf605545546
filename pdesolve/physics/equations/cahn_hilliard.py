"""The Cahn-Hilliard equation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pdesolve.equation import Conserving, FieldKind, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, laplacian


@dataclass(frozen=True)
class CahnHilliard(Conserving):
    """Phase separation with conservation, in any number of dimensions,

        u_t = D lap (u^3 - u - g lap u).

    The amount of each phase, the integral of u, is kept, and the free energy, the integral of (1 - u^2)^2 / 4 +
    g |grad u|^2 / 2, falls (as a gradient flow in H^-1, not in L2). Waves longer than 2 pi sqrt(g) grow from u = 0,
    fastest at sqrt(2) times that; then drops and layers with walls of width sqrt(2 g) coarsen like t^(1/3).
    `mobility` D >= 0 and `wall` g >= 0: numbers for all space; a grid must resolve sqrt(g). The linear part is of
    fourth order: take exponential or implicit time steps.
    Source: J. W. Cahn, J. E. Hilliard, J. Chem. Phys. 28 (1958) 258.
    """

    kinds: ClassVar[tuple[FieldKind, ...]] = ("point", "grid")
    unknowns = (Unknown("u", unit="1", long_name="difference of concentrations"),)
    parameters = (
        Parameter("mobility", unit="m2 s-1", default=1.0, bounds=(0.0, math.inf)),
        Parameter("wall", unit="m2", default=0.01, bounds=(0.0, math.inf), long_name="gradient energy coefficient"),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        v = u["u"]
        potential = v**3 - v - p["wall"] * laplacian(v)
        return {"u": p["mobility"] * laplacian(potential)}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"mass": u["u"]}
