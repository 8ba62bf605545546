"""Multi-indices of partial derivatives, and the sums that products and compositions make of them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from pdesolve.errors import InputError

Index = tuple[int, ...]  # the order along each axis, in axis order
ORDER = 4  # of all partials together: no equation here asks for more
_PASCAL = ((1,), (1, 1), (1, 2, 1), (1, 3, 3, 1), (1, 4, 6, 4, 1))  # compilers do not trace math.comb


@lru_cache(maxsize=4096)
def below(alpha: Index) -> tuple[Index, ...]:
    """All β ≤ α, entry by entry."""
    return tuple(itertools.product(*(range(order + 1) for order in alpha)))


@lru_cache(maxsize=4096)
def closure(wanted: frozenset[Index]) -> tuple[Index, ...]:
    """Everything at or below the wanted ones, in the order in which one follows from those before it.

    Raises:
        InputError: an order over 4.
    """
    for alpha in wanted:
        if sum(alpha) > ORDER:
            raise InputError(
                f"partial derivatives up to order {ORDER} in all are carried, the formula asks for {alpha}: write the "
                "equation as a system of lower order"
            )
    return tuple(sorted({beta for alpha in wanted for beta in below(alpha)}, key=lambda i: (sum(i), i[::-1])))


def zero(axes: int) -> Index:
    """The multi-index of the value itself."""
    return (0,) * axes


def unit(axes: int, axis: int, order: int = 1) -> Index:
    """The multi-index of a derivative along one axis."""
    return tuple(order if i == axis else 0 for i in range(axes))


def plus(alpha: Index, beta: Index) -> Index:
    return tuple(a + b for a, b in zip(alpha, beta, strict=True))


def minus(alpha: Index, beta: Index) -> Index:
    return tuple(a - b for a, b in zip(alpha, beta, strict=True))


def binomial(alpha: Index, beta: Index) -> int:
    """(α over β), the product over the axes."""
    found = 1
    for a, b in zip(alpha, beta, strict=True):
        found *= _PASCAL[a][b]
    return found


@lru_cache(maxsize=4096)
def shares(alpha: Index) -> tuple[tuple[int, tuple[Index, ...]], ...]:
    """D^α f(u) = Σ c f⁽ᵏ⁾(u) D^β₁u ... D^βₖu as pairs of c and (β₁, ..., βₖ): each ∂/∂xᵢ strikes f, or one of the β."""
    sums: Counter[tuple[Index, ...]] = Counter({(): 1})
    for axis, order in enumerate(alpha):
        step = unit(len(alpha), axis)
        for _ in range(order):
            found: Counter[tuple[Index, ...]] = Counter()
            for parts, count in sums.items():
                found[tuple(sorted((*parts, step)))] += count
                for i, beta in enumerate(parts):
                    found[tuple(sorted((*parts[:i], plus(beta, step), *parts[i + 1 :])))] += count
            sums = found
    return tuple((count, parts) for parts, count in sorted(sums.items(), key=lambda item: (len(item[0]), item[0])))


@dataclass(frozen=True)
class Term:
    """coefficient f⁽ᵏ⁾(u) times the product of the input channels `factors`, k of them."""

    coefficient: float
    factors: tuple[int, ...]

    def without(self, factor: int) -> tuple[tuple[int, ...], float]:
        """The derivative in one of the factors: the others, and the coefficient."""
        others = list(self.factors)
        others.remove(factor)
        return tuple(others), self.coefficient * self.factors.count(factor)


@dataclass(frozen=True)
class Composition:
    """The channels of f(u): for each its terms. `order` is the highest derivative of f among them.

    `inputs` counts the channels of u; `aligned` says that they are the first of those of f(u), in the same order.
    """

    indices: tuple[Index, ...]
    channels: tuple[tuple[Term, ...], ...]
    order: int
    inputs: int
    aligned: bool


@lru_cache(maxsize=1024)
def composition(present: tuple[Index, ...], wanted: tuple[Index, ...]) -> Composition:
    """What f(u) needs of a u whose `present` channels come first and whose others vanish."""
    place = {index: i for i, index in enumerate(present)}
    indices, channels = [], []
    for alpha in wanted:
        terms = tuple(
            Term(float(count), tuple(place[beta] for beta in parts))
            for count, parts in shares(alpha)
            if all(beta in place for beta in parts)
        )
        if terms:
            indices.append(alpha)
            channels.append(terms)
    order = max(len(term.factors) for terms in channels for term in terms)
    aligned = tuple(indices[: len(present)]) == present
    return Composition(tuple(indices), tuple(channels), order, len(present), aligned)


@lru_cache(maxsize=1024)
def products(
    first: tuple[Index, ...], second: tuple[Index, ...], wanted: tuple[Index, ...]
) -> dict[Index, tuple[tuple[float, int, int], ...]]:
    """D^α(a b) for each wanted α that does not vanish: coefficients, channels of a and channels of b."""
    left, right = ({index: i for i, index in enumerate(indices)} for indices in (first, second))
    found = {}
    for alpha in wanted:
        terms = tuple(
            (float(binomial(alpha, beta)), left[beta], right[minus(alpha, beta)])
            for beta in below(alpha)
            if beta in left and minus(alpha, beta) in right
        )
        if terms:
            found[alpha] = terms
    return found


def union(indices: Iterable[tuple[Index, ...]], wanted: tuple[Index, ...]) -> tuple[Index, ...]:
    """The wanted ones that are in any of these, in the order of `wanted`."""
    present = {index for some in indices for index in some}
    return tuple(index for index in wanted if index in present)
