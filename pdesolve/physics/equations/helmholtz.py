"""The Helmholtz equation."""

from __future__ import annotations

from dataclasses import dataclass

from pdesolve.equation import Equation, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, laplacian


@dataclass(frozen=True)
class Helmholtz(Equation):
    """Waves of one frequency, real and in any number of dimensions,

        lap u + k^2 u = q.

    Indefinite: the solution is a saddle of its quadratic form, not a minimum, so that it has no energy here. It is not
    unique where k^2 is an eigenvalue of -lap on the domain. Grids need about ten points a wave length 2 pi / k, and
    more where many waves fit in (pollution).
    `wavenumber` k: a number or a field (a medium); `source` q: a number or a field. k = 1 with sources of higher wave
    numbers is the benchmark of PINNs.
    Source: H. von Helmholtz, J. reine angew. Math. 57 (1860) 1.
    """

    unknowns = (Unknown("u", unit="1", long_name="amplitude"),)
    parameters = (
        Parameter("wavenumber", unit="m-1", default=1.0, long_name="wave number of free waves"),
        Parameter("source", unit="m-2", default=0.0),
    )

    def residual(self, u: State, p: Values, x: Coordinates) -> State:
        return {"u": laplacian(u["u"]) + p["wavenumber"] ** 2 * u["u"] - p["source"]}
