"""Darcy flow through two kinds of rock, the benchmark of the FNO paper: from the permeability to the pressure.

    -div (a grad u) = 1                    on 0 < x, y < 1,  u = 0 on the boundary
    a = 12 where m >= 0, 3 elsewhere,      m ~ N(0, (-lap + 9)^-2) with zero slopes at the walls and without its mean

m is a sum of cosines cos(i pi x) cos(j pi y), i, j < `modes`, with independent normal coefficients of standard
deviation 1 / (pi^2 (i^2 + j^2) + 9), the same function on every grid. Finite volumes with harmonic means on the
vertices that are stored, by conjugate gradients. The paper's are 421 by 421 points, of which learners take every
fifth, 85 by 85.
With a in two values the error is of order 1 to 1.5 in the spacing: 0.5 % of u at 33 points a side, 0.2 % at 65, 0.1 %
at 129 and 0.03 % at 257 (64 modes, against 513 points); for labels that are better, generate more points and take some.
Z. Li et al., ICLR 2021, arXiv 2010.08895. Departures: 64 modes each way, not as many as points (421 of them
change 0.5 % of the values of a and u by 0.1 %); the authors' generator has 4 in the place of 3, and takes m at cell
centres and interpolates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pdesolve.condition import Dirichlet
from pdesolve.errors import InputError
from pdesolve.family import Draws, Family
from pdesolve.fields import step
from pdesolve.geometry import Axis, Box
from pdesolve.integration.flow import FlowSimulator
from pdesolve.physics.equations.darcy import Darcy as DarcyEquation
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_fields import cosine_fields


@dataclass(frozen=True)
class Darcy(Family):
    """Steady flow through rock of two permeabilities.

    Attributes:
        points: vertices on every axis, walls included; 421 is the paper's grid, 85 what its learners see.
        high: the permeability where the random field is positive.
        low: the permeability elsewhere.
        source: the volume injected everywhere, f.
        modes: cosines of the random field on every axis.
    """

    points: int = 85
    high: float = 12.0
    low: float = 3.0
    source: float = 1.0
    modes: int = 64
    tolerance = 1e-8

    def __post_init__(self) -> None:
        if not (self.high > 0 and self.low > 0):
            raise InputError(f"permeabilities are positive, got high={self.high} and low={self.low}")

    def problems(self, draws: Draws) -> Sequence[Problem]:
        domain = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
        m = cosine_fields(domain.axes, lambda q: 1.0 / (q + 9.0), draws.normal(self.modes**2 - 1))

        def permeability(p: Any, x: Any) -> Any:
            return self.low + (self.high - self.low) * step(m(p, x))

        problem = Problem(
            name="darcy",
            equation=DarcyEquation(),
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
