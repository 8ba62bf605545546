"""Squares with a hole of random shape under tension, a mesh for each: the benchmark of Geo-FNO made linear.

    div sigma = 0, in plane strain         on 0 < x, y < 1 without the hole,  E = 1,  Poisson's ratio 0.3
    u = 0 on the left, sigma n = (1, 0) on the right, sigma n = 0 on the other sides and in the hole
    the hole is r < 0.2 + 0.2 / (1 + exp(g(q))) round the centre, g a random function of the angle q

g = b_0 / (2 pi)^(1/2) + sum_k (a_k sin kq + b_k cos kq) / pi^(1/2), a_k and b_k normal with the variance
16 / (k^2 + 9), k up to 6: N(0, 16 (-lap + 9)^-1) without its short waves. Elements of degree 2 with curved sides; the
nodes are theirs, about 1700, twice as dense along the hole as far from it and denser towards the clamped corners.
Against meshes of a third of the spacing displacements are right to 1e-3, and stresses of von Mises to 2 or 3 % in the
mean over the area; over the nodes to 5 %, since these crowd at the clamped corners, where stresses have no bound.
Z. Li, D. Z. Huang, B. Liu, A. Anandkumar, JMLR 24 (2023), arXiv 2207.05209. Departures: theirs is rubber under a great
load, clamped below and pulled above, on 972 points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdesolve.condition import Dirichlet, Traction
from pdesolve.errors import InputError
from pdesolve.family import Draws, Family
from pdesolve.fields import Vector
from pdesolve.geometry import Axis, Box, PiercedBox, Star
from pdesolve.integration.elastic import ElasticSimulator
from pdesolve.physics.equations.linear_elasticity import LinearElasticity
from pdesolve.problem import Evaluation, Problem

_ANGLES = 64  # at which the shape is sampled: its curve goes through these points
_DENSITY = math.pi**-0.5


@dataclass(frozen=True)
class Elasticity(Family):
    """Plates with a hole of random shape.

    Attributes:
        spacing: the length of the elements' sides far from the hole and the clamped corners; nodes are half as far
            apart.
        young: Young's modulus E.
        poisson: Poisson's ratio, between -1 and 1/2.
        tension: the force per length that pulls at the right.
        modes: waves of the random shape; 0 makes circles.
    """

    spacing: float = 0.06
    young: float = 1.0
    poisson: float = 0.3
    tension: float = 1.0
    modes: int = 6
    tolerance = 1e-8

    def __post_init__(self) -> None:
        if not (self.young > 0 and -1 < self.poisson < 0.5):
            raise InputError(
                f"a body has a positive modulus and a ratio between -1 and 0.5, got young={self.young} and "
                f"poisson={self.poisson}"
            )
        if not 0 <= self.modes < _ANGLES // 4:
            raise InputError(f"shapes have 0 to {_ANGLES // 4 - 1} waves, got modes={self.modes}")

    def problems(self, draws: Draws) -> Sequence[Problem]:
        return tuple(self._problem(radii) for radii in self.radii(draws))

    def radii(self, draws: Draws) -> np.ndarray:
        """The radii (sample, angle) of the holes at equal angles from 0 on."""
        q = 2 * math.pi * np.arange(_ANGLES) / _ANGLES
        k = np.arange(1, self.modes + 1)
        waves = np.stack([np.sin(k[:, None] * q), np.cos(k[:, None] * q)]) * (4.0 / np.sqrt(k**2 + 9.0))[:, None]
        mean, normal = draws.normal(1), draws.normal(self.modes, 2)
        g = 4.0 / 3.0 * mean / math.sqrt(2 * math.pi) + _DENSITY * np.einsum("nki,ikq->nq", normal, waves)
        return 0.2 + 0.2 / (1.0 + np.exp(g))

    def _problem(self, radii: np.ndarray) -> Problem:
        def pull(p: Any, x: Any) -> Vector:
            return Vector({"x": x.constant(self.tension), "y": x.constant(0.0)})

        square = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
        shear = self.young / (2.0 * (1.0 + self.poisson))
        return Problem(
            name="elasticity",
            equation=LinearElasticity(),
            domain=PiercedBox(square, Star("hole", (0.5, 0.5), tuple(radii.tolist()), side=-1)),
            conditions=(
                Dirichlet("displacement", "x_min", 0.0),
                Traction("displacement", "x_max", pull),
                Traction("displacement", ("y_min", "y_max", "hole"), 0.0),
            ),
            values={"first_lame": 2.0 * shear * self.poisson / (1.0 - 2.0 * self.poisson), "shear_modulus": shear},
            evaluation=Evaluation(31),
            description=__doc__ or "",
            source="Li, Huang, Liu, Anandkumar, JMLR 24 (2023), arXiv 2207.05209",
        )

    @property
    def simulator(self) -> ElasticSimulator:
        return ElasticSimulator(self.spacing)
