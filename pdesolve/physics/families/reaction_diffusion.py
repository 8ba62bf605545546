"""Populations that spread and grow on a ring: PDEBench's reaction-diffusion in one dimension.

    u_t = nu u_xx + rho u (1 - u)     on 0 <= x < 1 periodic, 0 < t <= 1,   nu = 0.5, rho = 1 (PDEBench: to 5 and 10)
    u(0) = the sum of two sines of wave numbers 1 to 4, one in ten folded, one in ten windowed (`pdebench_sines`),
           moved and scaled to values between 0 and 1

1024 points, 101 frames. PDEBench splits the steps (diffusion by finite volumes, the reaction exactly) and stores
averages of cells; here are values at x = i / 1024.
M. Takamoto et al., NeurIPS 2022, arXiv 2210.07182.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pdesolve.condition import InitialValue
from pdesolve.family import Draws, Family
from pdesolve.geometry import Axis, Interval
from pdesolve.integration.spectral_simulator import SpectralSimulator
from pdesolve.physics.equations.reaction_diffusion import ReactionDiffusion as Equation
from pdesolve.problem import Evaluation, Problem
from pdesolve.sine_sums import pdebench_sines


@dataclass(frozen=True)
class SpreadingPopulations(Family):
    """Populations that spread and grow on a ring, as in PDEBench.

    Attributes:
        points: stored points of the ring.
        frames: intervals between stored times from 0 to 1.
        diffusivity: nu.
        growth: rho.
        step: the longest time step.
    """

    points: int = 1024
    frames: int = 100
    diffusivity: float = 0.5
    growth: float = 1.0
    step: float = 5e-3

    def problems(self, draws: Draws) -> Sequence[Problem]:
        time = Axis("t", 0.0, 1.0)
        domain = Interval("x", 0.0, 1.0, periodic=True)
        problem = Problem(
            name="reaction_diffusion",
            equation=Equation(),
            domain=domain,
            time=time,
            conditions=(InitialValue("u", pdebench_sines(domain.axes["x"], draws, unit_range=True)),),
            values={"diffusivity": self.diffusivity, "growth": self.growth},
            evaluation=Evaluation.uniform(self.points, time, self.frames),
            description=__doc__ or "",
            source="Takamoto et al., NeurIPS 2022, arXiv 2210.07182",
        )
        return (problem,)

    @property
    def simulator(self) -> SpectralSimulator:
        return SpectralSimulator(self.step)
