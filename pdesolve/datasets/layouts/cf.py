"""NetCDF and zarr by the conventions of CF: named dimensions, coordinate variables, units, packed numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pdesolve.data.arrays import Array
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.datasets.dimensions import ONE, arranged, told
from pdesolve.datasets.labelled_files import Labelled, LabelledFile, axis_word, labelled_file
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.datasets.placement import axis_unit, unit_text
from pdesolve.datasets.stored import Flipped, dropped
from pdesolve.datasets.unpacked import unpacked
from pdesolve.geometry import TIME, Axis

_MOST = 2**24  # numbers of a coordinate
_TURN = 360.0
_SAMPLES = ("sample", "realization", "ensemble_member")


class CF(Layout):
    """Variables over named dimensions, in any order, as NetCDF-4, classic NetCDF or zarr (CF-1.11; Eaton et al.).

    A variable of one dimension with its name is a coordinate; `units`, `standard_name` and `axis` say which is time,
    which is `t` here. Bounds of cells make the bounds of an axis; longitudes around the earth are periodic. Times stay
    numbers in their unit ("days since ..."); `calendar` is an attribute. Scale, offset and fill values are applied
    (missing is NaN). Coordinates of one number are parameters, auxiliary ones of two dimensions variables. Descending
    axes are turned round.
    """

    name = "cf"
    containers = ("hdf5", "netcdf3", "zarr")
    fallback = True  # netCDF holds other layouts too

    def refusal(self, path: Path) -> str | None:
        found = labelled_file(path)
        if found is None:
            return "its arrays name no dimensions (no dimension scales of NetCDF, no _ARRAY_DIMENSIONS)"
        if any(v.text("cf_role") == "mesh_topology" for v in found.variables.values()):
            return "it has a mesh topology of UGRID"
        if "connect1" in found.variables and {"coord", "coordx"} & set(found.variables):
            return "it is a mesh of Exodus"
        return None

    def open(self, path: Path, opening: Opening) -> Dataset:
        told(self.name, opening)
        found = labelled_file(path)
        assert found is not None
        return labelled_dataset(found, {}, self.name)


def labelled_dataset(found: LabelledFile, places: dict[str, str], layout: str, skip: tuple[str, ...] = ()) -> Dataset:
    """The variables of a file; `places` renames dimensions, those of nodes and cells of a mesh; `skip` are left out."""
    notes = list(found.notes)
    hidden = {*skip, *_about_others(found)}
    words = {dim: axis_word(dim) for v in found.variables.values() for dim in v.dims}
    for dim in words:  # a variable of two dimensions may have the name of one of them
        if dim in found.variables and len(found.variables[dim].dims) > 1:
            words[dim] = f"{words[dim]}_index"
    axes, coordinates, turned = {}, {}, set()
    for name, variable in found.variables.items():
        dim = _dimension(found, name, variable)
        if dim is None or dim in places or dim in axes or name in skip:
            continue
        made = _coordinate(found, variable, TIME if _is_time(name, variable) else words[dim])
        if made is None:
            notes.append(f"{name} is no coordinate here: it neither ascends nor descends")
            continue
        axes[dim] = made.name
        hidden.add(name)
        coordinates[made.name] = made
        if variable.array.all()[0] > variable.array.all()[-1]:
            turned.add(dim)
            notes.append(f"{name} descends in the file: it is turned round, and all fields with it")
    names = {**words, **axes, **places, **{dim: "sample" for dim in words if dim in _SAMPLES}}
    names |= {dim: TIME for dim in words if dim in ("time", TIME) and dim not in axes and dim not in places}
    largest = sorted(found.variables.values(), key=lambda v: -len(v.dims))
    space = [names[dim] for variable in largest for dim in variable.dims]
    variables: dict[str, Variable] = {}
    parameters: dict[str, Variable] = {}
    for name, variable in found.variables.items():
        if name in hidden:
            continue
        array: Array = unpacked(variable.array, variable.attributes)
        for i, dim in enumerate(variable.dims):
            array = Flipped(array, i) if dim in turned else array
        small = [n == 1 and dim not in places for n, dim in zip(array.shape, variable.dims, strict=True)]
        dims = [ONE if one else names[dim] for one, dim in zip(small, variable.dims, strict=True)]
        if len(set(dims) - {ONE}) != len([dim for dim in dims if dim != ONE]):
            notes.append(f"{name} is left out: it has one dimension twice")
            continue
        text = variable.text("long_name") or variable.text("standard_name")
        if all(small):
            array = dropped(array, frozenset(range(len(small))))
            parameters[name] = Variable(name, array, (), unit_text(variable.text("units")) or None, long_name=text)
        else:
            unit = unit_text(variable.text("units"))
            variables[name] = arranged(name, array, dims, space=space, unit=unit, long_name=text)
    used = {dim for variable in variables.values() for dim in variable.dims}
    kept = {k: c for k, c in sorted(coordinates.items(), key=lambda item: item[0] != TIME) if k in used}
    about = {k: v for k, v in found.attributes.items() if not k.startswith("_NC")}
    calendars = [v.text("calendar") for v in found.variables.values() if v.text("calendar")]
    about |= {"calendar": calendars[0]} if calendars else {}
    return Dataset(
        variables, kept, parameters, attributes=about, layout=layout, paths=(found.path,), notes=tuple(notes)
    )  # fmt: skip


def _about_others(found: LabelledFile) -> set[str]:
    """Variables that only describe others: bounds of cells, mappings of grids."""
    names = set()
    for variable in found.variables.values():
        for attribute in ("bounds", "climatology", "grid_mapping"):
            names.add(variable.text(attribute))
        if variable.text("grid_mapping_name") or variable.text("cf_role") == "grid_topology":
            names |= {name for name, other in found.variables.items() if other is variable}
    return names - {""}


def _dimension(found: LabelledFile, name: str, variable: Labelled) -> str | None:
    """The dimension whose coordinate a variable is: of its own name, or a time of another."""
    if len(variable.dims) != 1 or not 2 <= variable.array.shape[0] <= _MOST or variable.array.dtype.kind not in "iuf":
        return None
    (dim,) = variable.dims
    own = dim == name or (_is_time(name, variable) and dim not in found.variables)
    return dim if own else None


def _is_time(name: str, variable: Labelled) -> bool:
    if variable.text("axis"):
        return variable.text("axis").upper() == "T"
    if variable.text("standard_name"):
        return variable.text("standard_name") == "time"
    return " since " in variable.text("units") or name in (TIME, "time", "time_counter")


def _coordinate(found: LabelledFile, variable: Labelled, axis: str) -> Coordinate | None:
    points = np.asarray(unpacked(variable.array, variable.attributes).all(), float)
    descends = points[0] > points[-1]
    points = points[::-1] if descends else points
    if not np.isfinite(points).all() or not (np.diff(points) > 0).all():
        return None
    units = variable.text("units")
    lower, upper, periodic = float(points[0]), float(points[-1]), False
    bounds = found.variables.get(variable.text("bounds"))
    about = variable.attributes
    own = [about.get("bounds_lower"), about.get("bounds_upper")]
    if all(isinstance(bound, float) for bound in own) and own[0] <= lower <= upper <= own[1]:  # type: ignore[operator]
        lower, upper, periodic = float(own[0]), float(own[1]), bool(about.get("periodic", 0))  # type: ignore[arg-type]
    elif bounds is not None and bounds.array.shape == (len(points), 2):
        edges = np.asarray(bounds.array.all(), float)
        if edges.min() <= lower and upper <= edges.max():
            lower, upper = float(edges.min()), float(edges.max())
    step = (points[-1] - points[0]) / (len(points) - 1)
    if _is_longitude(variable) and abs(points[-1] + step - points[0] - _TURN) < 1e-3 * step:
        periodic = True
        upper = upper if abs(upper - lower - _TURN) < 1e-6 else lower + _TURN
    return Coordinate(Axis(axis, lower, upper, axis_unit(units), periodic and axis != TIME), points, units)


def _is_longitude(variable: Labelled) -> bool:
    units = variable.text("units").lower().replace("degrees", "degree").replace("_", "")
    told = units in ("degreeeast", "degreee") or variable.text("standard_name") == "longitude"
    return told or (not units and variable.dims in (("longitude",), ("lon",)))
