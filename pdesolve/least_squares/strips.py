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
    """Rows × one weight (out, in): J[i] = Σ_c errors[c, i] inputs[c, i]ᵀ; (channel, row, out), (channel, row, in)."""

    errors: Tensor
    inputs: Tensor

    def merged(self) -> Outer:
        """The same rows with dependent channels joined: J Jᵀ costs channels².

        The errors of derivatives that enter an equation linearly, as u_t and u_xx do, are the same but for a factor at
        each point, at every layer. Errors are written in an orthonormal basis of their own at each point (QR), and
        directions that no channel has at any point, to rounding, are left out.
        """
        channels, _, width = self.errors.shape
        if not 1 < channels <= width:
            return self
        errors, inputs = self.errors, self.inputs
        basis, triangle = torch.linalg.qr(errors.permute(1, 2, 0))
        dependent = ~_above_rounding(triangle.diagonal(dim1=1, dim2=2), triangle).any(0)
        if not bool(dependent.any()):
            return self
        # the basis vector of a dependent channel is noise that later channels may have used: those channels come last
        order = dependent.long().argsort(stable=True)
        basis, triangle = torch.linalg.qr(errors[order].permute(1, 2, 0))
        kept = _above_rounding(triangle.mT, triangle).any(1).any(0)
        if bool(kept.all()):
            return self
        return Outer(basis.permute(2, 0, 1)[kept], torch.einsum("nkc,cni->kni", triangle[:, kept], inputs[order]))

    def part(self, rows: slice) -> Outer:
        return Outer(self.errors[:, rows], self.inputs[:, rows])

    def explicit(self, outputs: slice = slice(None)) -> Tensor:
        """The block of J of some of the weight's rows (row, out in)."""
        return torch.bmm(self.errors[..., outputs].permute(1, 2, 0), self.inputs.transpose(0, 1)).flatten(1)

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
        out = self.errors.new_zeros(self.errors.shape[1], other.errors.shape[1])
        for e, x in zip(self.errors, self.inputs, strict=True):
            for f, y in zip(other.errors, other.inputs, strict=True):
                out.addcmul_(e @ f.mT, x @ y.mT)
        return out


def _above_rounding(entries: Tensor, triangle: Tensor) -> Tensor:
    """Which entries (point, column, ...) of R are more than rounding of their columns."""
    sizes = triangle.norm(dim=1)
    while sizes.ndim < entries.ndim:
        sizes = sizes[:, :, None]
    return entries.abs() > 64 * torch.finfo(sizes.dtype).eps * sizes


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
        self.like = like

    def times(self, v: Tensor) -> Tensor:
        out = self.like.new_zeros(self.rows)
        for s in self.strips:
            out[s.rows] += s.content.times(v[s.columns])
        return out

    def transposed(self, w: Tensor) -> Tensor:
        out = self.like.new_zeros(self.parameters)
        for s in self.strips:
            out[s.columns] += s.content.transposed(w[s.rows])
        return out

    def dense(self) -> Tensor:
        out = self.like.new_zeros(self.rows, self.parameters)
        for s in self.strips:
            out[s.rows, s.columns] = s.content.explicit()
        return out

    def columns(self, index: Tensor) -> Tensor:
        out = self.like.new_zeros(self.rows, len(index))
        for s in self.strips:
            here = ((index >= s.columns.start) & (index < s.columns.stop)).nonzero()[:, 0]
            out[s.rows, here] = s.content.columns(index[here] - s.columns.start)
        return out

    def gram(self) -> Tensor:
        out = self.like.new_zeros(self.rows, self.rows)
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
    pieces = []
    for s in group:
        for start in range(0, s.rows.stop - s.rows.start, _TILE):
            piece = s.content.part(slice(start, start + _TILE))
            first = s.rows.start + start
            pieces.append((slice(first, min(first + _TILE, s.rows.stop)), piece))
    outer = [piece for _, piece in pieces if isinstance(piece, Outer)]
    if len(outer) < len(pieces):  # explicit already, at least in part: what is left is of the same size
        yield [(rows, Block(piece.explicit())) for rows, piece in pieces]
        return
    channels = max(piece.errors.shape[0] for piece in outer)
    height, width = outer[0].errors.shape[-1], outer[0].inputs.shape[-1]
    if channels**2 * (height + width + 10) < height * width:  # 10: the elementwise product costs as much, measured
        yield pieces
        return
    rows = sum(piece.errors.shape[1] for piece in outer)
    some = max(1, CHUNK_BYTES // (rows * width * outer[0].errors.element_size()))
    for start in range(0, height, some):
        yield [(where, Block(piece.explicit(slice(start, start + some)))) for where, piece in pieces]
