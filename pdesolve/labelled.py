"""The bridge to xarray: solutions as labelled data sets, stored as netCDF-4."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pdesolve import metrics
from pdesolve.errors import InputError
from pdesolve.geometry import Grid, PointCloud
from pdesolve.problem import Problem, Value
from pdesolve.settings import plain

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
    # null says that a field or a function took the place of the problem's own
    numbers = {k: v if isinstance(v, (int, float, list)) else None for k, v in numbers.items()}
    numbers = {k: v for k, v in numbers.items() if v is not None or k in (values or {})}
    attributes = {
        "title": f"{problem.name}: {problem.description.strip().partition(chr(10))[0]}".rstrip(": "),
        "problem": problem.name,
        "settings": json.dumps(plain(dict(problem.settings))),
        "equation": type(problem.equation).__name__,
        "parameters": json.dumps(numbers),
        "notes": json.dumps(dict(notes or {})),
        "source": problem.source,
        "pdesolve_format": FORMAT,
        "Conventions": "CF-1.11",
    }
    return dataset_of(variables, attributes, coordinates)


def dataset_of(
    variables: Mapping[Any, Any], attributes: Mapping[Any, Any], coordinates: Mapping[Any, Any] | None = None
) -> xr.Dataset:
    """A data set; the accessor `.pde` is there from the first one on."""
    import xarray as xr

    import pdesolve.accessor  # noqa: F401

    return xr.Dataset(variables, coordinates, attributes)


def aligned(found: xr.Dataset, other: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """The variables that both data sets have, dimensions and coordinates in the same order.

    Raises:
        InputError: no common variable, other dimensions or units, or values known at other places.
    """
    names = [str(name) for name in found.data_vars if name in other.data_vars]
    if not names:
        known = " and ".join(", ".join(map(str, d.data_vars)) or "nothing" for d in (found, other))
        raise InputError(f"no variable is in both data sets, they have {known}: rename one by .rename")
    found, other = ((d[names].sortby([k for k in d.dims if k in d.coords])) for d in (found, other))
    for name in names:
        a, b = found[name], other[name]
        if set(a.dims) != set(b.dims):
            dims = " and ".join(", ".join(map(str, v.dims)) or "no dimension" for v in (a, b))
            raise InputError(f"{name} is over {dims}: choose by .sel or interpolate by .pde.at before comparing")
        units = [v.attrs.get("units") for v in (a, b)]
        if None not in units and units[0] != units[1]:
            raise InputError(f"{name} is in {units[0]!r} and in {units[1]!r}: convert one, and set its attribute units")
        for key in a.coords:
            _same_places(name, a[key], b[key] if key in b.coords else None)
        if any(a.sizes[dim] != b.sizes[dim] for dim in a.dims):
            raise InputError(f"{name} has the sizes {dict(a.sizes)} and {dict(b.sizes)}: {_INTERPOLATE}")
    return found, other.transpose(*found.dims)


_INTERPOLATE = "interpolate one first, as in ds.pde.error(other.pde.at(ds))"


def _same_places(name: str, a: xr.DataArray, b: xr.DataArray | None) -> None:
    if b is None or not a.ndim:
        return
    same = a.sizes == b.sizes
    if same and a.dtype.kind in "fiu":
        slack = 1e-9 if min(a.dtype.itemsize, b.dtype.itemsize) > 4 else 1e-5
        same = bool(np.abs(a.values - b.values).max() <= slack * (np.ptp(a.values) or 1.0))
    elif same:
        same = bool((a.values == b.values).all())
    if not same:
        sizes = " and ".join(f"{c.size} from {c.values.min():.4g} to {c.values.max():.4g}" for c in (a, b))
        raise InputError(f"{name} is known at other {a.name}, {sizes}: {_INTERPOLATE}")


def errors(found: xr.Dataset, reference: xr.Dataset) -> dict[str, dict[str, float | None]]:
    """The errors of each variable that both have, by the measures of a proof (`pdesolve.metrics.errors`).

    Places where both are missing (NaN) are left out. `final` is at the last time where there is a coordinate t.

    Raises:
        InputError: data sets that `aligned` refuses.
    """
    found, reference = aligned(found, reference)
    result = {}
    for name in map(str, found.data_vars):
        u, truth = found[name], reference[name].transpose(*found[name].dims)
        pairs = [(u.values, truth.values)]
        if "t" in u.coords and u["t"].ndim:
            final = {str(u["t"].dims[0]): np.flatnonzero(u["t"].values == u["t"].values.max())}
            pairs.append((u.isel(final).values, truth.isel(final).values))
        tensors = []
        for a, b in pairs:
            there = ~(np.isnan(a) & np.isnan(b))
            tensors.append((torch.from_numpy(a[there].astype(float)), torch.from_numpy(b[there].astype(float))))
        (a, b), last = tensors[0], tensors[1] if len(tensors) > 1 else None
        result[name] = metrics.errors(a, b, last)
    return result


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

    import pdesolve.accessor  # noqa: F401

    if not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load()
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise InputError(f"cannot read {path} as netCDF-4: {reason}") from error
