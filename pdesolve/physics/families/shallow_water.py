"""The dam around a pond vanishes: the radial dam breaks of PDEBench.

    h_t = -div q,  q_t = -div (q q / h) - g h grad h       on -2.5 < x, y < 2.5, 0 < t <= 1, g = 1
    h(0) = 2 for r < R, 1 elsewhere, R uniform from 0.3 to 0.7, q(0) = 0; everything flows out

128 by 128 cells, 101 frames; PDEBench stores h alone. A round bore runs outwards, and a rarefaction inwards.
M. Takamoto et al., NeurIPS 2022, arXiv 2210.07182.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from pdesolve.condition import InitialValue, Neumann
from pdesolve.equation import Values
from pdesolve.family import Draws, Family, Simulator
from pdesolve.fields import Coordinates, Field, sqrt, step
from pdesolve.geometry import Axis, Box
from pdesolve.integration.cell_simulators import WaveSimulator
from pdesolve.physics.equations.shallow_water_2d import ShallowWater2d
from pdesolve.problem import Evaluation, Problem


@dataclass(frozen=True)
class ShallowWaterDams(Family):
    """Round ponds of one depth behind dams that vanish.

    Attributes:
        points: cells along each side.
        frames: times that are stored, the initial one included.
        final_time: the last of them.
        inner_depth: of the pond; that around it is 1.
        smallest: radius of a dam.
        largest: radius of a dam.
        gravity: g.
        refinement: cells along each axis for one that is stored (1 to 4).
    """

    points: int = 128
    frames: int = 101
    final_time: float = 1.0
    inner_depth: float = 2.0
    smallest: float = 0.3
    largest: float = 0.7
    gravity: float = 1.0
    refinement: int = 1

    tolerance = 1e-2  # halved steps move shocks by a part of a cell

    def problems(self, draws: Draws) -> Sequence[Problem]:
        radius, time = torch.as_tensor(draws.uniform(self.smallest, self.largest)), Axis("t", 0.0, self.final_time)

        def depth(p: Values, x: Coordinates) -> Field:
            inside = step(radius - sqrt(x["x"] ** 2 + x["y"] ** 2))
            return inside * (self.inner_depth - 1.0) + 1.0

        problem = Problem(
            name="shallow_water",
            equation=ShallowWater2d(),
            domain=Box(Axis("x", -2.5, 2.5), Axis("y", -2.5, 2.5)),
            time=time,
            conditions=(
                InitialValue("depth", depth),
                InitialValue("momentum", 0.0),
                Neumann("depth"),
                Neumann("momentum"),
            ),
            values={"gravity": self.gravity},
            evaluation=Evaluation.uniform(self.points, time, self.frames - 1, bounded="cells"),
            description=__doc__ or "",
            source="Takamoto et al., NeurIPS 2022, arXiv 2210.07182",
            settings=asdict(self),
        )
        return (problem,)

    @property
    def simulator(self) -> Simulator:
        return WaveSimulator(refinement=self.refinement, subcells=8)
