"""Simulation data as one labelled thing, whatever file it lies in: the contract between readers, writers and training.

Dimensions have one order and one vocabulary: `sample`, `t`, `component`, then space: the axes x, y, z of a grid, or one
of `node`, `cell` and `point`. A variable has some of them. Nothing is read before `read` or `to_xarray` asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdesolve.data.arrays import Array, Part, Picked
from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry import Axes, Axis, Discretisation, Grid
from pdesolve.gridded import member_at

if TYPE_CHECKING:
    import xarray as xr

SAMPLE, COMPONENT = "sample", "component"
SCATTERED = ("node", "cell", "point")  # dimensions of space that are no axes
Place = int | slice


@dataclass(frozen=True, eq=False)
class Variable:
    """A named quantity: its numbers, the dimension of each of their axes, its unit (UDUNITS text) and components.

    `components` name the entries along the dimension `component`: ("x", "y") of a velocity. Parameters are variables
    too, over `sample`, over `t`, or over nothing.
    """

    name: str
    array: Array
    dims: tuple[str, ...] = ()
    unit: str | None = None
    components: tuple[str, ...] = ()
    long_name: str = ""

    def __post_init__(self) -> None:
        first = [dim for dim in (SAMPLE, "t", COMPONENT) if dim in self.dims]
        if len(self.dims) != len(self.array.shape) or list(self.dims[: len(first)]) != first:
            raise ValueError(
                f"{self.name} needs one dimension per axis in the order sample, t, component, space, got "
                f"{self.dims} for the shape {self.array.shape}"
            )
        if (COMPONENT in self.dims) != bool(self.components) or (
            self.components and self.sizes[COMPONENT] != len(self.components)
        ):
            raise ValueError(f"{self.name} has the components {self.components} and the sizes {self.sizes}")

    @property
    def sizes(self) -> dict[str, int]:
        return dict(zip(self.dims, self.array.shape, strict=True))


@dataclass(frozen=True, eq=False)
class Coordinate:
    """The points of an axis, ascending: (size,), or (sample, size) where they differ between samples.

    axis: its name, bounds (a whole period where it is periodic) and unit. `label` is the unit as the file has it, also
    where it is no product of SI units ("degrees_north", "days since 2000-01-01").
    """

    axis: Axis
    points: np.ndarray
    label: str = ""

    @property
    def name(self) -> str:
        return self.axis.name


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples of fields on grids, points or meshes, with their coordinates and parameters.

    variables, parameters: by name. coordinates: by axis, time first, those that are known. meshes: where the dimensions
    `node`, `cell` and `point` lie: one for all samples, or one for each. offsets: for a dimension whose size differs
    between samples, (samples + 1,) bounds; such variables are packed one sample after another and have no dimension
    `sample`. splits: numbers of samples by name. layout: how the files are laid out. notes: what is odd about them.
    """

    variables: Mapping[str, Variable]
    coordinates: Mapping[str, Coordinate] = field(default_factory=dict)
    parameters: Mapping[str, Variable] = field(default_factory=dict)
    meshes: Sequence[Discretisation] = ()
    offsets: Mapping[str, np.ndarray] = field(default_factory=dict)
    splits: Mapping[str, np.ndarray] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    layout: str = "memory"
    paths: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, size in self.sizes.items():
            points = self.coordinates[name].points if name in self.coordinates else None
            if points is not None and points.shape[-1] != size:
                raise InputError(
                    f"{name} has {size} entries in the data and {points.shape[-1]} coordinates: is it another axis?"
                )

    def __repr__(self) -> str:
        lines = [f"Dataset of {self.samples} sample{'s' * (self.samples != 1)}, layout {self.layout}"]
        for variable in (*self.variables.values(), *self.parameters.values()):
            sizes = ", ".join(f"{dim} {n}" for dim, n in variable.sizes.items()) or "one number"
            unit = f" [{variable.unit}]" if variable.unit else ""
            lines.append(f"  {variable.name} ({sizes}) {variable.array.dtype}{unit}")
        for name, coordinate in self.coordinates.items():
            axis = coordinate.axis
            lines.append(f"  {name} from {axis.lower:.6g} to {axis.upper:.6g}{', periodic' * axis.periodic}")
        lines += [f"  split {name}: {len(numbers)} samples" for name, numbers in self.splits.items()]
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The size of each dimension of the variables; of ragged ones that of all samples together.

        Raises:
            InputError: two variables of different sizes along one dimension.
        """
        found: dict[str, int] = {}
        owner: dict[str, str] = {}
        for variable in (*self.variables.values(), *self.parameters.values()):
            for dim, size in variable.sizes.items():
                if dim == COMPONENT:
                    continue
                if found.setdefault(dim, size) != size:
                    raise InputError(f"{variable.name} has {size} along {dim}, {owner[dim]} has {found[dim]}")
                owner.setdefault(dim, variable.name)
        return found

    @property
    def samples(self) -> int:
        """The number of samples; one where nothing differs between samples."""
        return next((len(bounds) - 1 for bounds in self.offsets.values()), self.sizes.get(SAMPLE, 1))

    @property
    def space(self) -> tuple[str, ...]:
        """The dimensions of space, in order."""
        # variables of all axes first: one that lacks x says nothing of its place
        variables = sorted(self.variables.values(), key=lambda variable: -len(variable.dims))
        return tuple(dict.fromkeys(d for v in variables for d in v.dims if d not in (SAMPLE, "t", COMPONENT)))

    @property
    def nbytes(self) -> int:
        """The bytes of all variables, as they are stored without compression."""
        return sum(variable.array.nbytes for variable in self.variables.values())

    def variable(self, name: str) -> Variable:
        """The variable or the parameter of this name."""
        found = self.variables.get(name) or self.parameters.get(name)
        if found is None:
            raise unknown_name("variable", name, (*self.variables, *self.parameters))
        return found

    def read(self, name: str, places: Mapping[str, Place] | None = None) -> np.ndarray:
        """The numbers of a variable at some places, all others whole; a dimension with a number (from the end too,
        where it is negative) is left out. Of a ragged variable one sample is read.

        Raises:
            InputError: an unknown variable or dimension, a number out of range.
        """
        variable, places = self.variable(name), dict(places or {})
        ragged = [dim for dim in variable.dims if dim in self.offsets]
        if ragged and SAMPLE in places:
            sample = places.pop(SAMPLE)
            if isinstance(sample, slice):
                raise InputError(f"{name} differs in size between samples: read one sample at a time, by a number")
            bounds, i = self.offsets[ragged[0]], _number(SAMPLE, sample, self.samples)
            places[ragged[0]] = slice(int(bounds[i]), int(bounds[i + 1]))
        return _part(variable, places, self.sizes).all()

    def isel(self, places: Mapping[str, Place | Sequence[int] | np.ndarray]) -> Dataset:
        """A part of the data set, of which nothing is read yet: slices of dimensions, and samples by their numbers.

        Raises:
            InputError: an unknown dimension, a step that is not positive, samples out of range.
        """
        dims = {dim: place for dim, place in places.items() if dim != SAMPLE}
        for dim in places:
            if dim not in (SAMPLE, *self.sizes):
                raise unknown_name("dimension", dim, self.sizes)
            if dim in dims and (not isinstance(places[dim], slice) or (places[dim].step or 1) < 1):  # type: ignore[union-attr]
                raise InputError(f"a part of a data set is a slice of {dim} with a positive step, got {places[dim]}")
        made = self if not dims else self._sliced({d: p for d, p in dims.items() if isinstance(p, slice)})
        return made._picked(places[SAMPLE]) if SAMPLE in places else made

    def split(self, name: str) -> Dataset:
        """The samples of a split.

        Raises:
            InputError: no such split.
        """
        if name not in self.splits:
            raise unknown_name("split", name, self.splits)
        return self._picked(self.splits[name])

    def select(self, names: Sequence[str]) -> Dataset:
        """The data set with some of its variables."""
        return replace(self, variables={name: self.variable(name) for name in names})

    def grid(self, accuracy: int = 4) -> Grid:
        """The grid of space, where all samples share one.

        Raises:
            InputError: scattered data, an axis without coordinates, or with others for each sample.
        """
        members = []
        for name in self.space:
            coordinate = self.coordinates.get(name)
            if coordinate is None or coordinate.points.ndim > 1:
                what = "no coordinates" if coordinate is None else "other coordinates in each sample"
                raise InputError(f"{name} has {what}: no grid is known")
            members.append(member_at(coordinate.axis, coordinate.points))
        return Grid(tuple(members), accuracy)

    def to_xarray(self) -> xr.Dataset:
        """The same as an xarray.Dataset, whose numbers are read when they are asked for."""
        from pdesolve.data.lazy import lazy_dataset

        return lazy_dataset(self)

    def _sliced(self, places: Mapping[str, slice]) -> Dataset:
        for dim in places:
            if dim in self.offsets:
                raise InputError(f"{dim} differs in size between samples: choose samples instead")

        def cut(variables: Mapping[str, Variable]) -> dict[str, Variable]:
            return {
                name: replace(v, array=_part(v, {d: p for d, p in places.items() if d in v.dims}, self.sizes))
                for name, v in variables.items()
            }

        coordinates = dict(self.coordinates)
        for dim, place in places.items():
            if dim in coordinates:
                coordinates[dim] = _cut(coordinates[dim], place)
        return replace(self, variables=cut(self.variables), parameters=cut(self.parameters), coordinates=coordinates)

    def _picked(self, samples: Place | Sequence[int] | np.ndarray) -> Dataset:
        numbers = np.arange(self.samples)
        try:
            numbers = np.atleast_1d(numbers[samples if isinstance(samples, (int, slice)) else np.asarray(samples, int)])
        except IndexError as error:
            raise InputError(f"there are {self.samples} samples, from 0 on: {samples} is out of range") from error

        def pick(variables: Mapping[str, Variable]) -> dict[str, Variable]:
            return {name: replace(v, array=self._of_samples(v, numbers)) for name, v in variables.items()}

        offsets = {d: np.append(0, np.cumsum(np.diff(b)[numbers])) for d, b in self.offsets.items()}
        coordinates = {
            n: replace(c, points=c.points[numbers]) if c.points.ndim > 1 else c for n, c in self.coordinates.items()
        }
        meshes = [self.meshes[i] for i in numbers] if len(self.meshes) > 1 else self.meshes
        return replace(
            self, variables=pick(self.variables), parameters=pick(self.parameters), coordinates=coordinates,
            meshes=meshes, offsets=offsets, splits={},
        )  # fmt: skip

    def _of_samples(self, variable: Variable, numbers: np.ndarray) -> Array:
        """The numbers of some samples of a variable."""
        for position, dim in enumerate(variable.dims):
            if dim == SAMPLE:
                return Picked(variable.array, numbers, position)
            if dim in self.offsets:
                bounds = self.offsets[dim]
                parts = [np.arange(int(bounds[i]), int(bounds[i + 1])) for i in numbers]
                return Picked(variable.array, np.concatenate([np.arange(0), *parts]), position)
        return variable.array


def axes_of(dataset: Dataset) -> Axes:
    """The axes that have coordinates, time first."""
    return Axes(tuple(coordinate.axis for coordinate in dataset.coordinates.values()))


def _part(variable: Variable, places: Mapping[str, Place], sizes: Mapping[str, int]) -> Part:
    for dim in places:
        if dim not in variable.dims and dim not in sizes:
            raise unknown_name("dimension", dim, variable.dims)
    index, dropped = [], set()
    for i, (dim, size) in enumerate(variable.sizes.items()):
        place = places.get(dim, slice(None))
        if isinstance(place, slice):
            index.append(slice(*place.indices(size)))
        else:
            n = _number(dim, place, size)
            index.append(slice(n, n + 1))
            dropped.add(i)
    return Part(variable.array, tuple(index), frozenset(dropped))


def _number(dim: str, place: int, size: int) -> int:
    if not -size <= place < size:
        raise InputError(f"{dim} has {size} entries, from 0 on: {place} is out of range")
    return place % size


def _cut(coordinate: Coordinate, place: slice) -> Coordinate:
    """Fewer points of an axis: whole fractions of a period stay periodic, other parts are not, and cells grow."""
    points, axis = coordinate.points[..., place], coordinate.axis
    n, step = coordinate.points.shape[-1], place.step or 1
    if points.shape[-1] == n:
        return coordinate
    whole = axis.periodic and n % step == 0 and points.shape[-1] == n // step
    if not whole and points.size and points.ndim == 1 and points.shape[-1] > 1:
        axis = Axis(axis.name, float(points[0]), float(points[-1]), axis.unit)
    return replace(coordinate, axis=axis, points=points)
