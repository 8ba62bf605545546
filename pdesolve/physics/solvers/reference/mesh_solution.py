"""Solutions on meshes: nodal values of elements, with snapshots in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pdesolve.equation import State
from pdesolve.fields import Coordinates
from pdesolve.fields.interpolation import lagrange
from pdesolve.geometry import GridAxis, Mesh
from pdesolve.integration.elements import Elements
from pdesolve.physics.solvers.reference.solution import StoredSolution, write_stored
from pdesolve.problem import Problem, Value

_CHUNK = 2**15  # points at once


class MeshSolution(StoredSolution):
    """Values at the nodes of elements, and at times, interpolated in time by polynomials of degree 7.

    nodal: for each scalar (*sample, *time, node); a scalar with as many nodes as the mesh has points is of degree 1.
    First derivatives at points are of one order less than the values, and jump between cells; second derivatives mean
    nothing at single points.
    """

    smooth = False

    def __init__(
        self,
        problem: Problem,
        elements: Elements,
        nodal: Mapping[str, Tensor],
        values: Mapping[str, Value] | None = None,
        *,
        times: Sequence[float] = (),
    ) -> None:
        first = next(iter(nodal.values()))
        super().__init__(problem, values, first.device)
        self.elements, self.nodal, self.times = elements, dict(nodal), tuple(times)

    def state(self, x: Coordinates) -> State:
        columns = x.columns()
        parts = [self._at(part) for part in columns.split(_CHUNK)] or [self._at(columns)]
        shape = x.discretisation.shape
        joined = {name: torch.cat([part[name] for part in parts], -1) for name in self.nodal}
        return self.problem.state({name: v.reshape(*v.shape[:-1], *shape) for name, v in joined.items()}, x)

    def _at(self, points: Tensor) -> dict[str, Tensor]:
        """The scalars (*sample, point) at points (point, axis)."""
        elements, evolves = self.elements, bool(self.times)
        cells, at = elements.locate(points[:, 1:] if evolves else points)
        when: tuple[Tensor, Tensor] | None = None
        if evolves:
            assert self.problem.time is not None
            when = lagrange(GridAxis.at(self.problem.time, self.times), points[:, 0].contiguous(), points)
        found = {}
        for name, nodal in self.nodal.items():
            degree = 1 if nodal.shape[-1] == len(elements.mesh.points) else elements.degree
            nodes = elements.cell_nodes(degree).to(points.device)[cells]
            weights = elements.shapes(at, degree)
            if when is None:
                found[name] = (nodal[..., nodes] * weights).sum(-1)
                continue
            instants, shares = when
            # gathered (*sample, point, time of the stencil, node of the cell)
            local = nodal[..., instants[:, :, None], nodes[:, None, :]]
            found[name] = ((local * weights[:, None]).sum(-1) * shares).sum(-1)
        return found

    def store(self, path: Path, key: str = "") -> None:
        mesh = self.elements.mesh
        arrays = {
            "points": mesh.points.numpy(),
            "cells": mesh.cells.numpy(),
            "places": self.elements.places.numpy(),
            **{f"part_{i}": facets.numpy() for i, facets in enumerate(mesh.boundaries.values())},
            **{f"nodal_{name}": nodal.detach().cpu().numpy() for name, nodal in self.nodal.items()},
        }
        about = {
            "kind": "mesh",
            "degree": self.elements.degree,
            "parts": list(mesh.boundaries),
            "times": list(self.times),
        }
        write_stored(path, self, about, arrays, key)

    @staticmethod
    def read(
        problem: Problem,
        about: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        values: Mapping[str, Value] | None,
        device: torch.device | str,
    ) -> MeshSolution:
        """The solution that `store` wrote."""
        parts = {name: arrays[f"part_{i}"] for i, name in enumerate(about["parts"])}
        mesh = Mesh.of(arrays["points"], arrays["cells"], parts, axes=problem.domain.axes)
        elements = Elements(mesh, torch.from_numpy(arrays["places"]), degree=about["degree"])
        nodal = {name: torch.from_numpy(arrays[f"nodal_{name}"]).to(device) for name in problem.equation.scalars}
        counts = {elements.count(degree) for degree in (1, elements.degree)}
        times = tuple(about["times"])
        steps = [len(times)] if times else []
        if any(n.shape[-1] not in counts or list(n.shape[-2:-1])[: len(steps)] != steps for n in nodal.values()):
            raise ValueError("its values do not fit its mesh")
        return MeshSolution(problem, elements, nodal, values, times=times)
