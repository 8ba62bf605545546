"""The nonlinear Klein-Gordon equation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from pdesolve.equation import Conserving, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, dot, grad, laplacian


@dataclass(frozen=True)
class KleinGordon(Conserving):
    """The Klein-Gordon equation with a polynomial force, in any number of dimensions,

        u_tt = c^2 lap u - a u - b u^2 - k u^3 + f.

    A wave equation whose waves disperse (a > 0 is the squared mass) and interact. Without a source the energy, the
    integral of u_t^2 / 2 + c^2 |grad u|^2 / 2 + a u^2 / 2 + b u^3 / 3 + k u^4 / 4, is kept; with b alone it has no
    lower bound, and large negative u blows up in finite time. Needs a value and a rate at the start.
    `speed` c, `linear` a, `quadratic` b, `cubic` k: numbers for all space; `source` f: a number or a field.
    c = 1, b = 1 with a made source is the benchmark of PINNs, a = -1, k = 1 is the phi^4 theory, a = 1 alone the
    linear equation.
    Source: O. Klein, Z. Phys. 37 (1926) 895; W. Gordon, Z. Phys. 40 (1926) 117.
    """

    order: ClassVar[Literal[1, 2]] = 2
    unknowns = (Unknown("u", unit="1", long_name="field"),)
    parameters = (
        Parameter("speed", unit="m s-1", default=1.0, long_name="wave speed"),
        Parameter("linear", unit="s-2", default=0.0, long_name="coefficient of u, the squared mass"),
        Parameter("quadratic", unit="s-2", default=1.0, long_name="coefficient of u^2"),
        Parameter("cubic", unit="s-2", default=0.0, long_name="coefficient of u^3"),
        Parameter("source", unit="s-2", default=0.0),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        v = u["u"]
        force = p["linear"] * v + p["quadratic"] * v**2 + p["cubic"] * v**3
        return {"u": p["speed"] ** 2 * laplacian(v) - force + p["source"]}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        v, velocity, slope = u["u"], u["u_t"], grad(u["u"])
        potential = p["linear"] * v**2 / 2.0 + p["quadratic"] * v**3 / 3.0 + p["cubic"] * v**4 / 4.0
        return {"energy": 0.5 * velocity**2 + 0.5 * p["speed"] ** 2 * dot(slope, slope) + potential}
