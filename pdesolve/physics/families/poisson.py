"""Potentials of random charges between grounded walls: the Poisson problem of DiffusionPDE.

    -lap u = f                             on 0 < x, y < 1,  u = 0 on the boundary
    f ~ N(0, 9 (-lap + 9)^-2) with zero slopes at the walls and without its mean

f is a sum of cosines cos(i pi x) cos(j pi y), i, j < `modes`, with independent normal coefficients of standard
deviation 3 / (pi^2 (i^2 + j^2) + 9), the same function on every grid. Compact differences of order 4 by sine transforms
on the vertices that are stored: the error is 8e-6 of u at 65 points a side, 5e-7 at 129.
J. Huang, G. Yang, Z. Wang, J. J. Park, NeurIPS 2024, arXiv 2406.17763. Departures: theirs is lap u = a, of which f is
-a, with the same distribution; they take differences of order 2, and as many modes as points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pdesolve.condition import Dirichlet
from pdesolve.family import Draws, Family
from pdesolve.geometry import Axis, Box
from pdesolve.integration.compact import CompactSimulator
from pdesolve.physics.equations.poisson import Poisson as PoissonEquation
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_fields import cosine_fields


@dataclass(frozen=True)
class Poisson(Family):
    """Potentials of random charges.

    Attributes:
        points: vertices on every axis, walls included; 64 and 128 are in use.
        modes: cosines of the random field on every axis.
    """

    points: int = 128
    modes: int = 64
    tolerance = 1e-8

    def problems(self, draws: Draws) -> Sequence[Problem]:
        domain = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
        charges = cosine_fields(domain.axes, lambda q: 3.0 / (q + 9.0), draws.normal(self.modes**2 - 1))
        problem = Problem(
            name="poisson",
            equation=PoissonEquation(),
            domain=domain,
            conditions=(Dirichlet("u", "all", 0.0),),
            values={"source": charges},
            evaluation=Evaluation(self.points),
            description=__doc__ or "",
            source="Huang, Yang, Wang, Park, NeurIPS 2024, arXiv 2406.17763",
        )
        return (problem,)

    @property
    def simulator(self) -> CompactSimulator:
        return CompactSimulator()
