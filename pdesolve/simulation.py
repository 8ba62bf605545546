"""Solutions of batched problems as labelled data sets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pdesolve.condition import BoundaryCondition, Impermeable, Neumann
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import COMPONENT, SAMPLE, Coordinate, Dataset, Variable
from pdesolve.equation import FluxForm
from pdesolve.fields import Constant, Coordinates
from pdesolve.geometry import Grid
from pdesolve.problem import Problem
from pdesolve.settings import plain


def simulated(problem: Problem, fields: Mapping[str, Tensor]) -> Dataset:
    """The scalars (sample, *evaluation grid) of a batched problem's solution, with all that is known of them.

    Scalars of a vector become its components. Parameters that are numbers become parameters of the data set, over
    `sample` where they differ; those that are fields become variables.
    """
    grid = problem.evaluation_set
    assert isinstance(grid, Grid)
    names = grid.axes.names
    time, space = (("t",), names[1:]) if problem.time else ((), names)
    variables: dict[str, Variable] = {}
    for unknown in problem.equation.unknowns:
        parts = [fields[name].detach().cpu() for name in unknown.scalars if name in fields]
        if not parts:
            continue
        component = (COMPONENT,) if unknown.components else ()
        values = torch.stack(parts, 1 + len(time)) if component else parts[0]
        dims = (SAMPLE, *time, *component, *space)
        unit = problem.quantity(unknown.scalars[0]).unit
        variables[unknown.name] = Variable(
            unknown.name, Memory(values.numpy()), dims, None if unit is None else str(unit), unknown.components,
            unknown.long_name,
        )  # fmt: skip
    samples = next(iter(variables.values())).array.shape[0]
    parameters, given = _parameters(problem, grid, samples, space)
    coordinates = {m.axis.name: Coordinate(m.axis, m.points, m.axis.unit or "") for m in grid.members}
    return Dataset(variables | given, coordinates, parameters, attributes=described(problem))


def described(problem: Problem) -> dict[str, Any]:
    """What the attributes of a data set say of its problem."""
    return {
        "title": problem.description.strip().partition("\n")[0],
        "problem": problem.name,
        "settings": json.dumps(plain(dict(problem.settings))),
        "equation": type(problem.equation).__name__,
        "conditions": json.dumps([str(name) for name in problem.named_conditions]),
        "boundary_conditions": json.dumps(_boundaries(problem)),
        "source": problem.source,
    }


def _boundaries(problem: Problem) -> dict[str, dict[str, Any]]:
    """The ends of the axes of a box as the Well classifies them: what waves leave through is open, all else a wall."""
    if not problem.domain.is_box:
        return {}
    waves = isinstance(problem.equation, FluxForm) and type(problem.equation).wave_speed is not FluxForm.wave_speed
    found: dict[str, dict[str, Any]] = {}
    for axis in problem.domain.axes:
        for side in (f"{axis.name}_min", f"{axis.name}_max"):
            here = [c for c in problem.conditions if isinstance(c, (BoundaryCondition, Impermeable))
                    and side in c.parts(problem)]  # fmt: skip
            if here:
                free = waves and all(isinstance(condition, Neumann) for condition in here)
                fields = list(dict.fromkeys(condition.unknown for condition in here))
                found[side] = {"type": "OPEN" if free else "WALL", "axes": [axis.name], "fields": fields}
    return found


def _parameters(
    problem: Problem, grid: Grid, samples: int, space: tuple[str, ...]
) -> tuple[dict[str, Variable], dict[str, Variable]]:
    """Parameters that are numbers, and those that are fields, as variables on the grid of space."""
    x = Coordinates(grid.without("t") if problem.time else grid)
    x = x.at_instant(problem.time.lower) if problem.time else x
    numbers, fields = {}, {}
    long_names = {parameter.name: parameter for parameter in problem.equation.parameters}
    for name, field in problem.bind(x).items():
        about = long_names[name]
        unit = None if field.quantity.unit is None else str(field.quantity.unit)
        if isinstance(field, Constant):
            values = np.asarray(field.values.detach().cpu())
            numbers[name] = Variable(name, Memory(values), (SAMPLE,) * values.ndim, unit, (), about.long_name)
            continue
        values = x.expand(field).values.detach().cpu()
        batched = values.ndim > len(space)
        values = values.expand(*([samples] if batched else []), *x.expand(field).values.shape[-len(space) :])
        dims = (*([SAMPLE] if batched else []), *space)
        fields[name] = Variable(name, Memory(values.numpy()), dims, unit, (), about.long_name)
    return numbers, fields
