"""The same data set in each of many groups, as one array: no group is opened before it is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdesolve.data.arrays import Array, Slices
from pdesolve.datasets.hdf5 import H5Array


@dataclass(frozen=True, eq=False)
class Grouped(Array):
    """`group/member` for each of the groups, one after another; `like` is one of them, whose shape all must have."""

    groups: tuple[str, ...]
    member: str
    like: H5Array

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.groups), *self.like.shape)

    @property
    def dtype(self) -> np.dtype:
        return self.like.dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        return None if self.like.chunks is None else (1, *self.like.chunks)

    def read(self, index: Slices) -> np.ndarray:
        sizes = [len(range(*part.indices(n))) for part, n in zip(index, self.shape, strict=True)]
        values = np.empty(sizes, self.dtype)
        self.read_into(index, values)
        return values

    def read_into(self, index: Slices, out: np.ndarray) -> None:
        for i, group in enumerate(self.groups[index[0]]):
            self.like.at(f"/{group}/{self.member}").read_into(index[1:], out[i, ...])
