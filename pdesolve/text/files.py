"""Fields from files: netCDF-4, NumPy and CSV, placed on the axes of a problem."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pdesolve.condition import Given
from pdesolve.errors import InputError, unknown_name
from pdesolve.fields import GridField, Quantity
from pdesolve.geometry import Axes, Axis, Grid, GridAxis
from pdesolve.labelled import read_dataset
from pdesolve.table import read_table
from pdesolve.text.document import Item
from pdesolve.text.nearest import Nearest
from pdesolve.unit import Unit

_KEYS = ("file", "variable", "axes", "points", "interpolation")
_HINT = "{file: u0.nc, variable: u}"
_LARGEST = 2**29  # bytes of a file: a run keeps a copy of each
_SAME = 1e-6  # of an axis: coordinates so near to a regular grid are that grid (files hold float32)


@dataclass(frozen=True)
class Stored:
    """An array, the names of its axes, and the coordinates that the file has for them; units where it says them."""

    values: np.ndarray
    axes: tuple[str, ...]
    coordinates: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    unit: str | None = None


def path_of(item: Item, folder: Path) -> Path:
    """The file that an item names, relative to the folder of the problem file.

    Raises:
        InputError: no such file, or one too large to be kept with a run.
    """
    path = folder / item.text("a file")
    if not path.is_file():
        raise item.error(f"there is no file {path}")
    if path.stat().st_size > _LARGEST:
        raise item.error(f"{path} has {path.stat().st_size / 2**20:.0f} MiB, at most 512: thin it out")
    return path


def read_field(item: Item, folder: Path, axes: Axes, name: str, unit: str | None) -> Given:
    """A field of a file, on some of the `axes` of a problem.

    .nc: `variable` (by default that of the quantity's name, or the only one) with dimensions named as the axes.
    .npz: the array `variable`, and coordinates under the names of axes where it has them; .npy: the array alone.
    .csv: columns named as axes, and `variable`; the rows are the points of a grid, in any order.
    Without coordinates in the file, dimensions are `axes` (by default those of space, in order) and points are evenly
    spaced: `points: nodes` with both ends (the default; on periodic axes without the upper end), `cells` in the middle.
    `interpolation: nearest` takes the value of the nearest point, for masks; `smooth` is of degree 7.

    Raises:
        InputError: a missing file, other axes or units, NaN, points that do not cover the domain.
    """
    content = item.mapping(_HINT, _KEYS)
    if "file" not in content:
        raise item.error(f"values are a number, a formula or a file: write {_HINT}")
    path = path_of(content["file"], folder)
    suffix = path.suffix.lower()
    variable = content["variable"].text("variable: u") if "variable" in content else None
    with item.place():
        if suffix == ".nc":
            stored = _netcdf(path, variable, name, axes)
        elif suffix in (".npy", ".npz"):
            stored = _numpy(path, variable, name, axes, content)
        elif suffix == ".csv":
            stored = _csv(path, variable, name, axes)
        else:
            raise InputError(f"{path.name} is of no known kind: fields are read from .nc, .npz, .npy and .csv")
        if "axes" in content and suffix not in (".npy", ".npz"):
            raise content["axes"].error(f"{path.name} names its axes itself: leave this out")
        dimensional = all(axis.unit is not None for axis in axes)
        unit = unit if dimensional else None
        _check_units(path, stored, axes, name, unit)
        placement = content["points"].text("points: nodes") if "points" in content else "nodes"
        if placement not in ("nodes", "cells"):
            raise content["points"].error(str(unknown_name("placement", placement, ("nodes", "cells"))))
        field = _placed(path, stored, axes, placement, Quantity(name, Unit.parse(unit)))
        kind = content["interpolation"].text("interpolation: smooth") if "interpolation" in content else "smooth"
        if kind not in ("smooth", "nearest"):
            raise content["interpolation"].error(str(unknown_name("interpolation", kind, ("smooth", "nearest"))))
        return Nearest(field) if kind == "nearest" else field


def _netcdf(path: Path, variable: str | None, name: str, axes: Axes) -> Stored:
    dataset = read_dataset(path)
    variable = _variable(path, variable, name, [str(v) for v in dataset.data_vars])
    array = dataset[variable]
    missing = [str(d) for d in array.dims if d not in dataset.coords]
    if missing:
        raise InputError(f"{path.name}: the dimension {missing[0]!r} of {variable} has no coordinate: store it too")
    coordinates = {str(d): np.asarray(dataset[d].values) for d in array.dims}
    for dimension, values in coordinates.items():
        if values.dtype.kind not in "fiu":
            raise InputError(f"{path.name}: the coordinate {dimension} is no list of numbers: store it as numbers")
    units = {str(d): str(dataset[d].attrs["units"]) for d in array.dims if "units" in dataset[d].attrs}
    return Stored(np.asarray(array.values), tuple(map(str, array.dims)), coordinates, units, array.attrs.get("units"))


def _variable(path: Path, variable: str | None, name: str, known: Sequence[str]) -> str:
    """The variable asked for; else that of the quantity's name, or the only one."""
    if variable is None:
        variable = name if name in known or len(known) != 1 else known[0]
        if not known:
            raise InputError(f"{path.name} holds nothing but coordinates: store values too")
        if variable not in known:
            raise InputError(f"{path.name} holds {', '.join(known)}: name one, as in variable: {known[0]}")
    if variable not in known:
        raise InputError(f"{path.name}: {unknown_name('variable', variable, known)}")
    return variable


def _numpy(path: Path, variable: str | None, name: str, axes: Axes, content: Mapping[str, Item]) -> Stored:
    try:
        loaded: Any = np.load(path, allow_pickle=False)
        arrays = {"": loaded} if isinstance(loaded, np.ndarray) else {key: loaded[key] for key in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        pickled = "pickle" in str(error)
        why = "it holds Python objects, which are never loaded: store plain numbers" if pickled else str(error)
        raise InputError(f"cannot read {path.name} as NumPy: {why}") from None
    if path.suffix.lower() == ".npy":
        if variable is not None:
            raise InputError(f"{path.name} holds one array without a name: leave variable out")
        values = arrays[""]
    else:
        values = arrays[_variable(path, variable, name, [key for key in arrays if key not in axes.names])]
    given = content["axes"].words("axes: [x, y]") if "axes" in content else None
    names = given or (axes if values.ndim == len(axes) else axes.space).names
    for axis in names:
        axes.index(axis)
    if values.ndim != len(names):
        raise InputError(
            f"{path.name} has an array of shape {values.shape}, expected one dimension for each of {', '.join(names)}: "
            "name its dimensions, as in axes: [x, y]"
        )
    return Stored(values, names, {key: arrays[key] for key in names if key in arrays}, {})


def _csv(path: Path, variable: str | None, name: str, axes: Axes) -> Stored:
    header, table = read_table(path, "values")
    names = tuple(axis for axis in axes.names if axis in header)
    if not names or not len(table):
        raise InputError(
            f"{path.name} needs a column for each axis ({', '.join(axes.names)}) and rows below its header"
        )
    column = header.index(_variable(path, variable, name, [key for key in header if key not in names]))
    levels = [np.unique(table[:, header.index(axis)]) for axis in names]
    shape = tuple(map(len, levels))
    if len(table) != np.prod(shape):
        raise InputError(
            f"{path.name}: its {len(table)} points do not form a grid ({' x '.join(map(str, shape))}): interpolate "
            "them onto one first, with scipy.interpolate.griddata"
        )
    values = np.full(shape, np.nan)
    places = [np.searchsorted(level, table[:, header.index(axis)]) for axis, level in zip(names, levels, strict=True)]
    values[tuple(places)] = table[:, column]
    return Stored(values, names, dict(zip(names, levels, strict=True)), {})


def _check_units(path: Path, stored: Stored, axes: Axes, name: str, unit: str | None) -> None:
    """Refuse units that the problem says otherwise; what one of the two does not say agrees with everything."""
    pairs = [(key, axes[key].unit, text) for key, text in stored.units.items() if key in axes]
    pairs += [(name, unit, stored.unit)]
    for what, expected, text in pairs:
        if expected is not None and text is not None and Unit.parse(text) != Unit.parse(expected):
            raise InputError(f"{path.name}: {what} is in {text!r}, the problem has {expected!r}: convert the file")


def _placed(path: Path, stored: Stored, axes: Axes, placement: str, quantity: Quantity) -> GridField:
    values = np.asarray(stored.values)
    if values.dtype.kind not in "fiub":
        raise InputError(f"{path.name} holds {values.dtype} values, expected real numbers")
    values = values.astype(float)
    for name in stored.axes:
        if name not in axes:
            known = ", ".join(axes.names)
            raise InputError(f"{path.name} has the axes {', '.join(stored.axes)}, the problem {known}: rename {name!r}")
    members = []
    for i, name in enumerate(stored.axes):
        axis = axes[name]
        if name in stored.coordinates:
            coordinates = np.asarray(stored.coordinates[name], dtype=float).reshape(-1)
            if len(coordinates) != values.shape[i]:
                raise InputError(f"{path.name}: {len(coordinates)} coordinates {name} for {values.shape[i]} values")
            if len(coordinates) > 1 and coordinates[0] > coordinates[-1]:
                coordinates, values = coordinates[::-1], np.flip(values, i)
            members.append(_member(path, axis, coordinates))
        else:
            members.append(GridAxis(axis, "periodic" if axis.periodic else placement, values.shape[i]))  # type: ignore[arg-type]
    order = sorted(range(len(members)), key=lambda i: axes.index(members[i].axis.name))
    values = np.ascontiguousarray(values.transpose(order))
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        grid = [members[i] for i in order]
        place = ", ".join(f"{m.axis.name} = {m.points[j]:.4g}" for m, j in zip(grid, bad[0], strict=True))
        raise InputError(f"{path.name} holds {len(bad)} values that are no numbers, the first at {place}: fill them in")
    return GridField(torch.from_numpy(values), Grid(tuple(members[i] for i in order)), quantity)


def _member(path: Path, axis: Axis, coordinates: np.ndarray) -> GridAxis:
    """The grid axis of coordinates: a regular one where they are one, else as they are listed."""
    n, slack = len(coordinates), _SAME * axis.length
    if n < 2 or not np.isfinite(coordinates).all() or (np.diff(coordinates) <= 0).any():
        raise InputError(f"{path.name}: the coordinate {axis.name} must be two numbers or more that ascend")
    for placement in ("periodic",) if axis.periodic else ("nodes", "cells"):
        member = GridAxis(axis, placement, n)  # type: ignore[arg-type]
        if np.abs(member.points - coordinates).max() <= slack:
            return member
    first, last = float(coordinates[0]), float(coordinates[-1])
    if axis.periodic:
        # half-open or closed: one period, but for the gap between neighbours
        covers = (
            last - first >= axis.length - 1.5 * float(np.diff(coordinates).max())
            and last - first <= axis.length + slack
        )
    else:
        covers = first <= axis.lower + slack and last >= axis.upper - slack
    if not covers:
        raise InputError(
            f"{path.name} is known for {axis.name} from {first:.6g} to {last:.6g}, the domain needs "
            f"{axis.lower:.6g} to {axis.upper:.6g}"
        )
    if not axis.periodic:  # ends that miss the domain by rounding
        coordinates = coordinates.copy()
        coordinates[0], coordinates[-1] = min(first, axis.lower), max(last, axis.upper)
    return GridAxis.at(axis, coordinates.tolist())
