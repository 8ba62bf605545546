"""A dam breaks across a channel: a bore runs down it and a rarefaction up.

    h_t + q_x = 0,  q_t + (q^2 / h + g h^2 / 2)_x = 0      on 0 < x < 1, 0 < t <= 0.3, g = 1
    h = 1 for x < 0.5,  h = 0.125 for x > 0.5,  q = 0; both ends are walls
    exact: the Riemann problem, until its waves reach a wall

Between the waves h = 0.42876 and v = 0.69041, and the bore runs at 0.97453. With nothing on the right a tongue of water
runs out at 2 sqrt(g h). Judged on 101 points at 31 times. (The dam around a pond is shallow_water_radial.)
J. J. Stoker, Water Waves (1957), section 10.8.
"""

from __future__ import annotations

from typing import Any

import torch

from pdesolve.condition import Dirichlet, InitialValue, Neumann
from pdesolve.errors import InputError
from pdesolve.fields import maximum, step
from pdesolve.geometry import Axis, Interval
from pdesolve.integration import riemann
from pdesolve.physics.equations.shallow_water import ShallowWater
from pdesolve.problem import Evaluation, Exact, Problem

_DAM = 0.5


def problem(
    *, left_depth: float = 1.0, right_depth: float = 0.125, gravity: float = 1.0, final_time: float = 0.3
) -> Problem:
    """The problem for two depths, either of them maybe zero, and a final time; without a formula once waves come back.

    Raises:
        InputError: depths below zero, or no water at all.
    """
    if min(left_depth, right_depth) < 0 or left_depth == right_depth == 0:
        raise InputError(f"depths are zero or more and one of them is more, got {left_depth} and {right_depth}")
    time = Axis("t", 0.0, final_time)

    def states(like: torch.Tensor) -> tuple[Any, Any]:
        still = torch.zeros_like(like.detach())
        return (still + left_depth, still), (still + right_depth, still)

    def fastest(g: torch.Tensor) -> float:
        """The speed of the bore, or of the tongue; the rarefaction behind it is slower."""
        h, v = riemann.shallow_water_star(*states(g), g)
        low, high = sorted((left_depth, right_depth))
        front = v.abs() if low == 0 else (0.5 * g * h * (h + low) / low).sqrt()
        return float(torch.maximum(front, (g * high).sqrt()).max())

    def solution(p: Any, x: Any) -> dict[str, Any]:
        g = p["gravity"].values
        if len(p["bed"].axes):
            raise InputError(
                "shallow_water_dam: over a bed that varies there is no formula: take --method.scheme finite_volume"
            )
        if fastest(g.detach()) * final_time > _DAM:
            raise InputError(
                f"shallow_water_dam: its waves reach a wall before t = {final_time}, beyond which there is no formula: "
                "shorten final_time, or take --method.scheme finite_volume"
            )
        # at the initial time on the dam it would be 0 / 0
        s = x.expand((x["x"] - _DAM) / maximum(x["t"], 1e-12)).values
        g = g.reshape(*g.shape, *[1] * len(x.discretisation.shape))
        h, v = riemann.shallow_water(s, *states(g), g)
        return {"depth": x.field(h, "depth"), "momentum": x.field(h * v, "momentum")}

    ends = fastest(torch.tensor(gravity, dtype=torch.float64)) * final_time > _DAM
    return Problem(
        name="shallow_water_dam",
        equation=ShallowWater(),
        domain=Interval("x", 0.0, 1.0),
        time=time,
        conditions=(
            InitialValue("depth", lambda p, x: left_depth + (right_depth - left_depth) * step(x["x"] - _DAM)),
            InitialValue("momentum", 0.0),
            Dirichlet("momentum", "all", 0.0),
            Neumann("depth", "all", 0.0),
        ),
        values={"gravity": gravity},
        exact=None if ends else Exact(solution, source="the Riemann problem"),
        evaluation=Evaluation.uniform(101, time, 30),
        description=__doc__ or "",
        source="Stoker, Water Waves (1957), section 10.8",
    )
