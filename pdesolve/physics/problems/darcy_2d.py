"""Seepage through two kinds of rock: the Darcy flow of the FNO paper, one draw of it.

    -div (a grad u) = f                    on 0 < x, y < 1,  u = 0 on the boundary,  f = 1
    a = 12 where m >= 0, 3 elsewhere
    m(x, y) = sum over i, j of xi_ij s_i s_j cos(i pi x) cos(j pi y) / (pi^2 (i^2 + j^2) + 9),  0 <= i, j < 32

m is a draw from N(0, (-lap + 9)^-2) with zero slopes at the walls, cut off after 32 cosines each way and, as by the
paper's generator, without its mean: xi_00 = 0. s_0 = 1, s_i = sqrt(2). xi are `normal_numbers(seed)` of
pdesolve.random_fields, row by row, so that m is the same function on every grid. The paper's data are 1 200 draws on
421 by 421 points; PDEBench has a in {1, 0.1} (from other fields) and f from 0.01 to 100.
The slope of u jumps where a does: a residual that differentiates a misses that. Judged on 129 by 129 points.
Z. Li et al., ICLR 2021, arXiv 2010.08895.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from pdesolve.condition import Dirichlet
from pdesolve.fields import step
from pdesolve.geometry import Axis, Box
from pdesolve.physics.equations.darcy import Darcy
from pdesolve.problem import Evaluation, Problem
from pdesolve.random_fields import normal_numbers


def problem(*, seed: int = 0, high: float = 12.0, low: float = 3.0, source: float = 1.0) -> Problem:
    """The problem for the seed of the draw, the two values of a and the source f."""
    modes = 32
    i = np.arange(modes)
    scale = np.where(i == 0, 1.0, math.sqrt(2.0))
    xi = normal_numbers(seed, modes**2).reshape(modes, modes)
    xi[0, 0] = 0.0
    weights = xi * np.outer(scale, scale) / (math.pi**2 * (i[:, None] ** 2 + i**2) + 9.0)

    def permeability(p: Any, x: Any) -> Any:
        # tensors, since a thousand products of fields would take a hundred times as long
        a, b = x["x"].values, x["y"].values
        numbers = torch.arange(modes, dtype=a.dtype, device=a.device)
        rows = torch.cos(math.pi * numbers * a.unsqueeze(-1)) @ torch.as_tensor(weights, dtype=a.dtype, device=a.device)
        m = sum(row * torch.cos(math.pi * j * b) for j, row in enumerate(rows.unbind(-1)))
        return low + (high - low) * step(x.field(m, "m"))

    return Problem(
        name="darcy_2d",
        equation=Darcy(),
        domain=Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)),
        conditions=(Dirichlet("u", "all", 0.0),),
        values={"permeability": permeability, "source": source},
        evaluation=Evaluation(129),
        description=__doc__ or "",
        source="Li, Kovachki, Azizzadenesheli, Liu, Bhattacharya, Stuart, Anandkumar, ICLR 2021, arXiv 2010.08895",
    )
