"""Observations: measured values of unknowns at points, read from text files."""

from __future__ import annotations

from pathlib import Path

from pdesolve.condition import Observed
from pdesolve.errors import InputError
from pdesolve.problem import Problem
from pdesolve.table import read_table


def read_observations(path: Path, problem: Problem) -> tuple[Observed, ...]:
    """A CSV file with a header that names the problem's axes and some of its unknowns, one observation a row.

    Raises:
        InputError: a file that is missing or has other columns, a row that is no numbers.
    """
    header, table = read_table(path, "observations")
    axes = problem.axes.names
    unknowns = [name for name in problem.equation.scalars if name in header]
    extra = [name for name in header if name not in axes and name not in unknowns]
    if not unknowns or extra or any(name not in header for name in axes):
        raise InputError(
            f"{path} needs a header with the axes {', '.join(axes)} and one of the unknowns "
            f"{', '.join(problem.equation.scalars)}, got {', '.join(header) or 'nothing'}"
        )
    if not len(table):
        raise InputError(f"{path} holds no observations below its header")
    points = table[:, [header.index(name) for name in axes]]
    for column, axis in zip(points.T, problem.axes, strict=True):
        if column.min() < axis.lower - 1e-9 * axis.length or column.max() > axis.upper + 1e-9 * axis.length:
            raise InputError(
                f"{path}: {axis.name} runs from {column.min():.6g} to {column.max():.6g}, outside of "
                f"[{axis.lower:.6g}, {axis.upper:.6g}]"
            )
    return tuple(Observed(name, points, table[:, header.index(name)]) for name in unknowns)
