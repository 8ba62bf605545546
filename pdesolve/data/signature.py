"""The signature of a surrogate: which variables, frames and parameters it maps to which, on what grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from pdesolve.data.dataset import Dataset
from pdesolve.data.moments import Moments
from pdesolve.data.symmetries import Symmetries
from pdesolve.data.task import Frames, InitialToFinal, Steps, Task, Trajectory
from pdesolve.data.windows import Windows
from pdesolve.errors import InputError
from pdesolve.geometry import Axis, Grid, GridAxis

_LOOKED_AT = 64  # windows, for the size of changes
_FRAMES = {kind.__name__: kind for kind in (Steps, InitialToFinal, Trajectory)}


@dataclass(frozen=True)
class Slot:
    """A variable of a signature: its frames and components, and their means and deviations over the training split.

    frames: how many of one window. moving: whether it differs between frames. mean, std: by component. change: of a
    target that is also given, the root mean square by component of what is added to its last given frame; else empty.
    """

    name: str
    frames: int
    components: int
    moving: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    unit: str | None = None
    change: tuple[float, ...] = ()

    @property
    def channels(self) -> int:
        """Frames times components: the channels that it takes of a network."""
        return self.frames * self.components


@dataclass(frozen=True)
class Signature:
    """What a surrogate maps to what.

    inputs, targets: variables, in the order of channels. parameters: numbers of the equation. frames: of a window.
    axes: of space. members: the grid that it was trained on, empty where places are points. spacing: time between two
    frames, None where it is not known or not even. symmetries: predictions are means over the images under these.
    """

    inputs: tuple[Slot, ...]
    targets: tuple[Slot, ...]
    parameters: tuple[Slot, ...]
    frames: Frames | None
    axes: tuple[Axis, ...]
    members: tuple[GridAxis, ...] = ()
    spacing: float | None = None
    symmetries: Symmetries | None = None

    @property
    def grid(self) -> Grid | None:
        """The grid of space that it was trained on; None where places are points."""
        return Grid(self.members) if self.members else None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(member.size for member in self.members)

    @property
    def input_channels(self) -> int:
        return sum(slot.channels for slot in self.inputs)

    @property
    def given_channels(self) -> int:
        """Of the inputs, and one of each parameter: what networks read that take parameters as channels."""
        return self.input_channels + len(self.parameters)

    @property
    def target_channels(self) -> int:
        return sum(slot.channels for slot in self.targets)

    @property
    def periodic(self) -> tuple[bool, ...]:
        return tuple(axis.periodic for axis in self.axes)

    @property
    def autoregressive(self) -> bool:
        """Whether its targets are inputs of the next step."""
        targets = {slot.name for slot in self.targets}
        return isinstance(self.frames, Steps) and all(slot.name in targets for slot in self.inputs if slot.moving)

    @property
    def task(self) -> Task:
        """The task of one step."""
        return Task(
            tuple(slot.name for slot in self.inputs), tuple(slot.name for slot in self.targets), self.frames,
            tuple(slot.name for slot in self.parameters),
        )  # fmt: skip

    def json(self) -> dict[str, Any]:
        """The signature as JSON values."""
        frames = None if self.frames is None else {"kind": type(self.frames).__name__, **vars(self.frames)}
        return {**asdict(self), "frames": frames}

    @staticmethod
    def of_json(content: Mapping[str, Any]) -> Signature:
        """The signature that `json` wrote."""
        given = content["frames"]
        frames = None
        if given is not None:
            frames = _FRAMES[given["kind"]](**{k: v for k, v in given.items() if k != "kind"})
        held = content.get("symmetries")
        inputs, targets, parameters = (
            tuple(_slot(entry) for entry in content[kind]) for kind in ("inputs", "targets", "parameters")
        )
        return Signature(
            inputs,
            targets,
            parameters,
            frames,
            tuple(Axis(**axis) for axis in content["axes"]),
            tuple(
                GridAxis(Axis(**m["axis"]), m["placement"], m["size"], tuple(m["listed"])) for m in content["members"]
            ),
            content["spacing"],
            None if held is None else Symmetries(tuple(held["kinds"]), tuple(held["odd"])),
        )  # fmt: skip


def signature_of(dataset: Dataset, task: Task, moments: Moments, *, wanted: Moments | None = None) -> Signature:
    """The signature of a task on a data set, with the moments of its training split.

    wanted: the moments of the targets, where their frames differ from those of the inputs.

    Raises:
        InputError: a task that does not fit the data set; samples with grids of their own; parameters that change in
            time; a variable that has one value everywhere.
    """
    windows = Windows(dataset, task)
    data = windows.dataset
    slots: dict[str, list[Slot]] = {"inputs": [], "targets": []}
    for kind, names, frames in (("inputs", task.inputs, windows.given), ("targets", task.targets, windows.wanted)):
        for name in names:
            source, variable = windows.sources[name], data.variables[name]
            count = len(frames) if source.moving else 1
            own = moments if kind == "inputs" or wanted is None else wanted
            mean, std = own.mean[name], own.std[name]
            if kind == "targets" and not all(s > 0 for s in std):
                raise InputError(f"the target {name} is {mean[std.index(0.0)]:g} everywhere: there is nothing to learn")
            lacking = [dim for dim in source.space if dim not in variable.dims]
            if kind == "targets" and lacking:
                raise InputError(
                    f"the target {name} has no axis {', '.join(lacking)}, and surrogates give fields over all axes of "
                    f"the data, {', '.join(data.space)}: leave it out of --targets"
                )
            std = tuple(s or 1.0 for s in std)
            change = _change(windows, name) if kind == "targets" and name in task.inputs and source.moving else ()
            slots[kind].append(Slot(name, count, source.shape[0], source.moving, mean, std, variable.unit, change))
    parameters = []
    for name, variable in data.parameters.items():
        if "t" in variable.dims:
            raise InputError(f"the parameter {name} changes in time: name it among the inputs, or leave it out")
        std = tuple(s or 1.0 for s in moments.std[name])
        parameters.append(Slot(name, 1, 1, False, moments.mean[name], std, variable.unit))
    axes, members = places_of(data)
    times = data.coordinates.get("t")
    spacing = None
    if times is not None and task.frames is not None and times.points.ndim == 1 and len(times.points) > 1:
        gaps = times.points[1:] - times.points[:-1]
        even = getattr(task.frames, "stride", 1) * float(gaps.mean())
        spacing = even if float(gaps.max() - gaps.min()) <= 1e-4 * float(gaps.mean()) else None
    return Signature(
        tuple(slots["inputs"]), tuple(slots["targets"]), tuple(parameters), task.frames, axes, members, spacing
    )


def _change(windows: Windows, name: str) -> tuple[float, ...]:
    """The root mean square by component of wanted frames less the last given one, over windows spread evenly."""
    squares, count = torch.zeros(()), 0
    for number in sorted(set(np.linspace(0, len(windows) - 1, _LOOKED_AT).round().astype(int).tolist())):
        sample = windows[number]
        last, wanted = sample.inputs[name][-1:], sample.targets[name]
        if last.shape[2:] != wanted.shape[2:]:  # points were drawn for targets
            return ()
        squares = squares + (wanted - last).double().square().flatten(2).mean((0, 2))
        count += 1
    found = (squares / count).sqrt().tolist()
    return tuple(found) if all(value > 0 for value in found) else ()


def places_of(data: Dataset) -> tuple[tuple[Axis, ...], tuple[GridAxis, ...]]:
    """The axes of space and the grid on them. Without coordinates points are the centres of cells from 0 to 1."""
    if data.meshes or any(dim in ("node", "cell", "point") for dim in data.space):
        if not data.meshes:
            raise InputError("the places of the points are not known: a surrogate needs them")
        axes = data.meshes[0].axes.space
        return tuple(axes), ()
    members = list(
        data.grid().members if all(name in data.coordinates for name in data.space) else
        (GridAxis(Axis(name, 0.0, 1.0), "cells", data.sizes[name]) for name in data.space)
    )  # fmt: skip
    return tuple(member.axis for member in members), tuple(members)


def _slot(entry: Mapping[str, Any]) -> Slot:
    return Slot(**{**entry, **{name: tuple(entry.get(name, ())) for name in ("mean", "std", "change")}})
