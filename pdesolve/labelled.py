"""The bridge to xarray: solutions as labelled data sets, stored as netCDF-4."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry import Grid, PointCloud
from pdesolve.problem import Problem, Value

if TYPE_CHECKING:
    import xarray as xr

FORMAT = 1


def to_dataset(
    problem: Problem,
    places: Grid | PointCloud,
    scalars: Mapping[str, Tensor],
    *,
    values: Mapping[str, Value] | None = None,
    notes: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Scalars (*sample, *places) as an xarray.Dataset with named dimensions, coordinates and units.

    On a grid the dimensions are its axes; on points there is the one dimension `point`, with a coordinate per axis.
    `values` are the parameter values that take the place of the problem's.
    """
    import xarray as xr

    variables: dict[str, Any] = {}
    dimensions = places.axes.names if isinstance(places, Grid) else ("point",)
    long_names = {s: u.long_name or u.name for u in problem.equation.unknowns for s in u.scalars}
    for name, tensor in scalars.items():
        sample = ("sample",) * (tensor.ndim - len(places.shape))
        attributes = {"units": str(problem.quantity(name).unit or "1"), "long_name": long_names.get(name, name)}
        variables[name] = ((*sample, *dimensions), tensor.detach().cpu().numpy(), attributes)
    coordinates = {}
    for i, axis in enumerate(places.axes):
        attributes = {"units": axis.unit or "1", "bounds_lower": axis.lower}
        attributes |= {"bounds_upper": axis.upper, "periodic": int(axis.periodic)}
        if isinstance(places, Grid):
            coordinates[axis.name] = ((axis.name,), np.asarray(places.members[i].points), attributes)
        else:
            coordinates[axis.name] = (("point",), places.x[:, i].cpu().numpy(), attributes)
    given = {**problem.values, **(values or {})}
    numbers = {k: v.detach().tolist() if isinstance(v, Tensor) else v for k, v in given.items()}
    numbers = {k: v for k, v in numbers.items() if isinstance(v, (int, float, list))}
    attributes = {
        "title": f"{problem.name}: {problem.description.strip().partition(chr(10))[0]}".rstrip(": "),
        "problem": problem.name,
        "equation": type(problem.equation).__name__,
        "parameters": json.dumps(numbers),
        "notes": json.dumps(dict(notes or {})),
        "source": problem.source,
        "pdesolve_format": FORMAT,
        "Conventions": "CF-1.11",
    }
    return xr.Dataset(variables, coordinates, attributes)


def write_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Write netCDF-4 aside and rename it.

    Raises:
        InputError: the folder cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        dataset.to_netcdf(aside, engine="h5netcdf")
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error}; give another folder with --out") from error


def read_dataset(path: Path) -> xr.Dataset:
    """Read a netCDF-4 file into memory.

    Raises:
        InputError: no such file, or not one that can be read.
    """
    import xarray as xr

    if not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load()
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise InputError(f"cannot read {path} as netCDF-4: {reason}") from error
