"""Proper orthogonal decomposition of fields that come one batch after the other, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.errors import InputError

_BESIDE = 1.5  # modes kept on the way for each that is wanted: what is cut off on the way is not found again


@dataclass(frozen=True, eq=False)
class Decomposition:
    """u ~ mean + sum_k a_k modes_k, with a_k of mean zero and variance variances_k over the samples.

    mean: (value,). modes: (mode, value), orthonormal in sum_i w_i f_i g_i, the most of variance first. variances:
    (mode,). total: the variance of all, that of what the modes leave out included. count: of samples.
    """

    mean: Tensor
    modes: Tensor
    variances: Tensor
    total: float
    count: int

    @property
    def left_out(self) -> float:
        """The share of the variance that no combination of the modes gives."""
        return max(0.0, 1.0 - float(self.variances.sum()) / self.total) if self.total else 0.0


class Decomposing:
    """The leading principal components of rows, found in one pass by merging singular value decompositions.

    With mean m and scaled modes S V of n rows, those of b more rows X of mean m_b belong to the rows

        [S V;  X − m_b;  √(n b / (n + b)) (m − m_b)].

    Exact where the data have no more modes than are kept; else what each merge cuts off is lost. Memory: a few times
    2.5 `modes` rows. Source: Ross, Lim, Lin and Yang, Int. J. Comput. Vis. 77 (2008) 125.

    modes: that are wanted. weights: (value,) of the inner product, positive.
    """

    def __init__(self, modes: int, weights: Tensor) -> None:
        if modes < 1:
            raise InputError(f"a decomposition needs one mode or more, got {modes}")
        self.modes, self.kept = modes, int(_BESIDE * modes) + 8
        self.weights = weights
        self.root = weights.double().sqrt()
        self.count = 0
        self.mean = torch.zeros_like(self.root)
        self.scaled = self.root.new_zeros(0, len(self.root))
        self.squares = self.root.new_zeros(())
        self._waiting: list[Tensor] = []

    def add(self, rows: Tensor) -> None:
        """Take more rows (row, value) in; float64 inside."""
        for piece in rows.to(self.root).split(self.kept):
            self._waiting.append(piece * self.root)
            if self.waiting >= self.kept:
                self.flush()

    @property
    def waiting(self) -> int:
        """Rows that are not taken in yet."""
        return sum(map(len, self._waiting))

    def empty(self) -> Decomposing:
        """One of the same modes and weights, of no rows."""
        return Decomposing(self.modes, self.weights)

    def found(self) -> Decomposition:
        """What the rows so far have in common.

        Raises:
            InputError: no rows, or values that are not finite.
        """
        self.flush()
        if not self.count:
            raise InputError("there are no fields to decompose: the training split is empty")
        norms = self.scaled.norm(dim=1)
        rounding = max(1e-12 * float(norms.max()), 1e-14 * self.count**0.5 * float(self.mean.norm()))
        used = min(int((norms > rounding).sum()), self.modes)
        modes = self.scaled[:used] / norms[:used, None] / self.root
        # the signs of singular vectors depend on the order of merges, and what is learnt with the modes on them
        reference = torch.randn(len(self.root), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        modes = torch.where(modes @ reference.to(modes) < 0, -1.0, 1.0)[:, None] * modes
        total = float(self.squares) if float(self.squares) > rounding**2 else 0.0
        return Decomposition(
            self.mean / self.root, modes, norms[:used] ** 2 / self.count, total / self.count, self.count
        )

    def join(self, scaled: Tensor, mean: Tensor, squares: Tensor, count: int) -> None:
        """Take in what another one has of other rows: its attributes of these names."""
        together = self.count + count
        if not count:
            return
        away = self.mean - mean
        between = (self.count * count / together) ** 0.5 * away
        self.squares = self.squares + squares + (between**2).sum()
        _, values, directions = torch.linalg.svd(torch.cat([self.scaled, scaled, between[None]]), full_matrices=False)
        self.scaled = values[: self.kept, None] * directions[: self.kept]
        self.mean = mean + away * (self.count / together)
        self.count = together

    def flush(self) -> None:
        """Take in the rows that wait for others."""
        if not self._waiting:
            return
        rows = torch.cat(self._waiting)
        self._waiting.clear()
        if not bool(torch.isfinite(rows).all()):
            raise InputError("the targets have values that are not finite: pdesolve data check FILE says where")
        mean = rows.mean(0)
        rows = rows - mean
        self.join(rows, mean, (rows**2).sum(), len(rows))
