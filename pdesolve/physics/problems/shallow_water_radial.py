"""The dam around a pond vanishes: the radial dam break of PDEBench.

    h_t = -div q,  q_t = -div (q q / h) - g h grad h       on -2.5 < x, y < 2.5, 0 < t <= 1, g = 1
    h = 2 for r < 0.5,  h = 1 elsewhere,  q = 0,  r^2 = x^2 + y^2; nothing changes across the boundary

A round bore runs outwards and a rarefaction inwards, which empties the middle below the water around it. PDEBench draws
the radius from 0.3 to 0.7 and writes the depth alone, on 128 by 128 cells at 101 times. Judged on 101 by 101 points at
21 times.
M. Takamoto et al., NeurIPS 2022, arXiv 2210.07182.
"""

from __future__ import annotations

from pdesolve.condition import InitialValue, Neumann
from pdesolve.fields import sqrt, step
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.shallow_water_2d import ShallowWater2d
from pdesolve.problem import Evaluation, Problem


def problem(*, radius: float = 0.5, inner_depth: float = 2.0, gravity: float = 1.0, final_time: float = 1.0) -> Problem:
    """The problem for the radius and the depth of the pond, and a final time: the bore is near the ends at 1.5."""
    time = Axis("t", 0.0, final_time)
    return Problem(
        name="shallow_water_radial",
        equation=ShallowWater2d(),
        domain=Box(Axis("x", -2.5, 2.5), Axis("y", -2.5, 2.5)),
        time=time,
        conditions=(
            InitialValue(
                "depth", lambda p, x: 1.0 + (inner_depth - 1.0) * step(radius - sqrt(x["x"] ** 2 + x["y"] ** 2))
            ),
            InitialValue("momentum", 0.0),
            Neumann("depth", "all", 0.0),
            Neumann("momentum", "all", 0.0),
        ),
        values={"gravity": gravity},
        evaluation=Evaluation.uniform(101, time, 20),
        description=__doc__ or "",
        source="Takamoto et al., NeurIPS 2022, arXiv 2210.07182",
    )
