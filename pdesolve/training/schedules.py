"""Schedules: factors of the learning rate, by the step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

Schedule = Literal["one_cycle", "cosine", "constant"]
_START, _END = 0.04, 1e-4  # of the one-cycle schedule, as fractions of its peak


def rate_factor(schedule: Schedule, steps: int, *, warm_up: float = 0.0) -> Callable[[int], float]:
    """The factor of the learning rate at each of so many steps.

    cosine: (1 + cos π s)/2 over what follows a linear warm-up. one_cycle: a cosine up from 0.04 within 0.3 of the steps
    (or `warm_up`, where that is given) and one down to 1e-4 (Smith and Topin, 2018, arXiv 1708.07120, without the cycle
    of momentum). constant: 1 after the warm-up. warm_up: a fraction of the steps.
    """
    rise = max(1, round(steps * (warm_up or 0.3))) if schedule == "one_cycle" else round(steps * warm_up)

    def factor(step: int) -> float:
        if schedule == "one_cycle" and step < rise:
            return _START + (1 - _START) * (1 - math.cos(math.pi * step / rise)) / 2
        if step < rise:
            return (step + 1) / rise
        if schedule == "constant":
            return 1.0
        passed = min(1.0, (step - rise) / max(1, steps - rise))
        end = _END if schedule == "one_cycle" else 0.0
        return end + (1 - end) * (1 + math.cos(math.pi * passed)) / 2

    return factor
