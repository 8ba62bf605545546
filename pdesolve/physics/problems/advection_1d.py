"""A narrow bump that travels through three quarters of an interval: the advection example of INSR.

    u_t = -c u_x                           on -2 < x < 2, 0 < t <= 12, c = 1/4
    u(0, x) = exp(-((x + 1.5) / 0.1)^2 / 2),  the exact value at the inflow end x = -2, 4e-6 and less
    exact: u = exp(-((x - c t + 1.5) / 0.1)^2 / 2)

Nothing smooths the bump and nothing sharpens it: dissipation and dispersion are a scheme's own. The paper holds zeros
at both ends; here the end where nothing comes in takes no condition.
H. Chen, R. Wu, E. Grinspun, C. Zheng, P. Y. Chen, ICML 2023, arXiv 2210.00124.
"""

from __future__ import annotations

from typing import Any

from pdesolve.condition import Dirichlet, InitialValue
from pdesolve.fields import exp
from pdesolve.geometry import Axis, Interval
from pdesolve.physics.equations.advection import Advection
from pdesolve.problem import Evaluation, Exact, Problem


def problem(*, speed: float = 0.25, width: float = 0.1, final_time: float = 12.0) -> Problem:
    """The problem for a speed c > 0, the bump's standard deviation and a final time."""
    time = Axis("t", 0.0, final_time)

    def bump(place: Any) -> Any:
        return exp(-0.5 * ((place + 1.5) / width) ** 2)

    def solution(p: Any, x: Any) -> Any:
        return bump(x["x"] - p["speed"] * x["t"])

    return Problem(
        name="advection_1d",
        equation=Advection(),
        domain=Interval("x", -2.0, 2.0),
        time=time,
        conditions=(InitialValue("u", lambda p, x: bump(x["x"])), Dirichlet("u", "x_min", solution)),
        values={"speed": speed},
        exact=Exact(lambda p, x: {"u": solution(p, x)}, source="along the characteristics"),
        evaluation=Evaluation.uniform(401, time, 48),
        description=__doc__ or "",
        source="Chen, Wu, Grinspun, Zheng, Chen, ICML 2023, arXiv 2210.00124",
    )
