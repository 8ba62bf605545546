"""The Jacobian of pointwise rows as activations and errors: what a tape leaves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.least_squares.jacobian import CHUNK_BYTES, Jacobian

_TILE = 256  # rows of a tile of J Jᵀ: its operands stay in the cache


@dataclass(frozen=True, eq=False)
class Outer:
    """Rows × one weight: J[i] = Σ_c errors[c, i] inputs[c, i]ᵀ. errors (channel, row, out), inputs (channel, row, in)."""

    errors: Tensor
    inputs: Tensor

    def part(self, rows: slice) -> Outer:
        return Outer(self.errors[:, rows], self.inputs[:, rows])

    def explicit(self, outputs: slice = slice(None)) -> Tensor:
        """The block of J of some of the weight's rows (row, out in)."""
        return torch.einsum("cno,cni->noi", self.errors[..., outputs], self.inputs).flatten(1)

    def times(self, v: Tensor) -> Tensor:
        weight = v.view(self.errors.shape[-1], self.inputs.shape[-1])
        return ((self.inputs @ weight.mT) * self.errors).sum((0, -1))

    def transposed(self, w: Tensor) -> Tensor:
        return ((self.errors * w[:, None]).flatten(0, 1).mT @ self.inputs.flatten(0, 1)).flatten()

    def columns(self, index: Tensor) -> Tensor:
        width = self.inputs.shape[-1]
        return (self.errors[..., index // width] * self.inputs[..., index % width]).sum(0)

    def gram(self, other: Outer) -> Tensor:
        """J J'ᵀ from products of errors times products of inputs, summed over both channels."""
        c, n, _ = self.errors.shape
        d, m, _ = other.errors.shape
        products = self.errors.flatten(0, 1) @ other.errors.flatten(0, 1).mT
        products *= self.inputs.flatten(0, 1) @ other.inputs.flatten(0, 1).mT
        return products.view(c, n, d, m).sum((0, 2))


@dataclass(frozen=True, eq=False)
class Block:
    """Rows × one parameter tensor, explicit: matrix (row, size)."""

    matrix: Tensor

    def part(self, rows: slice) -> Block:
        return Block(self.matrix[rows])

    def explicit(self, outputs: slice = slice(None)) -> Tensor:
        return self.matrix

    def times(self, v: Tensor) -> Tensor:
        return self.matrix @ v

    def transposed(self, w: Tensor) -> Tensor:
        return self.matrix.mT @ w

    def columns(self, index: Tensor) -> Tensor:
        return self.matrix[:, index]


@dataclass(frozen=True, eq=False)
class Strip:
    """Where an outer product or a block stands in J."""

    rows: slice
    columns: slice
    content: Outer | Block


class StripJacobian(Jacobian):
    """J as strips, at most one for each pair of rows and parameter tensor; everything else is zero."""

    def __init__(self, strips: Sequence[Strip], rows: int, parameters: int, like: Tensor) -> None:
        self.strips, self.rows, self.parameters = list(strips), rows, parameters
        self._like = like

    def times(self, v: Tensor) -> Tensor:
        out = self._like.new_zeros(self.rows)
        for s in self.strips:
            out[s.rows] += s.content.times(v[s.columns])
        return out

    def transposed(self, w: Tensor) -> Tensor:
        out = self._like.new_zeros(self.parameters)
        for s in self.strips:
            out[s.columns] += s.content.transposed(w[s.rows])
        return out

    def dense(self) -> Tensor:
        out = self._like.new_zeros(self.rows, self.parameters)
        for s in self.strips:
            out[s.rows, s.columns] = s.content.explicit()
        return out

    def columns(self, index: Tensor) -> Tensor:
        out = self._like.new_zeros(self.rows, len(index))
        for s in self.strips:
            here = ((index >= s.columns.start) & (index < s.columns.stop)).nonzero()[:, 0]
            out[s.rows, here] = s.content.columns(index[here] - s.columns.start)
        return out

    def gram(self) -> Tensor:
        out = self._like.new_zeros(self.rows, self.rows)
        groups: dict[int, list[Strip]] = defaultdict(list)
        for s in self.strips:
            groups[s.columns.start].append(s)
        for group in groups.values():
            for tiles in _tiled(group):
                for i, (rows, tile) in enumerate(tiles):
                    for others, other in tiles[i:]:
                        if isinstance(tile, Outer) and isinstance(other, Outer):
                            out[rows, others] += tile.gram(other)
                        else:
                            out[rows, others].addmm_(tile.explicit(), other.explicit().mT)
        # only tiles on and above the diagonal were summed
        upper = out.triu(1)
        return out.triu_().add_(upper.mT)


def _tiled(group: list[Strip]) -> Iterator[list[tuple[slice, Outer | Block]]]:
    """The tiles of one parameter tensor, all at once as products, or some of its rows at a time as explicit blocks."""
    group = sorted(group, key=lambda s: s.rows.start)
    pieces = [
        (slice(start, min(start + _TILE, s.rows.stop)), s.content.part(slice(start - s.rows.start, start - s.rows.start + _TILE)))
        for s in group
        for start in range(s.rows.start, s.rows.stop, _TILE)
    ]  # fmt: skip
    outer = [piece for _, piece in pieces if isinstance(piece, Outer)]
    if len(outer) < len(pieces):  # explicit already, at least in part: what is left is of the same size
        yield [(rows, Block(piece.explicit())) for rows, piece in pieces]
        return
    channels = max(piece.errors.shape[0] for piece in outer)
    height, width = outer[0].errors.shape[-1], outer[0].inputs.shape[-1]
    if channels**2 * (height + width + 2) < height * width:  # 2 for the elementwise product and sum
        yield pieces
        return
    rows = sum(piece.errors.shape[1] for piece in outer)
    some = max(1, CHUNK_BYTES // (rows * width * outer[0].errors.element_size()))
    for start in range(0, height, some):
        yield [(where, Block(piece.explicit(slice(start, start + some)))) for where, piece in pieces]
