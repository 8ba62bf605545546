"""Darcy flow through rock whose permeability varies smoothly: the lognormal fields of the FNO paper's generator.

    -div (a grad u) = 1                    on 0 < x, y < 1,  u = 0 on the boundary
    a = exp(m),      m ~ N(0, 9 (-lap + 9)^-2) with zero slopes at the walls and without its mean

m is a sum of cosines cos(i pi x) cos(j pi y), i, j < `modes`, with independent normal coefficients of standard
deviation `amplitude` / (pi^2 (i^2 + j^2) + 9), the same function on every grid. Finite volumes on the vertices that are
stored, by conjugate gradients: the error is of order 2 in the spacing, 2e-4 of u at 65 points a side, 5e-5 at 129.
Z. Li et al., ICLR 2021, arXiv 2010.08895, whose generator makes these beside those of two values. Departures: 64 modes
each way, not as many as points; m at the vertices themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pdesolve.condition import Dirichlet
from pdesolve.family import Draws, Family
from pdesolve.fields import exp
from pdesolve.geometry import Axis, Box
from pdesolve.integration.flow import FlowSimulator
from pdesolve.physics.equations.darcy import Darcy
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_fields import cosine_fields


@dataclass(frozen=True)
class SmoothDarcy(Family):
    """Steady flow through rock of lognormal permeability.

    Attributes:
        points: vertices on every axis, walls included.
        amplitude: the size of the random field; 3 is tau of the authors' generator, 0 gives a = 1.
        source: the volume injected everywhere, f.
        modes: cosines of the random field on every axis.
    """

    points: int = 85
    amplitude: float = 3.0
    source: float = 1.0
    modes: int = 64
    tolerance = 1e-8

    def problems(self, draws: Draws) -> Sequence[Problem]:
        domain = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
        m = cosine_fields(domain.axes, lambda q: self.amplitude / (q + 9.0), draws.normal(self.modes**2 - 1))

        def permeability(p: Any, x: Any) -> Any:
            return exp(m(p, x))

        problem = Problem(
            name="darcy_smooth",
            equation=Darcy(),
            domain=domain,
            conditions=(Dirichlet("u", "all", 0.0),),
            values={"permeability": permeability, "source": self.source},
            evaluation=Evaluation(self.points),
            description=__doc__ or "",
            source="Li, Kovachki, Azizzadenesheli, Liu, Bhattacharya, Stuart, Anandkumar, ICLR 2021, arXiv 2010.08895",
        )
        return (problem,)

    @property
    def simulator(self) -> FlowSimulator:
        return FlowSimulator()
