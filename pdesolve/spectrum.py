"""Energy spectra of labelled data on periodic axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from pdesolve import metrics
from pdesolve.errors import InputError
from pdesolve.geometry import Grid
from pdesolve.gridded import axis_of, member_of

if TYPE_CHECKING:
    import xarray as xr

_APART = ("t", "time", "sample", "point")  # a spectrum is over space


def energy_spectrum(fields: Sequence[xr.DataArray]) -> xr.DataArray:
    """The energy of fields (the components of a vector) in bands of wavenumbers,

        E(k) = sum over |q| in band k of |u_q|^2 / 2,   u_q the Fourier coefficients over all axes of space,

    so that the sum over bands is the mean of u^2 / 2 (Parseval). Band j holds the waves with |q| nearest to j times
    the lowest wavenumber, 2 pi over the longest period; in one dimension each holds q and -q.

    Raises:
        InputError: an axis of space that is not periodic, whose points are not equally spaced or leave some out.
    """
    import xarray as xr

    first = fields[0]
    space = [str(dim) for dim in first.dims if dim not in _APART and first[dim].dtype.kind in "fiu"]
    if "point" in first.dims or not space:
        raise InputError(f"a spectrum needs a grid of space, {first.name} has {', '.join(map(str, first.dims))}")
    fields = [field.sortby(space) for field in fields]
    members = {}
    for name in space:
        axis = axis_of(first[name])
        if not axis.periodic:
            raise InputError(
                f"a spectrum needs periodic axes, {name} is bounded: where it is periodic, set the attributes "
                f"periodic=1, bounds_lower and bounds_upper of the coordinate {name}"
            )
        member = member_of(axis, fields[0][name])
        if member.placement != "periodic":
            # a closed axis stores its first point twice
            thin = [field.isel({name: slice(None, -1)}) for field in fields]
            if member_of(axis, thin[0][name]).placement != "periodic":
                raise InputError(f"a spectrum needs equal steps over the period of {name}: interpolate by .pde.at")
            fields = thin
        members[name] = member_of(axis, fields[0][name])
    grid = Grid(tuple(members[name] for name in space))
    lowest = 2 * np.pi / max(axis.length for axis in grid.axes)
    others = [dim for dim in first.dims if dim not in space]
    leading = [first.sizes[dim] for dim in others]
    parts = []
    for field in fields:
        values = torch.from_numpy(field.transpose(*others, *space).values.astype(float))
        parts.append(metrics.energy_spectrum(values.reshape(-1, 1, 1, *grid.shape), grid))
    total = torch.stack(parts).sum(0).reshape(*leading, -1).numpy()
    unit = str(first.attrs.get("units", "1"))
    along = str(first[space[0]].attrs.get("units", "1"))
    about = {"units": "rad" if along == "1" else f"rad ({along})-1", "long_name": "wavenumber"}
    coordinates = {k: c for k, c in first.coords.items() if not set(c.dims) & set(space)}
    coordinates["wavenumber"] = ("wavenumber", lowest * np.arange(total.shape[-1]), about)
    attributes = {"units": "1" if unit == "1" else f"({unit})2", "long_name": "energy in a band of wavenumbers"}
    return xr.DataArray(total, dims=(*others, "wavenumber"), coords=coordinates, name="energy", attrs=attributes)
