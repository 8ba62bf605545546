"""The problem that a labelled data set comes from, and the residual of its equation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from pdesolve.catalogue import is_problem_file, make_family, make_problem
from pdesolve.equation import assemble, flatten
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, GridField
from pdesolve.geometry import Grid
from pdesolve.gridded import axis_of, grid_field, member_of
from pdesolve.labelled import dataset_of

if TYPE_CHECKING:
    import xarray as xr

    from pdesolve.problem import Problem, Value


def problem_of(dataset: xr.Dataset, file: str | None = None) -> tuple[Problem, dict[str, Value]]:
    """The problem that a data set of ours names, with its settings, and the parameter values: one of the catalogue, or
    of a file, which may have moved to `file`.

    Raises:
        InputError: a data set of others, a problem that is in no catalogue, one whose file is not there any more, a
            parameter that was a field.
    """
    if file is None and "family" in dataset.attrs:
        return _drawn(dataset)
    name = dataset.attrs.get("problem")
    if name is None:
        raise InputError("the data set names no problem (attribute 'problem'): write .pde.residual(problem=...)")
    file = file or dataset.attrs.get("problem_file")
    if file is not None and not Path(file).is_file():
        raise InputError(
            f"the file {file} of {name} is not there any more: write .pde.residual(problem='{Path(file).name}') with "
            "the path it has now"
        )
    try:
        problem = make_problem(str(file or name), json.loads(dataset.attrs.get("settings", "{}")))
    except InputError as error:
        if file is not None:
            raise InputError(
                f"{name} cannot be read from {file} any more, {error}: write .pde.residual(problem=...) with a file as "
                "it was"
            ) from error
        raise InputError(
            f"{name} cannot be made from the catalogue: write .pde.residual(problem=...) with it"
        ) from error
    stored = json.loads(dataset.attrs.get("parameters", "{}"))
    unstored = [parameter for parameter, value in stored.items() if value is None]
    if unstored:
        raise InputError(
            f"{', '.join(unstored)} of {name} was a field, which attributes cannot hold: write "
            f".pde.residual(problem=..., values={{{unstored[0]!r}: ...}})"
        )
    return problem, {k: torch.tensor(v, dtype=torch.float64) if isinstance(v, list) else v for k, v in stored.items()}


def _drawn(dataset: xr.Dataset) -> tuple[Problem, dict[str, Value]]:
    """The problem of samples of a family, whose parameters, numbers or fields, are variables of the data set."""
    family = make_family(str(dataset.attrs["family"]), json.loads(dataset.attrs.get("family_settings", "{}")))
    (problem, *others) = family.sample(1)
    if others:
        raise InputError(f"the samples of {dataset.attrs['family']} have problems of their own, not one for all")
    values: dict[str, Value] = {}
    for name in (parameter.name for parameter in problem.equation.parameters if parameter.name in dataset):
        axes = [dim for dim in map(str, dataset[name].dims) if dim != "sample"]
        if axes:
            members = [member_of(axis_of(dataset[axis]), dataset[axis]) for axis in axes]
            values[name] = grid_field(dataset[name], members)
        else:
            values[name] = torch.from_numpy(np.asarray(dataset[name].values, float))
    return problem, values


def residual(
    dataset: xr.Dataset,
    problem: Problem | str | None = None,
    *,
    values: Mapping[str, Value] | None = None,
    accuracy: int = 4,
) -> xr.Dataset:
    """The residual of a problem's equation at the places of gridded data, one variable a row.

    problem: a Problem, a name of the catalogue or a problem's .yaml file; by default the one that the attributes name.

    Derivatives are taken from the values alone: Fourier along periodic axes, finite differences of the accuracy (2, 4
    or 6) elsewhere, in time too, so that the residual of an exact solution is the error of these differences.

    Raises:
        InputError: a data set on points, without some unknown or axis, or with too few points for the differences.
    """
    # a file has the settings and the values that the data set was solved with
    if isinstance(problem, str) and not (is_problem_file(problem) and "problem_file" in dataset.attrs):
        problem = make_problem(problem)
    if problem is None or isinstance(problem, str):
        problem, stored = problem_of(dataset, problem)
        values = {**stored, **(values or {})}
    missing = [name for name in problem.equation.scalars if name not in dataset.data_vars]
    if missing:
        known = ", ".join(map(str, dataset.data_vars)) or "nothing"
        raise InputError(f"{problem.name} needs the variables {', '.join(missing)}, the data set has {known}: rename")
    names = problem.axes.names
    for name in problem.equation.scalars:
        if not set(names) <= set(dataset[name].dims):
            raise InputError(
                f"a residual needs data on a grid of {', '.join(names)}, {name} has "
                f"{', '.join(map(str, dataset[name].dims))}: evaluate the solution on a grid, by "
                "solution.dataset(grid) or pdesolve predict RUN --grid"
            )
    dataset = dataset.sortby(list(names))
    grid = Grid(tuple(member_of(axis, dataset[axis.name]) for axis in problem.axes), accuracy)
    x = Coordinates(grid)
    fields = {}
    for name in problem.equation.scalars:
        field = grid_field(dataset[name], grid.members)
        fields[name] = GridField(field.values, grid, problem.quantity(name))
    rows = flatten(problem.equation.residual(assemble(problem.equation.unknowns, fields), problem.bind(x, values), x))
    variables = {}
    for name, row in rows.items():
        template = dataset[name]
        others = [dim for dim in template.dims if dim not in names]
        template = template.transpose(*others, *names)
        made = template.copy(data=x.expand(row).values.detach().expand(template.shape).numpy())
        made.attrs = {"units": str(row.unit or "1"), "long_name": f"residual of {name}"}
        variables[name] = made.transpose(*dataset[name].dims)
    about = {**dataset.attrs, "title": f"{problem.name}: residual of {type(problem.equation).__name__}"}
    return dataset_of(variables, about)
