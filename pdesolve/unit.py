"""Physical units as products of SI units, written as UDUNITS and CF attributes do: "m s-1", "kg m-3", "1"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from pdesolve.errors import InputError, unknown_name

_BASE: tuple[str, ...] = ("kg", "m", "s", "A", "K", "mol", "cd")
_KNOWN: dict[str, dict[str, int]] = {
    **{name: {name: 1} for name in _BASE},
    "rad": {},
    "Hz": {"s": -1},
    "N": {"kg": 1, "m": 1, "s": -2},
    "Pa": {"kg": 1, "m": -1, "s": -2},
    "J": {"kg": 1, "m": 2, "s": -2},
    "W": {"kg": 1, "m": 2, "s": -3},
    "C": {"A": 1, "s": 1},
    "V": {"kg": 1, "m": 2, "s": -3, "A": -1},
}
_FACTOR = re.compile(r"([A-Za-z]+)(?:\^|\*\*)?([+-]?\d+)?")


@dataclass(frozen=True)
class Unit:
    """Exponents of the SI base units in the order kg, m, s, A, K, mol, cd; all zero is dimensionless ("1").

    `Unit.parse(None)` is None: nothing is known. Arithmetic with None gives None, and None agrees with every unit.
    """

    exponents: tuple[Fraction, ...] = (Fraction(0),) * len(_BASE)

    @staticmethod
    @lru_cache(maxsize=1024)
    def parse(text: str | None) -> Unit | None:
        """The unit written as `text`.

        Raises:
            InputError: a unit that is not known, or text that is no product of units.
        """
        if text is None:
            return None
        total = dict.fromkeys(_BASE, Fraction(0))
        for word in text.replace("**", "^").replace("*", " ").replace(".", " ").split():
            if word == "1":
                continue
            match = _FACTOR.fullmatch(word)
            if match is None:
                raise InputError(f"cannot read {word!r} in the unit {text!r}: write a product such as 'm2 s-1'")
            if match[1] not in _KNOWN:
                raise unknown_name("unit", match[1], _KNOWN)
            for base, exponent in _KNOWN[match[1]].items():
                total[base] += exponent * int(match[2] or 1)
        return Unit(tuple(total.values()))

    def __mul__(self, other: Unit) -> Unit:
        return Unit(tuple(a + b for a, b in zip(self.exponents, other.exponents, strict=True)))

    def __truediv__(self, other: Unit) -> Unit:
        return self * other.power(-1)

    def power(self, exponent: float | Fraction) -> Unit:
        factor = Fraction(exponent).limit_denominator(1000)
        return Unit(tuple(a * factor for a in self.exponents))

    @property
    def dimensionless(self) -> bool:
        return not any(self.exponents)

    def __str__(self) -> str:
        parts = [name if e == 1 else f"{name}{e}" for name, e in zip(_BASE, self.exponents, strict=True) if e]
        return " ".join(parts) or "1"
