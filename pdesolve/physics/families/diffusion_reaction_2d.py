"""Spots and stripes arise from noise: the diffusion-reaction data of PDEBench.

    u_t = 1e-3 lap u + u - u^3 - k - v                     on -1 < x, y < 1, 0 < t <= 5, k = 5e-3
    v_t = 5e-3 lap v + u - v
    no flux through the boundary; u(0) and v(0) a standard normal number for each cell

128 by 128 cells, 101 frames. Noise of each cell is another one on another grid, whose differences of order 2 are then
what the data are a solution of, as PDEBench's; its files have y before x.
M. Takamoto et al., NeurIPS 2022, arXiv 2210.07182.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from pdesolve.condition import InitialValue, Neumann
from pdesolve.family import Draws, Family, Simulator
from pdesolve.fields import GridField, Quantity
from pdesolve.geometry import Axis, Box, Grid, GridAxis
from pdesolve.integration.cell_simulators import DiffusionSimulator
from pdesolve.physics.equations.fitzhugh_nagumo import FitzHughNagumo
from pdesolve.problem import Evaluation, Problem


@dataclass(frozen=True)
class DiffusionReaction2d(Family):
    """FitzHugh and Nagumo's activator and inhibitor in a closed box, from white noise.

    Attributes:
        points: cells along each side.
        frames: times that are stored, the initial one included.
        final_time: the last of them.
        activator_diffusivity: of u.
        inhibitor_diffusivity: of v.
        threshold: k.
        step_tolerance: error of a step relative to the largest value (1e-7 to 1e-4).
    """

    points: int = 128
    frames: int = 101
    final_time: float = 5.0
    activator_diffusivity: float = 1e-3
    inhibitor_diffusivity: float = 5e-3
    threshold: float = 5e-3
    step_tolerance: float = 1e-5

    def problems(self, draws: Draws) -> Sequence[Problem]:
        axes, time = (Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0)), Axis("t", 0.0, self.final_time)
        cells = Grid(tuple(GridAxis(axis, "cells", self.points) for axis in axes))
        noise = {n: GridField(torch.as_tensor(draws.normal(*cells.shape)), cells, Quantity(n)) for n in ("u", "v")}
        problem = Problem(
            name="diffusion_reaction_2d",
            equation=FitzHughNagumo(),
            domain=Box(*axes),
            time=time,
            conditions=(*(InitialValue(n, noise[n]) for n in noise), *(Neumann(n) for n in noise)),
            values={
                "activator_diffusivity": self.activator_diffusivity,
                "inhibitor_diffusivity": self.inhibitor_diffusivity,
                "threshold": self.threshold,
            },
            evaluation=Evaluation.uniform(self.points, time, self.frames - 1, bounded="cells"),
            description=__doc__ or "",
            source="Takamoto et al., NeurIPS 2022, arXiv 2210.07182",
            settings=asdict(self),
        )
        return (problem,)

    @property
    def simulator(self) -> Simulator:
        return DiffusionSimulator(tolerance=self.step_tolerance)
