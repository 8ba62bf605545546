"""Budgets: how much CPU time, and how many steps, a solver may spend."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pdesolve.errors import InputError

_UNITS = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str | float) -> float:
    """Seconds of a duration written "90s", "2min", "1.5h" or as a number of seconds.

    Raises:
        InputError: anything else, zero and less.
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?\d+)?)\s*([a-z]*)\s*", str(text).lower())
    if match is None or (match[2] or "s") not in _UNITS:
        raise InputError(f"a budget is a time such as 90s, 2min or 1h, got {text!r}")
    try:
        seconds = float(match[1]) * _UNITS[match[2] or "s"]
    except ValueError:
        raise InputError(f"a budget is a time such as 90s, 2min or 1h, got {text!r}") from None
    if not seconds > 0:
        raise InputError(f"a budget must be more than zero, got {text!r}: write --budget 2min")
    return seconds


def cpu_time() -> float:
    """CPU seconds of this process, all threads, and of the compilers it has called."""
    return sum(os.times()[:4])


@dataclass
class Budget:
    """CPU time of the whole process, all threads, less what was excluded (the reference solution).

    Counting starts at the CPU time `started` of the process (0: when it began). `before` is what was spent before the
    run was resumed.
    """

    cpu_seconds: float = 120.0
    started: float = 0.0
    before: float = 0.0
    excluded: float = field(default=0.0, init=False)

    @staticmethod
    def from_now(cpu_seconds: float) -> Budget:
        return Budget.since(None, cpu_seconds)

    @staticmethod
    def since(began: float | None, cpu_seconds: float, *, before: float = 0.0) -> Budget:
        """Counted from the CPU time `began` of this process; None: from now."""
        return Budget(cpu_seconds, started=cpu_time() if began is None else began, before=before)

    @property
    def spent(self) -> float:
        return self.before + cpu_time() - self.started - self.excluded

    @property
    def left(self) -> float:
        return self.cpu_seconds - self.spent

    @contextmanager
    def exclude(self) -> Iterator[None]:
        """Leave the CPU time of this block out."""
        start = cpu_time()
        try:
            yield
        finally:
            self.excluded += cpu_time() - start
