"""A membrane over an L-shaped frame: the Poisson problem with a re-entrant corner.

    -(u_xx + u_yy) = 1      on (-1, 1)^2 without [0, 1]^2,  u = 0 on the boundary

Near the corner at the origin u behaves like r^(2/3), r the distance from it, so that its slope is infinite there and
uniform meshes converge slowly. The largest value is 0.149412, on the diagonal near (-0.33, -0.33). A file of this
domain that is often used as its reference holds -lap u + u = 1 instead, with the maximum 0.1339.
L. Lu, X. Meng, Z. Mao, G. E. Karniadakis, SIAM Review 63 (2021) 208, arXiv 1907.04502.
"""

from __future__ import annotations

from pdesolve.condition import Dirichlet
from pdesolve.geometry import Polygon
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.problem import Evaluation, Problem


def problem(*, source: float = 1.0) -> Problem:
    """The problem for a load f, with which the solution grows in proportion."""
    return Problem(
        name="poisson_l_shape",
        equation=Poisson(),
        domain=Polygon(((-1.0, -1.0), (1.0, -1.0), (1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (-1.0, 1.0))),
        conditions=(Dirichlet("u", "all", 0.0),),
        values={"source": source},
        evaluation=Evaluation(101),
        description=__doc__ or "",
        source="Lu, Meng, Mao, Karniadakis, SIAM Review 63 (2021) 208, arXiv 1907.04502",
    )
