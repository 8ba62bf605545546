"""Waves of one frequency driven by random sources between walls: the Helmholtz problem of DiffusionPDE.

    lap u + k^2 u = q                      on 0 < x, y < 1,  u = 0 on the boundary,  k = 1
    q ~ N(0, 9 (-lap + 9)^-2) with zero slopes at the walls and without its mean

q is a sum of cosines cos(i pi x) cos(j pi y), i, j < `modes`, with independent normal coefficients of standard
deviation 3 / (pi^2 (i^2 + j^2) + 9), the same function on every grid. Compact differences of order 4 by sine transforms
on the vertices that are stored. k = 1 changes u by 2 to 4 % against k = 0; k^2 near pi^2 (i^2 + j^2),
i, j > 0, is a resonance, of which the solution takes the shape.
J. Huang, G. Yang, Z. Wang, J. J. Park, NeurIPS 2024, arXiv 2406.17763. Departures: they set q to zero on the walls,
where nothing of it is seen in their differences of order 2; as many modes as points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pdesolve.condition import Dirichlet
from pdesolve.family import Draws, Family
from pdesolve.geometry import Axis, Box
from pdesolve.integration.compact import CompactSimulator
from pdesolve.physics.equations.helmholtz import Helmholtz as HelmholtzEquation
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_fields import cosine_fields


@dataclass(frozen=True)
class Helmholtz(Family):
    """Forced waves of one frequency.

    Attributes:
        points: vertices on every axis, walls included; 64 and 128 are in use. At least ten to a wave length 2 pi / k.
        wavenumber: k, that of free waves.
        modes: cosines of the random field on every axis.
    """

    points: int = 128
    wavenumber: float = 1.0
    modes: int = 64
    tolerance = 1e-8

    def problems(self, draws: Draws) -> Sequence[Problem]:
        domain = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
        source = cosine_fields(domain.axes, lambda q: 3.0 / (q + 9.0), draws.normal(self.modes**2 - 1))
        problem = Problem(
            name="helmholtz",
            equation=HelmholtzEquation(),
            domain=domain,
            conditions=(Dirichlet("u", "all", 0.0),),
            values={"wavenumber": self.wavenumber, "source": source},
            evaluation=Evaluation(self.points),
            description=__doc__ or "",
            source="Huang, Yang, Wang, Park, NeurIPS 2024, arXiv 2406.17763",
        )
        return (problem,)

    @property
    def simulator(self) -> CompactSimulator:
        return CompactSimulator()
