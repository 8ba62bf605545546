"""A nonlinear Poisson equation."""

from __future__ import annotations

from dataclasses import dataclass

from pdesolve.equation import Energetic, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, dot, grad, laplacian


@dataclass(frozen=True)
class NonlinearPoisson(Energetic):
    """A Poisson equation with a force that grows with the cube of u, in any number of dimensions,

        -lap u + k u^3 = f,

    whose solution makes E(u) = integral of |grad u|^2 / 2 + k u^4 / 4 - f u least. For k >= 0 the energy is convex:
    with values on a part of the boundary there is one solution, and Newton's method finds it. For k < 0 there may be
    many.
    `cubic` k: one number for all space; `source` f: a number or a field. k = 1 with a made source is the benchmark of
    Gaussian processes (Chen et al., 2021, arXiv 2103.12959) and of natural gradients (Mueller, Zeinhofer, 2023, arXiv
    2302.13163).
    Source: L. C. Evans, Partial Differential Equations (2010), chapter 8.
    """

    unknowns = (Unknown("u", unit="1", long_name="potential"),)
    parameters = (
        Parameter("cubic", unit="m-2", default=1.0, long_name="coefficient of u^3"),
        Parameter("source", unit="m-2", default=0.0),
    )

    def residual(self, u: State, p: Values, x: Coordinates) -> State:
        v = u["u"]
        return {"u": -laplacian(v) + p["cubic"] * v**3 - p["source"]}

    def energy(self, u: State, p: Values, x: Coordinates) -> Field:
        v, slope = u["u"], grad(u["u"])
        return 0.5 * dot(slope, slope) + 0.25 * p["cubic"] * v**4 - p["source"] * v
