"""The Poisson equation."""

from __future__ import annotations

from dataclasses import dataclass

from pdesolve.equation import Energetic, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, dot, grad, laplacian


@dataclass(frozen=True)
class Poisson(Energetic):
    """Potentials, membranes under load and steady heat, in any number of dimensions,

        -lap u = f,

    whose solution makes E(u) = integral of |grad u|^2 / 2 - f u least among all u with the same boundary values. The
    extremes of u lie on the boundary where f = 0. With slopes given on the whole boundary, or a periodic domain, u is
    known up to a constant only, and the data must balance.
    `source` f: a number or a field.
    Source: S. D. Poisson, Nouv. Bull. Soc. Philomathique 3 (1813) 388.
    """

    unknowns = (Unknown("u", unit="1", long_name="potential"),)
    parameters = (Parameter("source", unit="m-2", default=0.0),)

    def residual(self, u: State, p: Values, x: Coordinates) -> State:
        return {"u": -laplacian(u["u"]) - p["source"]}

    def energy(self, u: State, p: Values, x: Coordinates) -> Field:
        slope = grad(u["u"])
        return 0.5 * dot(slope, slope) - p["source"] * u["u"]
