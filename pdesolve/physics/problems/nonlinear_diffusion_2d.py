"""Three heaps that flow into one another: the nonlinear diffusion problem of the SPINN and PIG papers.

    u_t = D div (u grad u)                 on -1 < x, y < 1, 0 < t <= 1, D = 0.05
    u(0) = 0.25 exp(-10 ((x - 0.3)^2 + (y - 0.2)^2)) + 0.4 exp(-15 ((x + 0.5)^2 + (y + 0.1)^2))
           + 0.3 exp(-20 (x^2 + (y + 0.5)^2))
    on the boundary u = u(0) exp(-t / 0.01)

The papers say zero on the boundary, where u(0) is up to 0.0094: a jump that no method can follow. Here the walls come
down to zero within the first steps instead, which changes u by 5e-6 from t = 0.1 on. At the walls u falls like the root
of the distance, which a grid resolves slowly (101 points an axis: 7e-4, 201: 2e-4). Judged on the papers' 101 by 101
points and 101 times.
J. Cho, S. Nam, H. Yang, S.-B. Yun, Y. Hong, E. Park, NeurIPS 2023, arXiv 2306.15969.
"""

from __future__ import annotations

from typing import Any

from pdesolve.condition import Dirichlet, InitialValue
from pdesolve.fields import exp
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.nonlinear_diffusion import NonlinearDiffusion
from pdesolve.problem import Evaluation, Problem


def problem(*, diffusivity: float = 0.05, final_time: float = 1.0) -> Problem:
    """The problem for a diffusivity D of u = 1 and a final time."""
    time = Axis("t", 0.0, final_time)

    def heaps(p: Any, x: Any) -> Any:
        a, b = x["x"], x["y"]
        first = 0.25 * exp(-10.0 * ((a - 0.3) ** 2 + (b - 0.2) ** 2))
        second = 0.4 * exp(-15.0 * ((a + 0.5) ** 2 + (b + 0.1) ** 2))
        return first + second + 0.3 * exp(-20.0 * (a**2 + (b + 0.5) ** 2))

    return Problem(
        name="nonlinear_diffusion_2d",
        equation=NonlinearDiffusion(),
        domain=Box(Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0)),
        time=time,
        conditions=(
            InitialValue("u", heaps),
            Dirichlet("u", "all", lambda p, x: heaps(p, x) * exp(-100.0 * x["t"])),
        ),
        values={"diffusivity": diffusivity},
        evaluation=Evaluation.uniform(101, time, 100),
        description=__doc__ or "",
        source="Cho, Nam, Yang, Yun, Hong, Park, NeurIPS 2023, arXiv 2306.15969",
    )
