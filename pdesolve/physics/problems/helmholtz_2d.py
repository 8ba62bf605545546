"""A wave field with few waves one way and many the other: the Helmholtz problem of the PIG paper.

    u_xx + u_yy + k^2 u = q                on -1 < x, y < 1, k = 1, Dirichlet values of the exact solution
    exact: u = sin(a pi x) sin(b pi y),    q = (k^2 - (a^2 + b^2) pi^2) u,  a = 1 along x, b = 4 along y

Beware of the order: papers call this the problem (4, 1), the first number belonging to y. Their hard case: a = b = 10.
Wave numbers may be no integers (a = 1.3, b = 3.7): the boundary values then do not vanish.
Judged on the papers' 250 by 250 points.
N. Kang, J. Oh, Y. Hong, E. Park, ICLR 2025, arXiv 2412.05994.
"""

from __future__ import annotations

import math

from pdesolve.condition import Dirichlet
from pdesolve.fields import sin
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.helmholtz import Helmholtz
from pdesolve.problem import Evaluation, Exact, Problem


def problem(*, x_waves: float = 1.0, y_waves: float = 4.0, wavenumber: float = 1.0) -> Problem:
    """The problem for a = x_waves and b = y_waves half waves on a unit of length and the equation's wavenumber k."""
    a, b, pi = float(x_waves), float(y_waves), math.pi
    # with integers u vanishes on the boundary; the number says so without showing anyone the exact solution
    vanishes = a.is_integer() and b.is_integer()
    return Problem(
        name="helmholtz_2d",
        equation=Helmholtz(),
        domain=Box(Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0)),
        conditions=(
            Dirichlet("u", "all", 0.0 if vanishes else lambda p, x: sin(a * pi * x["x"]) * sin(b * pi * x["y"])),
        ),
        values={
            "wavenumber": wavenumber,
            "source": lambda p, x: (
                (p["wavenumber"] ** 2 - (a**2 + b**2) * pi**2) * sin(a * pi * x["x"]) * sin(b * pi * x["y"])
            ),
        },
        exact=Exact(lambda p, x: {"u": sin(a * pi * x["x"]) * sin(b * pi * x["y"])}, source="made for the equation"),
        evaluation=Evaluation(250),
        sister="helmholtz_2d_sister",
        description=__doc__ or "",
        source="Kang, Oh, Hong, Park, ICLR 2025, arXiv 2412.05994",
    )
