"""Checks that simulated samples pass before they are kept: finite, conserved, with a small defect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdesolve.data.dataset import COMPONENT, SAMPLE, Dataset
from pdesolve.equation import Conserving
from pdesolve.family import Family
from pdesolve.fields import Coordinates
from pdesolve.geometry import Grid
from pdesolve.problem import Problem


@dataclass(frozen=True)
class Verdict:
    """What the checks of a batch found.

    reasons: why samples are refused, by their position in the batch. defect: the largest of those that are kept.
    drifts: the largest departure of each conserved quantity among those that are kept.
    """

    reasons: Mapping[int, str]
    defect: float
    drifts: Mapping[str, float]


def judged(family: Family, problem: Problem, data: Dataset, *, device: str = "cpu") -> Verdict:
    """Whether each sample is finite, keeps what its equation conserves, and has a defect below the family's tolerance.

    Conserved are the quantities that `Problem.conserved` names, all of the equation's where every axis is periodic.
    Their integrals on the stored grid may depart from those of the first frame by the family's `drift`, relative to the
    integral of the density's absolute value.
    """
    reasons = _not_finite(data)
    defects = np.broadcast_to(family.simulator.defect(problem, data, device=device), (data.samples,))
    drifts = conservation_drifts(problem, data)
    for i in range(data.samples):
        if i in reasons:
            continue
        if not defects[i] <= family.tolerance:  # NaN is not
            reasons[i] = f"its defect is {defects[i]:.2e} > {family.tolerance:g}"
        for name, drift in drifts.items():
            if i not in reasons and not drift[i] <= family.drift:
                reasons[i] = f"{name} departs by {drift[i]:.2e} > {family.drift:g}"
    kept = [i for i in range(data.samples) if i not in reasons]
    return Verdict(
        reasons,
        max((float(defects[i]) for i in kept), default=0.0),
        {name: max((float(drift[i]) for i in kept), default=0.0) for name, drift in drifts.items()},
    )


def conservation_drifts(problem: Problem, data: Dataset) -> dict[str, np.ndarray]:
    """The largest departure (sample,) over the frames of the integral of each conserved quantity from its first value,
    relative to the largest integral of the density's absolute value.

    Evolutions of order 2 are left out: their velocities are not stored.
    """
    equation, grid = problem.equation, problem.evaluation_set
    if not isinstance(equation, Conserving) or equation.order == 2 or not isinstance(grid, Grid):
        return {}
    closed = all(axis.periodic for axis in problem.domain.axes)
    if not closed and not problem.conserved:
        return {}
    scalars = _scalars(problem, data)
    if set(scalars) != set(equation.scalars):
        return {}
    weights = torch.ones((), dtype=torch.float64)
    for member in grid.members[1:]:
        weights = weights.unsqueeze(-1) * torch.as_tensor(member.weights)
    space = tuple(range(1 - len(grid.shape), 0))
    x = Coordinates(grid)
    densities = equation.conserved(problem.state(scalars, x), problem.bind(x), x)
    found = {}
    for name, density in densities.items():
        if not closed and name not in problem.conserved:
            continue
        values = x.expand(density).values.expand(data.samples, *grid.shape) * weights
        totals, sizes = values.sum(space), values.abs().sum(space)
        drift = (totals - totals[:, :1]).abs().amax(1) / sizes.amax(1).clamp_min(1e-300)
        found[name] = drift.numpy()
    return found


def _scalars(problem: Problem, data: Dataset) -> dict[str, Tensor]:
    """The scalars (sample, *grid) of the state, those that are stored."""
    found = {}
    for unknown in problem.equation.unknowns:
        if unknown.name not in data.variables:
            continue
        variable = data.variables[unknown.name]
        values = torch.as_tensor(variable.array.all(), dtype=torch.float64)
        parts = values.unbind(variable.dims.index(COMPONENT)) if unknown.components else (values,)
        found |= dict(zip(unknown.scalars, parts, strict=True))
    return found


def _not_finite(data: Dataset) -> dict[int, str]:
    """The samples with numbers that are not finite, and which."""
    found: dict[int, str] = {}
    for name, variable in (*data.variables.items(), *data.parameters.items()):
        values = variable.array.all()
        if values.dtype.kind not in "fc" or np.isfinite(values).all():
            continue
        if SAMPLE not in variable.dims:  # one sample alone, or what all samples share
            found |= dict.fromkeys(range(data.samples), f"{name} is not finite")
            continue
        for i, sample in enumerate(values):
            if i not in found and not np.isfinite(sample).all():
                first = np.argwhere(~np.isfinite(sample))[0]
                where = f" from frame {first[0]} on" if "t" in variable.dims else ""
                found[i] = f"{name} is not finite{where}"
    return found
