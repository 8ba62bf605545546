"""What can be drawn of a data set, whoever made it: numbers over time and space, in an order that reads well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pdesolve.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

_MOST = 8  # variables in one figure
_VERTICAL = ("level", "lev", "depth", "height", "altitude", "sigma")


def drawable(dataset: xr.Dataset) -> xr.Dataset:
    """The first variables of real numbers, without bounds of cells and connections of meshes; time called t, dates and
    names counted in numbers, axes of depth or height last, and of samples the first.

    Raises:
        InputError: no such variable.
    """
    about = [{**v.encoding, **v.attrs} for v in dataset.variables.values()]
    bounds = {entry.get("bounds") for entry in about}
    names = [
        name
        for name, variable in dataset.data_vars.items()
        if variable.dtype.kind in "fiub" and variable.ndim and name not in bounds
        if not {"cf_role", "start_index"} & {*variable.attrs}
    ]
    if not names:
        raise InputError(f"nothing to draw: expected numbers over axes, got {list(dataset.sizes) or 'no dimension'}")
    dataset = dataset[names[:_MOST]]
    if "sample" in dataset.dims:
        dataset = dataset.isel(sample=0)
    times = [dim for dim in dataset.dims if _is_time(dataset, str(dim))]
    if times and "t" not in (*dataset.dims, *dataset.variables):
        dataset = dataset.rename({times[0]: "t"})
    for dim in map(str, dataset.dims):
        if dim in dataset.coords and dataset[dim].dtype.kind not in "fiu":
            dataset = dataset.assign_coords({dim: (dim, *_counted(dataset[dim]))})
    last = [dim for dim in map(str, dataset.dims) if dim != "t" and _is_vertical(dataset, dim)]
    first = [dim for dim in dataset.dims if dim == "t"]
    return dataset.transpose(*first, *[dim for dim in dataset.dims if dim not in (*first, *last)], *last)


def _counted(coordinate: xr.DataArray) -> tuple[np.ndarray, dict[str, Any]]:
    """Dates as days from the first one; the numbers of places with names."""
    if coordinate.dtype.kind == "M":
        since = coordinate.values - coordinate.values[0]
        return since / np.timedelta64(1, "D"), {"units": f"days since {str(coordinate.values[0])[:10]}"}
    return np.arange(coordinate.size), {}


def _is_time(dataset: xr.Dataset, dim: str) -> bool:
    about = {**dataset[dim].encoding, **dataset[dim].attrs}
    named = dim == "time" or about.get("axis") == "T" or about.get("standard_name") == "time"
    return named or dataset[dim].dtype.kind in "Mm" or " since " in str(about.get("units", ""))


def _is_vertical(dataset: xr.Dataset, dim: str) -> bool:
    about = dataset[dim].attrs
    return dim.lower().startswith(_VERTICAL) or "positive" in about or str(about.get("axis", "")).upper() == "Z"
