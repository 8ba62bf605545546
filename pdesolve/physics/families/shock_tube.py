"""Two gases meet in an open tube: random Riemann problems, after PDEBench's one-dimensional shock tubes.

    rho_t + q_x = 0,  q_t + (q v + p)_x = 0,  E_t + ((E + p) v)_x = 0      on -1 < x < 1, 0 < t <= 0.4
    v = q / rho,  p = (gamma - 1) (E - q v / 2),  gamma = 5/3
    (rho, v, p) one state for x < s, another for x > s; everything flows out

rho and p of each side are uniform from 0.1 to 1, v from -1 to 1, s from -0.5 to 0.5: no vacuum arises. 1024 cells, 81
frames of density, momentum and energy. The set-up is PDEBench's, the ranges are ours.
M. Takamoto et al., NeurIPS 2022, arXiv 2210.07182; G. A. Sod, J. Comput. Phys. 27 (1978) 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from pdesolve.condition import InitialValue, Neumann
from pdesolve.equation import Values
from pdesolve.family import Draws, Family, Simulator
from pdesolve.fields import Coordinates, Field, step
from pdesolve.geometry import Axis, Interval
from pdesolve.integration.cell_simulators import WaveSimulator
from pdesolve.physics.equations.euler import Euler
from pdesolve.problem import Evaluation, Problem


@dataclass(frozen=True)
class ShockTubes(Family):
    """Tubes with two gases at rest or in motion, parted by a membrane that bursts.

    Attributes:
        points: cells of the tube.
        frames: times that are stored, the initial one included.
        final_time: the last of them.
        heat_capacity_ratio: gamma.
        refinement: cells for one that is stored (1 to 4).
    """

    points: int = 1024
    frames: int = 81
    final_time: float = 0.4
    heat_capacity_ratio: float = 5 / 3
    refinement: int = 1

    tolerance = 1e-2  # halved steps move shocks by a part of a cell

    def states(self, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
        """(sample, side, 3): density, velocity and pressure of both sides; (sample,): where they meet."""
        unit = draws.unit(2, 3)
        lower, upper = np.array([0.1, -1.0, 0.1]), np.array([1.0, 1.0, 1.0])
        return lower + (upper - lower) * unit, draws.uniform(-0.5, 0.5)

    def problems(self, draws: Draws) -> Sequence[Problem]:
        time, ratio = Axis("t", 0.0, self.final_time), self.heat_capacity_ratio
        sides, membrane = self.states(draws)
        rho, v, pressure = (sides[..., i] for i in range(3))
        energy = pressure / (ratio - 1.0) + 0.5 * rho * v**2
        where = torch.as_tensor(membrane)

        def jump(values: np.ndarray) -> Callable[[Values, Coordinates], Field]:
            left, right = (torch.as_tensor(values[:, side]) for side in (0, 1))
            return lambda p, x: step(x["x"] - where) * (right - left) + left

        problem = Problem(
            name="shock_tube",
            equation=Euler(),
            domain=Interval("x", -1.0, 1.0),
            time=time,
            conditions=(
                InitialValue("density", jump(rho)),
                InitialValue("momentum", jump(rho * v)),
                InitialValue("energy", jump(energy)),
                *(Neumann(unknown.name) for unknown in Euler.unknowns),
            ),
            values={"heat_capacity_ratio": ratio},
            evaluation=Evaluation.uniform(self.points, time, self.frames - 1, bounded="cells"),
            description=__doc__ or "",
            source="Takamoto et al., NeurIPS 2022, arXiv 2210.07182",
            settings=asdict(self),
        )
        return (problem,)

    @property
    def simulator(self) -> Simulator:
        return WaveSimulator(refinement=self.refinement, subcells=8)
