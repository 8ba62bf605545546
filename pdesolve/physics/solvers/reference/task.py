"""What the reference solver is asked: a problem, its values, the machine, and the samples of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pdesolve.equation import flatten
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Field, GridField
from pdesolve.geometry import Discretisation, Grid, PointCloud
from pdesolve.integration.fourier import Dealiasing
from pdesolve.integration.reconstruction import Limiter
from pdesolve.problem import Problem, Value


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be solved, on what machine, and at which snapshots."""

    problem: Problem
    values: Mapping[str, Value]
    times: tuple[float, ...]
    device: torch.device
    dealiasing: Dealiasing
    accuracy: int
    tolerance: float
    limiter: Limiter = "van_leer"

    def grid(self, intervals: Mapping[str, int]) -> Grid:
        """The grid of space with so many intervals on each axis."""
        axes = self.problem.domain.axes
        points = {a.name: intervals[a.name] + (0 if a.periodic else 1) for a in axes}
        return self.problem.grid(points, accuracy=self.accuracy)

    @property
    def instants(self) -> tuple[float | None, ...]:
        """Instants at which time-dependent data are looked at."""
        time = self.problem.time
        return (None,) if time is None else (time.lower, time.lower + 0.31 * time.length, time.upper)


def samples(task: Task) -> int | None:
    """The number of problems in the batch; None where there is no batch."""
    sizes = {shape[0] for shape in (f.sample_shape for f in _data(task)) if shape}
    if len(sizes) > 1:
        numbers = ", ".join(map(str, sorted(sizes)))
        raise InputError(f"{task.problem.name}: values for different numbers of samples ({numbers}): give one number")
    return sizes.pop() if sizes else None


def differentiable(task: Task) -> bool:
    """Whether anything given asks for gradients."""
    return any(field.values.requires_grad for field in _data(task))


def _data(task: Task) -> list[Field]:
    """Everything given, as fields on a small grid."""
    problem = task.problem
    if problem.domain.is_box:
        places: Discretisation = task.grid({axis.name: 8 for axis in problem.domain.axes})
    else:
        cloud = problem.sample(64, "sobol", torch.Generator().manual_seed(0))
        places = PointCloud(problem.domain.axes, cloud.x[:, 1 if problem.time else 0 :])
    x = Coordinates(places, device=task.device, gradients=False)
    if problem.time is None:
        return list(problem.bind(x, task.values).values())
    p = problem.bind(x.at_instant(problem.time.lower), task.values)
    return [*p.values(), *flatten(problem.initial_state(x, task.values)).values()]


def one(task: Task, sample: int) -> Task:
    """The task of one sample."""
    values: dict[str, Value] = {}
    for name, value in task.values.items():
        if isinstance(value, Tensor):
            values[name] = value[sample] if value.ndim else value
        elif isinstance(value, GridField) and value.sample_shape:
            values[name] = GridField(value.values[sample], value.grid, value.quantity, value.edges)
        else:
            values[name] = value
    return replace(task, values=values)
