"""What the reference solver hands back: a formula, or fields on a grid with snapshots in time."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pdesolve.equation import State, Values
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Field, GridField
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
    """A solution that is kept as arrays in one file, which `fetch` reads."""

    @abstractmethod
    def store(self, path: Path, key: str = "") -> None:
        """Write arrays and notes to an .npz file, aside and renamed. `key` says what they were computed from.

        Raises:
            OSError: a folder that cannot be written to.
        """

    def write(self, folder: Path) -> None:
        self.store(folder / FILE)


class GridSolution(StoredSolution):
    """Fields on a grid of space, and of time for evolutions, interpolated in between by polynomials of degree 7.

    fields: for each scalar (*sample, *time, *space). corners: the part of a flow that no grid can hold; the fields are
    then what `CornerFlow.complete` completes.
    """

    def __init__(
        self,
        problem: Problem,
        grid: Grid,
        fields: Mapping[str, Tensor],
        values: Mapping[str, Value] | None = None,
        *,
        corners: CornerFlow | None = None,
    ) -> None:
        first = next(iter(fields.values()))
        super().__init__(problem, values, first.device)
        self.grid, self.corners = grid, corners
        self.fields = {name: GridField(field, grid, problem.quantity(name)) for name, field in fields.items()}

    def state(self, x: Coordinates) -> State:
        found: dict[str, Field] = {name: interpolate(field, x) for name, field in self.fields.items()}
        scalars = {name: x.expand(field).values for name, field in found.items()}
        if self.corners is not None:
            scalars = self.corners.complete(scalars, x["x"].values, x["y"].values)
        return self.problem.state(scalars, x)

    def store(self, path: Path, key: str = "") -> None:
        fields = {name: field.values.detach().cpu().numpy() for name, field in self.fields.items()}
        about = {
            "format": FORMAT,
            "key": key,
            "checksum": _checksum(fields),
            "axes": [[m.axis.name, m.placement, m.size, list(m.listed)] for m in self.grid.members],
            "accuracy": self.grid.accuracy,
            "notes": self.notes,
            "converged": self.converged,
            "corners": None if self.corners is None else self.corners.json(),
        }
        write_arrays(path, about, {f"field_{name}": field for name, field in fields.items()})


def write_arrays(path: Path, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Arrays, and JSON that says what they are, in one .npz file, written aside and renamed."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            content: dict[str, Any] = dict(arrays)
            np.savez(file, about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8), **content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def fetch(
    path: Path,
    problem: Problem,
    *,
    values: Mapping[str, Value] | None = None,
    device: torch.device | str = "cpu",
    key: str = "",
) -> GridSolution:
    """The solution that `StoredSolution.store` wrote.

    Raises:
        InputError: no such file, or one that is damaged, of another format, problem or key.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            about: dict[str, Any] = json.loads(content["about"].tobytes())
            fields = {name: content[f"field_{name}"] for name in problem.equation.scalars}
        if (about["format"], about["key"]) != (FORMAT, key):
            raise ValueError(f"it holds format {about['format']} of another problem")
        if about["checksum"] != _checksum(fields):
            raise ValueError("its checksum does not fit")
        members = tuple(
            GridAxis(problem.axes[name], placement, size, tuple(listed))
            for name, placement, size, listed in about["axes"]
        )
        grid = Grid(members, about["accuracy"])
        if any(field.shape[field.ndim - len(members) :] != grid.shape for field in fields.values()):
            raise ValueError("its fields do not fit its grid")
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise InputError(f"cannot read the reference in {path}: {reason}; delete it and solve again") from error
    tensors = {name: torch.from_numpy(field).to(device) for name, field in fields.items()}
    corners = CornerFlow.read(about["corners"], device) if about.get("corners") else None
    solution = GridSolution(problem, grid, tensors, values, corners=corners)
    solution.notes, solution.converged = about["notes"], about["converged"]
    return solution


def _checksum(fields: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(fields):
        digest.update(f"{name} {fields[name].shape} {fields[name].dtype}".encode())
        digest.update(np.ascontiguousarray(fields[name]).tobytes())
    return digest.hexdigest()
