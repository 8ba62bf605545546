"""Labelled data sets as grid fields again, interpolated at other places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pdesolve.errors import InputError, unknown_name
from pdesolve.fields import Coordinates, GridField, Quantity
from pdesolve.fields.interpolation import interpolate
from pdesolve.geometry import Axes, Axis, Grid, GridAxis, Placement, PointCloud
from pdesolve.labelled import dataset_of

if TYPE_CHECKING:
    import xarray as xr


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


def _slack(coordinate: xr.DataArray | np.ndarray) -> float:
    """The relative error of stored coordinates."""
    return 1e-5 if coordinate.dtype.itemsize <= 4 else 1e-9
