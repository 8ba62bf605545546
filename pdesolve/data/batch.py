"""Windows of trajectories as tensors: one Sample, a Batch of them, or a Packed batch of samples of different sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import accumulate
from typing import Any, TypeVar

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry import Discretisation

Named = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Sample:
    """One window of one sample. Frames and components that a variable lacks are one.

    inputs, targets: (time, component, *space) by variable; the targets (1, component, point) where points were drawn.
    parameters: () each, (frame) where it depends on time, the frames of the inputs before those of the targets.
    coordinates: (n,) by axis of space. times, target_times: (time,), empty where nothing depends on time.
    target_coordinates: (point,) by axis, time first, of points that were drawn. dims: axes of space by variable.
    discretisation: where nodes, cells and points lie. number, first: which sample and frame the window begins at.
    """

    inputs: Named
    targets: Named
    parameters: Named = field(default_factory=dict)
    coordinates: Named = field(default_factory=dict)
    times: Tensor = field(default_factory=lambda: torch.empty(0))
    target_times: Tensor = field(default_factory=lambda: torch.empty(0))
    target_coordinates: Named = field(default_factory=dict)
    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    discretisation: Discretisation | None = None
    number: int = 0
    first: int = 0


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows with a leading dimension of samples, whose tensors have the shapes of `Sample` behind it.

    coordinates: (n,) by axis where all samples share them, else (sample, n). mask: (sample, size) by dimension whose
    size differs between samples: True where there is a number; the rest is 0. numbers, first: (sample,) integers.
    discretisations: one for all samples, or one for each. begin, whole: where these windows stand in the batch that all
    processes of a run have together, and how many that has; 0 where this is all of it.
    """

    inputs: Named
    targets: Named
    parameters: Named
    coordinates: Named
    times: Tensor
    target_times: Tensor
    target_coordinates: Named
    numbers: Tensor
    first: Tensor
    mask: Named = field(default_factory=dict)
    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    discretisations: tuple[Discretisation, ...] = ()
    begin: int = 0
    whole: int = 0

    def __len__(self) -> int:
        return len(self.numbers)

    def __repr__(self) -> str:
        parts = {"inputs": self.inputs, "targets": self.targets, "parameters": self.parameters}
        said = [f"{k}: " + ", ".join(f"{n} {tuple(v.shape)}" for n, v in part.items()) for k, part in parts.items()]
        return f"{type(self).__name__} of {len(self)} windows, " + "; ".join(said)

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with a function of every tensor in their place."""
        return _mapped(self, function)

    def to(self, device: torch.device | str) -> Batch:
        """The batch on a device, copied beside other work where it lies in pinned memory."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The batch in memory that a GPU copies from by itself."""
        return self.map(Tensor.pin_memory)

    def samples(self) -> list[Sample]:
        """The windows one by one, without padding."""
        return [self._row(i) for i in range(len(self))]

    def packed(self) -> Packed:
        """The same numbers without padding, one sample after another."""
        rows = self.samples()
        sizes = {dim: [int(mask[i].sum()) for i in range(len(self))] for dim, mask in self.mask.items()}
        if not sizes:
            raise InputError("all samples of the batch have one size: nothing is to be packed")

        def joined(of: Callable[[Sample], Named]) -> dict[str, Tensor]:
            return {
                name: torch.cat([of(row)[name] for row in rows], -1)
                if _ragged(self.dims.get(name, ()), self.mask) is not None
                else torch.stack([of(row)[name] for row in rows])
                for name in of(rows[0])
            }

        offsets = {dim: torch.tensor([0, *accumulate(n)]) for dim, n in sizes.items()}
        return Packed(
            joined(lambda row: row.inputs), joined(lambda row: row.targets), self.parameters, self.times,
            self.target_times, offsets, self.numbers, self.first, self.dims, self.discretisations,
        )  # fmt: skip

    def _row(self, i: int) -> Sample:
        def cut(values: Named) -> dict[str, Tensor]:
            found = {}
            for name, value in values.items():
                dim = _ragged(self.dims.get(name, ()), self.mask)
                found[name] = value[i] if dim is None else value[i][..., : int(self.mask[dim][i].sum())]
            return found

        own = self.discretisations
        return Sample(
            cut(self.inputs),
            cut(self.targets),
            {name: value[i] for name, value in self.parameters.items()},
            {name: value if value.ndim == 1 else value[i] for name, value in self.coordinates.items()},
            self.times[i],
            self.target_times[i],
            {name: value[i] for name, value in self.target_coordinates.items()},
            self.dims,
            None if not own else own[i if len(own) > 1 else 0],
            int(self.numbers[i]),
            int(self.first[i]),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Between processes all tensors go as one, since each costs a message and a file of shared memory."""
        tensors: list[Tensor] = []
        self.map(lambda tensor: (tensors.append(tensor), tensor)[1])
        if len({tensor.untyped_storage().data_ptr() for tensor in tensors if tensor.numel()}) != 1:
            return _plain, (Batch, {f.name: getattr(self, f.name) for f in fields(self)})
        storage = next(tensor for tensor in tensors if tensor.numel()).untyped_storage()
        flat = torch.empty(0, dtype=torch.uint8).set_(storage)  # type: ignore[call-overload]
        places = [(t.dtype, t.storage_offset() if t.numel() else 0, t.shape, t.stride()) for t in tensors]
        return _viewed, (flat, places, self.map(lambda _: _EMPTY).__dict__)


@dataclass(frozen=True, eq=False)
class Packed:
    """Windows of samples of different sizes, one after another along their last dimension.

    inputs, targets: (time, component, all entries), and (sample, time, component, *space) of what has one size.
    offsets: (sample + 1,) by dimension: sample i has the entries offsets[i] to offsets[i + 1]. The rest as in `Batch`.
    """

    inputs: Named
    targets: Named
    parameters: Named
    times: Tensor
    target_times: Tensor
    offsets: Named
    numbers: Tensor
    first: Tensor
    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    discretisations: tuple[Discretisation, ...] = ()

    def __len__(self) -> int:
        return len(self.numbers)

    def to(self, device: torch.device | str) -> Packed:
        """The batch on a device."""
        return _mapped(self, lambda tensor: tensor.to(device, non_blocking=True))


def collated(samples: Sequence[Sample]) -> Batch:
    """Samples as one batch: those whose nodes, cells or points differ in number are padded with 0, with a mask.

    Raises:
        InputError: no samples, or such of different variables, axes or grids.
    """
    if not samples:
        raise InputError("a batch needs samples, there are none")
    first = samples[0]
    for other in samples[1:]:
        if other.dims != first.dims or set(other.parameters) != set(first.parameters):
            raise InputError("samples of different variables or parameters cannot be one batch")
    mask: dict[str, Tensor] = {}

    def stacked(rows: Sequence[Tensor], what: str, dims: tuple[str, ...]) -> Tensor:
        shapes = {tuple(row.shape) for row in rows}
        if len(shapes) == 1:
            return torch.stack(list(rows))
        if len(dims) != 1 or dims[0] not in _SCATTERED or len({shape[:-1] for shape in shapes}) != 1:
            found = " and ".join(map(str, sorted(shapes)))
            raise InputError(f"{what} differs in shape between samples of one batch: {found}; interpolate to one grid")
        sizes = torch.tensor([row.shape[-1] for row in rows])
        padded = rows[0].new_zeros(len(rows), *rows[0].shape[:-1], int(sizes.max()))
        for place, row in zip(padded, rows, strict=True):
            place[..., : row.shape[-1]] = row
        mask[dims[0]] = torch.arange(padded.shape[-1]) < sizes[:, None]
        return padded

    def of_all(get: Callable[[Sample], Named]) -> dict[str, Tensor]:
        return {
            name: stacked([get(sample)[name] for sample in samples], name, first.dims.get(name, ()))
            for name in get(first)
        }

    inputs, targets = of_all(lambda s: s.inputs), of_all(lambda s: s.targets)
    coordinates = of_all(lambda s: s.coordinates)
    same = {name: value[0] for name, value in coordinates.items() if bool((value == value[:1]).all())}
    own = [s.discretisation for s in samples if s.discretisation is not None]
    return Batch(
        inputs, targets, of_all(lambda s: s.parameters), coordinates | same,
        torch.stack([s.times for s in samples]), torch.stack([s.target_times for s in samples]),
        of_all(lambda s: s.target_coordinates), torch.tensor([s.number for s in samples]),
        torch.tensor([s.first for s in samples]), mask, first.dims,
        tuple(own[:1] if all(d is own[0] for d in own) else own),
    )  # fmt: skip


_SCATTERED = ("node", "cell", "point")
_EMPTY = torch.empty(0)
_B = TypeVar("_B", Batch, Packed)


def _mapped(batch: _B, function: Callable[[Tensor], Tensor]) -> _B:
    changed: dict[str, Any] = {}
    for f in fields(batch):
        value = getattr(batch, f.name)
        if isinstance(value, Tensor):
            changed[f.name] = function(value)
        elif isinstance(value, Mapping) and f.name != "dims":
            changed[f.name] = {name: function(tensor) for name, tensor in value.items()}
    return replace(batch, **changed)


def _ragged(dims: tuple[str, ...], mask: Named) -> str | None:
    return next((dim for dim in dims if dim in mask), None)


def _plain(kind: type[Batch], values: dict[str, Any]) -> Batch:
    return kind(**values)


def _viewed(flat: Tensor, places: list[tuple], rest: dict[str, Any]) -> Batch:
    """A batch whose tensors are parts of one storage."""
    remaining = iter(places)

    def view(_: Tensor) -> Tensor:
        dtype, offset, shape, stride = next(remaining)
        return torch.empty(0, dtype=dtype).set_(flat.untyped_storage(), offset, shape, stride)  # type: ignore[call-overload]

    return Batch(**rest).map(view)
