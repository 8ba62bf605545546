"""Sums of sines that travel around a ring: PDEBench's advection.

    u_t = -c u_x                      on 0 <= x < 1 periodic, 0 < t <= 2,   c = 0.4 (PDEBench: 0.1 to 7)
    u(0) = the sum of two sines of wave numbers 1 to 4, one in ten folded, one in ten windowed (`pdebench_sines`)

1024 points, 201 frames. Exact: u(t, x) = u(0, x - c t), also where a fold has a kink. PDEBench's own files come from an
upwind scheme of second order and hold its errors. Values at x = i / 1024; PDEBench stores averages of cells.
M. Takamoto et al., NeurIPS 2022, arXiv 2210.07182.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pdesolve.condition import InitialValue
from pdesolve.family import Draws, Family
from pdesolve.geometry import Axis, Interval
from pdesolve.integration.exact_simulator import ExactSimulator
from pdesolve.physics.equations.advection import Advection
from pdesolve.problem import Evaluation, Exact, Problem
from pdesolve.sine_sums import pdebench_sines


@dataclass(frozen=True)
class AdvectedSines(Family):
    """Sums of sines that travel around a ring, as in PDEBench: exact.

    Attributes:
        points: stored points of the ring.
        frames: intervals between stored times from 0 to 2.
        speed: c.
    """

    points: int = 1024
    frames: int = 200
    speed: float = 0.4
    tolerance = 1e-9

    def problems(self, draws: Draws) -> Sequence[Problem]:
        time = Axis("t", 0.0, 2.0)
        domain = Interval("x", 0.0, 1.0, periodic=True)
        start = pdebench_sines(domain.axes["x"], draws)
        problem = Problem(
            name="advection",
            equation=Advection(),
            domain=domain,
            time=time,
            conditions=(InitialValue("u", start),),
            values={"speed": self.speed},
            exact=Exact(lambda p, x: {"u": start.at(x["x"] - p["speed"] * x["t"])}, source="along the characteristics"),
            evaluation=Evaluation.uniform(self.points, time, self.frames),
            description=__doc__ or "",
            source="Takamoto et al., NeurIPS 2022, arXiv 2210.07182",
        )
        return (problem,)

    @property
    def simulator(self) -> ExactSimulator:
        return ExactSimulator()
