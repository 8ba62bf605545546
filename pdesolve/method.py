"""Methods: the contracts that every solver and its solution keep, every learner and its surrogate."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pdesolve.equation import State, flatten
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates
from pdesolve.geometry import Discretisation, Grid, PointCloud
from pdesolve.problem import Problem, Value
from pdesolve.settings import check_values

if TYPE_CHECKING:
    import xarray as xr

    from pdesolve.data.batch import Batch
    from pdesolve.data.signature import Signature
    from pdesolve.data.training_data import TrainingData
    from pdesolve.nn.places import Places
    from pdesolve.proof import Proof
    from pdesolve.surrogates.judging import Report
    from pdesolve.surrogates.rollout import OnDivergence, Rollout
    from pdesolve.training.run import Run

_CHANNELS, _BATCH = 32, 32  # of a usual network in training
_SIZES = {"modes", "width", "depth", "heads", "blocks", "levels", "latent", "functions"}  # counts of networks


class Solution(ABC):
    """A solution of a problem that can be evaluated, differentiated, stored and proven.

    `values` are the parameter values it belongs to where they differ from the problem's (learned ones included).
    `parameters` counts the trainable numbers. `converged` says that the stopping rule was met, not the budget.
    `notes` holds what the method has to say of it (a scheme, an estimated error); JSON values only. `smooth` says
    whether its derivatives at single points mean anything, and with them the residual: not those of weak solutions.
    `reached` is the time up to which it is one, None where that is all: what is there later is of no worth.
    """

    problem: Problem
    values: dict[str, Value]
    parameters: int = 0
    converged: bool = False
    smooth: bool = True
    notes: dict[str, Any]
    dtype: torch.dtype = torch.float64
    device: torch.device
    run: Path | None = None
    proof: Proof | None = None

    @property
    def reached(self) -> float | None:
        return None

    def __init__(
        self, problem: Problem, values: Mapping[str, Value] | None = None, device: torch.device | str = "cpu"
    ) -> None:
        self.problem = problem
        self.values = dict(values or {})
        self.notes = {}
        self.device = torch.device(device)

    @abstractmethod
    def state(self, x: Coordinates) -> State:
        """The state at any coordinates of the problem. At points it can be differentiated in them."""

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Store in `folder` what `Solver.restore` needs, aside and renamed."""

    def coordinates(self, discretisation: Discretisation, *, gradients: bool = False) -> Coordinates:
        """Coordinates in this solution's dtype and on its device.

        Raises:
            InputError: what is no discretisation.
        """
        if not isinstance(discretisation, Discretisation):
            example = ", ".join(f"{axis.name}={axis.lower:g}" for axis in self.problem.axes)
            raise InputError(
                f"expected a Grid or a PointCloud, got a {type(discretisation).__name__}: for values at places write "
                f"solution.at({example}), each a number or a list"
            )
        return Coordinates(discretisation, dtype=self.dtype, device=self.device, gradients=gradients)

    def on(self, discretisation: Discretisation | None = None) -> dict[str, Tensor]:
        """The scalars of the state as tensors on a discretisation (the problem's evaluation set by default)."""
        x = self.coordinates(self.problem.evaluation_set if discretisation is None else discretisation)
        with torch.no_grad():
            return {name: x.expand(field).values for name, field in flatten(self.state(x)).items()}

    def at(self, **places: Any) -> xr.Dataset:
        """The solution itself at any places and times, `at(t=0.37, x=[0.1, 0.2])`: nothing is taken from a grid.

        For each axis a number (the axis goes), a sequence (a grid), or arrays over one common dimension (points), as in
        `.pde.at` of data sets.

        Raises:
            InputError: axes that are missing or unknown, places outside of the axes, times later than `reached`.
        """
        from pdesolve.predicting import predict_at

        return predict_at(self, places)

    def dataset(self, discretisation: Grid | PointCloud | None = None) -> xr.Dataset:
        """The solution as a labelled xarray.Dataset (on the problem's evaluation grid by default)."""
        from pdesolve.labelled import to_dataset
        from pdesolve.proof import as_far_as_solved

        places = as_far_as_solved(self).problem.evaluation_set if discretisation is None else discretisation
        made = to_dataset(self.problem, places, self.on(places), values=self.values, notes=self.notes)
        if self.problem.file is not None:
            made.attrs["problem_file"] = str(self.problem.file.kept_in(self.run).resolve())
        return made


class Solver(ABC):
    """A data-free method. Its settings are the fields of the frozen dataclass that implements it.

    Raises:
        InputError: when made with a setting that does not fit its type.
    """

    def __post_init__(self) -> None:
        check_values(self)

    @abstractmethod
    def solve(
        self, problem: Problem, run: Run, *, values: Mapping[str, Value] | None = None, learn: Sequence[str] = ()
    ) -> Solution:
        """Solve the problem within `run.budget`, reporting to `run`.

        `values` take the place of the problem's parameter values; those named in `learn` start there and are fitted
        to the problem's observations.

        Raises:
            InputError: a problem this method cannot solve, said before any time is spent.
            Diverged: a value that is not finite; the best state so far is kept.
        """

    def no_target(self) -> str:
        """Why this method cannot stop at an error of its solution, and what to write instead; empty where it can."""
        return ""

    def after_divergence(self, solution: Solution) -> Mapping[str, Any]:
        """Settings with which another run may come further than one that diverged; none where resuming may."""
        return {}

    def operation_size(self, problem: Problem) -> int:
        """How many values a typical tensor operation works on: it decides the number of CPU threads."""
        return 0

    @abstractmethod
    def restore(
        self, problem: Problem, folder: Path, *, values: Mapping[str, Value] | None = None, device: str = "cpu"
    ) -> Solution:
        """The solution that `Solution.write` stored in a folder."""


class Surrogate(ABC):
    """A trained map between fields: what a learner makes of data.

    One step of it takes the inputs of its signature to the targets. `start`, `step` and `read` are all that a kind of
    surrogate says of itself; a carry is whatever it goes on with (the last frames, a latent state). `parameters` counts
    trained numbers, a complex one as two. `notes` holds what the learner has to say of it; JSON values only.
    `elsewhere` says whether it reads values at other places than those of the inputs.
    """

    signature: Signature
    parameters: int = 0
    notes: dict[str, Any]
    elsewhere: bool = False
    dtype: torch.dtype = torch.float32
    device: torch.device
    run: Path | None = None
    report: Report | None = None

    @abstractmethod
    def start(self, batch: Batch) -> Any:
        """The carry of the frames, coefficients and parameters that a batch gives. Its targets are not looked at."""

    @abstractmethod
    def step(self, carry: Any) -> Any:
        """The carry one step later."""

    @abstractmethod
    def read(self, carry: Any, at: Places | None = None) -> dict[str, Tensor]:
        """The targets {name: (sample, time, component, *space)} of the last step, where the batch has its values, or at
        other places."""

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Store in `folder` what `Learner.restore` needs, aside and renamed."""

    @torch.no_grad()
    def predict(self, batch: Batch, at: Places | None = None) -> dict[str, Tensor]:
        """The targets {name: (sample, time, component, *space)} of the inputs of a batch, at any resolution.

        Raises:
            InputError: a batch of other variables, or places that the surrogate cannot work on.
        """
        return self.read(self.step(self.start(batch)), at)

    def rollout(
        self, batch: Batch, steps: int, *, on_divergence: OnDivergence = "stop", at: Places | None = None
    ) -> Rollout:
        """So many steps from what a batch gives, each from the outcome of the one before, read there or `at` others.

        on_divergence: what to do with values that are not finite, or 1e4 times the scale they were trained on: `stop`
        fills the frames from there on with NaN for the samples that diverged, `raise` raises, `keep` goes on.

        Raises:
            InputError: a surrogate whose targets are not the inputs of its next step.
            Diverged: with `raise`, the step, the sample and the variable.
        """
        from pdesolve.surrogates.rollout import rolled_out

        return rolled_out(self, batch, steps, on_divergence, at)


class Learner(ABC):
    """A method that learns from data. Its settings are the fields of the frozen dataclass that implements it.

    Raises:
        InputError: when made with a setting that does not fit its type, or with a network of no size.
    """

    def __post_init__(self) -> None:
        check_values(self)
        _check_sizes(self)

    @abstractmethod
    def learn(self, data: TrainingData, run: Run) -> Surrogate:
        """Train on data within `run.budget`, reporting to `run`.

        Raises:
            InputError: data whose task this method cannot learn, said before any time is spent.
            Diverged: a loss that is not finite; the best state so far is kept.
        """

    @abstractmethod
    def restore(self, folder: Path, *, device: str = "cpu") -> Surrogate:
        """The surrogate that `Surrogate.write` stored in a folder."""

    def operation_size(self, signature: Signature) -> int:
        """How many values a typical tensor operation works on: it decides the number of CPU threads."""
        return _CHANNELS * _BATCH * math.prod(signature.shape)


def _check_sizes(settings: Any) -> None:
    """Refuse counts of a network below one."""
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name in _SIZES and isinstance(value, int) and value < 1:
            raise InputError(f"{field.name} is at least 1, got {value}: write --method.{field.name} {field.default}")
