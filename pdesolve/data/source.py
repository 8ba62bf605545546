"""How the numbers of a window are found in the array of a variable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pdesolve.data.arrays import Array, Part, Picked
from pdesolve.data.dataset import COMPONENT, SAMPLE, SCATTERED, Dataset, Variable


@dataclass(frozen=True, eq=False)
class Source:
    """How a window of one variable is read: (time, component, *space), where dimensions that it lacks are one.

    samples: the number in the array of each sample of the data set, or None where it is the same. bounds: of samples
    along `ragged`, a dimension of other size in each.
    """

    array: Array
    dims: tuple[str, ...]
    space: tuple[str, ...]
    samples: np.ndarray | None = None
    ragged: str = ""
    bounds: np.ndarray | None = None

    @cached_property
    def _whole(self) -> tuple[slice, ...]:
        return tuple(slice(0, n) for n in self.array.shape)

    @cached_property
    def _positions(self) -> tuple[int | None, int | None, int | None]:
        names = (SAMPLE, "t", self.ragged)
        return tuple(self.dims.index(name) if name in self.dims else None for name in names)  # type: ignore[return-value]

    @property
    def moving(self) -> bool:
        return "t" in self.dims

    @property
    def shared(self) -> bool:
        return SAMPLE not in self.dims and self.bounds is None

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """(component, *space)."""
        sizes = dict(zip(self.dims, self.array.shape, strict=True))
        return tuple(sizes.get(dim, 1) for dim in (COMPONENT, *self.space))

    def read(self, sample: int, first: int, frames: range) -> np.ndarray:
        """The numbers of a sample, at frames counted from `first`, as they lie in the array: reshape them."""
        return self.array.read(self._index(sample, first, frames))

    def read_into(self, sample: int, first: int, frames: range, out: np.ndarray) -> None:
        """The same numbers into memory that is there already, (time, component, *space)."""
        index = self._index(sample, first, frames)
        if out.flags.c_contiguous:
            sizes = [len(range(part.start, part.stop, part.step or 1)) for part in index]
            self.array.read_into(index, out.reshape(sizes))
        else:
            out[...] = self.array.read(index).reshape(out.shape)

    def _index(self, sample: int, first: int, frames: range) -> tuple[slice, ...]:
        index = list(self._whole)
        of_sample, of_time, of_ragged = self._positions
        if of_sample is not None:
            number = sample if self.samples is None else int(self.samples[sample])
            index[of_sample] = slice(number, number + 1)
        if of_time is not None:
            index[of_time] = slice(first + frames.start, first + frames[-1] + 1, frames.step)
        if of_ragged is not None and self.bounds is not None:
            index[of_ragged] = slice(int(self.bounds[sample]), int(self.bounds[sample + 1]))
        return tuple(index)


def source_of(variable: Variable, dataset: Dataset, axes: tuple[str, ...]) -> Source:
    """Of all axes of space those of a grid that a variable lacks are one; of nodes, cells and points it has its own."""
    own = tuple(dim for dim in variable.dims if dim not in (SAMPLE, "t", COMPONENT))
    grid = tuple(dim for dim in axes if dim not in SCATTERED)
    space = own if any(dim in SCATTERED for dim in own) else grid
    ragged = next((dim for dim in own if dim in dataset.offsets), "")
    array, samples = variable.array, None
    if SAMPLE in variable.dims:
        array, samples = _unpicked(array, variable.dims.index(SAMPLE))
    return Source(array, variable.dims, space, samples, ragged, dataset.offsets[ragged] if ragged else None)


def _unpicked(array: Array, position: int) -> tuple[Array, np.ndarray | None]:
    """The array that samples were picked from, whose chunks lie as they do in the file, and their numbers in it."""
    if isinstance(array, Picked) and array.position == position:
        inner, numbers = _unpicked(array.array, position)
        return inner, array.numbers if numbers is None else numbers[array.numbers]
    if isinstance(array, Part) and not array.dropped:
        if range(*array.index[position].indices(array.array.shape[position])) != range(array.array.shape[position]):
            return array, None
        inner, numbers = _unpicked(array.array, position)
        if numbers is not None:
            index = (*array.index[:position], slice(0, inner.shape[position]), *array.index[position + 1 :])
            return replace(array, array=inner, index=index), numbers
    return array, None
