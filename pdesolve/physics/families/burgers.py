"""Burgers flows from Gaussian random fields on a ring: the data of the Fourier neural operator.

    u_t = -u u_x + nu u_xx            on 0 <= x < 1 periodic, 0 < t <= 1,   nu = 0.1
    u(0) ~ N(0, 625 (-d^2/dx^2 + 25)^-2), mean zero

u(0) is a series of cosines and sines of 2 pi k x, k up to 127, whose coefficients have the variance
2 * 625 ((2 pi k)^2 + 25)^-2. The paper computes on 8192 points with nu = 0.1 and maps u(0) to u(1); 256 points resolve
every sample here, and the same number of a sample is the same function on any number of points. A grid must resolve
nu / |u|: 1024 points for nu = 0.01, 4096 for 0.002.
Z. Li, N. Kovachki, K. Azizzadenesheli, B. Liu, K. Bhattacharya, A. Stuart, A. Anandkumar, ICLR 2021, arXiv 2010.08895.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pdesolve.condition import InitialValue
from pdesolve.family import Draws, Family
from pdesolve.geometry import Axis, Interval
from pdesolve.integration.spectral_simulator import SpectralSimulator
from pdesolve.physics.equations.burgers import Burgers
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_fields import gaussian_batch


@dataclass(frozen=True)
class BurgersFlows(Family):
    """Burgers flows from Gaussian random fields on a ring, as for the Fourier neural operator (nu = 0.1).

    Attributes:
        points: stored points of the ring; they are computed on the same points (256 to 8192).
        frames: intervals between stored times from 0 to 1.
        viscosity: nu.
        step: the longest time step.
    """

    points: int = 256
    frames: int = 100
    viscosity: float = 0.1
    step: float = 2e-3

    def problems(self, draws: Draws) -> Sequence[Problem]:
        time = Axis("t", 0.0, 1.0)
        domain = Interval("x", 0.0, 1.0, periodic=True)
        start = gaussian_batch(domain.axes, lambda q: 625.0 * (q + 25.0) ** -2.0, draws, modes=127)
        problem = Problem(
            name="burgers",
            equation=Burgers(),
            domain=domain,
            time=time,
            conditions=(InitialValue("u", start),),
            values={"viscosity": self.viscosity},
            evaluation=Evaluation.uniform(self.points, time, self.frames),
            description=__doc__ or "",
            source="Li, Kovachki, Azizzadenesheli, Liu, Bhattacharya, Stuart, Anandkumar, ICLR 2021, arXiv 2010.08895",
        )
        return (problem,)

    @property
    def simulator(self) -> SpectralSimulator:
        return SpectralSimulator(self.step)
