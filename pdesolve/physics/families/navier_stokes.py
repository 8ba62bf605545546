"""Stirred flows on a torus: the Navier-Stokes data of the Fourier neural operator.

    w_t = -(u, v) . grad w + nu lap w + f   on 0 <= x, y < 1 periodic, 0 < t <= 50,  nu = 0.001
    f = 0.1 (sin 2 pi (x + y) + cos 2 pi (x + y)),  (u, v) the velocity of mean zero with the vorticity w
    w(0) ~ N(0, 7^(3/2) (-lap + 49)^(-5/2)), mean zero, waves up to 20 along each axis

64 by 64 points, frames 1 apart; 128 by 128 by `points`, of the same draws. Steps were halved until 16 samples changed
by less than 1e-4 at t = 20 (relative L2, the worst sample): steps of 1/16 are 7e-10 from steps of 1/32 at t = 20 and
3e-7 at t = 50; of 1/4, 9e-8 at t = 20, but such are unstable from t = 30 on, when the force has made the fluid fast.
With `amplitude` 6.086: 2e-8 and 1e-7. On 128 by 128 points 7e-10 and 2e-7.
The paper's files hold w(0) made (2 7^(3/2))^(1/2) = 6.086 times higher than its formula by its generator (`amplitude`),
computed by steps of 1e-4 of Crank and Nicolson on 256 points.
Z. Li, N. Kovachki, K. Azizzadenesheli, B. Liu, K. Bhattacharya, A. Stuart, A. Anandkumar, ICLR 2021, arXiv 2010.08895.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pdesolve.condition import InitialValue
from pdesolve.family import Draws, Family
from pdesolve.fields import cos, sin
from pdesolve.geometry import Axis, Box
from pdesolve.integration.spectral_simulator import SpectralSimulator
from pdesolve.physics.equations.navier_stokes_vorticity import NavierStokesVorticity
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_fields import gaussian_batch


@dataclass(frozen=True)
class StirredFlows(Family):
    """Navier-Stokes flows on a torus under a steady force, as for the Fourier neural operator.

    Attributes:
        points: stored points along each axis (64 or 128).
        frames: intervals between stored times, 1 each.
        viscosity: nu.
        amplitude: a factor on w(0); 6.086 for the fields of the paper's files.
        refinement: points of the computation for each stored point, along each axis.
        step: the longest time step.
    """

    points: int = 64
    frames: int = 50
    viscosity: float = 1e-3
    amplitude: float = 1.0
    refinement: int = 1
    step: float = 0.0625

    def problems(self, draws: Draws) -> Sequence[Problem]:
        time = Axis("t", 0.0, float(self.frames))
        domain = Box(*(Axis(name, 0.0, 1.0, periodic=True) for name in "xy"))
        scale = self.amplitude**2 * 7**1.5
        start = gaussian_batch(domain.axes, lambda q: scale * (q + 49.0) ** -2.5, draws, modes=20)
        turn = 2 * math.pi
        problem = Problem(
            name="navier_stokes",
            equation=NavierStokesVorticity(),
            domain=domain,
            time=time,
            conditions=(InitialValue("vorticity", start),),
            values={
                "viscosity": self.viscosity,
                "forcing": lambda p, x: 0.1 * (sin(turn * (x["x"] + x["y"])) + cos(turn * (x["x"] + x["y"]))),
            },
            evaluation=Evaluation.uniform(self.points, time, self.frames),
            description=__doc__ or "",
            source="Li, Kovachki, Azizzadenesheli, Liu, Bhattacharya, Stuart, Anandkumar, ICLR 2021, arXiv 2010.08895",
        )
        return (problem,)

    @property
    def simulator(self) -> SpectralSimulator:
        return SpectralSimulator(self.step, self.refinement)
