"""Sound and shocks in a ring of gas, from random waves, after PDEBench's one-dimensional compressible flow.

    rho_t + q_x = 0,  q_t + (q v + p)_x = 0,  E_t + ((E + p) v)_x = 0      on -1 < x < 1 periodic, 0 < t <= 1
    v = q / rho,  p = (gamma - 1) (E - q v / 2),  gamma = 5/3
    rho(0) = R (1 + a f),  p(0) = P (1 + b g),  v(0) = M c h

f, g and h are sums of 2 sines with wave numbers from 1 to 4, amplitudes from 0 to 1 and phases from 0 to 2 pi, the
first two divided by the sum of their amplitudes, h by its root mean square; c = sqrt(gamma P / R). R is uniform from
0.5 to 2, P / R from 0.5 to 2, a and b from 0.05 to 0.5, the Mach number M from 0.1 to 1. 1024 cells, 101 frames of
density, momentum and energy. The sums of sines and Mach numbers up to 1 are PDEBench's, the ranges of the others ours.
There is no viscosity: what PDEBench calls eta = zeta = 1e-8, less than the grid itself diffuses. Its data with
eta = zeta = 0.01 and 0.1 have no family.
M. Takamoto et al., NeurIPS 2022, arXiv 2210.07182.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pdesolve.condition import InitialValue
from pdesolve.family import Draws, Family, Simulator
from pdesolve.geometry import Axis, Interval
from pdesolve.integration.cell_simulators import WaveSimulator
from pdesolve.physics.equations.euler import Euler
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_waves import SineWaves


@dataclass(frozen=True)
class Euler1d(Family):
    """Rings of gas with random waves of density, pressure and velocity.

    Attributes:
        points: cells of the ring.
        frames: times that are stored, the initial one included.
        final_time: the last of them.
        heat_capacity_ratio: gamma.
        slowest: Mach number, root mean square.
        fastest: Mach number, root mean square.
        waves: sines in each sum.
        highest: wave number.
        refinement: cells for one that is stored (1 to 4).
    """

    points: int = 1024
    frames: int = 101
    final_time: float = 1.0
    heat_capacity_ratio: float = 5 / 3
    slowest: float = 0.1
    fastest: float = 1.0
    waves: int = 2
    highest: int = 4
    refinement: int = 1

    tolerance = 1e-2  # halved steps move shocks by a part of a cell

    def problems(self, draws: Draws) -> Sequence[Problem]:
        domain, time = Interval("x", -1.0, 1.0, periodic=True), Axis("t", 0.0, self.final_time)
        ratio = self.heat_capacity_ratio
        background = draws.uniform(0.5, 2.0)
        warmth, mach = draws.uniform(0.5, 2.0), draws.uniform(self.slowest, self.fastest)
        first, second, third = (
            SineWaves.draw(domain.axes, draws, waves=self.waves, highest=self.highest) for _ in range(3)
        )
        rho = first.scaled(draws.uniform(0.05, 0.5) * background / first.bound, background)
        pressure = second.scaled(draws.uniform(0.05, 0.5) * background * warmth / second.bound, background * warmth)
        velocity = third.scaled(mach * (ratio * warmth) ** 0.5 / third.deviation)
        problem = Problem(
            name="euler_1d",
            equation=Euler(),
            domain=domain,
            time=time,
            conditions=(
                InitialValue("density", rho),
                InitialValue("momentum", lambda p, x: rho(p, x) * velocity(p, x)),
                InitialValue(
                    "energy", lambda p, x: pressure(p, x) / (ratio - 1.0) + 0.5 * rho(p, x) * velocity(p, x) ** 2
                ),
            ),
            values={"heat_capacity_ratio": ratio},
            evaluation=Evaluation.uniform(self.points, time, self.frames - 1),
            description=__doc__ or "",
            source="Takamoto et al., NeurIPS 2022, arXiv 2210.07182",
            settings=asdict(self),
        )
        return (problem,)

    @property
    def simulator(self) -> Simulator:
        return WaveSimulator(refinement=self.refinement, subcells=2)
