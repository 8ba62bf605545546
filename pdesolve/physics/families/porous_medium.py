"""Blocks of gas spread into a vacuum and into one another.

    u_t = (u^n)_xx                         on -1 < x < 1, 0 < t <= 1, no flux through the ends
    u(0) = blocks of heights from 0.5 to 1 and widths from 0.1 to 0.4, anywhere; n uniform from 2 to 4

Two blocks; where they overlap they add up. Every block keeps an edge and tends to Barenblatt's solution until it meets
the other or a wall; the mass is kept. 256 cells, 101 frames.
G. I. Barenblatt, Prikl. Mat. Mekh. 16 (1952) 67; J. L. Vazquez, The Porous Medium Equation (2007). The distribution is
ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from pdesolve.condition import InitialValue, Neumann
from pdesolve.equation import Values
from pdesolve.family import Draws, Family, Simulator
from pdesolve.fields import Coordinates, Field, absolute, step
from pdesolve.geometry import Axis, Interval
from pdesolve.integration.cell_simulators import DiffusionSimulator
from pdesolve.physics.equations.porous_medium import PorousMedium
from pdesolve.problem import Evaluation, Problem


@dataclass(frozen=True)
class PorousMediumBlocks(Family):
    """Blocks of random mass in a closed tube, of different degrees.

    Attributes:
        points: cells of the tube.
        frames: times that are stored, the initial one included.
        final_time: the last of them.
        smallest: degree n (more than 1).
        largest: degree n.
        blocks: how many.
        step_tolerance: error of a step relative to the largest value (1e-7 to 1e-4).
    """

    points: int = 256
    frames: int = 101
    final_time: float = 1.0
    smallest: float = 2.0
    largest: float = 4.0
    blocks: int = 2
    step_tolerance: float = 1e-5

    def problems(self, draws: Draws) -> Sequence[Problem]:
        time, degree = Axis("t", 0.0, self.final_time), torch.as_tensor(draws.uniform(self.smallest, self.largest))
        height = torch.as_tensor(draws.uniform(0.5, 1.0, self.blocks))
        half = torch.as_tensor(draws.uniform(0.05, 0.2, self.blocks))
        middle = torch.as_tensor(draws.uniform(-1.0, 1.0, self.blocks)) * (1.0 - half)

        def blocks(p: Values, x: Coordinates) -> Field:
            total = x.constant(0.0)
            for i in range(self.blocks):
                total = total + step(half[:, i] - absolute(x["x"] - middle[:, i])) * height[:, i]
            return total

        problem = Problem(
            name="porous_medium",
            equation=PorousMedium(),
            domain=Interval("x", -1.0, 1.0),
            time=time,
            conditions=(InitialValue("u", blocks), Neumann("u")),
            # (u^n)_xx = n (u^(n - 1) u_x)_x
            values={"diffusivity": degree, "degree": degree - 1.0},
            evaluation=Evaluation.uniform(self.points, time, self.frames - 1, bounded="cells"),
            conserved=("mass",),
            description=__doc__ or "",
            source="Barenblatt, Prikl. Mat. Mekh. 16 (1952) 67",
            settings=asdict(self),
        )
        return (problem,)

    @property
    def simulator(self) -> Simulator:
        return DiffusionSimulator(tolerance=self.step_tolerance, subcells=8)
