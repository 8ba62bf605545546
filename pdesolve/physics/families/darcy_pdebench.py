"""Darcy flow through blobs of permeable rock under a source of any strength, in the manner of PDEBench.

    -div (a grad u) = beta                 on 0 < x, y < 1,  u = 0 on the boundary
    a = 1 where s exceeds its mean over the square, 0.1 elsewhere
    s = sum over five blobs of h exp(-|x - c|^2 / (2 w^2)),  h ~ U(0.5, 1), c uniform in the square, w ~ U(0.05, 0.2)

u is proportional to beta. Finite volumes with harmonic means on the vertices that are stored, by conjugate gradients:
the error is of order 1 in the spacing, 0.3 to 0.6 % of u at 65 points a side, 0.1 to 0.3 % at 129, below 0.1 % at 257.
M. Takamoto et al., NeurIPS 2022 datasets track, arXiv 2210.07182, with beta from 0.01 to 100 on 128 by 128 cells.
Departures: vertices, walls included, where u = 0 (theirs has zeros half a cell outside of the square); the solution of
the stationary equation, not a late state of u_t = div (a grad u) + beta; heights and widths of the blobs are ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import erf

from pdesolve.condition import Dirichlet
from pdesolve.errors import InputError
from pdesolve.family import Draws, Family
from pdesolve.fields import step
from pdesolve.geometry import Axis, Box
from pdesolve.integration.flow import FlowSimulator
from pdesolve.physics.equations.darcy import Darcy
from pdesolve.problem import Evaluation, Problem


@dataclass(frozen=True)
class BlobDarcy(Family):
    """Steady flow through blobs of permeable rock.

    Attributes:
        points: vertices on every axis, walls included.
        beta: the volume injected everywhere; 0.01, 0.1, 1, 10 and 100 are in use.
        high: the permeability of the blobs.
        low: the permeability elsewhere.
        blobs: how many there are.
    """

    points: int = 128
    beta: float = 1.0
    high: float = 1.0
    low: float = 0.1
    blobs: int = 5
    tolerance = 1e-8

    def __post_init__(self) -> None:
        if not (self.high > 0 and self.low > 0):
            raise InputError(f"permeabilities are positive, got high={self.high} and low={self.low}")
        if self.blobs < 1:
            raise InputError(f"there is one blob at least, got blobs={self.blobs}")

    def problems(self, draws: Draws) -> Sequence[Problem]:
        height, width = draws.uniform(0.5, 1.0, self.blobs), draws.uniform(0.05, 0.2, self.blobs)
        centre = draws.unit(self.blobs, 2)
        wide = math.sqrt(2.0) * width[..., None]
        whole = 0.5 * math.sqrt(math.pi) * wide * (erf((1.0 - centre) / wide) + erf(centre / wide))
        mean = (height * whole.prod(-1)).sum(-1)

        def permeability(p: Any, x: Any) -> Any:
            def column(values: np.ndarray) -> torch.Tensor:
                places = x["x"].values.ndim
                return torch.as_tensor(values, dtype=x.dtype, device=x.device).reshape(-1, *[1] * places)

            s = -1.0 * column(mean)
            for i in range(self.blobs):
                square = (x["x"].values - column(centre[:, i, 0])) ** 2 + (x["y"].values - column(centre[:, i, 1])) ** 2
                s = s + column(height[:, i]) * torch.exp(-0.5 * square / column(width[:, i]) ** 2)
            return self.low + (self.high - self.low) * step(x.field(s, "s"))

        problem = Problem(
            name="darcy_pdebench",
            equation=Darcy(),
            domain=Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)),
            conditions=(Dirichlet("u", "all", 0.0),),
            values={"permeability": permeability, "source": self.beta},
            evaluation=Evaluation(self.points),
            description=__doc__ or "",
            source="Takamoto et al., NeurIPS 2022 datasets track, arXiv 2210.07182",
        )
        return (problem,)

    @property
    def simulator(self) -> FlowSimulator:
        return FlowSimulator()
