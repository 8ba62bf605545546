"""A box of fluid under a sliding lid: the lid-driven cavity at the Reynolds number 100, steady.

    (v . grad) v + grad p - nu lap v = 0,  div v = 0       on 0 < x, y < 1,  nu = 0.01
    v = (U, 0) on y = 1, 0 < x < 1,  v = 0 on the other walls,  U = 1

One large vortex, right of the middle, and two weak ones in the lower corners. The velocity jumps where the lid meets
the walls: there it depends on the direction alone, and pressure and vorticity grow like 1/r, so that neither has a
value in those corners. Nothing is regularised: the reference holds that part in closed form. Judged on 100 by 100
points that keep 1/200 off the walls, since the integral of p^2 up to them is infinite: what is said of the pressure is
said of these points, and is that of the corners for the most part. The pressure is judged up to its mean. Published
tables are for Re = U / nu = 100, 1000 and more.
U. Ghia, K. N. Ghia, C. T. Shin, J. Comput. Phys. 48 (1982) 387; O. Botella, R. Peyret, Computers and Fluids 27 (1998)
421, for the corners.
"""

from __future__ import annotations

from pdesolve.condition import Dirichlet
from pdesolve.fields import Vector
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.steady_navier_stokes import SteadyNavierStokes
from pdesolve.problem import Evaluation, Problem


def problem(*, viscosity: float = 0.01, lid: float = 1.0) -> Problem:
    """The problem for a viscosity nu and a speed U of the lid."""
    return Problem(
        name="lid_cavity",
        equation=SteadyNavierStokes(),
        domain=Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)),
        conditions=(
            Dirichlet("velocity", ("x_min", "x_max", "y_min"), 0.0),
            Dirichlet("velocity", "y_max", lambda p, x: Vector({"x": x.constant(lid), "y": x.constant(0.0)})),
        ),
        values={"viscosity": viscosity},
        evaluation=Evaluation(100, bounded="cells"),
        up_to_constant=("pressure",),
        description=__doc__ or "",
        source="Ghia, Ghia, Shin, J. Comput. Phys. 48 (1982) 387",
    )
