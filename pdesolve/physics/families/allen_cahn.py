"""Phases that separate on a ring: Allen-Cahn flows of several diffusivities from Gaussian random fields.

    u_t = D u_xx + 5 (u - u^3)        on -1 <= x < 1 periodic, 0 < t <= 1,   D uniform in 1e-4..1e-3
    u(0) ~ N(0, 1/4): cosines and sines of pi k x, k = 1 to 16, of the same variance, mean zero

101 frames. Walls between the phases are (8 D / 5)^(1/2) wide, 0.013 at least.
Equation and the lower diffusivity: M. Raissi, P. Perdikaris, G. E. Karniadakis, J. Comput. Phys. 378 (2019) 686, arXiv
1711.10561.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pdesolve.condition import InitialValue
from pdesolve.family import Draws, Family
from pdesolve.geometry import Axis, Interval
from pdesolve.integration.spectral_simulator import SpectralSimulator
from pdesolve.physics.equations.allen_cahn import AllenCahn as Equation
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_fields import gaussian_batch

_MODES = 16


@dataclass(frozen=True)
class SeparatingPhases(Family):
    """Allen-Cahn flows of several diffusivities on a ring, from Gaussian random fields.

    Attributes:
        points: stored points of the ring.
        frames: intervals between stored times from 0 to 1.
        least: the least diffusivity.
        most: the largest diffusivity.
        reaction: the rate of separation.
        step: the longest time step.
    """

    points: int = 512
    frames: int = 100
    least: float = 1e-4
    most: float = 1e-3
    reaction: float = 5.0
    step: float = 0.01

    def problems(self, draws: Draws) -> Sequence[Problem]:
        time = Axis("t", 0.0, 1.0)
        domain = Interval("x", -1.0, 1.0, periodic=True)
        diffusivity = torch.as_tensor(draws.uniform(self.least, self.most))
        start = gaussian_batch(domain.axes, lambda q: 0.125 / _MODES + 0 * q, draws, modes=_MODES)
        problem = Problem(
            name="allen_cahn",
            equation=Equation(),
            domain=domain,
            time=time,
            conditions=(InitialValue("u", start),),
            values={"diffusivity": diffusivity, "reaction": self.reaction},
            evaluation=Evaluation.uniform(self.points, time, self.frames),
            description=__doc__ or "",
            source="Allen, Cahn, Acta Metall. 27 (1979) 1085",
        )
        return (problem,)

    @property
    def simulator(self) -> SpectralSimulator:
        return SpectralSimulator(self.step)
