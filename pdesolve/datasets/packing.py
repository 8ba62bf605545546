"""Meshes and clouds of points, one after another in a few arrays, made when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, overload

import numpy as np
import torch

from pdesolve.data.arrays import Array, Joined, Memory
from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis, Discretisation, Mesh, PointCloud


@dataclass(frozen=True, eq=False)
class PackedMeshes(Sequence[Discretisation]):
    """Meshes (`node`, `cell` and `facet` of each) or clouds of points (`point` of each) of the same axes.

    axes: names and units, time first. arrays: `node_x` (node,) for an axis x; `cells` (cell, d + 1) and `facets`
    (facet, d) with the numbers of points, from 0 on in each mesh; `parts` (facet,) with the number of a name in
    `names`; for clouds `point_x`, and where they are known `point_weights` (point,) and `point_normals` (point, axis).
    counts: (mesh,) for each dimension, how many each has.
    """

    axes: tuple[Axis, ...]
    arrays: Mapping[str, Array]
    counts: Mapping[str, np.ndarray]
    names: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["node", "point"]:
        return "node" if "node" in self.counts else "point"

    @staticmethod
    def of(meshes: Sequence[Discretisation]) -> PackedMeshes:
        """Some meshes packed; the same where they are.

        Raises:
            InputError: meshes beside clouds of points, other axes, or grids.
        """
        if isinstance(meshes, PackedMeshes):
            return meshes
        first = meshes[0]
        if any(mesh.axes.names != first.axes.names for mesh in meshes):
            raise InputError("the meshes of a data set have the same axes: convert each kind into a file of its own")
        if all(isinstance(mesh, Mesh) for mesh in meshes):
            return _of_meshes([mesh for mesh in meshes if isinstance(mesh, Mesh)])
        if all(isinstance(mesh, PointCloud) for mesh in meshes):
            return _of_clouds([mesh for mesh in meshes if isinstance(mesh, PointCloud)])
        kinds = ", ".join(sorted({type(mesh).__name__ for mesh in meshes}))
        raise InputError(f"meshes of simplices or clouds of points can be stored together, got {kinds}")

    @staticmethod
    def joined(packed: Sequence[PackedMeshes]) -> PackedMeshes:
        """Those of several files, one after another.

        Raises:
            InputError: other axes, or meshes beside clouds of points.
        """
        first = packed[0]
        if any((p.kind, [a.name for a in p.axes]) != (first.kind, [a.name for a in first.axes]) for p in packed):
            raise InputError("meshes of several files have the same axes, and are not mixed with clouds of points")
        if any(set(p.arrays) != set(first.arrays) for p in packed):
            raise InputError("some of the clouds of points have weights or normals and others have none")
        names = tuple(sorted({name for p in packed for name in p.names}))
        alike = [p._renumbered(names) for p in packed]
        arrays = {name: Joined(tuple(p.arrays[name] for p in alike)) for name in first.arrays}
        counts = {dim: np.concatenate([p.counts[dim] for p in packed]) for dim in first.counts}
        return replace(first, arrays=arrays, counts=counts, names=names)

    def _renumbered(self, names: tuple[str, ...]) -> PackedMeshes:
        """The same with other numbers of the parts of the boundary."""
        if names == self.names:
            return self
        numbers = np.array([names.index(name) for name in self.names], np.int32)
        return replace(self, arrays={**self.arrays, "parts": Memory(numbers[self.arrays["parts"].all()])}, names=names)

    @cached_property
    def bounds(self) -> dict[str, np.ndarray]:
        """(mesh + 1,) for each dimension: where each mesh begins, and the end."""
        return {dim: np.append(0, np.cumsum(counts)) for dim, counts in self.counts.items()}

    def __len__(self) -> int:
        return len(self.counts[self.kind])

    @overload
    def __getitem__(self, index: int) -> Discretisation: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Discretisation]: ...
    def __getitem__(self, index: int | slice) -> Discretisation | Sequence[Discretisation]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        i, names = int(index) % len(self), [axis.name for axis in self.axes]
        places = np.stack([self._of(f"{self.kind}_{name}", self.kind, i) for name in names], 1)
        if self.kind == "node":
            facets, parts = self._of("facets", "facet", i), self._of("parts", "facet", i)
            boundaries = {name: facets[parts == k] for k, name in enumerate(self.names) if (parts == k).any()}
            return Mesh.of(
                places.astype(float), self._of("cells", "cell", i).astype(int), boundaries, axes=Axes(self.axes)
            )
        weights, normals = (
            torch.from_numpy(self._of(name, "point", i)) if name in self.arrays else None
            for name in ("point_weights", "point_normals")
        )
        return PointCloud(Axes(self.axes), torch.from_numpy(places), weights, normals)

    def _of(self, name: str, dim: str, i: int) -> np.ndarray:
        array, bounds = self.arrays[name], self.bounds[dim]
        rest = [slice(0, n) for n in array.shape[1:]]
        return np.ascontiguousarray(array.read((slice(int(bounds[i]), int(bounds[i + 1])), *rest)))


def _of_meshes(meshes: Sequence[Mesh]) -> PackedMeshes:
    names = tuple(sorted({name for mesh in meshes for name in mesh.boundaries}))
    arrays: dict[str, Array] = {}
    for i, axis in enumerate(meshes[0].axes):
        arrays[f"node_{axis.name}"] = _packed([mesh.points[:, i] for mesh in meshes])
    arrays["cells"] = _packed([mesh.cells for mesh in meshes])
    facets = [mesh.boundaries[name] for mesh in meshes for name in names if name in mesh.boundaries]
    numbers = [
        torch.full((len(mesh.boundaries[name]),), k, dtype=torch.int32)
        for mesh in meshes for k, name in enumerate(names) if name in mesh.boundaries
    ]  # fmt: skip
    arrays |= {"facets": _packed(facets), "parts": _packed(numbers)}
    counts = {
        "node": np.array([len(mesh.points) for mesh in meshes]),
        "cell": np.array([len(mesh.cells) for mesh in meshes]),
        "facet": np.array([sum(len(facets) for facets in mesh.boundaries.values()) for mesh in meshes]),
    }
    return PackedMeshes(tuple(meshes[0].axes), arrays, counts, names)


def _of_clouds(clouds: Sequence[PointCloud]) -> PackedMeshes:
    arrays: dict[str, Array] = {}
    for i, axis in enumerate(clouds[0].axes):
        arrays[f"point_{axis.name}"] = _packed([cloud.x[:, i] for cloud in clouds])
    for name in ("weights", "normals"):
        known = [getattr(cloud, name) for cloud in clouds]
        if all(values is not None for values in known):
            arrays[f"point_{name}"] = _packed(known)
        elif any(values is not None for values in known):
            raise InputError(f"some of the clouds of points have {name} and others have none: give all or none of them")
    counts = {"point": np.array([len(cloud.x) for cloud in clouds])}
    return PackedMeshes(tuple(clouds[0].axes), arrays, counts)


def _packed(parts: Sequence[torch.Tensor]) -> Memory:
    return Memory(torch.cat([part.detach().cpu() for part in parts]).numpy())
