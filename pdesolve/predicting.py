"""A stored solution at other places and times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Grid, GridAxis, PointCloud
from pdesolve.method import Solution
from pdesolve.proof import as_far_as_solved
from pdesolve.table import read_table

if TYPE_CHECKING:
    import xarray as xr


def predict_on_grid(
    solution: Solution, sizes: Sequence[int] | None = None, times: Sequence[float] | None = None
) -> xr.Dataset:
    """The solution on a grid of `sizes` points along the axes of space, at the given times.

    Without sizes or times those of the problem's evaluation set are used.

    Raises:
        InputError: another number of sizes than axes of space, times outside the time axis.
    """
    problem = as_far_as_solved(solution).problem
    space = problem.domain.axes
    if sizes is not None and len(sizes) != len(space):
        example = ",".join([str(sizes[0] if sizes else 50)] * len(space))
        raise InputError(
            f"{problem.name} has the axes of space {space}, got {len(sizes)} sizes: give one for each, as in "
            f"--grid {example}"
        )
    if times is not None and problem.time is None:
        raise InputError(f"{problem.name} is stationary: leave out the times")
    if times is not None:
        _inside(Axes((problem.axes["t"],)), np.asarray(times, dtype=float)[:, None], problem.name)
    points = problem.evaluation.points if sizes is None else dict(zip(space.names, sizes, strict=True))
    instants = sorted(times) if times is not None else problem.evaluation.times
    return solution.dataset(problem.grid(points, instants if problem.time else None))


def predict_at_points(solution: Solution, points: np.ndarray) -> xr.Dataset:
    """The solution at scattered points (point, axis), columns in axis order: variables over one dimension `point`.

    Raises:
        InputError: another number of columns, points outside the bounding box.
    """
    problem = as_far_as_solved(solution).problem
    if points.ndim != 2 or points.shape[1] != len(problem.axes):
        raise InputError(f"points need the {len(problem.axes)} columns {problem.axes}, got the shape {points.shape}")
    _inside(problem.axes, points, problem.name)
    return solution.dataset(PointCloud(problem.axes, torch.as_tensor(points, dtype=torch.float64)))


def predict_at(solution: Solution, places: Mapping[str, Any]) -> xr.Dataset:
    """The solution at a number, a sequence of numbers or an array of points for each axis.

    Raises:
        InputError: axes that are missing or unknown, what is no finite number, places outside of the axes or of the
            time that was solved, arrays of different dimensions.
    """
    import xarray as xr

    axes, name = as_far_as_solved(solution).problem.axes, solution.problem.name
    for given in places:
        axes.index(given)
    missing = [axis.name for axis in axes if axis.name not in places]
    if missing:
        example = ", ".join(f"{axis.name}={axis.lower:g}" for axis in axes)
        raise InputError(f"{name} is a function of {axes}, {', '.join(missing)} is missing: write at({example})")
    values = {}
    for axis in axes:
        values[axis.name] = array = np.asarray(places[axis.name])
        if array.dtype.kind not in "iuf" or array.ndim > 1 or not array.size or not np.isfinite(array).all():
            raise InputError(
                f"places along {axis.name} are a finite number or a list of them, as in at({axis.name}={axis.lower:g}),"
                f" got {' '.join(repr(places[axis.name]).split())[:60]}"
            )
        _inside(Axes((axis,)), array.astype(float).reshape(-1, 1), name)
    dims = {v.dims for k, v in places.items() if isinstance(v, xr.DataArray) and v.ndim and v.dims != (k,)}
    if dims:
        lengths = {array.shape for array in values.values() if array.ndim}
        if len(dims) > 1 or len(lengths) > 1 or any(np.ndim(v) and not hasattr(v, "dims") for v in places.values()):
            raise InputError("points are arrays over one common dimension: write xr.DataArray(..., dims='point') each")
        columns = np.stack(np.broadcast_arrays(*(v.astype(float) for v in values.values())), 1)
        return solution.dataset(PointCloud(axes, torch.from_numpy(columns)))
    members, back = [], {}
    for axis in axes:
        array = values[axis.name].astype(float)
        distinct, index = np.unique(array.reshape(-1), return_inverse=True)
        members.append(GridAxis.at(axis, distinct.tolist()))
        back[axis.name] = index if array.ndim else int(index[0])  # in the order asked for
    return solution.dataset(Grid(tuple(members))).isel(back)


def read_points(path: Path, axes: Axes) -> np.ndarray:
    """Points of a CSV file whose header names the axes, columns put into axis order.

    Raises:
        InputError: a missing file, other columns, cells that are no numbers.
    """
    header, table = read_table(path, "points")
    if sorted(header) != sorted(axes.names) or not len(table):
        raise InputError(f"{path} needs the header {','.join(axes.names)} and a row for each point, got {header}")
    return table[:, [header.index(name) for name in axes.names]]


def _inside(axes: Axes, points: np.ndarray, name: str) -> None:
    for column, axis in zip(points.T, axes, strict=True):
        slack = 1e-9 * axis.length
        if not np.isfinite(column).all() or column.min() < axis.lower - slack or column.max() > axis.upper + slack:
            raise InputError(
                f"{name} is solved for {axis.name} in [{axis.lower:.6g}, {axis.upper:.6g}], asked for "
                f"{column.min():.6g} to {column.max():.6g}"
            )
