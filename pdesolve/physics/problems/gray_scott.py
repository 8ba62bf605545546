"""A drop of catalyst in a well-fed dish: PINNacle's Gray-Scott problem, on a torus.

    u_t = D_u lap u - u v^2 + f (1 - u)    on -1 <= x, y < 1 periodic, 0 < t <= 200
    v_t = D_v lap v + u v^2 - (f + k) v    D_u = 1e-5, D_v = 5e-6, f = 0.04, k = 0.06
    u(0) = 1 - exp(-80 ((x + 0.05)^2 + (y + 0.02)^2)),  v(0) = exp(-80 ((x - 0.05)^2 + (y - 0.02)^2))

The drop eats what is there and leaves a ring that runs outwards. PINNacle states no condition on the boundary (its data
come from a Fourier code); periodic it is. Its d = 0.1 is f + k. Judged on 128 by 128 points at 21 times.
Z. Hao et al., 2023, arXiv 2306.08827.
"""

from __future__ import annotations

from pdesolve.condition import InitialValue
from pdesolve.fields import exp
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.gray_scott import GrayScott
from pdesolve.problem import Evaluation, Problem


def problem(*, feed: float = 0.04, kill: float = 0.06, final_time: float = 200.0) -> Problem:
    """The problem for rates of feeding f and dying k, and a final time."""
    time = Axis("t", 0.0, final_time)
    return Problem(
        name="gray_scott",
        equation=GrayScott(),
        domain=Box(Axis("x", -1.0, 1.0, periodic=True), Axis("y", -1.0, 1.0, periodic=True)),
        time=time,
        conditions=(
            InitialValue("u", lambda p, x: 1.0 - exp(-80.0 * ((x["x"] + 0.05) ** 2 + (x["y"] + 0.02) ** 2))),
            InitialValue("v", lambda p, x: exp(-80.0 * ((x["x"] - 0.05) ** 2 + (x["y"] - 0.02) ** 2))),
        ),
        values={"substrate_diffusivity": 1e-5, "catalyst_diffusivity": 5e-6, "feed": feed, "kill": kill},
        evaluation=Evaluation.uniform(128, time, 20),
        description=__doc__ or "",
        source="Hao et al., 2023, arXiv 2306.08827",
    )
