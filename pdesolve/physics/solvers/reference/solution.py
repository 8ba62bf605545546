"""What the reference solver hands back: a formula, or fields on a grid with snapshots in time."""

from __future__ import annotations

import hashlib
import json
import os
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pdesolve.equation import State, Values, assemble
from pdesolve.fields import Coordinates, GridField
from pdesolve.fields.interpolation import interpolate
from pdesolve.geometry import Grid, GridAxis
from pdesolve.integration.corners import CornerFlow
from pdesolve.method import Solution
from pdesolve.problem import Problem, Value

FORMAT = 1
FILE = "reference.npz"


class FormulaSolution(Solution):
    """A solution in closed form, formula(p, x) at any coordinates."""

    def __init__(
        self,
        problem: Problem,
        formula: Callable[[Values, Coordinates], State],
        values: Mapping[str, Value] | None = None,
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(problem, values, device)
        self.formula, self.converged = formula, True

    def state(self, x: Coordinates) -> State:
        return self.formula(self.problem.bind(x, self.values), x)

    def write(self, folder: Path) -> None:
        """Nothing: problem and values determine it."""


class StoredSolution(Solution):
    """A solution that is kept as arrays in one file, which `storage.fetch` reads."""

    @abstractmethod
    def store(self, path: Path, key: str = "") -> None:
        """Write arrays and notes to an .npz file, aside and renamed. `key` says what they were computed from.

        Raises:
            OSError: a folder that cannot be written to.
        """

    def write(self, folder: Path) -> None:
        self.store(folder / FILE)


class GridSolution(StoredSolution):
    """Fields on a grid of space, and of time for evolutions, interpolated in between by polynomials.

    fields: for each scalar (*sample, *time, *space). degree: of the polynomials, 1 for fields that jump. corners: the
    part of a flow that no grid can hold; the fields are then what `CornerFlow.complete` completes.
    """

    def __init__(
        self,
        problem: Problem,
        grid: Grid,
        fields: Mapping[str, Tensor],
        values: Mapping[str, Value] | None = None,
        *,
        degree: int = 7,
        corners: CornerFlow | None = None,
    ) -> None:
        first = next(iter(fields.values()))
        super().__init__(problem, values, first.device)
        self.grid, self.degree, self.corners = grid, degree, corners
        self.smooth = degree > 1
        self.fields = {name: GridField(field, grid, problem.quantity(name)) for name, field in fields.items()}

    def state(self, x: Coordinates) -> State:
        found = {n: x.expand(interpolate(field, x, degree=self.degree)) for n, field in self.fields.items()}
        if self.corners is None:
            return assemble(self.problem.equation.unknowns, found)
        scalars = {name: field.values for name, field in found.items()}
        return self.problem.state(self.corners.complete(scalars, x["x"].values, x["y"].values), x)

    def store(self, path: Path, key: str = "") -> None:
        fields = {name: field.values.detach().cpu().numpy() for name, field in self.fields.items()}
        about = {
            "axes": [[m.axis.name, m.placement, m.size, list(m.listed)] for m in self.grid.members],
            "accuracy": self.grid.accuracy,
            "degree": self.degree,
            "corners": None if self.corners is None else self.corners.json(),
        }
        write_stored(path, self, about, fields, key)

    @staticmethod
    def read(
        problem: Problem,
        about: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        values: Mapping[str, Value] | None,
        device: torch.device | str,
    ) -> GridSolution:
        """The solution that `store` wrote."""
        members = tuple(
            GridAxis(problem.axes[name], placement, size, tuple(listed))
            for name, placement, size, listed in about["axes"]
        )
        grid = Grid(members, about["accuracy"])
        fields = {name: torch.from_numpy(arrays[name]).to(device) for name in problem.equation.scalars}
        if any(field.shape[field.ndim - len(members) :] != grid.shape for field in fields.values()):
            raise ValueError("its fields do not fit its grid")
        corners = CornerFlow.read(about["corners"], device) if about.get("corners") else None
        return GridSolution(problem, grid, fields, values, degree=about.get("degree", 7), corners=corners)


def write_stored(
    path: Path, solution: StoredSolution, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray], key: str
) -> None:
    """Arrays, what they are, notes and a checksum in one .npz file, written aside and renamed."""
    words = {
        "format": FORMAT,
        "key": key,
        "checksum": _checksum(arrays),
        **about,
        "notes": solution.notes,
        "converged": solution.converged,
    }
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            content: dict[str, Any] = {f"field_{name}": array for name, array in arrays.items()}
            np.savez(file, about=np.frombuffer(json.dumps(words).encode(), dtype=np.uint8), **content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def read_stored(path: Path, key: str = "") -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `write_stored` wrote.

    Raises:
        OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, zlib.error: no such file, or one that is
            damaged or of another format or key.
    """
    with np.load(path, allow_pickle=False) as content:
        about: dict[str, Any] = json.loads(content["about"].tobytes())
        arrays = {name.removeprefix("field_"): content[name] for name in content.files if name != "about"}
    if (about["format"], about["key"]) != (FORMAT, key):
        raise ValueError(f"it holds format {about['format']} of another problem")
    if about["checksum"] != _checksum(arrays):
        raise ValueError("its checksum does not fit")
    return about, arrays


def _checksum(fields: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(fields):
        digest.update(f"{name} {fields[name].shape} {fields[name].dtype}".encode())
        digest.update(np.ascontiguousarray(fields[name]).tobytes())
    return digest.hexdigest()
