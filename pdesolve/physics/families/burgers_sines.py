"""Burgers flows from random sums of sines on a ring: PDEBench's.

    u_t = -u u_x + (nu / pi) u_xx     on 0 <= x < 1 periodic, 0 < t <= 2,   nu = 0.01 (PDEBench: 0.001 to 4)
    u(0) = the sum of two sines of wave numbers 1 to 4, one in ten folded, one in ten windowed (`pdebench_sines`)

1024 points, 201 frames. The viscosity is nu / pi, as in PDEBench's generator. Departures: PDEBench stores averages of
cells, computed by an upwind scheme of second order on the same 1024 cells, whose own viscosity smears shocks over two
or three of them; here are values at x = i / 1024 of the equation's solution, computed on so many points (20 / nu at
least) that its shocks are resolved.
M. Takamoto et al., NeurIPS 2022, arXiv 2210.07182.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pdesolve.condition import InitialValue
from pdesolve.family import Draws, Family
from pdesolve.geometry import Axis, Interval
from pdesolve.integration.spectral_simulator import SpectralSimulator
from pdesolve.physics.equations.burgers import Burgers
from pdesolve.problem import Evaluation, Problem
from pdesolve.sine_sums import pdebench_sines

_RESOLVED = 20.0  # points of the computation are at least this over nu


@dataclass(frozen=True)
class BurgersSines(Family):
    """Burgers flows from random sums of sines on a ring, as in PDEBench.

    Attributes:
        points: stored points of the ring.
        frames: intervals between stored times from 0 to 2.
        viscosity: nu; the equation's viscosity is nu / pi.
        courant: the longest time step, in the time in which u = 1 crosses a point of the computation.
    """

    points: int = 1024
    frames: int = 200
    viscosity: float = 0.01
    courant: float = 1.0

    def problems(self, draws: Draws) -> Sequence[Problem]:
        time = Axis("t", 0.0, 2.0)
        domain = Interval("x", 0.0, 1.0, periodic=True)
        problem = Problem(
            name="burgers_sines",
            equation=Burgers(),
            domain=domain,
            time=time,
            conditions=(InitialValue("u", pdebench_sines(domain.axes["x"], draws)),),
            values={"viscosity": self.viscosity / math.pi},
            evaluation=Evaluation.uniform(self.points, time, self.frames),
            description=__doc__ or "",
            source="Takamoto et al., NeurIPS 2022, arXiv 2210.07182",
        )
        return (problem,)

    @property
    def simulator(self) -> SpectralSimulator:
        wanted = _RESOLVED / self.viscosity / self.points
        refinement = 2 ** max(0, math.ceil(math.log2(wanted)))
        return SpectralSimulator(self.courant / (refinement * self.points), refinement)
