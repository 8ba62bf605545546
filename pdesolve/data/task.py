"""What is to be learnt from a data set: which quantities are given, which are wanted, and at which frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from pdesolve.data.dataset import SAMPLE, Dataset, Variable
from pdesolve.errors import InputError, unknown_name


class Frames(ABC):
    """Which frames of a trajectory are given and which are wanted, counted from the first frame of a window."""

    @abstractmethod
    def starts(self, count: int) -> range:
        """The first frames of the windows in a trajectory of `count` frames.

        Raises:
            InputError: a window that is longer than the trajectory.
        """

    @abstractmethod
    def given(self, count: int) -> range:
        """The frames of the inputs, from the first of the window on."""

    @abstractmethod
    def wanted(self, count: int) -> range:
        """The frames of the targets, from the first of the window on."""


@dataclass(frozen=True)
class Steps(Frames):
    """`past` frames to the `ahead` frames that follow, all `stride` frames apart.

    Attributes:
        past: frames that are given. 0: only what is no trajectory (parameters, coefficients).
        ahead: frames that are wanted. For a push-forward over k steps and a loss on n: k + n.
        stride: from one frame of the window to the next.
        every: from the first frame of a window to that of the next; 1 takes every window, past + ahead few of them.
    """

    past: int = 1
    ahead: int = 1
    stride: int = 1
    every: int = 1

    def __post_init__(self) -> None:
        if self.past < 0 or self.ahead < 1 or self.stride < 1 or self.every < 1:
            raise InputError(
                f"a window has past >= 0 and ahead, stride, every >= 1 frames, got past={self.past}, "
                f"ahead={self.ahead}, stride={self.stride}, every={self.every}"
            )

    @property
    def length(self) -> int:
        """Frames from the first of a window to its last, both counted."""
        return (self.past + self.ahead - 1) * self.stride + 1

    def starts(self, count: int) -> range:
        if count < self.length:
            raise InputError(
                f"a window of {self.past} + {self.ahead} frames, {self.stride} apart, spans {self.length} frames and a "
                f"trajectory has {count}: ask for fewer frames or a smaller stride"
            )
        return range(0, count - self.length + 1, self.every)

    def given(self, count: int) -> range:
        return range(0, self.past * self.stride, self.stride)

    def wanted(self, count: int) -> range:
        return range(self.past * self.stride, (self.past + self.ahead) * self.stride, self.stride)


@dataclass(frozen=True)
class InitialToFinal(Frames):
    """The first frame to the last."""

    def starts(self, count: int) -> range:
        if count < 2:
            raise InputError(f"a first and a last frame need two, a trajectory has {count}")
        return range(1)

    def given(self, count: int) -> range:
        return range(1)

    def wanted(self, count: int) -> range:
        return range(count - 1, count)


@dataclass(frozen=True)
class Trajectory(Frames):
    """The first frames to the whole trajectory, these included: a block of space and time.

    Attributes:
        past: frames that are given.
        stride: from one frame to the next.
    """

    past: int = 1
    stride: int = 1

    def __post_init__(self) -> None:
        if self.past < 0 or self.stride < 1:
            raise InputError(f"a block needs past >= 0 and stride >= 1, got past={self.past}, stride={self.stride}")

    def starts(self, count: int) -> range:
        if count < max(1, (self.past - 1) * self.stride + 1):
            raise InputError(
                f"{self.past} frames, {self.stride} apart, are given and a trajectory has {count}: ask for fewer"
            )
        return range(1)

    def given(self, count: int) -> range:
        return range(0, self.past * self.stride, self.stride)

    def wanted(self, count: int) -> range:
        return range(0, count, self.stride)


@dataclass(frozen=True)
class Task:
    """What maps to what. Parameters of the data set go along with every window.

    Attributes:
        inputs: variables that are given; none where parameters alone are.
        targets: variables that are wanted.
        frames: which frames of them; None where nothing depends on time (a coefficient to a solution).
        parameters: those that go along; None for all that there are.
        thinned: every how many points of an axis ("x": 8, "t": 5) are taken, from the first on, before anything else.
        points: so many places (t, *space) of the targets, drawn anew for each window, in the place of whole fields.
        seed: of these draws.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    frames: Frames | None = None
    parameters: tuple[str, ...] | None = None
    thinned: Mapping[str, int] = field(default_factory=dict)
    points: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.targets:
            raise InputError("a task needs targets: name the variables that are wanted")
        for what, names in (("inputs", self.inputs), ("targets", self.targets)):
            if len(set(names)) != len(names):
                raise InputError(f"each of the {what} is named once, got {', '.join(names)}")
        if self.points is not None and self.points < 1:
            raise InputError(f"at least one point a window is drawn, got {self.points}; None takes whole fields")
        if self.seed < 0:
            raise InputError(f"a seed is not negative, got {self.seed}")

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that are read."""
        return tuple(dict.fromkeys((*self.inputs, *self.targets)))

    def prepared(self, dataset: Dataset) -> Dataset:
        """What is read of a data set: the variables and parameters of the task, thinned.

        Raises:
            InputError: an unknown variable, parameter or axis; nothing given; frames where nothing depends on time, or
                none where something does.
        """
        for name in self.variables:
            if name not in dataset.variables:
                raise unknown_name("variable", name, dataset.variables)
        names = tuple(dataset.parameters) if self.parameters is None else self.parameters
        for name in names:
            if name not in dataset.parameters:
                raise unknown_name("parameter", name, dataset.parameters)
        if not self.inputs and not names:
            raise InputError("a task needs something that is given: name inputs, or parameters of the data set")
        used = dataset.select(self.variables)
        used = Dataset(
            used.variables, dataset.coordinates, {name: dataset.parameters[name] for name in names},
            dataset.meshes, dataset.offsets, {}, dataset.attributes, dataset.layout, dataset.paths,
        )  # fmt: skip
        if self.points is not None and dataset.offsets:
            raise InputError("points are drawn from fields on one grid, and these samples differ in size")
        self._check_times(used)
        for axis, step in self.thinned.items():
            if step < 1:
                raise InputError(f"every {step}-th point of {axis}: write 1 or more")
        return used.isel({axis: slice(None, None, step) for axis, step in self.thinned.items() if step > 1})

    def _check_times(self, dataset: Dataset) -> None:
        moving = [variable for variable in dataset.variables.values() if "t" in variable.dims]
        if moving and self.frames is None:
            first = moving[0]
            raise InputError(
                f"{first.name} has {first.sizes['t']} frames: say which of them, such as frames=Steps(past=1, ahead=1)"
            )
        if not moving and self.frames is not None:
            raise InputError(f"{', '.join(self.variables)} have no frames: leave frames out")
        if self.frames is not None and not any("t" in dataset.variables[name].dims for name in self.targets):
            raise InputError(f"the targets {', '.join(self.targets)} have no frames: leave the moving inputs out")


def moving(variable: Variable) -> bool:
    """Whether a variable differs between frames."""
    return "t" in variable.dims


def shared(variable: Variable, dataset: Dataset) -> bool:
    """Whether a variable is the same in all samples."""
    return SAMPLE not in variable.dims and not any(dim in dataset.offsets for dim in variable.dims)
