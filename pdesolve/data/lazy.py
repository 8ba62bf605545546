"""Data sets as xarray.Datasets whose numbers stay in their files until they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

from pdesolve.data.arrays import Array, Slices
from pdesolve.data.dataset import COMPONENT, Dataset, Variable
from pdesolve.labelled import dataset_of

if TYPE_CHECKING:
    import xarray as xr


class _Backend(BackendArray):
    """An array as xarray's lazy indexing asks for it."""

    def __init__(self, array: Array) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple[int | slice, ...]) -> np.ndarray:
        index: list[slice] = []
        after: list[int | slice] = []
        for part, size in zip(key, self.shape, strict=True):
            if isinstance(part, slice):
                numbers = range(*part.indices(size))
                backwards = numbers.step < 0
                numbers = numbers[::-1] if backwards else numbers
                index.append(slice(numbers.start, numbers.stop, numbers.step))
                after.append(slice(None, None, -1 if backwards else None))
            else:
                index.append(slice(int(part) % size, int(part) % size + 1))
                after.append(0)
        asked: Slices = tuple(index)
        return self.array.read(asked)[tuple(after)]


def lazy_dataset(dataset: Dataset) -> xr.Dataset:
    """Variables and parameters with the dimensions of the data set; a ragged one is packed, with its bounds beside."""
    coordinates: dict[str, Any] = {}
    for name, coordinate in dataset.coordinates.items():
        axis = coordinate.axis
        attributes = {"units": coordinate.label or axis.unit or "1", "bounds_lower": axis.lower}
        attributes |= {"bounds_upper": axis.upper, "periodic": int(axis.periodic)}
        if coordinate.points.ndim == 1:
            coordinates[name] = ((name,), coordinate.points, attributes)
        else:  # no index: samples differ
            coordinates[f"{name}_of_sample"] = (("sample", name), coordinate.points, attributes)
    variables: dict[str, Any] = {}
    for name, variable in (*dataset.variables.items(), *dataset.parameters.items()):
        dims = tuple(f"{name}_{COMPONENT}" if dim == COMPONENT else dim for dim in variable.dims)
        if variable.components:
            coordinates[f"{name}_{COMPONENT}"] = ((f"{name}_{COMPONENT}",), list(variable.components))
        variables[name] = (dims, indexing.LazilyIndexedArray(_Backend(variable.array)), _attributes(variable))
    for dim, bounds in dataset.offsets.items():
        variables[f"{dim}_bounds"] = (("sample_bound",), np.asarray(bounds))
    attributes = {**dataset.attributes, "layout": dataset.layout}
    return dataset_of(variables, attributes, coordinates)


def _attributes(variable: Variable) -> dict[str, str]:
    return {"units": variable.unit or "1", "long_name": variable.long_name or variable.name}
