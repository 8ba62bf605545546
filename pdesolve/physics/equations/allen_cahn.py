"""The Allen-Cahn equation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pdesolve.equation import Energetic, Evolution, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, dot, grad, laplacian


@dataclass(frozen=True)
class AllenCahn(Energetic, Evolution):
    """Phase separation without conservation, in any number of dimensions,

        u_t = D lap u + k (u - u^3),

    the gradient flow of E(u) = integral of D/2 |grad u|^2 + k/4 (1 - u^2)^2. The order parameter u falls to -1 or 1
    within a time 1/k; walls of width sqrt(8 D / k) stay between the phases and then move by their curvature, in one
    dimension exponentially slowly. u = 0 is unstable: networks like to stay there.
    `diffusivity` D >= 0 and `reaction` k: numbers for all space; 1e-4 and 5 on [-1, 1] are those of the PINN paper.
    Source: S. M. Allen, J. W. Cahn, Acta Metall. 27 (1979) 1085.
    """

    unknowns = (Unknown("u", unit="1", long_name="order parameter"),)
    parameters = (
        Parameter("diffusivity", unit="m2 s-1", default=1e-4, bounds=(0.0, math.inf)),
        Parameter("reaction", unit="s-1", default=5.0, long_name="reaction rate"),
    )

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        phase = u["u"]
        return {"u": p["diffusivity"] * laplacian(phase) + p["reaction"] * (phase - phase**3)}

    def energy(self, u: State, p: Values, x: Coordinates) -> Field:
        phase, slope = u["u"], grad(u["u"])
        return 0.5 * p["diffusivity"] * dot(slope, slope) + 0.25 * p["reaction"] * (1.0 - phase**2) ** 2
