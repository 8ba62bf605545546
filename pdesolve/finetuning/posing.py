"""What data say of the problem that they are solutions of: its numbers and coefficients, walls and first state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pdesolve.data.dataset import SAMPLE, Dataset
from pdesolve.data.signature import places_of
from pdesolve.errors import InputError
from pdesolve.fields import GridField, Quantity
from pdesolve.geometry import Grid
from pdesolve.method import Surrogate
from pdesolve.problem import Problem, Value
from pdesolve.provenance import problem_of

if TYPE_CHECKING:
    import xarray as xr


def posed_by(data: Dataset, given: Problem | str | None) -> Problem:
    """The problem that is given, by itself or by name, or the one that the data name.

    Raises:
        InputError: neither.
    """
    from pdesolve.catalogue import make_problem

    if isinstance(given, Problem):
        return given
    if given is not None:
        return make_problem(given)
    if not {"problem", "family"} & set(data.attributes):
        raise InputError(
            "the data name no equation (attributes 'family' or 'problem'): write --problem NAME, one of the catalogue "
            "or a .yaml file"
        )
    return problem_of(data.isel({"sample": [0]}).to_xarray())[0]


def check_boundaries(problem: Problem, space: Grid) -> None:
    """Refuse walls of which nothing is known and data on other axes than the problem's."""
    if not problem.domain.is_box:
        raise InputError(f"{problem.name} is no problem on a box, the data lie on a grid: name another --problem")
    axes = problem.domain.axes
    if axes.names != space.axes.names:
        raise InputError(f"{problem.name} has the axes {axes}, the data {space.axes}: name another --problem")
    for member in space.members:
        axis, own = axes[member.axis.name], member.axis
        slack = 1e-6 * axis.length
        if abs(own.lower - axis.lower) > slack or abs(own.upper - axis.upper) > slack or own.periodic != axis.periodic:
            raise InputError(
                f"{own.name} of the data runs from {own.lower:g} to {own.upper:g}{' around' if own.periodic else ''}, "
                f"in {problem.name} from {axis.lower:g} to {axis.upper:g}{' around' if axis.periodic else ''}: name "
                "the --problem of these data"
            )
    time = None if problem.time is None else problem.time.lower
    for name in problem.equation.scalars:
        held = problem.edges(name, space, time=time)
        open_ends = [side for side in problem.domain.boundaries if side not in held]
        if open_ends and not problem.unknown(name).algebraic:
            raise InputError(
                f"{problem.name} says nothing of {name} at {open_ends[0]}: the wall is not known, so that the equation "
                "has many solutions; name a --problem with a condition there"
            )


@dataclass(frozen=True, eq=False)
class Parameters:
    """The numbers and coefficients of the equation that data hold: by name the values, and whether samples differ."""

    held: Mapping[str, tuple[Tensor | GridField, bool]]

    def part(self, rows: slice, *, like: Tensor, single: bool = False) -> dict[str, Value]:
        """Those of some samples, without the dimension of samples for a single one."""

        def cut(values: Tensor, batched: bool) -> Tensor:
            own = values[rows] if batched else values
            return (own[0] if single and batched else own).to(like)

        return {
            name: GridField(cut(value.values, batched), value.grid, value.quantity)
            if isinstance(value, GridField)
            else cut(value, batched)
            for name, (value, batched) in self.held.items()
        }


def parameters_of(problem: Problem, data: Dataset) -> Parameters:
    """What the data say of the equation's parameters.

    Raises:
        InputError: numbers that change in time, coefficients of a family that the data do not hold.
    """
    found: dict[str, tuple[Tensor | GridField, bool]] = {}
    members = {member.axis.name: member for member in places_of(data)[1]}
    for name in (parameter.name for parameter in problem.equation.parameters):
        variable = data.parameters.get(name) or data.variables.get(name)
        if variable is None:
            if "family" in data.attributes and callable(problem.values.get(name)):
                raise InputError(
                    f"{name} of {problem.name} differs between samples and is not in the data: give data with all "
                    "variables"
                )
            continue
        if "t" in variable.dims:
            raise InputError(f"{name} changes in time in these data, which fine-tuning cannot take: leave it out")
        values, batched = torch.as_tensor(np.asarray(variable.array.all(), dtype=float)), SAMPLE in variable.dims
        axes = [dim for dim in variable.dims if dim != SAMPLE]
        grid = Grid(tuple(members[axis] for axis in axes)) if axes else None
        found[name] = (values if grid is None else GridField(values, grid, Quantity(name)), batched)
    return Parameters(found)


def known_start(
    surrogate: Surrogate, data: Dataset, guess: xr.Dataset, problem: Problem
) -> tuple[Tensor, tuple[float, ...], int]:
    """The last given state (sample, scalar, *space), its time and those of later frames, and how many predicted frames
    are not later."""
    signature = surrogate.signature
    given = {slot.name: slot for slot in signature.inputs if slot.moving}
    missing = [u.name for u in problem.equation.unknowns if u.name not in given]
    if missing or "t" not in guess.coords or "t" not in data.coordinates or data.coordinates["t"].points.ndim > 1:
        what = f"{missing[0]} at a first instant" if missing else "the times of the frames"
        raise InputError(f"an evolution needs {what} to be fine-tuned: train on frames of it with coordinates t")
    frames = next(iter(given.values())).frames
    position = (frames - 1) * getattr(signature.frames, "stride", 1)
    known = float(data.coordinates["t"].points[position])
    parts = []
    for unknown in problem.equation.unknowns:
        values = torch.as_tensor(np.asarray(data.read(unknown.name, {"t": position}), dtype=float))
        parts.append(values if unknown.components else values.unsqueeze(1))
    times = np.asarray(guess["t"].values, dtype=float)
    later = times > known + 1e-9 * max(abs(known), abs(float(times[-1])))
    if not later.any():
        raise InputError(f"the surrogate predicts no frame behind {known:g}: nothing is to be fine-tuned")
    kept = int(np.argmax(later))
    return torch.cat(parts, 1), (known, *times[kept:].tolist()), kept


def truth_at(data: Dataset, name: str, times: tuple[float, ...], components: bool) -> Tensor | None:
    """(sample, time, component, *space) that the data have at these times."""
    variable = data.variables.get(name)
    if variable is None:
        return None
    if not times:
        values = torch.as_tensor(np.asarray(data.read(name), dtype=float))
        return (values if components else values.unsqueeze(1)).unsqueeze(1)
    known = np.asarray(data.coordinates["t"].points, dtype=float)
    gap = np.abs(known[:, None] - np.asarray(times))
    if (gap.min(0) > 1e-6 * (known[-1] - known[0])).any():
        return None
    values = np.asarray(data.read(name), dtype=float)[:, gap.argmin(0)]
    found = torch.as_tensor(values)
    return found if components else found.unsqueeze(2)
