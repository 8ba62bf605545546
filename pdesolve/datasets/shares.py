"""Splits of generated samples: shares of their numbers, one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pdesolve.errors import InputError

_SLACK = 1e-9  # of shares that add up to 1


def bounds_of(shares: Mapping[str, float], n: int) -> dict[str, range]:
    """The numbers of n samples that each share has: the first 80 %, the next 10 % and so on.

    Raises:
        InputError: shares that overlap, or one without a sample.
    """
    for name, share in shares.items():
        if not 0.0 < share <= 1.0:
            raise InputError(f"a split is a share of the samples between 0 and 1, got {name}={share:g}")
    total = sum(shares.values())
    if total > 1.0 + _SLACK:
        raise InputError(
            f"the splits {', '.join(shares)} overlap: their shares add up to {total:g}, at most 1 is there"
        )
    ends = np.rint(np.cumsum(list(shares.values())) * n).astype(int).tolist()
    found = {name: range(a, b) for name, a, b in zip(shares, [0, *ends], ends, strict=False)}
    for name, numbers in found.items():
        if not numbers:
            raise InputError(f"the split {name} is empty: {shares[name]:g} of {n} samples is less than one")
    return found


def positions(bounds: Mapping[str, range], numbers: Sequence[int]) -> dict[str, np.ndarray]:
    """Where in a file the samples of each split are, by the numbers of the samples that are in it; none is left out."""
    there = np.asarray(numbers)
    found = {name: np.flatnonzero((there >= part.start) & (there < part.stop)) for name, part in bounds.items()}
    return {name: places for name, places in found.items() if len(places)}
