"""A solute seeps into a column of soil and sticks to it, as in PDEBench.

    u_t = D / R(u) u_xx                    on 0 < x < 1, 0 < t <= 500, D = 5e-4
    R(u) = 1 + (1 - phi) / phi rho k n u^(n - 1),  phi = 0.29, rho = 2880, k = 3.5e-4, n = 0.874
    u(0, x) = a, uniform from 0 to 0.2;  u(t, 0) = 1,  u(t, 1) + D u_x(t, 1) = 0

1024 cells, 101 frames. PDEBench writes u = D u_x at the right end, which would feed on itself; its program has -D u_x,
and so have we. Its walls lie half a cell outside of the ends.
M. Takamoto et al., NeurIPS 2022, arXiv 2210.07182.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from pdesolve.condition import Dirichlet, InitialValue, Robin
from pdesolve.family import Draws, Family, Simulator
from pdesolve.fields import step
from pdesolve.geometry import Axis, Interval
from pdesolve.integration.cell_simulators import DiffusionSimulator
from pdesolve.physics.equations.diffusion_sorption import DiffusionSorption
from pdesolve.problem import Evaluation, Problem


@dataclass(frozen=True)
class DiffusionSorptionColumns(Family):
    """Columns of soil, each with a concentration of its own to begin with.

    Attributes:
        points: cells of the unit interval.
        frames: times that are stored, the initial one included.
        final_time: the last of them.
        diffusivity: D of the solute.
        largest: initial concentrations are uniform from 0 to this.
        step_tolerance: error of a step relative to the largest value (1e-7 to 1e-4).
    """

    points: int = 1024
    frames: int = 101
    final_time: float = 500.0
    diffusivity: float = 5e-4
    largest: float = 0.2
    step_tolerance: float = 1e-5

    def problems(self, draws: Draws) -> Sequence[Problem]:
        initial, time = torch.as_tensor(draws.uniform(0.0, self.largest)), Axis("t", 0.0, self.final_time)
        problem = Problem(
            name="diffusion_sorption",
            equation=DiffusionSorption(),
            domain=Interval("x", 0.0, 1.0),
            time=time,
            conditions=(
                # the wall itself has its value from the beginning
                InitialValue("u", lambda p, x: step(-x["x"]) * (1.0 - initial) + initial),
                Dirichlet("u", "x_min", 1.0),
                Robin("u", 1.0, self.diffusivity, "x_max"),
            ),
            values={"diffusivity": self.diffusivity},
            evaluation=Evaluation.uniform(self.points, time, self.frames - 1, bounded="cells"),
            description=__doc__ or "",
            source="Takamoto et al., NeurIPS 2022, arXiv 2210.07182",
            settings=asdict(self),
        )
        return (problem,)

    @property
    def simulator(self) -> Simulator:
        return DiffusionSimulator(tolerance=self.step_tolerance)
