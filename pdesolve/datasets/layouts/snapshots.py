"""Solutions on one mesh, a column for each sample: the data of PINA."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pdesolve.data.arrays import Part
from pdesolve.data.dataset import SAMPLE, Dataset, Variable
from pdesolve.datasets.bundle import bundle
from pdesolve.datasets.dimensions import arranged, told
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.datasets.layouts.points import point_cloud
from pdesolve.errors import InputError
from pdesolve.geometry import Mesh

_CELLS = ("triang", "triangles", "cells")


class Snapshots(Layout):
    """`x`, `y` and fields (node, sample), triangles `triang` (cell, 3) and parameters `mu` (sample, number).

    Each sample has a mesh of its own with the same triangles; where all have the same points, there is one. Meshes that
    do not hold together (points of no triangle, inverted triangles) become points, with a note.
    """

    name = "snapshots"
    containers = ("torch", "npz", "mat5", "mat73", "hdf5")

    def refusal(self, path: Path) -> str | None:
        found = bundle(path)
        cells = next((name for name in _CELLS if name in found.numbers), None)
        if cells is None or not {"x", "y"} <= set(found.numbers):
            return f"no x, y and {', '.join(_CELLS)}"
        shapes = {found.arrays[name].shape for name in "xy"}
        if len(shapes) > 1 or len(next(iter(shapes))) != 2 or found.arrays[cells].shape[1:] != (3,):
            return f"x and y {shapes} are not over node and sample, or {cells} is no list of triangles"
        return None

    def open(self, path: Path, opening: Opening) -> Dataset:
        told(self.name, opening)
        found = bundle(path)
        cells = next(name for name in _CELLS if name in found.numbers)
        x, y = (found.arrays[name].all().astype(float) for name in "xy")
        rows = found.arrays[cells].all().astype(np.int64)
        count, samples = x.shape
        if rows.size and not 0 <= rows.min() <= rows.max() < count:
            raise InputError(f"{cells} of {path} holds numbers of points that the file has not")
        same = bool((x == x[:, :1]).all() and (y == y[:, :1]).all())
        notes = list(found.notes)
        meshes: list = []
        try:
            for i in range(1 if same else samples):
                points = np.stack([x[:, i], y[:, i]], 1)
                meshes.append(Mesh.of(points, _counterclockwise(points, rows)))
        except InputError as error:
            notes.append(f"the mesh is taken as points, without its cells: {error}")
            meshes = [point_cloud({"x": x[:, i], "y": y[:, i]}) for i in range(1 if same else samples)]
        dim = "node" if isinstance(meshes[0], Mesh) else "point"
        variables, parameters = {}, {}
        for name, array in found.numbers.items():
            if name not in ("x", "y", cells) and array.shape == x.shape:
                variables[name] = arranged(name, array, (dim, SAMPLE))
            elif len(array.shape) == 2 and array.shape[0] == samples and array.shape[1] <= 16 and name not in "xy":
                for i in range(array.shape[1]):
                    column = Part(array, (slice(0, samples), slice(i, i + 1)), frozenset({1}))
                    parameters[f"{name}_{i}"] = Variable(f"{name}_{i}", column, (SAMPLE,))
            elif name not in ("x", "y", cells):
                notes.append(f"{name} {array.shape} is left out: it is over neither nodes nor samples")
        return Dataset(
            variables, {}, parameters, tuple(meshes), layout=self.name, paths=(found.path,), notes=tuple(notes)
        )  # fmt: skip


def _counterclockwise(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    a, b, c = points[rows].swapaxes(0, 1)
    turned = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) < (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return np.where(turned[:, None], rows[:, ::-1], rows)
