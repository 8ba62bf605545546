"""A solute seeps into a column of soil and sticks to it: the diffusion-sorption problem of PDEBench.

    u_t = D / R(u) u_xx                    on 0 < x < 1, 0 < t <= 500, D = 5e-4
    R(u) = 1 + (1 - phi) / phi rho k n u^(n - 1),  phi = 0.29, rho = 2880, k = 3.5e-4, n = 0.874
    u(0, x) = a;  u(t, 0) and u(t, 1) go from a to 1 and to 0 as exp(-10 t)

PDEBench draws a from 0 to 0.2 and lets both ends jump at once, which conditions that meet at a corner cannot; what this
costs is 0.5 percent of u at its first frame, t = 5, and 6e-5 at the end. For the right end it writes u = D u_x, a layer
of width D that feeds on itself on any grid that resolves it; on its own, whose walls lie half a cell outside, the value
there is zero within 2e-4.
Judged on 101 points at 101 times.
M. Takamoto et al., NeurIPS 2022, arXiv 2210.07182.
"""

from __future__ import annotations

from pdesolve.condition import Dirichlet, InitialValue
from pdesolve.fields import exp
from pdesolve.geometry import Axis, Interval
from pdesolve.physics.equations.diffusion_sorption import DiffusionSorption
from pdesolve.problem import Evaluation, Problem


def problem(*, initial: float = 0.1, final_time: float = 500.0) -> Problem:
    """The problem for the concentration a that the column begins with, and a final time."""
    time = Axis("t", 0.0, final_time)
    return Problem(
        name="diffusion_sorption",
        equation=DiffusionSorption(),
        domain=Interval("x", 0.0, 1.0),
        time=time,
        conditions=(
            InitialValue("u", initial),
            Dirichlet("u", "x_min", lambda p, x: 1.0 - (1.0 - initial) * exp(-10.0 * x["t"])),
            Dirichlet("u", "x_max", lambda p, x: initial * exp(-10.0 * x["t"])),
        ),
        evaluation=Evaluation.uniform(101, time, 100),
        description=__doc__ or "",
        source="Takamoto et al., NeurIPS 2022, arXiv 2210.07182",
    )
