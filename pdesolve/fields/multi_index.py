"""Multi-indices of partial derivatives, and the sums that products and compositions make of them."""

from __future__ import annotations

import itertools
import operator
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from pdesolve.errors import InputError

Index = tuple[int, ...]  # the order along each axis, in axis order
ORDER = 4  # of all partials together: no equation here asks for more
_PASCAL = ((1,), (1, 1), (1, 2, 1), (1, 3, 3, 1), (1, 4, 6, 4, 1))  # compilers do not trace math.comb


class Combination(NamedTuple):
    """L u = Σ c D^α u, carried as one: by D^α f(u) = f' D^α u + (what is below α), L f(u) needs of the D^α u L u only.

    Hence a Laplacian costs one channel beside the first derivatives, however many axes it has (Li et al., 2023, arXiv
    2307.08214).
    """

    terms: tuple[tuple[Index, float], ...]


Channel = Index | Combination


@lru_cache(maxsize=4096)
def below(alpha: Index) -> tuple[Index, ...]:
    """All β ≤ α, entry by entry."""
    return tuple(itertools.product(*(range(order + 1) for order in alpha)))


@lru_cache(maxsize=4096)
def closure(wanted: frozenset[Channel]) -> tuple[Channel, ...]:
    """Everything at or below the wanted ones, in the order in which one follows from those before it.

    Of a combination what is below its terms; it stands behind first derivatives, as it may be all that follows those
    in the coordinates themselves.

    Raises:
        InputError: an order over 4.
    """
    found: set[Channel] = set()
    for channel in wanted:
        refuse_above(order_of(channel), f"the partial {channel}")
        for alpha in indices_of(channel):
            found.update(below(alpha)[:-1])
        found.add(channel)
    return tuple(sorted(found, key=_place))


def refuse_above(order: int, what: str) -> None:
    """Refuse derivatives that are not carried.

    Raises:
        InputError: an order over 4.
    """
    if order > ORDER:
        raise InputError(
            f"partial derivatives up to order {ORDER} in all are carried through networks, the formula asks for {what} "
            f"of order {order}: write the equation as a system of lower order"
        )


def _place(channel: Channel) -> tuple[float, tuple[Any, ...]]:
    return (1.5, channel.terms) if isinstance(channel, Combination) else (sum(channel), channel[::-1])


def indices_of(channel: Channel) -> tuple[Index, ...]:
    """The multi-indices that a channel is made of."""
    return tuple(alpha for alpha, _ in channel.terms) if isinstance(channel, Combination) else (channel,)


def order_of(channel: Channel) -> int:
    """The highest order in a channel."""
    return max(sum(alpha) for alpha in indices_of(channel))


def zero(axes: int) -> Index:
    """The multi-index of the value itself."""
    return (0,) * axes


def unit(axes: int, axis: int, order: int = 1) -> Index:
    """The multi-index of a derivative along one axis."""
    return (0,) * axis + (order,) + (0,) * (axes - axis - 1)


def plus(alpha: Index, beta: Index) -> Index:
    return tuple(map(operator.add, alpha, beta))


def minus(alpha: Index, beta: Index) -> Index:
    return tuple(map(operator.sub, alpha, beta))


def binomial(alpha: Index, beta: Index) -> int:
    """(α over β), the product over the axes."""
    if sum(alpha) > ORDER:
        refuse_above(sum(alpha), f"the partial {alpha}")
    found = 1
    for a, b in zip(alpha, beta, strict=True):
        found *= _PASCAL[a][b]
    return found


@lru_cache(maxsize=4096)
def product_rule(channel: Channel) -> tuple[tuple[float, Channel, Channel], ...]:
    """D^α(a b) = Σ c D^βa D^γb as triples of c, β and γ; of a combination likewise."""
    if not isinstance(channel, Combination):
        return tuple((float(binomial(channel, beta)), beta, minus(channel, beta)) for beta in below(channel))
    value = zero(len(channel.terms[0][0]))
    mixed = [
        (c * binomial(alpha, beta), beta, minus(alpha, beta))
        for alpha, c in channel.terms
        for beta in below(alpha)[1:-1]
    ]
    return ((1.0, channel, value), (1.0, value, channel), *mixed)


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


def chain_rule(channel: Channel) -> tuple[tuple[float, tuple[Channel, ...]], ...]:
    """D^α f(u) as pairs like those of `shares`; of a combination all that have one factor are its own."""
    if not isinstance(channel, Combination):
        return tuple((float(count), parts) for count, parts in shares(channel))
    bent = [(c * count, parts) for alpha, c in channel.terms for count, parts in shares(alpha) if len(parts) > 1]
    return ((1.0, (channel,)), *bent)


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

    indices: tuple[Channel, ...]
    channels: tuple[tuple[Term, ...], ...]
    order: int
    inputs: int
    aligned: bool


@lru_cache(maxsize=1024)
def composition(present: tuple[Channel, ...], wanted: tuple[Channel, ...]) -> Composition:
    """What f(u) needs of a u whose `present` channels come first and whose others vanish."""
    place = {index: i for i, index in enumerate(present)}
    indices, channels = [], []
    for alpha in wanted:
        terms = tuple(
            Term(count, tuple(place[beta] for beta in parts))
            for count, parts in chain_rule(alpha)
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
    first: tuple[Channel, ...], second: tuple[Channel, ...], wanted: tuple[Channel, ...]
) -> dict[Channel, tuple[tuple[float, int, int], ...]]:
    """D^α(a b) for each wanted α that does not vanish: coefficients, channels of a and channels of b."""
    left, right = ({index: i for i, index in enumerate(indices)} for indices in (first, second))
    found = {}
    for channel in wanted:
        terms = tuple(
            (c, left[beta], right[gamma]) for c, beta, gamma in product_rule(channel) if beta in left and gamma in right
        )
        if terms:
            found[channel] = terms
    return found


def union(indices: Iterable[tuple[Channel, ...]], wanted: tuple[Channel, ...]) -> tuple[Channel, ...]:
    """The wanted ones that are in any of these, in the order of `wanted`."""
    present = {index for some in indices for index in some}
    return tuple(index for index in wanted if index in present)
