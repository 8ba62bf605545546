"""Axes from bare coordinates: what their bounds are, and whether the numbers say that they are periodic."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pdesolve.data.arrays import Array
from pdesolve.data.dataset import Coordinate
from pdesolve.errors import InputError
from pdesolve.geometry import TIME, Axis
from pdesolve.unit import Unit

_DIGITS = 3  # of a bound that was written by a person
EDGES = 2**26  # bytes of a field whose first and last entries may be read when a file is opened
Kind = Literal["closed", "cells", "right", "left"]


@dataclass(frozen=True)
class Ends:
    """The first two and the last two entries of a field along an axis, each over all other dimensions."""

    first: np.ndarray
    second: np.ndarray
    before: np.ndarray
    last: np.ndarray

    @staticmethod
    def of(array: Array, position: int) -> Ends | None:
        """None where that would read too much, or is not there."""
        size = array.shape[position]
        if array.nbytes > EDGES or size < 4 or array.dtype.kind not in "fc":
            return None
        both = []
        for begin in (0, size - 2):
            index = [slice(0, n) for n in array.shape]
            index[position] = slice(begin, begin + 2)
            both += list(np.moveaxis(array.read(tuple(index)), position, 0))
        return Ends(*both)

    @property
    def joined(self) -> bool:
        """Whether the step from the last entry to the first is one as those beside it."""
        here = np.maximum(np.abs(self.second - self.first), np.abs(self.last - self.before))
        return bool(_size(self.first - self.last) <= 2 * _size(here) + 1e-12 * _size(self.first))

    @property
    def repeated(self) -> bool:
        """Whether the last entry is the first again, and comes in as the first goes out."""
        steps = self.second - self.first, self.last - self.before
        scale = max(_size(self.first), _size(self.second), _size(self.before))
        slack = 1e-8 if self.first.dtype.itemsize > 4 else 1e-4
        same = _size(self.first - self.last) <= slack * scale
        return bool(same and _size(steps[0] - steps[1]) <= 0.2 * (_size(steps[0]) + _size(steps[1])) > 0)


def coordinate(name: str, points: np.ndarray, *, label: str = "", fields: Sequence[Ends | None] = ()) -> Coordinate:
    """The coordinate of ascending points (size,), with the bounds that their writer will have had in mind.

    Of the bounds that equidistant points allow (closed: both ends; cells: half a step beyond both; half-open: one step
    beyond one end, which a periodic axis needs) those with the fewest digits are taken, the closed ones where
    there is a tie. An axis of space is periodic where it is half-open and no field jumps between its ends, or where it
    is closed and all fields, their slopes too, are at its end what they were at its begin.

    Raises:
        InputError: points that do not ascend, or are not finite.
    """
    if not np.isfinite(points).all() or len(points) < 2 or not (np.diff(points) > 0).all():
        raise InputError(
            f"the coordinates of {name} must ascend and be finite, with two points at least: they go from "
            f"{points[:1]} to {points[-1:]} in {len(points)} entries"
        )
    known = [ends for ends in fields if ends is not None]
    kind, lower, upper = _bounds(points, name != TIME, known)
    periodic = kind in ("right", "left") or (
        name != TIME and kind == "closed" and bool(known) and all(ends.repeated for ends in known)
    )
    axis = Axis(name, lower, upper, axis_unit(label), periodic)
    return Coordinate(axis, points, label)


def placed(name: str, points: np.ndarray) -> str:
    """How a note puts it."""
    return f"{name} from {points[0]:.6g} to {points[-1]:.6g}"


def _bounds(points: np.ndarray, space: bool, known: list[Ends]) -> tuple[Kind, float, float]:
    first, last = float(points[0]), float(points[-1])
    gaps = np.diff(points)
    slack = (1e-9 if points.dtype.itemsize > 4 else 1e-5) * max(last - first, abs(first), abs(last))
    closed: tuple[Kind, float, float] = ("closed", first, last)
    if not space or len(points) < 4 or np.ptp(gaps) > 4 * slack:
        return closed
    step = (last - first) / (len(points) - 1)
    candidates: list[tuple[Kind, float, float]] = [
        closed,
        ("cells", first - step / 2, last + step / 2),
        ("right", first, last + step),
        ("left", first - step, last),
    ]
    best: tuple[Kind, float, float] = closed
    least = math.inf
    for kind, lower, upper in candidates:
        a, b = (_written(bound, max(slack, 1e-6 * step)) for bound in (lower, upper))
        if a is None or b is None or a[1] + b[1] >= least:
            continue
        if kind in ("closed", "cells") or all(end.joined for end in known):
            best = (kind, a[0], b[0])
            least = a[1] + b[1]
    return best if best[0] in ("cells", "right", "left") else closed


def _written(value: float, slack: float) -> tuple[float, int] | None:
    """The number with the fewest digits near a value, as a decimal or a multiple of pi, and how many it has."""
    if abs(value) <= slack:
        return 0.0, 0
    for digits in range(1, _DIGITS + 1):
        for factor in (1.0, math.pi):
            near = float(f"{value / factor:.{digits - 1}e}") * factor
            if abs(near - value) <= slack:
                return near, digits
    return None


def axis_unit(label: str) -> str | None:
    """The unit as a product of SI units, where it is one."""
    return unit_text(label) if known_unit(unit_text(label)) else None


def known_unit(text: str) -> bool:
    """Whether a unit is a product of SI units."""
    try:
        return bool(text) and Unit.parse(text) is not None
    except InputError:
        return False


def unit_text(text: str) -> str:
    """A unit as UDUNITS has it where only the way to write it differs: "m s-1" for "m/s", else the text itself."""
    if known_unit(text):
        return text
    above, *below = text.replace("**", "^").replace("·", " ").split("/")
    words = [re.sub(r"^meters?\b", "m", above.strip()).replace("second", "s")]
    words += [f"{re.sub(r'[^A-Za-z]', '', part)}-{re.sub('[^0-9]', '', part) or 1}" for part in below]
    made = " ".join(words).strip()
    return made if known_unit(made) else text


def _size(values: np.ndarray) -> float:
    """The root of the mean square."""
    largest = float(np.abs(values).max(initial=0.0))
    return largest and largest * float(np.sqrt(np.mean(np.abs(values / largest) ** 2)))  # squares may overflow
