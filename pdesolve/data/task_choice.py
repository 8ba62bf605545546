"""The task that a data set is for, where people say only part of it or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pdesolve.errors import InputError, unknown_name
from pdesolve.settings import check_values

if TYPE_CHECKING:  # commands read what may be said of a task before they import torch
    from pdesolve.data.dataset import Dataset
    from pdesolve.data.task import Frames, Task

Kind = Literal["auto", "steps", "final", "trajectory", "none"]
_GIVEN = ("input", "a", "coefficient", "permeability")  # what files of others call what is given


@dataclass(frozen=True)
class TaskChoice:
    """What is said of a task; the rest follows from which variables have frames.

    Trajectories: the last `past` frames of all moving variables, beside what does not move, to the next `ahead`.
    Without frames: coefficients (variables that are parameters of the equation, or are called `input`) to the others.
    What does not move to what does: the whole trajectory.

    Attributes:
        inputs: variables that are given, with commas between; by default all that may be.
        targets: variables that are wanted; by default all that move, or all that are not given.
        frames: steps in time, the first frame to the last (final), the first frames to the whole trajectory, or none.
        past: frames that are given.
        ahead: frames that one step predicts.
        stride: from one frame to the next.
        split: parts of the samples where the data have no splits of their own.
    """

    inputs: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    frames: Kind = "auto"
    past: int = 1
    ahead: int = 1
    stride: int = 1
    split: str = "train=0.8,valid=0.1,test=0.1"

    def __post_init__(self) -> None:
        check_values(self)
        _ = self.parts

    @property
    def parts(self) -> dict[str, float]:
        """The parts of train, valid and test."""
        found = {"train": 0.0, "valid": 0.0, "test": 0.0}
        for text in self.split.split(","):
            name, _, value = text.partition("=")
            try:
                _, found[name.strip()] = found[name.strip()], float(value)
            except (ValueError, KeyError):
                raise InputError(f"a split reads train=0.8,valid=0.1,test=0.1, got {self.split!r}") from None
        return found

    def task(self, dataset: Dataset) -> Task:
        """The task on a data set.

        Raises:
            InputError: unknown variables; no way to tell inputs from targets, with what to write.
        """
        from pdesolve.data.task import Task

        for name in (*self.inputs, *self.targets):
            if name not in dataset.variables:
                raise unknown_name("variable", name, dataset.variables)
        names = [name for name, variable in dataset.variables.items() if variable.array.dtype.kind in "fiub"]
        moving = {name for name in names if "t" in dataset.variables[name].dims}
        inputs, targets = list(self.inputs), list(self.targets)
        if not targets and moving:
            targets = [name for name in names if name in moving]
        elif not targets:
            given = inputs or _coefficients(dataset, names)
            targets = [name for name in names if name not in given]
        if not inputs:
            inputs = [n for n in names if (n in moving and n in targets) or (n not in moving and n not in targets)]
        if self.targets and set(inputs) == set(targets) and not moving:
            raise InputError(f"{', '.join(targets)} is given and wanted, and has no frames to go on to: of "
                             f"{', '.join(names)} write others in --inputs NAME or --targets NAME")  # fmt: skip
        if not targets or not (inputs or dataset.parameters) or (set(inputs) == set(targets) and not moving):
            raise InputError(
                f"which of {', '.join(names)} are given and which are wanted? write --inputs NAME --targets NAME"
            )
        frames = self._frames(bool(moving & set(targets)), bool(moving & set(inputs)))
        return Task(tuple(inputs), tuple(targets), frames)

    def _frames(self, wanted: bool, given: bool) -> Frames | None:
        """The frames of a task, by whether its targets and inputs move."""
        from pdesolve.data.task import InitialToFinal, Steps, Trajectory

        if self.frames == "none" or (self.frames == "auto" and not wanted and not given):
            return None
        if self.frames == "final":
            return InitialToFinal()
        if self.frames == "trajectory" or (self.frames == "auto" and not given):
            return Trajectory(past=self.past if given else 0, stride=self.stride)
        return Steps(past=self.past, ahead=self.ahead, stride=self.stride)


def _coefficients(dataset: Dataset, names: Sequence[str]) -> list[str]:
    """The variables that are given: parameters of the family's equation, or what files of others call so."""
    family = dataset.attributes.get("family")
    if isinstance(family, str):
        from pdesolve.catalogue import make_family

        try:
            (problem, *_) = make_family(family).sample(1)
        except InputError:
            return [name for name in names if name in _GIVEN]
        known = {parameter.name for parameter in problem.equation.parameters}
        return [name for name in names if name in known or name not in problem.equation.scalars]
    return [name for name in names if name in _GIVEN]
