"""Reading stored solutions back, whatever they are on."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch

from pdesolve.errors import InputError
from pdesolve.physics.solvers.reference.mesh_solution import MeshSolution
from pdesolve.physics.solvers.reference.solution import GridSolution, StoredSolution, read_stored
from pdesolve.problem import Problem, Value

_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


def fetch(
    path: Path,
    problem: Problem,
    *,
    values: Mapping[str, Value] | None = None,
    device: torch.device | str = "cpu",
    key: str = "",
) -> StoredSolution:
    """The solution that `StoredSolution.store` wrote.

    Raises:
        InputError: no such file, or one that is damaged, of another format, problem or key.
    """
    try:
        about, arrays = read_stored(path, key)
        kind = MeshSolution if about.get("kind") == "mesh" else GridSolution
        solution = kind.read(problem, about, arrays, values, device)
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise InputError(f"cannot read the reference in {path}: {reason}; delete it and solve again") from error
    solution.notes, solution.converged = about["notes"], about["converged"]
    return solution
