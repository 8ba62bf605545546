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
    names counted in numbers, axes to the east first and of depth or height last; of samples the first, and no
    dimensions of one entry.

    Raises:
        InputError: no such variable.
    """
    sizes = dataset.sizes
    about = [{**v.encoding, **v.attrs} for v in dataset.variables.values()]
    bounds = {entry.get("bounds") for entry in about}
    names = [
        name
        for name, variable in dataset.data_vars.items()
        if variable.dtype.kind in "fiub" and variable.ndim and name not in bounds
        if not {"cf_role", "start_index"} & {*variable.attrs}
    ]
    dataset = dataset[names[:_MOST]]
    if "sample" in dataset.dims:
        dataset = dataset.isel(sample=0)
    dataset = dataset.squeeze([dim for dim, size in dataset.sizes.items() if size == 1], drop=True)
    dataset = dataset[[name for name, variable in dataset.data_vars.items() if variable.ndim]]
    if not dataset.data_vars:
        raise InputError(f"nothing to draw: expected numbers over axes, got {list(sizes) or 'no dimension'}")
    times = [dim for dim in dataset.dims if _is_time(dataset, str(dim))]
    if times and "t" not in (*dataset.dims, *dataset.variables):
        dataset = dataset.rename({times[0]: "t"})
    for dim in map(str, dataset.dims):
        if dim in dataset.coords and dataset[dim].dtype.kind not in "fiu":
            dataset = dataset.assign_coords({dim: (dim, *_counted(dataset[dim]))})
    return dataset.transpose(*sorted(map(str, dataset.dims), key=lambda dim: _rank(dataset, dim)))


def _counted(coordinate: xr.DataArray) -> tuple[np.ndarray, dict[str, Any]]:
    """Dates as days from the first one; the numbers of places with names."""
    if coordinate.dtype.kind == "M":
        since = coordinate.values - coordinate.values[0]
        return since / np.timedelta64(1, "D"), {"units": f"days since {str(coordinate.values[0])[:10]}"}
    return np.arange(coordinate.size), {}


def _is_time(dataset: xr.Dataset, dim: str) -> bool:
    about = {**dataset[dim].encoding, **dataset[dim].attrs}
    named = dim.lower().startswith("time") or dim.lower().endswith("_time")
    stated = about.get("axis") == "T" or about.get("standard_name") == "time" or " since " in str(about.get("units"))
    return named or stated or dataset[dim].dtype.kind in "Mm"


def _rank(dataset: xr.Dataset, dim: str) -> int:
    """Time, then the axis to the right, the others, the one upwards: a map is over the first two of space."""
    if dim == "t":
        return 0
    about = {key: str(value).lower() for key, value in dataset[dim].attrs.items()}
    if about.get("axis") == "x" or about.get("units", "").startswith(("degrees_e", "degree_e")):
        return 1
    vertical = dim.lower().startswith(_VERTICAL) or "positive" in about or about.get("axis") == "z"
    return 3 if vertical else 2
