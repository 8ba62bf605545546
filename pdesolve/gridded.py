"""Labelled data sets as grid fields again: interpolated, and held against an equation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pdesolve.equation import assemble, flatten
from pdesolve.errors import InputError, unknown_name
from pdesolve.fields import Coordinates, GridField, Quantity
from pdesolve.fields.interpolation import interpolate
from pdesolve.geometry import Axes, Axis, Grid, GridAxis, Placement, PointCloud
from pdesolve.labelled import dataset_of

if TYPE_CHECKING:
    import xarray as xr

    from pdesolve.problem import Problem, Value


def axis_of(coordinate: xr.DataArray) -> Axis:
    """The axis of a coordinate: its bounds and whether it is periodic by our attributes, else the ends of its points.

    Raises:
        InputError: fewer than two points, or points that are no numbers.
    """
    name = str(coordinate.name)
    if coordinate.dtype.kind not in "fiu" or coordinate.size < 2:
        raise InputError(
            f"{name} is no axis of numbers: expected two coordinates at least, got {coordinate.size} of type "
            f"{coordinate.dtype}"
        )
    points = np.asarray(coordinate.values, dtype=float)
    about = coordinate.attrs
    lower, upper = (float(about.get(f"bounds_{side}", np.nan)) for side in ("lower", "upper"))
    slack = _slack(coordinate) * np.ptp(points)
    within = lower - slack <= points.min() and points.max() <= upper + slack
    if not within:
        return Axis(name, float(points.min()), float(points.max()))
    return Axis(name, lower, upper, periodic=bool(about.get("periodic", 0)))


def member_of(axis: Axis, coordinate: xr.DataArray) -> GridAxis:
    """The points of a coordinate on an axis, with the placement they have (see `member_at`)."""
    return member_at(axis, coordinate.values)


def member_at(axis: Axis, coordinates: np.ndarray) -> GridAxis:
    """Coordinates (size,) on an axis, with the placement they have, so that derivatives are as good as can be.

    Points that leave out a part of a period are those of an axis that is not periodic. Coordinates in single precision
    may be off by as much.

    Raises:
        InputError: points that do not ascend.
    """
    points = np.asarray(coordinates, dtype=float)
    gaps = np.diff(points)
    if len(points) < 2 or not (gaps > 0).all():
        raise InputError(f"the coordinate {axis.name} must ascend, with two points at least: sort it by .sortby")
    name, n, slack = axis.name, len(points), _slack(coordinates) * axis.length
    if axis.periodic:
        around = axis.length - (points[-1] - points[0])
        if np.ptp([*gaps, around]) <= slack:
            # half-open, wherever it begins
            begin = axis.lower if abs(points[0] - axis.lower) <= slack else float(points[0])
            return GridAxis(Axis(name, begin, begin + axis.length, axis.unit, periodic=True), "periodic", n)
        if -slack <= around <= 1.5 * gaps.max():
            return GridAxis.at(axis, points.tolist())
        axis = Axis(name, float(points[0]), float(points[-1]), axis.unit)
    placements: tuple[Placement, ...] = ("nodes", "cells", "chebyshev")
    for placement in placements:
        member = GridAxis(axis, placement, n)
        if np.abs(member.points - points).max() <= slack:
            return member
    return GridAxis.at(axis, points.tolist())


def grid_field(array: xr.DataArray, members: Sequence[GridAxis]) -> GridField:
    """The values as a field on the given axes; other dimensions become those of samples, in front."""
    names = [member.axis.name for member in members]
    if array.dtype.kind not in "fiub":
        raise InputError(f"{array.name} holds {array.dtype}, expected real numbers: take .real and .imag one by one")
    others = [dim for dim in array.dims if dim not in names]
    values = np.ascontiguousarray(array.transpose(*others, *names).values, dtype=float)
    return GridField(torch.from_numpy(values), Grid(tuple(members)), Quantity(str(array.name)))


def at(dataset: xr.Dataset, places: Mapping[str, Any]) -> xr.Dataset:
    """The variables at other places along some axes, by polynomials of degree 7 (spectrally refined where periodic).

    places: for each axis a number (the axis goes), a sequence (a grid), or arrays over one common dimension (points).
    Variables without any of the axes stay as they are.

    Raises:
        InputError: an unknown axis, places outside of the data, arrays of different dimensions.
    """
    import xarray as xr

    for name, value in places.items():
        if name not in dataset.dims:
            if name in dataset.coords:
                dims = ", ".join(map(str, dataset.dims))
                raise InputError(f"values elsewhere need a grid, here {name} is a coordinate of the dimension {dims}")
            raise unknown_name("axis", name, map(str, dataset.dims))
        if np.asarray(value).dtype.kind not in "iuf" or not np.isfinite(np.asarray(value)).all():
            raise InputError(f"places along {name} are finite numbers, as in .pde.at({name}=0.3), got {value!r:.60}")
    points = {k: v for k, v in places.items() if isinstance(v, xr.DataArray) and v.ndim and v.dims != (k,)}
    if len({value.dims for value in points.values()}) > 1 or any(value.ndim != 1 for value in points.values()):
        dims = ", ".join(f"{name} over {list(value.dims)}" for name, value in points.items())
        raise InputError(f"points are arrays over one common dimension, got {dims}: write dims='point' for each")
    grids = {name: np.asarray(value, dtype=float) for name, value in places.items() if name not in points}
    dataset = dataset.sortby([name for name in places if name in dataset.coords])
    variables = {}
    for name, array in dataset.data_vars.items():
        own = {axis: value for axis, value in points.items() if axis in array.dims}
        array = _at_points(array, own) if own else array
        rest = {axis: value for axis, value in grids.items() if axis in array.dims}
        variables[name] = _on_grid(array, rest) if rest else array
    return dataset_of(variables, dataset.attrs)


def _on_grid(array: xr.DataArray, places: Mapping[str, np.ndarray]) -> xr.DataArray:
    import xarray as xr

    members = [member_of(axis_of(array[name]), array[name]) for name in sorted(places, key=lambda name: name != "t")]
    targets, back = [], {}
    for member in members:
        distinct, back[member.axis.name] = np.unique(places[member.axis.name].reshape(-1), return_inverse=True)
        targets.append(GridAxis.at(member.axis, distinct.tolist()))
    field = grid_field(array, members)
    values = interpolate(field, Coordinates(Grid(tuple(targets)))).values
    names = [member.axis.name for member in members]
    others = [dim for dim in array.dims if dim not in names]
    coordinates = {k: c for k, c in array.coords.items() if not set(c.dims) & set(names)}
    coordinates |= {t.axis.name: (t.axis.name, np.array(t.listed), array[t.axis.name].attrs) for t in targets}
    made = xr.DataArray(values.numpy(), dims=(*others, *names), coords=coordinates, name=array.name, attrs=array.attrs)
    # in the order asked for, a number without its dimension
    made = made.isel({name: back[name] if places[name].ndim else int(back[name][0]) for name in names})
    return made.transpose(*[dim for dim in array.dims if dim in made.dims])


def _at_points(array: xr.DataArray, places: Mapping[str, xr.DataArray]) -> xr.DataArray:
    import xarray as xr

    members = [member_of(axis_of(array[name]), array[name]) for name in sorted(places, key=lambda name: name != "t")]
    names = [member.axis.name for member in members]
    columns = np.stack([np.asarray(places[name].values, dtype=float) for name in names], 1)
    cloud = PointCloud(Axes(tuple(member.axis for member in members)), torch.from_numpy(columns))
    values = interpolate(grid_field(array, members), Coordinates(cloud, gradients=False)).values
    others = [dim for dim in array.dims if dim not in names]
    (point,) = places[names[0]].dims
    coordinates = {k: c for k, c in array.coords.items() if not set(c.dims) & set(names)}
    coordinates |= {name: (point, columns[:, i], array[name].attrs) for i, name in enumerate(names)}
    return xr.DataArray(values.numpy(), dims=(*others, point), coords=coordinates, name=array.name, attrs=array.attrs)


def places_of(like: xr.Dataset | xr.DataArray, dataset: xr.Dataset) -> dict[str, Any]:
    """The places of another data set along the axes of this one: a grid, or points.

    Raises:
        InputError: a data set without any of these axes.
    """
    places: dict[str, Any] = {}
    for name in map(str, dataset.dims):
        if name in like.coords and dataset[name].dtype.kind in "fiu":
            coordinate = like[name]
            places[name] = coordinate if coordinate.ndim and coordinate.dims != (name,) else coordinate.values
    if not places:
        raise InputError(
            f"the other data set has the coordinates {', '.join(map(str, like.coords)) or 'none'}, none of the axes "
            f"{', '.join(map(str, dataset.dims))}"
        )
    return places


def problem_of(dataset: xr.Dataset, file: str | None = None) -> tuple[Problem, dict[str, Value]]:
    """The problem that a data set of ours names, with its settings, and the parameter values: one of the catalogue, or
    of a file, which may have moved to `file`.

    Raises:
        InputError: a data set of others, a problem that is in no catalogue, one whose file is not there any more, a
            parameter that was a field.
    """
    from pdesolve.catalogue import make_problem

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
    from pdesolve.catalogue import make_family

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
    from pdesolve.catalogue import is_problem_file, make_problem

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


def _slack(coordinate: xr.DataArray | np.ndarray) -> float:
    """The relative error of stored coordinates."""
    return 1e-5 if coordinate.dtype.itemsize <= 4 else 1e-9
