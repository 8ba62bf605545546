"""Functions by their values at sensors, and what an operator makes of them at places: the files of DeepONet."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pdesolve.data.arrays import Array, Joined
from pdesolve.data.dataset import COMPONENT, SAMPLE, Dataset, Variable
from pdesolve.datasets.bundle import Bundle, bundle
from pdesolve.datasets.dimensions import arranged, told
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.datasets.layouts.points import point_cloud
from pdesolve.datasets.stored import squeezed
from pdesolve.errors import InputError

_SPLITS = ("train", "test", "valid")
_AXES = ("x", "y", "z")
_MOST = 2**26  # bytes of coordinates


class DeepONet(Layout):
    """`X_train0` (functions, sensors), `X_train1` (places, axes), `y_train` and the same of `test`, by Lu et al.
    (2021, arXiv 1910.03193), in an .npz file.

    Where y is (functions, places) (a Cartesian product, "aligned") the data set has the variables `sensors` and
    `solution`, which is over the common points. Where there is a row for each pair of a function and a place it has
    `sensors`, `place` and `solution` by sample. Splits are `train` and `test`. Files that hold object arrays (aligned
    ones by their authors do) are refused: save X0 and X1 as arrays of their own.
    """

    name = "deeponet"
    containers = ("npz", "mat5", "mat73", "torch")

    def refusal(self, path: Path) -> str | None:
        found = bundle(path)
        pickled = [k for k in found.refused if k in ("X", "X_train", "X_test")]
        if pickled and any(k.startswith("y") for k in found.arrays):
            raise InputError(
                f"{path}: {pickled[0]} {found.refused[pickled[0]]}: where the file comes from, save its two arrays by "
                "name, numpy.savez(path, X_train0=X[0], X_train1=X[1], y_train=y)"
            )
        names = _splits(found)
        if not names:
            return "no X_train0, X_train1 and y_train"
        for split in names:
            functions, places, values = (squeezed(found.arrays[key]).shape for key in _keys(split))
            if not (values[:1] == functions[:1] and (values == places[:1] or values[1:] == places[:1])):
                return (
                    f"y_{split} {values} is neither over the rows of X_{split}0 nor over these by those of X_{split}1"
                )
        return None

    def open(self, path: Path, opening: Opening) -> Dataset:
        told(self.name, opening)
        found = bundle(path)
        names = _splits(found)
        parts = [[_table(found.arrays[key]) for key in _keys(split)[:2]] for split in names]
        values = [squeezed(found.arrays[_keys(split)[2]]) for split in names]
        sizes = np.cumsum([0, *(part[0].shape[0] for part in parts)])
        splits = {name: np.arange(a, b) for name, a, b in zip(names, sizes, sizes[1:], strict=False)}
        variables = {"sensors": arranged("sensors", _all([p[0] for p in parts]), (SAMPLE, "sensor"))}
        clouds = ()
        places = parts[0][1]
        if len(values[0].shape) == 1:
            variables["place"] = arranged("place", _all([p[1] for p in parts]), (SAMPLE, COMPONENT))
            dims: tuple[str, ...] = (SAMPLE,)
        else:
            dims = (SAMPLE, "point")
            rows = _rows(path, [p[1] for p in parts])
            clouds = (point_cloud({axis: rows[:, i] for i, axis in enumerate(_AXES[: places.shape[1]])}),)
        variables["solution"] = Variable("solution", _all(values), dims)
        return Dataset(
            variables, meshes=clouds, splits=splits, layout=self.name, paths=(found.path,), notes=found.notes
        )  # fmt: skip


def _keys(split: str) -> tuple[str, str, str]:
    return f"X_{split}0", f"X_{split}1", f"y_{split}"


def _splits(found: Bundle) -> list[str]:
    return [split for split in _SPLITS if set(_keys(split)) <= set(found.numbers)]


def _table(array: Array) -> Array:
    """Two dimensions, also of one sensor or of one axis."""
    from pdesolve.data.arrays import Part

    if len(array.shape) == 2:
        return array
    index = tuple(slice(0, n) for n in array.shape)
    return Part(array, index, frozenset(i for i, n in enumerate(array.shape) if n == 1 and i > 1))


def _all(arrays: list[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else Joined(tuple(arrays))


def _rows(path: Path, places: list[Array]) -> np.ndarray:
    if any(array.nbytes > _MOST for array in places) or places[0].shape[1] > len(_AXES):
        raise InputError(f"{path}: X_train1 {places[0].shape} holds more than the coordinates of points on a grid")
    tables = [array.all() for array in places]
    if any(not np.array_equal(tables[0], table) for table in tables[1:]):
        raise InputError(
            f"{path}: train and test are known at different places: save each into a file of its own, and open these"
        )
    return tables[0]
