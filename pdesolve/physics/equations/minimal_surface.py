"""Minimal surfaces and soap films."""

from __future__ import annotations

from dataclasses import dataclass

from pdesolve.equation import Energetic, Parameter, State, Unknown, Values
from pdesolve.fields import Coordinates, Field, div, dot, grad, sqrt


@dataclass(frozen=True)
class MinimalSurface(Energetic):
    """A soap film over a frame, in any number of dimensions,

        -s div (grad u / (1 + |grad u|^2)^(1/2)) = f,

    the height u of the surface that makes E(u) = integral of s (1 + |grad u|^2)^(1/2) - f u least: its area for f = 0,
    and of mean curvature -f / s under a pressure f, part of a sphere where nothing else holds it. With f = 0 there is a
    solution for all frames over convex domains only; where the film would hang over, slopes become infinite.
    `tension` s > 0 and `pressure` f: numbers or fields.
    Source: J. L. Lagrange, Misc. Taurin. 2 (1762) 173; H. F. Scherk, J. reine angew. Math. 13 (1835) 185.
    """

    unknowns = (Unknown("u", unit="m", long_name="height"),)
    parameters = (
        Parameter("tension", unit="N m-1", default=1.0, long_name="surface tension"),
        Parameter("pressure", unit="Pa", default=0.0),
    )

    def residual(self, u: State, p: Values, x: Coordinates) -> State:
        slope = grad(u["u"])
        return {"u": -div(slope * (p["tension"] / sqrt(1.0 + dot(slope, slope)))) - p["pressure"]}

    def energy(self, u: State, p: Values, x: Coordinates) -> Field:
        slope = grad(u["u"])
        return p["tension"] * sqrt(1.0 + dot(slope, slope)) - p["pressure"] * u["u"]
