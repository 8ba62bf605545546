"""The wave equation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from pdesolve.equation import Conserving, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, dot, grad, laplacian


@dataclass(frozen=True)
class Wave(Conserving):
    """Small vibrations of a string, a membrane or the air, in any number of dimensions,

        u_tt = c^2 lap u.

    Everything travels at the speed c and nothing decays: the energy, the integral of u_t^2 / 2 + c^2 |grad u|^2 / 2,
    is kept where walls are fixed or free, the momentum where they are free. Needs a value and a rate at the start.
    `speed` c: one number for all space.
    Source: J. d'Alembert, Hist. Acad. Berlin 3 (1747) 214.
    """

    order: ClassVar[Literal[1, 2]] = 2
    unknowns = (Unknown("u", unit="m", long_name="displacement"),)
    parameters = (Parameter("speed", unit="m s-1", default=1.0, long_name="wave speed"),)

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        return {"u": p["speed"] ** 2 * laplacian(u["u"])}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        velocity, slope = u["u_t"], grad(u["u"])
        return {
            "energy": 0.5 * velocity**2 + 0.5 * p["speed"] ** 2 * dot(slope, slope),
            "momentum": velocity,
        }
