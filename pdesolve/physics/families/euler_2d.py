"""Sound, eddies and shocks in a periodic box of gas, from random waves, after PDEBench's compressible flow.

    rho_t + div q = 0,  q_t + div (q v) + grad p = 0,  E_t + div ((E + p) v) = 0     on the unit square, 0 < t <= 1
    v = q / rho,  p = (gamma - 1) (E - q . v / 2),  gamma = 5/3
    rho(0) = R (1 + a f),  p(0) = P (1 + b g),  v(0) = M c (h_x, h_y)

f, g, h_x and h_y are sums of 8 sines with wave numbers up to 4 along each axis, amplitudes from 0 to 1 and phases from
0 to 2 pi, the first two divided by the sum of their amplitudes, h by its root mean square; c = sqrt(gamma P / R). R is
uniform from 0.5 to 2, P / R from 0.5 to 2, a and b from 0.05 to 0.5; the Mach number M is 0.1, or 1 as a setting.
128 by 128 cells, 21 frames of density, momentum and energy. Sizes and Mach numbers are those of PDEBench's random
fields, the ranges of the others ours. There is no viscosity: what PDEBench calls eta = zeta = 1e-8, less than the grid
itself diffuses. Its data with eta = zeta = 0.01 and 0.1 and its turbulent fields have no family.
M. Takamoto et al., NeurIPS 2022, arXiv 2210.07182.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pdesolve.condition import InitialValue
from pdesolve.equation import Values
from pdesolve.family import Draws, Family, Simulator
from pdesolve.fields import Coordinates, Field, Vector
from pdesolve.geometry import Axis, Box
from pdesolve.integration.cell_simulators import WaveSimulator
from pdesolve.physics.equations.euler_2d import Euler2d as Equation
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_waves import SineWaves


@dataclass(frozen=True)
class Euler2d(Family):
    """Periodic boxes of gas with random waves of density, pressure and velocity.

    Attributes:
        points: cells along each side.
        frames: times that are stored, the initial one included.
        final_time: the last of them.
        heat_capacity_ratio: gamma.
        mach: Mach number M, root mean square (0.1 and 1).
        waves: sines in each sum.
        highest: wave number along an axis.
        refinement: cells along each axis for one that is stored (1 to 4).
    """

    points: int = 128
    frames: int = 21
    final_time: float = 1.0
    heat_capacity_ratio: float = 5 / 3
    mach: float = 0.1
    waves: int = 8
    highest: int = 4
    refinement: int = 1

    tolerance = 1e-2  # halved steps move shocks by a part of a cell

    def problems(self, draws: Draws) -> Sequence[Problem]:
        axes, time = [Axis(n, 0.0, 1.0, periodic=True) for n in "xy"], Axis("t", 0.0, self.final_time)
        domain, ratio = Box(*axes), self.heat_capacity_ratio
        background = draws.uniform(0.5, 2.0)
        warmth = draws.uniform(0.5, 2.0)
        first, second, third, fourth = (
            SineWaves.draw(domain.axes, draws, waves=self.waves, highest=self.highest) for _ in range(4)
        )
        rho = first.scaled(draws.uniform(0.05, 0.5) * background / first.bound, background)
        pressure = second.scaled(draws.uniform(0.05, 0.5) * background * warmth / second.bound, background * warmth)
        speed = self.mach * (ratio * warmth) ** 0.5 / (third.deviation**2 + fourth.deviation**2) ** 0.5
        velocity = {"x": third.scaled(speed), "y": fourth.scaled(speed)}

        def momentum(p: Values, x: Coordinates) -> Vector:
            density = rho(p, x)
            return Vector({name: density * v(p, x) for name, v in velocity.items()})

        def energy(p: Values, x: Coordinates) -> Field:
            squares = velocity["x"](p, x) ** 2 + velocity["y"](p, x) ** 2
            return pressure(p, x) / (ratio - 1.0) + 0.5 * rho(p, x) * squares

        problem = Problem(
            name="euler_2d",
            equation=Equation(),
            domain=domain,
            time=time,
            conditions=(
                InitialValue("density", rho),
                InitialValue("momentum", momentum),
                InitialValue("energy", energy),
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
        return WaveSimulator(refinement=self.refinement)
