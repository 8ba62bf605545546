"""Darcy's law."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pdesolve.equation import Energetic, FluxForm, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, Vector, div, dot, grad


@dataclass(frozen=True)
class Darcy(FluxForm, Energetic):
    """Steady flow through a porous medium, in any number of dimensions,

        -div (a grad u) = f,

    for the pressure u of a flow -a grad u; the solution makes E(u) = integral of a |grad u|^2 / 2 - f u least. Steady
    heat in a body of several materials is the same. Where a jumps, the flow through the jump is continuous and the
    slope is not: take finite volumes or an energy there, since a grad u is differentiated here as it stands.
    `permeability` a > 0 (over the viscosity) and `source` f: numbers or fields; a in {3, 12} on the unit square is the
    benchmark of neural operators (Li et al., 2020, arXiv 2010.08895).
    Source: H. Darcy, Les fontaines publiques de la ville de Dijon (1856).
    """

    unknowns = (Unknown("u", unit="Pa", long_name="pressure"),)
    parameters = (
        Parameter("permeability", unit="m2 Pa-1 s-1", default=1.0, bounds=(0.0, math.inf), long_name="mobility"),
        Parameter("source", unit="s-1", default=1.0, long_name="volume injected"),
    )

    def residual(self, u: State, p: Values, x: Coordinates) -> State:
        return {"u": div(self.flux(u, p, x)["u"]) - p["source"]}

    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        return {"u": -p["permeability"] * grad(u["u"])}

    def source(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"u": p["source"]}

    def energy(self, u: State, p: Values, x: Coordinates) -> Field:
        slope = grad(u["u"])
        return 0.5 * p["permeability"] * dot(slope, slope) - p["source"] * u["u"]
