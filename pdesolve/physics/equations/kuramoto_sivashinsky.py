"""The Kuramoto-Sivashinsky equation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pdesolve.equation import Conserving, FieldKind, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, dx, dxx, dxxxx


@dataclass(frozen=True)
class KuramotoSivashinsky(Conserving):
    """Flame fronts and falling films in one dimension, the simplest PDE with chaos in space and time,

        u_t = -a u u_x - b u_xx - c u_xxxx.

    Waves longer than 2 pi sqrt(c / b) grow (b u_xx feeds energy in), shorter ones die (c u_xxxx takes it out), u u_x
    carries energy from the first to the second. On a period L the ratio L / (2 pi sqrt(2 c / b)) counts the cells;
    above two or three the motion is chaotic and errors grow like exp(t / Lyapunov time). The mean of u is kept.
    `advection` a, `antidiffusion` b and `hyperdiffusion` c: numbers for all space; 1, 1, 1 on a period of 22 to 200 is
    usual, 5, 0.5, 0.005 on [-1, 1] is the regular case of JAX-PI (Wang et al., 2023, arXiv 2308.08468).
    Source: Y. Kuramoto, T. Tsuzuki, Prog. Theor. Phys. 55 (1976) 356; G. Sivashinsky, Acta Astronaut. 4 (1977) 1177.
    """

    kinds: ClassVar[tuple[FieldKind, ...]] = ("point", "grid")
    unknowns = (Unknown("u", unit="m s-1", long_name="slope of the front"),)
    parameters = (
        Parameter("advection", unit="1", default=1.0, long_name="coefficient of u u_x"),
        Parameter("antidiffusion", unit="m2 s-1", default=1.0, long_name="coefficient of u_xx"),
        Parameter(
            "hyperdiffusion", unit="m4 s-1", default=1.0, bounds=(0.0, math.inf), long_name="coefficient of u_xxxx"
        ),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        v = u["u"]
        return {"u": -p["advection"] * v * dx(v) - p["antidiffusion"] * dxx(v) - p["hyperdiffusion"] * dxxxx(v)}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {"mass": u["u"]}
