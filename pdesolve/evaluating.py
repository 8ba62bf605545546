"""Formulas of a solution at points: by jets, in chunks whose bytes are known before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pdesolve.equation import State, flatten
from pdesolve.fields import Coordinates
from pdesolve.geometry import PointCloud
from pdesolve.least_squares.footprint import measured
from pdesolve.method import Solution

BYTES = 2**28  # that points take which go at once
_FEW, _MOST = 16, 4096  # points whose bytes tell those of more, and the most that go at once


def evaluated(solution: Solution, cloud: PointCloud, formula: Callable[[Coordinates], State]) -> dict[str, Tensor]:
    """What a formula of coordinates gives at points, {name: (*sample, point)}, with the partials that it asks for.

    Networks carry these in one forward pass, as in training; what has no rule for that, and fields that are known by
    data, are differentiated by autograd.
    """
    kind: dict[str, Any] = {"dtype": solution.dtype, "device": solution.device}
    wanted = Coordinates.wanted_by(formula, cloud, **kind)

    def values(some: PointCloud) -> dict[str, Tensor]:
        x = Coordinates.of_jets(some, wanted, **kind)
        found = {name: x.expand(field).values.detach() for name, field in flatten(formula(x)).items()}
        # what is the same everywhere, as slopes of polynomials are, may come as one number
        return {name: v.expand(np.broadcast_shapes(v.shape, (len(some.x),))) for name, v in found.items()}

    parts = [values(some) for some in chunks(cloud, values)]
    return {name: torch.cat([part[name] for part in parts], -1) for name in parts[0]}


def residual_rows(solution: Solution, cloud: PointCloud) -> dict[str, Tensor]:
    """The rows of the equation's residual at points, {name: (*sample, point)}."""
    problem = solution.problem

    def rows(x: Coordinates) -> State:
        return problem.equation.residual(solution.state(x), problem.bind(x, solution.values), x)

    return evaluated(solution, cloud, rows)


def chunks(cloud: PointCloud, evaluate: Callable[[PointCloud], Any]) -> Iterator[PointCloud]:
    """The points in parts of which `evaluate` takes some 256 MiB each, as it does at a few of them."""
    few = cloud.some(slice(0, _FEW))
    _, footprint = measured(lambda: evaluate(few))
    each = max(1, footprint.peak // max(1, len(few.x)))
    size = min(max(_FEW, BYTES // each), _MOST)
    for start in range(0, max(1, len(cloud.x)), size):
        yield cloud.some(slice(start, start + size))
