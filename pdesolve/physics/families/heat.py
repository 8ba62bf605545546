"""A wave of heat fades: the easy case of ProbConserv's diffusion equations.

    u_t = k u_xx                           on 0 < x < 2 pi periodic, 0 < t <= 1
    u(0) = sin x, k uniform from 1 to 5
    exact: exp(-k t) sin x

200 points, 101 frames, from the formula.
D. Hansen, D. Maddix, S. Alizadeh, G. Gupta, M. Mahoney, ICML 2023, arXiv 2302.11002.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from pdesolve.condition import InitialValue
from pdesolve.family import Draws, Family, Simulator
from pdesolve.fields import exp, sin
from pdesolve.geometry import Axis, Interval
from pdesolve.integration.exact_simulator import ExactSimulator
from pdesolve.physics.equations.heat import Heat
from pdesolve.problem import Evaluation, Exact, Problem


@dataclass(frozen=True)
class HeatWaves(Family):
    """One wave in rings of different diffusivities.

    Attributes:
        points: of the ring.
        frames: times that are stored, the initial one included.
        smallest: diffusivity.
        largest: diffusivity.
    """

    points: int = 200
    frames: int = 101
    smallest: float = 1.0
    largest: float = 5.0

    tolerance = 1e-6

    def problems(self, draws: Draws) -> Sequence[Problem]:
        time = Axis("t", 0.0, 1.0)
        problem = Problem(
            name="heat",
            equation=Heat(),
            domain=Interval("x", 0.0, 2 * math.pi, periodic=True),
            time=time,
            conditions=(InitialValue("u", lambda p, x: sin(x["x"])),),
            values={"diffusivity": torch.as_tensor(draws.uniform(self.smallest, self.largest))},
            exact=Exact(lambda p, x: {"u": exp(-p["diffusivity"] * x["t"]) * sin(x["x"])}, source="one wave"),
            evaluation=Evaluation.uniform(self.points, time, self.frames - 1),
            description=__doc__ or "",
            source="Hansen et al., ICML 2023, arXiv 2302.11002",
            settings=asdict(self),
        )
        return (problem,)

    @property
    def simulator(self) -> Simulator:
        return ExactSimulator()
