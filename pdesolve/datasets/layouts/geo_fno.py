"""Solutions on geometries of their own, several .npy files that lie together: the data of Geo-FNO."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from pdesolve.data.arrays import Array
from pdesolve.data.dataset import COMPONENT, SAMPLE, Dataset
from pdesolve.datasets.bundle import bundle
from pdesolve.datasets.dimensions import arranged, told
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.datasets.layouts.points import point_cloud
from pdesolve.datasets.numpy_files import BARE
from pdesolve.geometry import PointCloud

_ELASTICITY, _AIRFOIL = ("XY", "sigma"), ("X", "Y", "Q")
_WORD = re.compile(r"(?<=_)(XY|sigma|rr|X|Y|Q)(?=_|\.npy$)")


class GeoFNO(Layout):
    """Elasticity: `*_XY_*.npy` (point, 2, sample), `*_sigma_*.npy` (point, sample), `*_rr_*.npy` (radius, sample).
    Airfoils: `*_X.npy`, `*_Y.npy` (sample, i, j), `*_Q.npy` (sample, component, i, j), by Li et al. (2022, arXiv
    2207.05209).

    Opening one of the files opens those that lie beside it. Each sample of elasticity has points of its own; the nodes
    X, Y of the curved grids around airfoils are variables.
    """

    name = "geo_fno"
    containers = ("npy",)

    def refusal(self, path: Path) -> str | None:
        found = _arrays(path)
        if set(_ELASTICITY) <= set(found):
            places, stress = (found[name].shape for name in _ELASTICITY)
            fits = len(places) == 3 and places[1] == 2 and stress == (places[0], places[2])
            return None if fits else f"XY {places} and sigma {stress} are not (point, 2, sample) and (point, sample)"
        if set(_AIRFOIL) <= set(found):
            x, y, q = (found[name].shape for name in _AIRFOIL)
            fits = len(x) == 3 and x == y and len(q) == 4 and (q[0], *q[2:]) == x
            return None if fits else f"X {x}, Y {y} and Q {q} are not (sample, i, j) and (sample, component, i, j)"
        return "no _XY_ and _sigma_, or _X, _Y and _Q in its name and those of the files beside it"

    def open(self, path: Path, opening: Opening) -> Dataset:
        told(self.name, opening)
        found = _arrays(path.absolute())
        paths = tuple(_beside(path.absolute()).values())
        if "sigma" not in found:
            dims = {"X": (SAMPLE, "i", "j"), "Y": (SAMPLE, "i", "j"), "Q": (SAMPLE, COMPONENT, "i", "j")}
            variables = {name: arranged(name, found[name], dims[name]) for name in _AIRFOIL}
            return Dataset(variables, layout=self.name, paths=paths)
        variables = {"sigma": arranged("sigma", found["sigma"], ("point", SAMPLE))}
        if "rr" in found and found["rr"].shape[1:] == found["sigma"].shape[1:]:
            variables["rr"] = arranged("rr", found["rr"], ("radius", SAMPLE))
        return Dataset(variables, meshes=_Clouds(found["XY"]), layout=self.name, paths=paths)


@dataclass(frozen=True, eq=False)
class _Clouds(Sequence[PointCloud]):
    """The points (point, 2, sample) of each sample, read when they are asked for."""

    places: Array

    def __len__(self) -> int:
        return self.places.shape[2]

    @overload
    def __getitem__(self, number: int) -> PointCloud: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[PointCloud]: ...
    def __getitem__(self, number: int | slice) -> PointCloud | Sequence[PointCloud]:
        if isinstance(number, slice):
            return [self[i] for i in range(len(self))[number]]
        i = range(len(self))[number]
        points = self.places.read((slice(0, self.places.shape[0]), slice(0, 2), slice(i, i + 1)))
        return point_cloud({"x": points[:, 0, 0], "y": points[:, 1, 0]})


def _beside(path: Path) -> dict[str, Path]:
    """The files whose names differ from this one's only in what they hold."""
    marks = list(_WORD.finditer(path.name))
    if not marks:
        return {}
    before, after = path.name[: marks[-1].start()], path.name[marks[-1].end() :]
    files = {word: path.with_name(f"{before}{word}{after}") for word in (*_AIRFOIL, "rr", *_ELASTICITY)}
    return {word: file for word, file in files.items() if file.is_file()}


def _arrays(path: Path) -> dict[str, Array]:
    found = {word: bundle(file).numbers.get(BARE) for word, file in _beside(path).items()}
    return {word: array for word, array in found.items() if array is not None}
