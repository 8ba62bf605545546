"""A membrane bursts between two gases: Sod's shock tube.

    rho_t + q_x = 0,  q_t + (q v + p)_x = 0,  E_t + ((E + p) v)_x = 0      on 0 < x < 1, 0 < t <= 0.2
    v = q / rho,  p = (gamma - 1) (E - q v / 2),  gamma = 1.4
    rho = p = 1 for x < 0.5,  rho = 0.125, p = 0.1 for x > 0.5,  v = 0; both ends are walls
    exact: the Riemann problem, until its waves reach a wall

A rarefaction runs to the left, a contact and a shock to the right: p = 0.30313 and v = 0.92745 between them, rho =
0.42632 and 0.26557 on either side of the contact, and the shock runs at 1.75216. Judged on 101 points at 21 times.
G. A. Sod, J. Comput. Phys. 27 (1978) 1.
"""

from __future__ import annotations

from typing import Any

import torch

from pdesolve.condition import Dirichlet, InitialValue, Neumann
from pdesolve.errors import InputError
from pdesolve.fields import maximum, step
from pdesolve.geometry import Axis, Interval
from pdesolve.integration import riemann
from pdesolve.physics.equations.euler import Euler
from pdesolve.problem import Evaluation, Exact, Problem

_MEMBRANE = 0.5
_LEFT, _RIGHT = (1.0, 0.0, 1.0), (0.125, 0.0, 0.1)  # density, velocity, pressure


def problem(*, heat_capacity_ratio: float = 1.4, final_time: float = 0.2) -> Problem:
    """The problem for a gas, and a final time; from 0.28 on the shock comes back from the wall, without a formula."""
    time = Axis("t", 0.0, final_time)

    def states(like: torch.Tensor) -> tuple[Any, Any]:
        left, right = (tuple(torch.full_like(like.detach(), v) for v in state) for state in (_LEFT, _RIGHT))
        return left, right

    def fastest(ratio: torch.Tensor) -> float:
        """The speed of the shock, which is faster than the sound on the left."""
        p, _ = riemann.euler_star(*states(ratio), ratio)
        sound = (ratio * _RIGHT[2] / _RIGHT[0]).sqrt()
        strength = ((ratio + 1) / (2 * ratio) * p / _RIGHT[2] + (ratio - 1) / (2 * ratio)).sqrt()
        return float(torch.maximum(sound * strength, ratio.sqrt()).max())

    def solution(p: Any, x: Any) -> dict[str, Any]:
        ratio = p["heat_capacity_ratio"].values
        if fastest(ratio.detach()) * final_time > _MEMBRANE:
            raise InputError(
                f"sod: its waves reach a wall before t = {final_time}, beyond which there is no formula: shorten "
                "final_time, or take --method.scheme finite_volume"
            )
        # at the initial time on the membrane it would be 0 / 0
        s = x.expand((x["x"] - _MEMBRANE) / maximum(x["t"], 1e-12)).values
        ratio = ratio.reshape(*ratio.shape, *[1] * len(x.discretisation.shape))
        rho, v, pressure = riemann.euler(s, *states(ratio), ratio)
        energy = pressure / (ratio - 1) + 0.5 * rho * v**2
        return {name: x.field(u, name) for name, u in zip(Euler().scalars, (rho, rho * v, energy), strict=True)}

    def jump(name: int) -> Any:
        return lambda p, x: _LEFT[name] + (_RIGHT[name] - _LEFT[name]) * step(x["x"] - _MEMBRANE)

    ends = fastest(torch.tensor(heat_capacity_ratio, dtype=torch.float64)) * final_time > _MEMBRANE
    return Problem(
        name="sod",
        equation=Euler(),
        domain=Interval("x", 0.0, 1.0),
        time=time,
        conditions=(
            InitialValue("density", jump(0)),
            InitialValue("momentum", 0.0),
            InitialValue("energy", lambda p, x: jump(2)(p, x) / (p["heat_capacity_ratio"] - 1.0)),
            Dirichlet("momentum", "all", 0.0),
            Neumann("density", "all", 0.0),
            Neumann("energy", "all", 0.0),
        ),
        values={"heat_capacity_ratio": heat_capacity_ratio},
        exact=None if ends else Exact(solution, source="the Riemann problem"),
        evaluation=Evaluation.uniform(101, time, 20),
        description=__doc__ or "",
        source="Sod, J. Comput. Phys. 27 (1978) 1",
    )
