"""The p-Laplacian."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pdesolve.equation import Energetic, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, div, dot, exp, grad, log


@dataclass(frozen=True)
class PLaplacian(Energetic):
    """Flow that grows with a power of the slope (ice, power-law fluids, hardening bars), in any number of dimensions,

        -div (a grad u) = f,   a = (e^2 + |grad u|^2 / s^2)^((p - 2) / 2),

    whose solution makes E(u) = integral of s^2 / p (e^2 + |grad u|^2 / s^2)^(p / 2) - f u least. p = 2 is Poisson's
    equation; p > 2 carries nothing where the slope is zero, p < 2 everything: e > 0 rounds that off, and changes
    solutions by about e. Newton's method needs damping where p is far from 2.
    `exponent` p > 1, `slope` s (that of a = 1) and `regularisation` e: numbers; `source` f: a number or a field. For
    f = s = 1 and e = 0 the solution in a ball of radius R that vanishes on its surface is, with q = p / (p - 1) and n
    dimensions, (R^q - r^q) / (q n^(q - 1)).
    Source: P. Lindqvist, Notes on the p-Laplace equation (2006).
    """

    unknowns = (Unknown("u", unit="1", long_name="potential"),)
    parameters = (
        Parameter("exponent", unit="1", default=3.0, bounds=(1.0, math.inf)),
        Parameter("slope", unit="m-1", default=1.0, long_name="slope at which the coefficient is one"),
        Parameter("regularisation", unit="1", default=1e-3, bounds=(0.0, math.inf)),
        Parameter("source", unit="m-2", default=1.0),
    )

    def residual(self, u: State, p: Values, x: Coordinates) -> State:
        slope = grad(u["u"])
        coefficient = exp(0.5 * (p["exponent"] - 2.0) * log(self._square(u, p)))
        return {"u": -div(slope * coefficient) - p["source"]}

    def energy(self, u: State, p: Values, x: Coordinates) -> Field:
        power = exp(0.5 * p["exponent"] * log(self._square(u, p)))
        return p["slope"] ** 2 / p["exponent"] * power - p["source"] * u["u"]

    def _square(self, u: State, p: Values) -> Field:
        slope = grad(u["u"])
        return p["regularisation"] ** 2 + dot(slope, slope) / p["slope"] ** 2
