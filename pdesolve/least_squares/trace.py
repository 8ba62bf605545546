"""Squared norms of the rows of a Jacobian, and the traces of J Jᵀ of each term: what the tangent kernel weighs by."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

import torch
from torch import Tensor, nn

from pdesolve.least_squares.jacobian import CHUNK_BYTES, Jacobian
from pdesolve.least_squares.modular import Modular
from pdesolve.least_squares.objective import Terms
from pdesolve.least_squares.strips import Block, Outer, StripJacobian


@singledispatch
def row_squares(jacobian: Jacobian) -> Tensor:
    """|J_i|² of every row (*batch, row), the diagonal of J Jᵀ. Kinds of Jacobian register what is cheaper than J."""
    return jacobian.dense().square().sum(-1)


@row_squares.register
def _(jacobian: StripJacobian) -> Tensor:
    """|Σ_c e_c x_cᵀ|² = Σ_cc' (e_c·e_c')(x_c·x_c') at each point: channels², where J would be out times in."""
    total = jacobian.like.new_zeros(jacobian.rows)
    for strip in jacobian.strips:
        total[strip.rows] += _squares(strip.content)
    return total


def _squares(content: Outer | Block) -> Tensor:
    if isinstance(content, Block):
        return content.matrix.square().sum(-1)
    e, x = content.errors.transpose(0, 1), content.inputs.transpose(0, 1)  # (row, channel, feature)
    if not e.shape[1]:  # errors that are zero everywhere have no channel
        return e.new_zeros(len(e))
    some = max(1, CHUNK_BYTES // (8 * e.shape[1] * (e.shape[1] + e.shape[2] + x.shape[2])))
    parts = zip(e.split(some), x.split(some), strict=True)
    return torch.cat([((a @ a.mT) * (b @ b.mT)).sum((-2, -1)) for a, b in parts])


def traces(module: nn.Module, rows: Callable[[], Terms]) -> dict[str, Tensor]:
    """tr(J Jᵀ) of every term of `rows() -> {name: (*component, point)}` in the module's parameters.

    Of rows divided by √points it is the mean over points of the squared gradient norm, whatever their number.

    Raises:
        Diverged: rows that are not finite, with their term and row.
    """
    sizes: dict[str, int] = {}

    def measured() -> Terms:
        terms = rows()
        sizes.update({name: term.numel() for name, term in terms.items()})
        return terms

    objective = Modular(module, measured)
    squares = row_squares(objective.linearise(objective.theta()).jacobian)
    return {n: part.sum() for n, part in zip(sizes, squares.split(list(sizes.values())), strict=True)}
