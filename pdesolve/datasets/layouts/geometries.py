"""A list of samples, each with points or meshes of its own: shapes of cars as neuraloperator has them, and others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pdesolve.data.arrays import Array, Joined, Part, Stacked
from pdesolve.data.dataset import COMPONENT, SAMPLE, Dataset, Variable
from pdesolve.datasets.dimensions import arranged, told
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.datasets.layouts.points import point_cloud
from pdesolve.datasets.stored import squeezed
from pdesolve.datasets.torch_files import tensors
from pdesolve.errors import InputError

_PLACES = ("vertices", "target", "points", "pos", "x")
_CUT = (16, 112)  # entries of the pressure of a car that belong to no vertex
_LONGEST = 6  # the most dimensions of a field of one sample


class Geometries(Layout):
    """A .pt file with a list of mappings, one a sample: `vertices` (or target, points, pos) (point, 3) and fields.

    Fields as long as the vertices are over `point`, packed one sample after another, those as long as `centroids` over
    `cell`, those of one shape in all samples over dimensions of their own (`d16` for one of 16 entries). A field
    `press` with 96 entries more than vertices (Li et al. 2023, arXiv 2309.00583) loses number 16 to 111.
    """

    name = "geometries"
    containers = ("torch",)

    def refusal(self, path: Path) -> str | None:
        rows = _samples(path)
        if not rows:
            return "no list of mappings, one for each sample"
        places = next((name for name in _PLACES if name in rows[0]), None)
        if places is None:
            return f"no {', '.join(_PLACES)} in its samples, which have {', '.join(rows[0])}"
        if any(set(row) != set(rows[0]) for row in rows):
            return "samples of different keys"
        shape = rows[0][places].shape
        return None if len(shape) == 2 and shape[1] in (2, 3) else f"{places} {shape} are no points, one a row"

    def open(self, path: Path, opening: Opening) -> Dataset:
        told(self.name, opening)
        rows = _samples(path.absolute())
        places = next(name for name in _PLACES if name in rows[0])
        counts = {"point": np.array([row[places].shape[0] for row in rows])}
        if "centroids" in rows[0]:
            counts["cell"] = np.array([row["centroids"].shape[0] for row in rows])
        offsets = {dim: np.append(0, np.cumsum(n)) for dim, n in counts.items()}
        clouds = tuple(point_cloud(dict(zip("xyz", row[places].all().T, strict=False))) for row in rows)
        variables: dict[str, Variable] = {}
        notes = []
        for name in rows[0]:
            if name == places:
                continue
            arrays = [_clean(row[name]) for row in rows]
            if name == "press" and all(a.shape == (n + 96,) for a, n in zip(arrays, counts["point"], strict=True)):
                arrays = [_without(array) for array in arrays]
                notes.append("press has 96 entries more than points: number 16 to 111 are left out")
            made = _variable(name, arrays, counts)
            if made is None:
                notes.append(f"{name} is left out: its shape differs between samples, and not as the points do")
            else:
                variables[name] = made
        return Dataset(
            variables, meshes=clouds, offsets=offsets, layout=self.name, paths=(path.absolute(),), notes=tuple(notes)
        )  # fmt: skip


def _samples(path: Path) -> list[dict[str, Array]]:
    rows: dict[int, dict[str, Array]] = {}
    for keys, array in tensors(path).items():
        if len(keys) != 2 or not isinstance(keys[0], int) or not isinstance(keys[1], str):
            return []
        rows.setdefault(keys[0], {})[keys[1]] = array
    return [rows[i] for i in sorted(rows)]


def _clean(array: Array) -> Array:
    return squeezed(array)


def _without(array: Array) -> Array:
    first, second = slice(0, _CUT[0]), slice(_CUT[1], array.shape[0])
    return Joined((Part(array, (first,)), Part(array, (second,))))


def _variable(name: str, arrays: list[Array], counts: dict[str, np.ndarray]) -> Variable | None:
    if len({array.shape[1:] for array in arrays}) > 1 or len({array.dtype for array in arrays}) > 1:
        return None
    lengths = np.array([array.shape[0] if array.shape else 1 for array in arrays])
    rest = arrays[0].shape[1:]
    if len(rest) <= 1:
        for dim, n in counts.items():
            if np.array_equal(lengths, n):
                return arranged(name, Joined(tuple(arrays)), (dim, COMPONENT) if rest else (dim,))
    if len(set(lengths)) > 1 or len(rest) >= _LONGEST:
        return None
    shape = arrays[0].shape
    dims: list[str] = []
    for i, n in enumerate(shape):
        last = i == len(shape) - 1 and len(shape) > 1 and n <= 3
        dim = COMPONENT if last else f"d{n}"
        same = sum(made.rstrip("abc") == dim for made in dims)
        dims.append(f"{dim}{'abc'[same - 1]}" if same else dim)
    if len(set(dims)) != len(dims):
        raise InputError(f"{name} {shape} has too many dimensions of one size")
    return arranged(name, Stacked(tuple(arrays)), (SAMPLE, *dims))
