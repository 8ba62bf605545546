"""Scenes of PhiFlow: one .npz file for a field and a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pdesolve.data.dataset import COMPONENT, Coordinate, Dataset
from pdesolve.datasets.bundle import bundle
from pdesolve.datasets.dimensions import arranged, told
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.errors import InputError
from pdesolve.geometry import Axis

_NEEDED = ("data", "dim_names", "field_type", "lower", "upper")


class PhiFlow(Layout):
    """`data` with the dimensions `dim_names`, on a `CenteredGrid` of cells between `lower` and `upper`, or a
    `StaggeredGrid` of faces.

    A staggered array has one entry more than there are cells along each axis, of which the last one of each component
    is unused along the other axes; it has the dimensions `x_face`, ... and no coordinates. Extrapolation and names of
    components are pickled objects, which are not read: what is periodic is not known.
    """

    name = "phiflow"
    containers = ("npz",)

    def refusal(self, path: Path) -> str | None:
        found = bundle(path)
        missing = [name for name in _NEEDED if name not in found.arrays]
        return f"no {' and '.join(missing)}" if missing else None

    def open(self, path: Path, opening: Opening) -> Dataset:
        told(self.name, opening)
        found = bundle(path)
        names = [str(name) for name in found.arrays["dim_names"].all()]
        kind = str(found.arrays["field_type"].all())
        array = found.arrays["data"]
        if len(names) != len(array.shape):
            raise InputError(f"{path}: data {array.shape} has other dimensions than dim_names, {', '.join(names)}")
        space = [name for name in names if name not in ("vector", "batch")]
        lower, upper = (np.atleast_1d(found.arrays[key].all()).astype(float) for key in ("lower", "upper"))
        if lower.shape != (len(space),) or upper.shape != (len(space),):
            raise InputError(f"{path}: lower and upper are {lower.shape}, expected one for each of {', '.join(space)}")
        staggered = kind == "StaggeredGrid"
        coordinates: dict[str, Coordinate] = {}
        for axis, a, b in zip(space, lower, upper, strict=True):
            n = array.shape[names.index(axis)]
            if not staggered:
                axis_of = Axis(axis, float(a), float(b))
                coordinates[axis] = Coordinate(axis_of, a + (b - a) * (np.arange(n) + 0.5) / n)
        words = {"vector": COMPONENT, "batch": "sample"}
        dims = [words.get(name, f"{name}_face" if staggered else name) for name in names]
        notes = list(found.notes)
        if staggered:
            notes.append("values lie on the faces of cells: each component elsewhere, so that there are no coordinates")
        return Dataset(
            {"data": arranged("data", array, dims)}, dict(sorted(coordinates.items())), layout=self.name,
            attributes={"field_type": kind, "lower": lower.tolist(), "upper": upper.tolist()},
            paths=(found.path,), notes=tuple(notes),
        )  # fmt: skip
