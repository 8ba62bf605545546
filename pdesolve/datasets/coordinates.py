"""Axes from the coordinates that files hold: where they begin and end, and whether the points are centres of cells."""

from __future__ import annotations

import numpy as np

from pdesolve.data.dataset import Coordinate
from pdesolve.errors import InputError
from pdesolve.geometry import Axis
from pdesolve.unit import Unit


def coordinate(
    name: str,
    points: np.ndarray,
    *,
    periodic: bool = False,
    bounds: tuple[float, float] | None = None,
    label: str | None = None,
) -> Coordinate:
    """The coordinate of an axis with points (size,) or (sample, size), whose bounds are found where they are not given.

    Uniform points x_i = a + (i + 1/2) h, whose first is an odd multiple of h/2, are centres of cells between a and
    a + n h; else those of a periodic axis lie between x_0 and x_0 + n h, all others between the first and the last.
    A single point has an axis of length 1. Rows that are the same for all samples become one.

    Raises:
        InputError: points that are not finite or do not ascend.
    """
    points = np.asarray(points)
    if points.ndim == 2 and len(points) and (points == points[:1]).all():
        points = points[0]
    gaps = np.diff(points)
    if not np.isfinite(points).all() or not (gaps > 0).all():
        raise InputError(f"the coordinates {name} must be finite and ascend, got {_glimpse(points)}")
    lower, upper = bounds or _bounds(points, periodic)
    unit = _unit(label)
    return Coordinate(Axis(name, lower, upper, unit, periodic=periodic and name != "t"), points, label or "")


def _bounds(points: np.ndarray, periodic: bool) -> tuple[float, float]:
    first, last, n = float(points.min()), float(points.max()), points.shape[-1]
    if n < 2:
        return first, max(last, first + 1.0)
    single = points.dtype.itemsize <= 4
    step, noise = (last - first) / (n - 1), (1e-6 if single else 1e-12) * max(abs(first), abs(last))
    slack = (1e-3 if single else 1e-6) * step
    uniform = points.ndim == 1 and np.abs(points - (first + step * np.arange(n))).max() <= slack
    if uniform and abs((first / step) % 1.0 - 0.5) * step <= slack:
        return _short(first - step / 2, noise), _short(last + step / 2, noise)
    return first, _short(last + step, noise) if periodic else last


def _short(bound: float, noise: float) -> float:
    """The number of few digits that is meant, where rounding explains the difference."""
    for digits in range(1, 6):
        short = float(f"{bound:.{digits}g}")
        if abs(short - bound) <= noise:
            return short
    return bound


def _unit(label: str | None) -> str | None:
    try:
        Unit.parse(label)
    except InputError:
        return None
    return label


def _glimpse(points: np.ndarray) -> str:
    flat = points.reshape(-1)
    return ", ".join(f"{value:g}" for value in flat[:4]) + (", ..." if flat.size > 4 else "")
