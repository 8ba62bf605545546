"""The windows of a task over a data set, by number: read one by one or as batches, never across samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pdesolve.data.batch import Batch, Sample, collated
from pdesolve.data.dataset import COMPONENT, SAMPLE, Dataset
from pdesolve.data.flat import Flat
from pdesolve.data.source import Source, source_of
from pdesolve.data.task import Task
from pdesolve.errors import InputError


@dataclass(frozen=True)
class _Piece:
    """Frames of a variable that are read at once, from the first of a window on, and which of them go where."""

    name: str
    frames: range
    inputs: slice | None
    targets: slice | None


class Windows:
    """The windows of a task, numbered sample by sample, as tensors of a type. Nothing is read before it is asked for.

    axes: of space, in order, where variables of the task may all lack some; by default those that they have.

    Raises:
        InputError: the task does not fit the data set (see `Task.prepared`, `Frames.starts`), or has no windows.
    """

    def __init__(
        self, dataset: Dataset, task: Task, *, dtype: torch.dtype = torch.float32, axes: tuple[str, ...] = ()
    ) -> None:  # fmt: skip
        data = task.prepared(dataset)
        self.dataset, self.task, self.dtype = data, task, dtype
        self.frames = data.sizes["t"] if task.frames is not None else 1
        one = range(1)
        self.starts = one if task.frames is None else task.frames.starts(self.frames)
        self.given = one if task.frames is None else task.frames.given(self.frames)
        self.wanted = one if task.frames is None else task.frames.wanted(self.frames)
        self.axes = axes or data.space
        self.sources = {name: source_of(variable, data, self.axes) for name, variable in data.variables.items()}
        self.ragged = any(source.bounds is not None for source in self.sources.values())
        self._count = data.samples * len(self.starts)
        if not self._count:
            raise InputError(f"there are no windows: the data set has {data.samples} samples")
        if not self.given and any(self.sources[name].moving for name in task.inputs):
            raise InputError(f"past=0 gives no frames of {', '.join(task.inputs)}: write past=1, or leave them out")
        self._pieces = [piece for name in task.variables for piece in self._planned(name)]
        self._layouts: dict[int, Flat] = {}
        self._check_points()

    def reading(self, sources: Mapping[str, Source]) -> Windows:
        """The same windows, read from other arrays of the same numbers."""
        found = copy(self)
        found.sources = dict(sources)
        return found

    def __len__(self) -> int:
        return self._count

    def place(self, number: int) -> tuple[int, int]:
        """The sample and the first frame of a window."""
        if not 0 <= number < self._count:
            raise IndexError(f"there are {self._count} windows, from 0 on: {number} is out of range")
        sample, start = divmod(number, len(self.starts))
        return sample, self.starts[start]

    def __getitem__(self, number: int) -> Sample:
        return self._ragged_sample(number) if self.ragged else self.batch([number]).samples()[0]

    def batch(self, numbers: Sequence[int] | np.ndarray, *, epoch: int = 0) -> Batch:
        """Some windows as one batch. Points are drawn anew in each epoch.

        Inputs and targets of one variable are views of the same numbers: change neither in place.
        """
        if self.ragged:
            return collated([self._ragged_sample(number) for number in numbers])
        memory = torch.from_numpy(np.empty(self.nbytes(len(numbers)), np.uint8))  # in huge pages, as torch's is not
        self.fill(memory, numbers, epoch=epoch)
        return self.view(memory, len(numbers))

    def nbytes(self, count: int) -> int:
        """The bytes of a batch of so many windows, of one size each."""
        return self._layout(count).nbytes

    def view(self, memory: Tensor, count: int) -> Batch:
        """A batch of so many windows that lies in a piece of memory."""
        tensors = self._layout(count).views(memory)
        inputs: dict[str, Tensor] = {}
        targets: dict[str, Tensor] = {}
        for i, piece in enumerate(self._pieces):
            whole = tensors[f"piece {i}"]
            whole = whole.expand(count, *whole.shape[1:])
            if piece.inputs is not None:
                inputs[piece.name] = whole[:, piece.inputs]
            if piece.targets is not None:
                targets[piece.name] = whole[:, piece.targets]

        def named(kind: str) -> dict[str, Tensor]:
            return {name[len(kind) + 1 :]: t for name, t in tensors.items() if name.startswith(f"{kind} ")}

        return Batch(
            {name: inputs[name] for name in self.task.inputs}, {name: targets[name] for name in self.task.targets},
            named("parameter"), named("coordinate"), tensors["times"], tensors["target times"], named("point"),
            tensors["numbers"], tensors["first"], {}, self._dims, tuple(self.dataset.meshes[:1]),
        )  # fmt: skip

    def fill(self, memory: Tensor, numbers: Sequence[int] | np.ndarray, *, epoch: int = 0) -> None:
        """Read some windows into a piece of memory."""
        arrays = {name: tensor.numpy() for name, tensor in self._layout(len(numbers)).views(memory).items()}
        places = [self.place(number) for number in np.asarray(numbers).tolist()]
        drawn = [self._drawn(number, epoch) for number in numbers] if self.task.points else []
        for i, piece in enumerate(self._pieces):
            rows = arrays[f"piece {i}"]
            if drawn and piece.targets is not None:
                self._fill_points(rows, piece, places, drawn)
            else:
                self._fill_fields(rows, piece, places[: len(rows)])
        for name, values in self._beside(places).items():
            arrays[name][...] = values
        for row, flat in enumerate(drawn):
            for axis, at in zip(("t", *self._target.space), np.unravel_index(flat, self._block), strict=True):
                if f"point {axis}" in arrays:
                    line = arrays["target times" if axis == "t" else f"coordinate {axis}"]
                    arrays[f"point {axis}"][row] = (line[row] if line.ndim > 1 else line)[at]

    def _fill_fields(self, rows: np.ndarray, piece: _Piece, places: list[tuple[int, int]]) -> None:
        """Windows that overlap or touch are read as one."""
        source, frames, shape = self.sources[piece.name], piece.frames, rows.shape[1:]
        if not frames:
            return
        span, row = frames[-1] - frames[0] + 1, 0
        while row < len(places):
            sample, first = places[row]
            last = row
            while last + 1 < len(places) and self._touch(places[last], places[last + 1], span):
                last += 1
            if last == row:
                source.read_into(sample, first, frames, rows[row])
            elif not source.moving:
                values = source.read(sample, first, frames).reshape(shape)
                rows[row : last + 1] = values
            else:
                whole = range(frames[0], places[last][1] - first + frames[-1] + 1)
                values = source.read(sample, first, whole).reshape(len(whole), *shape[1:])
                for other in range(row, last + 1):
                    begin = places[other][1] - first
                    rows[other] = values[begin : begin + span : frames.step]
            row = last + 1

    @staticmethod
    def _touch(place: tuple[int, int], following: tuple[int, int], span: int) -> bool:
        return place[0] == following[0] and 0 <= following[1] - place[1] <= span

    def _fill_points(
        self, rows: np.ndarray, piece: _Piece, places: list[tuple[int, int]], drawn: list[np.ndarray]
    ) -> None:
        source = self.sources[piece.name]
        count = source.shape[0]
        for row, (sample, first) in enumerate(places):
            values = source.read(sample, first, piece.frames).reshape(-1, count, math.prod(source.shape[1:]))
            rows[row, 0] = values.swapaxes(0, 1).reshape(count, -1)[:, drawn[row]]

    def _planned(self, name: str) -> list[_Piece]:
        """One piece where the frames of inputs and targets together are evenly spaced, else one each."""
        still = range(1)
        given, wanted = (self.given, self.wanted) if self.sources[name].moving else (still, still)
        is_input, is_target = name in self.task.inputs, name in self.task.targets
        if is_input and is_target and self.task.points is None:
            both = sorted({*given, *wanted})
            step = both[1] - both[0] if len(both) > 1 else 1
            frames = range(both[0], both[-1] + 1, step)
            if both == list(frames):
                return [_Piece(name, frames, _within(given, frames), _within(wanted, frames))]
        pieces = [_Piece(name, given, slice(None), None)] if is_input else []
        return [*pieces, _Piece(name, wanted, None, slice(None))] if is_target else pieces

    def _layout(self, count: int) -> Flat:
        if count not in self._layouts:
            self._layouts[count] = self._laid_out(count)
        return self._layouts[count]

    def _laid_out(self, count: int) -> Flat:
        found: dict[str, tuple[tuple[int, ...], torch.dtype]] = {}
        for i, piece in enumerate(self._pieces):
            source, points = self.sources[piece.name], self.task.points if piece.targets is not None else None
            rows = 1 if source.shared and not source.moving and points is None else count
            shape = (len(piece.frames), *source.shape) if points is None else (1, source.shape[0], points)
            found[f"piece {i}"] = ((rows, *shape), self.dtype)
        frames = len(self.given) + len(self.wanted)
        for name, variable in self.dataset.parameters.items():
            own = tuple(frames if dim == "t" else n for dim, n in variable.sizes.items() if dim != SAMPLE)
            found[f"parameter {name}"] = ((count, *own), self.dtype)
        for name in self._axes:
            points = self.dataset.coordinates[name].points
            found[f"coordinate {name}"] = ((count, points.shape[-1]) if points.ndim > 1 else points.shape, self.dtype)
        moving = self.task.frames is not None
        found["times"] = ((count, len(self.given) if moving else 0), self.dtype)
        found["target times"] = ((count, len(self.wanted) if moving else 0), self.dtype)
        if self.task.points is not None:
            for name in (*(("t",) if moving else ()), *(name for name in self._target.space if name in self._axes)):
                found[f"point {name}"] = ((count, self.task.points), self.dtype)
        return Flat(found | {"numbers": ((count,), torch.int64), "first": ((count,), torch.int64)})

    def _beside(self, places: list[tuple[int, int]]) -> dict[str, np.ndarray]:
        """What goes along with the fields: parameters, coordinates, times, and which windows these are."""
        samples, firsts = (np.array(column) for column in zip(*places, strict=True))
        found: dict[str, np.ndarray] = {"numbers": samples, "first": firsts}
        given, wanted = (firsts[:, None] + np.array(part, int) for part in (self.given, self.wanted))
        frames = np.concatenate([given, wanted], 1)
        for name, variable in self.dataset.parameters.items():
            index = tuple(
                {SAMPLE: samples[:, None] if "t" in variable.dims else samples, "t": frames}[dim]
                for dim in variable.dims
                if dim in (SAMPLE, "t")
            )
            found[f"parameter {name}"] = self._parameters[name][index]
        for name in self._axes:
            points = self.dataset.coordinates[name].points
            found[f"coordinate {name}"] = points[samples] if points.ndim > 1 else points
        if self.task.frames is not None:
            own = (samples[:, None],) if self._times.ndim > 1 else ()
            found |= {"times": self._times[(*own, given)], "target times": self._times[(*own, wanted)]}
        return found

    @cached_property
    def _dims(self) -> dict[str, tuple[str, ...]]:
        return {name: source.space for name, source in self.sources.items()}

    @cached_property
    def _axes(self) -> tuple[str, ...]:
        return tuple(name for name in self.axes if name in self.dataset.coordinates)

    @cached_property
    def _parameters(self) -> dict[str, np.ndarray]:
        return {name: variable.array.all() for name, variable in self.dataset.parameters.items()}

    @cached_property
    def _times(self) -> np.ndarray:
        """The times of the frames; their numbers where no times are known."""
        known = self.dataset.coordinates.get("t")
        return np.arange(self.frames, dtype=float) if known is None else known.points

    @property
    def _target(self) -> Source:
        return self.sources[self.task.targets[0]]

    @cached_property
    def _block(self) -> tuple[int, ...]:
        """The shape (time, *space) of the first target, of which points are drawn."""
        return (len(self.wanted) if self._target.moving else 1, *self._target.shape[1:])

    def _drawn(self, number: int, epoch: int) -> np.ndarray:
        generator = np.random.default_rng([self.task.seed, epoch, int(number)])
        return generator.choice(math.prod(self._block), self.task.points or 0, replace=False)

    def _check_points(self) -> None:
        if self.task.points is None:
            return
        sources = [self.sources[name] for name in self.task.targets]
        if len({(source.moving, source.shape[1:]) for source in sources}) > 1:
            raise InputError(
                f"points are drawn where all targets are known: {', '.join(self.task.targets)} differ in shape"
            )
        if math.prod(self._block) < self.task.points:
            raise InputError(
                f"{self.task.points} points a window are asked for, and (t, *space) of the targets has {self._block}, "
                f"which is {math.prod(self._block)}: ask for fewer"
            )

    def _ragged_sample(self, number: int) -> Sample:
        sample, first = self.place(number)
        inputs: dict[str, Tensor] = {}
        targets: dict[str, Tensor] = {}
        for piece in self._pieces:
            source = self.sources[piece.name]
            values = source.read(sample, first, piece.frames)
            sizes = dict(zip(source.dims, values.shape, strict=True))
            shape = tuple(sizes.get(dim, 1) for dim in ("t", COMPONENT, *source.space))
            tensor = torch.tensor(values.reshape(shape), dtype=self.dtype)
            if piece.inputs is not None:
                inputs[piece.name] = tensor[piece.inputs]
            if piece.targets is not None:
                targets[piece.name] = tensor[piece.targets]
        beside = self._beside([(sample, first)])

        def tensor_of(name: str) -> Tensor:
            shape, dtype = self._layout(1).tensors[name]
            return torch.tensor(np.broadcast_to(beside[name], shape), dtype=dtype)

        meshes = self.dataset.meshes
        still = self.task.frames is None
        return Sample(
            {name: inputs[name] for name in self.task.inputs}, {name: targets[name] for name in self.task.targets},
            {name: tensor_of(f"parameter {name}")[0] for name in self.dataset.parameters},
            {name: tensor_of(f"coordinate {name}").reshape(-1) for name in self._axes},
            torch.empty(0, dtype=self.dtype) if still else tensor_of("times")[0],
            torch.empty(0, dtype=self.dtype) if still else tensor_of("target times")[0],
            {}, self._dims, None if not meshes else meshes[sample if len(meshes) > 1 else 0], sample, first,
        )  # fmt: skip


def _within(part: range, whole: range) -> slice:
    """Where a range lies in another."""
    if not part:
        return slice(0, 0)
    begin = whole.index(part[0])
    step = part.step // whole.step if len(part) > 1 else 1
    return slice(begin, begin + (len(part) - 1) * step + 1, step)
