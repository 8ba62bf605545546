"""Sums of radial functions of quadratic forms with their partial derivatives, as matrix products.

    T_β(x) = Σ_i w_i D^β φ(q_i(x)),     q_i(x) = ½ (x - μ_i)ᵀ A_i (x - μ_i)

Since q is a quadratic polynomial, D^β φ(q) = Σ_n φ⁽ⁿ⁾(q) P_n(x) with polynomials P_n, found from
D_j (φ⁽ⁿ⁾ P) = φ⁽ⁿ⁺¹⁾ y_j P + φ⁽ⁿ⁾ D_j P, y = A (x - μ). So all functions at all points cost one matrix product for q,
one exponential each, and one product with the coefficients of all P; the gradient costs as many again. Points go in
chunks that stay in the cache, and a backward pass makes a chunk again: nothing of size points × functions is kept.

Sums of monomials cancel: partials are right to eps (|x| / width)² of the largest among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import pairwise, product
from typing import Any

import torch
from torch import Tensor
from torch.func import jvp

from pdesolve.fields.multi_index import Channel, Combination, Index, minus, plus, unit, zero
from pdesolve.fields.smooth import Smooth

FEWEST = 16  # points of a chunk
CHUNK_BYTES = 2**22  # of one tensor of points × functions: measured, 1 to 8 MiB alike


@dataclass(frozen=True)
class Radial:
    """A function φ of q. ratio: φ′/φ where that is the same everywhere (-1 of exp(-q)), which saves its derivatives."""

    function: Smooth
    ratio: float | None = None

    def derivatives(self, q: Tensor, order: int) -> list[Tensor]:
        """φ, ..., φ⁽ᵒʳᵈᵉʳ⁾, or φ alone where the others are multiples of it."""
        return list(self.function(q, 0 if self.ratio is not None else order))


@dataclass(frozen=True)
class Columns:
    """Where coefficients stand: each column is a monomial x^m, times φ⁽ⁿ⁾, of one of the partials.

    monomials, levels, outputs: m, n and the number of the partial for each column, in the order of n.
    """

    monomials: tuple[Index, ...]
    levels: tuple[int, ...]
    outputs: tuple[int, ...]
    partials: int

    def of_level(self) -> list[slice]:
        """The columns of each n."""
        counts = [self.levels.count(n) for n in range(max(self.levels) + 1)]
        starts = [sum(counts[:n]) for n in range(len(counts) + 1)]
        return [slice(a, b) for a, b in pairwise(starts)]

    def selection(self, like: Tensor) -> Tensor:
        """(column, partial): one where the column is one of that partial."""
        found = like.new_zeros(len(self.outputs), self.partials)
        found[range(len(self.outputs)), list(self.outputs)] = 1
        return found


def slopes(centres: Tensor, form: Tensor) -> list[dict[Index, Tensor]]:
    """y_j = (A (x - μ))_j as polynomials in x, of centres (*, axis) and A (*, axis, axis) or its diagonal."""
    axes = centres.shape[-1]
    if form.ndim == centres.ndim:
        return [{unit(axes, j): form[..., j], zero(axes): -form[..., j] * centres[..., j]} for j in range(axes)]
    shift = -(form @ centres[..., None])[..., 0]
    return [{zero(axes): shift[..., j], **{unit(axes, k): form[..., j, k] for k in range(axes)}} for j in range(axes)]


def quadratic(centres: Tensor, form: Tensor) -> tuple[tuple[Index, ...], Tensor]:
    """q as monomials and their coefficients (*, monomial)."""
    axes = centres.shape[-1]
    if form.ndim == centres.ndim:
        moved, pairs = form * centres, [(j, j) for j in range(axes)]
        entries = [form[..., j] / 2 for j in range(axes)]
    else:
        moved = (form @ centres[..., None])[..., 0]
        pairs = [(j, k) for j, k in product(range(axes), repeat=2) if j <= k]
        entries = [form[..., j, k] / (2 if j == k else 1) for j, k in pairs]
    monomials = [zero(axes), *[unit(axes, j) for j in range(axes)]]
    monomials += [plus(unit(axes, j), unit(axes, k)) for j, k in pairs]
    constant = (moved * centres).sum(-1, keepdim=True) / 2
    return tuple(monomials), torch.cat([constant, -moved, torch.stack(entries, -1)], -1)


def partials(centres: Tensor, form: Tensor, wanted: Sequence[Channel], radial: Radial) -> tuple[Columns, Tensor]:
    """Where the coefficients of D^β φ(q) stand for each wanted β or sum of such, and what they are (*, column)."""
    axes = centres.shape[-1]
    y = slopes(centres, form)
    known: dict[Index, dict[tuple[int, Index], Tensor]] = {
        zero(axes): {(0, zero(axes)): torch.ones_like(centres[..., 0])}
    }

    def of(beta: Index) -> dict[tuple[int, Index], Tensor]:
        if beta not in known:
            j = next(i for i, order in enumerate(beta) if order)
            along = unit(axes, j)
            found: dict[tuple[int, Index], Tensor] = {}
            for (n, monomial), c in of(minus(beta, along)).items():
                level, factor = (n + 1, 1.0) if radial.ratio is None else (n, radial.ratio)
                for other, d in y[j].items():
                    _add(found, (level, plus(monomial, other)), factor * c * d)
                if monomial[j]:
                    _add(found, (n, minus(monomial, along)), monomial[j] * c)
            known[beta] = found
        return known[beta]

    def sum_of(channel: Channel) -> dict[tuple[int, Index], Tensor]:
        if not isinstance(channel, Combination):
            return of(channel)
        found: dict[tuple[int, Index], Tensor] = {}
        for alpha, factor in channel.terms:
            for key, c in of(alpha).items():
                _add(found, key, factor * c)
        return found

    entries = sorted(
        ((n, place, monomial, c) for place, beta in enumerate(wanted) for (n, monomial), c in sum_of(beta).items()),
        key=lambda entry: entry[:3],
    )
    columns = Columns(
        tuple(e[2] for e in entries), tuple(e[0] for e in entries), tuple(e[1] for e in entries), len(wanted)
    )
    return columns, torch.stack([e[3] for e in entries], -1)


def _add(found: dict[tuple[int, Index], Tensor], key: tuple[int, Index], value: Tensor) -> None:
    found[key] = found[key] + value if key in found else value


def powers(x: Tensor, monomials: Sequence[Index]) -> Tensor:
    """x^m (point, monomial)."""
    factors = _factors(tuple(monomials))
    highest = max((power for product in factors for _, power in product), default=0)
    grown = [torch.ones_like(x)]
    for _ in range(highest):
        grown.append(grown[-1] * x)
    columns = [values.unbind(1) for values in grown]
    return torch.stack(
        [reduce(torch.mul, [columns[n][i] for i, n in product]) if product else columns[0][0] for product in factors], 1
    )


@lru_cache(maxsize=256)
def _factors(monomials: tuple[Index, ...]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """The axes of each monomial and their powers: few, however many axes there are."""
    return tuple(tuple((i, n) for i, n in enumerate(monomial) if n) for monomial in monomials)


@dataclass(frozen=True, eq=False)
class Sums:
    """What is summed: the radial function, monomials for q and for the partials. Groups of functions go together."""

    radial: Radial
    quadratic: tuple[Index, ...]
    columns: Columns
    chunk_bytes: int = CHUNK_BYTES

    def chunks(self, x: Tensor, q: Tensor) -> list[slice]:
        some = max(FEWEST, self.chunk_bytes // (q.shape[0] * q.shape[1] * x.element_size()))
        return [slice(i, i + some) for i in range(0, len(x), some)]

    def evaluate(self, x: Tensor, q: Tensor, b: Tensor) -> Tensor:
        """T (partial, point, group, output) from q (group, function, monomial), b (group, function, column, output)."""
        selection, flat = self.columns.selection(x), b.flatten(2)
        out = x.new_empty(self.columns.partials, len(x), b.shape[0], b.shape[3])
        for some in self.chunks(x, q):
            values = self._radii(x[some], q, 0)
            parts = [
                torch.bmm(v, flat[..., c.start * b.shape[3] : c.stop * b.shape[3]])
                for v, c in zip(values, self.columns.of_level(), strict=False)
            ]
            sums = torch.cat(parts, -1).unflatten(-1, b.shape[2:])  # (group, point, column, output)
            sums = sums * powers(x[some], self.columns.monomials)[:, :, None]
            out[:, some] = torch.einsum("gpco,ct->tpgo", sums, selection)
        return out

    def each(self, x: Tensor, q: Tensor, b: Tensor) -> Tensor:
        """Those of one group by function (partial, point, function); b (1, function, column) has no outputs."""
        monomials = powers(x, self.columns.monomials)
        values, levels = self._radii(x, q, 0), self.columns.of_level()
        found = []
        for place in range(self.columns.partials):
            total: Tensor | None = None
            for n, c in enumerate(levels):
                some = [k for k in range(c.start, c.stop) if self.columns.outputs[k] == place]
                if some:
                    part = values[n][0] * (monomials[:, some] @ b[0][:, some].mT)
                    total = part if total is None else total + part
            assert total is not None
            found.append(total)
        return torch.stack(found)

    def _radii(self, x: Tensor, q: Tensor, more: int) -> list[Tensor]:
        """φ and as many derivatives as are needed, (group, point, function); with φ⁽ⁿ⁺¹⁾ for `more` = 1."""
        values = powers(x, self.quadratic) @ q.mT
        return self.radial.derivatives(values, max(self.columns.levels) + more)

    def spread(self, x: Tensor, g: Tensor) -> Tensor:
        """The error of each column (group, point, column, output) from that of T."""
        return (
            torch.einsum("tpgo,ct->gpco", g, self.columns.selection(x)) * powers(x, self.columns.monomials)[..., None]
        )

    def pulled(self, x: Tensor, q: Tensor, b: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients in q and b."""
        dq, db = torch.zeros_like(q), torch.zeros_like(b)
        for some in self.chunks(x, q):
            h = self.spread(x[some], g[:, some])
            values = self._radii(x[some], q, 1)
            for v, c in zip(values, self.columns.of_level(), strict=False):
                db[:, :, c] += torch.bmm(v.mT, h[:, :, c].flatten(2)).unflatten(-1, (-1, b.shape[3]))
            dq += self._bent(values, h, b).mT @ powers(x[some], self.quadratic)
        return dq, db

    def _bent(self, values: Sequence[Tensor], h: Tensor, b: Tensor) -> Tensor:
        """What q itself moves, (group, point, function)."""
        total: Tensor | None = None
        for n, c in enumerate(self.columns.of_level()):
            part = torch.bmm(h[:, :, c].flatten(2), b[:, :, c].flatten(2).mT)
            after = values[n + 1] if self.radial.ratio is None else values[n]
            part = part.mul_(after)
            total = part if total is None else total.add_(part)
        assert total is not None
        return total if self.radial.ratio is None else total.mul_(self.radial.ratio)

    def blocks(
        self, x: Tensor, q: Tensor, b: Tensor, g: Tensor, moves: Sequence[tuple[Tensor, Tensor]]
    ) -> list[Tensor]:
        """For each move (dq, db) of all functions' coefficients what it does at each point (point, group, function)."""
        h, values = self.spread(x, g), self._radii(x, q, 1)
        bent, base = self._bent(values, h, b), powers(x, self.quadratic)
        found = []
        for dq, db in moves:
            total = bent * (base @ dq.mT) if bool(dq.any()) else torch.zeros_like(bent)
            for v, c in zip(values, self.columns.of_level(), strict=False):
                if bool(db[:, :, c].any()):
                    total.addcmul_(v, torch.bmm(h[:, :, c].flatten(2), db[:, :, c].flatten(2).mT))
            found.append(total.transpose(0, 1))
        return found


class Summed(torch.autograd.Function):
    """T of `Sums`, whose backward pass makes each chunk again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, q: Tensor, b: Tensor, sums: Sums) -> Tensor:
        ctx.save_for_backward(x, q, b)
        ctx.sums = sums
        return sums.evaluate(x, q, b)

    @staticmethod
    def backward(ctx: Any, *errors: Any) -> Any:
        x, q, b = ctx.saved_tensors
        return None, *ctx.sums.pulled(x, q, b, errors[0]), None


Coefficients = Callable[..., tuple[Tensor, Tensor]]  # parameters -> q and b, each function by its own


class Copied(torch.autograd.Function):
    """T of `Sums` from parameters (group, function, *), a copy for each point: their gradients are blocks of J."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, sums: Sums, coefficients: Coefficients, given: tuple[Tensor, ...], *copies: Tensor
    ) -> Tensor:
        q, b = coefficients(*given)
        ctx.content = x, sums, coefficients, given, q, b
        return sums.evaluate(x, q, b)

    @staticmethod
    def backward(ctx: Any, *errors: Any) -> Any:
        x, sums, coefficients, given, q, b = ctx.content
        numbers = [p.shape[-1] if needed else 0 for p, needed in zip(given, ctx.needs_input_grad[4:], strict=True)]
        found = iter(sums.blocks(x, q, b, errors[0], _moves(coefficients, given, numbers)))
        gradients = [
            torch.stack([next(found) for _ in range(count)], -1) if count else None for count in numbers
        ]  # fmt: skip
        return None, None, None, None, *gradients


def _moves(coefficients: Coefficients, given: Sequence[Tensor], numbers: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """What each number of each parameter moves of q and b, `numbers` of them, all functions at once.

    Functions do not depend on one another, so that one direction serves the same number of all of them; the directions
    go side by side, on an axis in front of all others.
    """
    total = sum(numbers)
    tangents, first = [], 0
    for p, count in zip(given, numbers, strict=True):
        tangents.append(p.new_zeros(total, *p.shape))
        for k in range(count):
            tangents[-1][first + k, ..., k] = 1
        first += count
    side_by_side = tuple(p.expand(total, *p.shape).clone() for p in given)
    dq, db = jvp(coefficients, side_by_side, tuple(tangents))[1]
    return list(zip(dq, db, strict=True))
