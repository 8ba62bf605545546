"""Randomised sketches: a Nystrom preconditioner, and rows mixed into fewer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.least_squares.jacobian import Jacobian


@dataclass(frozen=True, eq=False)
class Nystrom:
    """JᵀJ ≈ U diag(values) Uᵀ of low rank. basis U (*batch, parameter, rank), values (*batch, rank) falling."""

    basis: Tensor
    values: Tensor

    def inverse(self, v: Tensor, damping: Tensor) -> Tensor:
        """P⁻¹ v with P = U diag((values + λ)/(least value + λ)) Uᵀ + (I − U Uᵀ): near (JᵀJ + λ) up to a factor."""
        inside = (self.basis.mT @ v[..., None])[..., 0]
        weight = damping[..., None]
        factor = (self.values[..., -1:] + weight) / (self.values + weight) - 1
        return v + (self.basis @ (factor * inside)[..., None])[..., 0]


def nystrom(jacobian: Jacobian, rank: int, like: Tensor, *, seed: int = 0) -> Nystrom:
    """A sketch of JᵀJ from 2 `rank` products with the same random directions each time.

    Frangella, Tropp, Udell, "Randomized Nystrom preconditioning", SIAM J. Matrix Anal. Appl. 44 (2023) 718,
    arXiv 2110.02820. JᵀJ Ω is split as Jᵀ(J Ω), so that the core Ωᵀ JᵀJ Ω = (JΩ)ᵀ(JΩ) is taken apart by QR of J Ω and
    not by a Cholesky factor of a squared matrix. like (*batch, row): dtype, device, batch.
    """
    generator = torch.Generator().manual_seed(seed)
    batch = like.shape[:-1]
    draws = torch.randn(jacobian.parameters, rank, generator=generator, dtype=torch.float64).to(like)
    omega = torch.linalg.qr(draws).Q
    images = torch.stack([jacobian.times(column.expand(*batch, -1)) for column in omega.mT], -1)
    q, _ = torch.linalg.qr(images)  # the range of J Ω; B = JᵀQ gives JᵀJ ≈ B Bᵀ
    b = torch.stack([jacobian.transposed(column) for column in q.movedim(-1, 0)], -1)
    u, s, _ = torch.linalg.svd(b, full_matrices=False)
    return Nystrom(u, s.square())


def mixed_rows(matrix: Tensor, r: Tensor, count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """S J and S r with `count` random mixtures of the rows: each row goes, with a random sign, into eight of them.

    The solution of the mixed system has a residual at most 1 + O(√(parameters/count)) times the least one (sparse sign
    embeddings: Cohen, SODA 2016); 4 rows per parameter are a good start.
    """
    generator = torch.Generator().manual_seed(seed)
    rows, each = r.shape[-1], min(8, count)
    where = torch.randint(0, count, (each, rows), generator=generator).to(r.device)
    signs = (torch.randint(0, 2, (each, rows), generator=generator) * 2 - 1).to(r) / each**0.5
    system = torch.cat([matrix, r[..., None]], -1)
    out = system.new_zeros(*system.shape[:-2], count, system.shape[-1])
    for index, sign in zip(where, signs, strict=True):
        out.index_add_(-2, index, sign[:, None] * system)
    return out[..., :-1], out[..., -1]
