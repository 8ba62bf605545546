"""The Korteweg-de Vries equation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pdesolve.equation import Conserving, FieldKind, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, dx, dxxx


@dataclass(frozen=True)
class KortewegDeVries(Conserving):
    """Long waves on shallow water in one dimension,

        u_t = -a u u_x - b u_xxx.

    Steepening against dispersion: a smooth wave breaks up into solitons 3 c/a sech^2(sqrt(c / b) (x - c t) / 2), the
    taller the faster, which pass through each other unchanged. Infinitely many quantities are kept, of which mass,
    momentum and the Hamiltonian (integral of a u^3 / 6 - b u_x^2 / 2) are given here.
    `advection` a and `dispersion` b: numbers for all space; a = 1, b = 0.0025 on [-1, 1] is the PINN paper's, 0.022^2
    that of Zabusky and Kruskal, a = 6, b = 1 the form of the mathematicians. The linear part is stiff and its spectrum
    imaginary (b k^3): take exponential or implicit time steps.
    Source: D. J. Korteweg, G. de Vries, Phil. Mag. 39 (1895) 422; N. J. Zabusky, M. D. Kruskal, PRL 15 (1965) 240.
    """

    kinds: ClassVar[tuple[FieldKind, ...]] = ("point", "grid")
    unknowns = (Unknown("u", unit="m s-1", long_name="wave speed above that of long waves"),)
    parameters = (
        Parameter("advection", unit="1", default=1.0, long_name="coefficient of u u_x"),
        Parameter("dispersion", unit="m3 s-1", default=0.0025, long_name="coefficient of u_xxx"),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        v = u["u"]
        return {"u": -p["advection"] * v * dx(v) - p["dispersion"] * dxxx(v)}

    def conserved(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        v = u["u"]
        return {
            "mass": v,
            "momentum": 0.5 * v**2,
            "hamiltonian": p["advection"] * v**3 / 6.0 - 0.5 * p["dispersion"] * dx(v) ** 2,
        }
