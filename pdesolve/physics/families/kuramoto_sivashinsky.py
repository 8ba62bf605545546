"""Chaotic fronts on a ring of length 64: Kuramoto-Sivashinsky flows after their first 50 units of time.

    u_t = -u u_x - u_xx - u_xxxx      on 0 <= x < 64 periodic, frames from t = 50 to 250
    u(0) ~ N(0, 1): cosines and sines of wave numbers 1 to 8, of the same variance, mean zero

256 points, 401 frames every 0.5. The mean of u stays zero. Errors grow by a factor of about 10 in 25 units of time
(what two steps of different length have made of one state agrees to 1e-4 after 20): each sample is a solution of the
equation but not the only one that begins like that, and another computer may find another after 150 units.
J. Brandstetter, M. Welling, D. Worrall, ICML 2022, arXiv 2202.07643, take rings of this length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pdesolve.condition import InitialValue
from pdesolve.family import Draws, Family
from pdesolve.geometry import Axis, Interval
from pdesolve.integration.spectral_simulator import SpectralSimulator
from pdesolve.physics.equations.kuramoto_sivashinsky import KuramotoSivashinsky as Equation
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_fields import gaussian_batch

_MODES = 8


@dataclass(frozen=True)
class ChaoticFronts(Family):
    """Kuramoto-Sivashinsky flows on a ring of length 64, after their beginnings have died out.

    Attributes:
        points: stored points of the ring (128 to 512).
        frames: intervals between stored times, 0.5 each.
        spin_up: time before the first stored one.
        length: the ring's.
        step: the longest time step; longer ones than 0.1 are unstable.
    """

    points: int = 256
    frames: int = 400
    spin_up: float = 50.0
    length: float = 64.0
    step: float = 0.0625

    def problems(self, draws: Draws) -> Sequence[Problem]:
        times = tuple(self.spin_up + 0.5 * i for i in range(self.frames + 1))
        domain = Interval("x", 0.0, self.length, periodic=True)
        start = gaussian_batch(domain.axes, lambda q: 0.5 / _MODES + 0 * q, draws, modes=_MODES)
        problem = Problem(
            name="kuramoto_sivashinsky",
            equation=Equation(),
            domain=domain,
            time=Axis("t", 0.0, times[-1]),
            conditions=(InitialValue("u", start),),
            values={"advection": 1.0, "antidiffusion": 1.0, "hyperdiffusion": 1.0},
            evaluation=Evaluation(self.points, times),
            description=__doc__ or "",
            source="Kuramoto, Tsuzuki, Prog. Theor. Phys. 55 (1976) 356; Sivashinsky, Acta Astronaut. 4 (1977) 1177",
        )
        return (problem,)

    @property
    def simulator(self) -> SpectralSimulator:
        return SpectralSimulator(self.step, scheme="etdab4")
