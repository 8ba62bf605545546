"""From what a surrogate predicts of data to solutions of the equation that the data obey."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from pdesolve.data.dataset import Dataset
from pdesolve.data.signature import places_of
from pdesolve.equation import Evolution, Unknown
from pdesolve.errors import InputError
from pdesolve.finetuning.collocation import PeriodicCollocation
from pdesolve.finetuning.descent import solved, solved_in_time
from pdesolve.finetuning.discrete import TrajectoryEquations
from pdesolve.finetuning.flow import FlowBalance
from pdesolve.finetuning.posing import check_boundaries, known_start, parameters_of, posed_by
from pdesolve.finetuning.result import Finetuned, told
from pdesolve.finetuning.sparse import SparseEquations
from pdesolve.finetuning.window import Window
from pdesolve.geometry import Grid
from pdesolve.method import Surrogate
from pdesolve.problem import Problem, Value
from pdesolve.surrogates.predictions import predicted

if TYPE_CHECKING:
    import xarray as xr

Kind = Literal["flow", "periodic", "sparse"]
_TOGETHER = {"flow": 16, "periodic": 16, "sparse": 1}  # samples that are solved as one batch


def finetune(
    surrogate: Surrogate,
    data: Dataset,
    *,
    problem: Problem | str | None = None,
    steps: int = 0,
    iterations: int = 20,
    tolerance: float = 1e-6,
) -> Finetuned:
    """Solutions of the equation for all samples of data, from the surrogate's predictions, in float64.

    Test-time optimisation of physics-informed operators (Li et al. 2021, arXiv 2111.03794) with other unknowns and
    another optimiser: the values of the field, not the weights, by least squares, not by Adam. Boundary values are
    those of the problem, initial ones the last frame that the surrogate is given, coefficients and numbers the data's.

    problem: whose solutions the samples are, a Problem, a name or a .yaml file; by default what the data name.
    steps: of a rollout, 0 for one prediction. iterations: steps of least squares at most (20). tolerance: the estimated
    relative distance to the solution of the discrete equations that is good enough (1e-4 to 1e-10); data in float32
    are not better than 1e-7.

    Raises:
        InputError: a surrogate of points, data without an equation or a number of it, what misses unknowns, boundary
            conditions or times; predictions, or a residual of them, that are not finite.
    """
    _check(surrogate, data, iterations, tolerance)
    posed = posed_by(data, problem)
    moving = posed.time is not None
    _check_targets(surrogate, posed)
    space = Grid(places_of(data)[1])
    check_boundaries(posed, space)
    begun = time.process_time()
    guess = predicted(surrogate, data, steps=steps, dtype=surrogate.dtype).dataset
    fields = torch.cat([_values(guess, u, moving) for u in posed.equation.unknowns], 1 + moving)
    finite = torch.isfinite(fields).flatten(1).all(1)
    if not bool(finite.all()):
        raise InputError(
            f"what the surrogate predicts of sample {int((~finite).nonzero()[0])} is not finite: leave that sample "
            "out, or take fewer --steps"
        )
    fields, times = fields.to(surrogate.device), ()
    if moving:
        first, times, kept = known_start(surrogate, data, guess, posed)
        fields = torch.cat([first.to(fields)[:, None], fields[:, kept:]], 1)
    parameters = parameters_of(posed, data)
    told_at = time.process_time()
    kind = _kind(posed, space, parameters.part(slice(0, 1), like=fields))
    outcomes = []
    for first_row in range(0, len(fields), _TOGETHER[kind]):
        rows = slice(first_row, first_row + _TOGETHER[kind])
        part, values = fields[rows], parameters.part(rows, like=fields, single=kind == "sparse")
        if moving:
            discretised = partial(_in_time, posed, space, values, kind)
            found = solved_in_time(discretised, times, part, iterations=iterations, tolerance=tolerance)
        elif kind == "flow":
            equations = FlowBalance(posed, space, values=values, device=fields.device)
            found = solved(equations, part, iterations=iterations, tolerance=tolerance)
        else:
            equations = SparseEquations(posed, space, part, values=values)
            found = solved(equations, part, iterations=iterations, tolerance=tolerance)
        outcomes.append(found)
    seconds = (told_at - begun, time.process_time() - told_at)
    return told(outcomes, guess, fields, data=data, problem=posed, times=times, seconds=seconds)


def _kind(problem: Problem, space: Grid, values: Mapping[str, Value]) -> Kind:
    """Which discretisation fits: that of the data's own solver where there is one."""
    if problem.time is not None:
        return "periodic" if all(m.placement == "periodic" for m in space.members) else "sparse"
    try:
        FlowBalance(problem, space, values=values)
    except InputError:
        return "sparse"
    return "flow"


def _in_time(
    problem: Problem, space: Grid, values: Mapping[str, Value], kind: Kind, window: Window, u: Tensor
) -> TrajectoryEquations:
    if kind == "periodic":
        return PeriodicCollocation(problem, space, window, u[:, 0], values=values)
    return SparseEquations(problem, space, u, values=values, window=window)


def _values(guess: xr.Dataset, unknown: Unknown, moving: bool) -> Tensor:
    """(sample, [time,] scalar, *space) of a predicted variable."""
    values = torch.as_tensor(np.asarray(guess[unknown.name].values, dtype=float))
    return values if unknown.components else values.unsqueeze(1 + moving)


def _check_targets(surrogate: Surrogate, problem: Problem) -> None:
    if problem.time is None and surrogate.signature.frames is not None:
        raise InputError(f"{problem.name} is stationary and the surrogate predicts frames: name another --problem")
    if problem.time is not None and surrogate.signature.frames is None:
        raise InputError(f"{problem.name} is an evolution and the surrogate predicts no frames: name another --problem")
    equation = problem.equation
    if isinstance(equation, Evolution) and (equation.order != 1 or any(u.algebraic for u in equation.unknowns)):
        raise InputError(
            f"{problem.name} cannot be fine-tuned: {type(equation).__name__} is of second order in time or has "
            "unknowns without a rate, whose first values data do not hold"
        )
    targets = {slot.name: slot.components for slot in surrogate.signature.targets}
    for unknown in problem.equation.unknowns:
        if targets.get(unknown.name) != len(unknown.scalars):
            raise InputError(
                f"{problem.name} has the unknown {unknown.name} of {len(unknown.scalars)} components, the surrogate "
                f"predicts {', '.join(f'{n} of {c}' for n, c in targets.items())}: train one that predicts all unknowns"
            )


def _check(surrogate: Surrogate, data: Dataset, iterations: int, tolerance: float) -> None:
    if not surrogate.signature.members or not places_of(data)[1]:
        raise InputError(
            "fine-tuning needs values on a grid and these lie at scattered points: an equation has no residual there"
        )
    if iterations < 1 or not 0 < tolerance < 1:
        raise InputError(
            f"iterations are one or more and a tolerance is between 0 and 1, got {iterations} and {tolerance}"
        )
