"""Mixtures that come apart on a torus: Cahn-Hilliard flows from noise.

    c_t = lap (f'(c) - kappa lap c),  f = 100 c^2 (1 - c)^2,  kappa = 0.01    on the unit torus, 0 < t <= 5e-4
    c(0) = 0.63 + noise, at 64 by 64 points independent and uniform in -0.01..0.01, interpolated by its Fourier series

The unknown is u = 2 c - 1, of the mean 0.26, for which u_t = 100 lap (u^3 - u - (kappa / 100) lap u). Noise grows by
e in 6e-6 where its waves are 1/10 long; phases are apart at t = 6e-5, then droplets coarsen. Walls are (2 kappa)^(1/2)
/ 10 = 0.014 wide: 64 points do not resolve them, so that 128 are computed for 64 stored. Those are 2e-3 from 256
(relative L2, one sample, at any time), steps of 2.5e-7 1e-4 from steps half as long.
Numbers as in the demonstration of the FEniCS project (which steps in time by the trapezoidal rule); J. W. Cahn, J. E.
Hilliard, J. Chem. Phys. 28 (1958) 258.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pdesolve.condition import InitialValue
from pdesolve.family import Draws, Family
from pdesolve.geometry import Axis, Box
from pdesolve.integration.spectral_simulator import SpectralSimulator
from pdesolve.physics.equations.cahn_hilliard import CahnHilliard as Equation
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_fields import FourierSeries

_NOISE = 64  # points of the noise along each axis, on any grid


@dataclass(frozen=True)
class SeparatingMixtures(Family):
    """Cahn-Hilliard flows on a torus, from noise about a concentration.

    Attributes:
        points: stored points along each axis (64 or 128).
        frames: intervals between stored times from 0 to the final time.
        final_time: where the last frame is.
        concentration: the mean of c.
        noise: the largest departure from it at the start.
        refinement: points of the computation for each stored point, along each axis.
        step: the longest time step.
    """

    points: int = 64
    frames: int = 100
    final_time: float = 5e-4
    concentration: float = 0.63
    noise: float = 0.01
    refinement: int = 2
    step: float = 2.5e-7

    def problems(self, draws: Draws) -> Sequence[Problem]:
        time = Axis("t", 0.0, self.final_time)
        domain = Box(*(Axis(name, 0.0, 1.0, periodic=True) for name in "xy"))
        noise = self.concentration + draws.uniform(-self.noise, self.noise, _NOISE, _NOISE)
        # all waves between -32 and 32, of which the shortest is there twice, by halves
        waves = np.fft.fftshift(np.fft.fft2(2.0 * noise - 1.0, norm="forward"), axes=(1, 2))
        for axis in (1, 2):
            first = waves.take([0], axis) * 0.5
            rest = waves.take(range(1, _NOISE), axis)
            waves = np.concatenate([first, rest, first], axis)
        problem = Problem(
            name="cahn_hilliard",
            equation=Equation(),
            domain=domain,
            time=time,
            conditions=(InitialValue("u", FourierSeries(domain.axes, waves)),),
            values={"mobility": 100.0, "wall": 1e-4},
            evaluation=Evaluation.uniform(self.points, time, self.frames),
            description=__doc__ or "",
            source="Cahn, Hilliard, J. Chem. Phys. 28 (1958) 258",
        )
        return (problem,)

    @property
    def simulator(self) -> SpectralSimulator:
        return SpectralSimulator(self.step, self.refinement)
