"""Four bumps that part into phases: the Allen-Cahn problem of TENG.

    u_t = D lap u + u - u^3  on 0 <= x, y < 2 pi periodic, 0 < t <= 1/2, D = 0.005
    u(0) = (e^(3 sin x + sin y) + e^(-3 sin x + sin y) - e^(3 sin x - sin y) - e^(-3 sin x - sin y)) / 100

The bumps grow into phases; walls sqrt(8 D) = 0.2 wide form from t = 3 on. The paper goes on to t = 4: write
final_time=4. Judged on 128 by 128 points at 11 times.
Z. Chen, J. McCarran, E. Vizcaino, M. Soljacic, D. Luo, ICML 2024, arXiv 2404.10771 (D as in its released data).
"""

from __future__ import annotations

import math

from pdesolve.condition import InitialValue
from pdesolve.fields import cosh, sin, sinh
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.allen_cahn import AllenCahn
from pdesolve.problem import Evaluation, Problem


def problem(*, diffusivity: float = 0.005, final_time: float = 0.5) -> Problem:
    """The problem for a diffusivity D and a final time."""
    time = Axis("t", 0.0, final_time)
    return Problem(
        name="teng_allen_cahn",
        equation=AllenCahn(),
        domain=Box(Axis("x", 0.0, 2 * math.pi, periodic=True), Axis("y", 0.0, 2 * math.pi, periodic=True)),
        time=time,
        # the four exponentials are 4 cosh(3 sin x) sinh(sin y)
        conditions=(InitialValue("u", lambda p, x: 0.04 * cosh(3.0 * sin(x["x"])) * sinh(sin(x["y"]))),),
        values={"diffusivity": diffusivity, "reaction": 1.0},
        evaluation=Evaluation.uniform(128, time, 10),
        description=__doc__ or "",
        source="Chen, McCarran, Vizcaino, Soljacic, Luo, ICML 2024, arXiv 2404.10771",
    )
