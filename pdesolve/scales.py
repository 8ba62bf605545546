"""Nondimensionalisation: the sizes of a problem's unknowns, of its rows and of their terms, found by themselves.

A network that puts out numbers of the size of one is multiplied by the scales of the unknowns (`pdesolve.nn.Affine`);
axes are rescaled by its first layer; rows are divided by theirs. So a problem in pascals trains as one in bars does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from pdesolve.characteristic import Characteristic, Range, balanced, given_ranges
from pdesolve.condition import BoundaryCondition, Condition, InitialRate, Observed
from pdesolve.problem import Problem, Value
from pdesolve.terms import sizes

APART = 1e3  # ratio of terms from which on there is a warning
_DRAWS = 3


@dataclass(frozen=True)
class Scales:
    """Sizes of a problem. JSON values only: kept with a run, they are obeyed when it goes on.

    unknowns: (offset, scale) of each scalar: it is offset + scale * O(1). rows: what the residual rows of the equation
    (one for each scalar) and of the conditions (by their names) are divided by. terms: the root mean square of each
    summand of the equation's rows for smooth states of the size of the unknowns, {row: {text: size}}.
    """

    unknowns: Mapping[str, tuple[float, float]]
    rows: Mapping[str, float]
    terms: Mapping[str, Mapping[str, float]]

    def lines(self) -> list[str]:
        """A small table: a line for each unknown and for each term."""
        lines = []
        for name, (offset, scale) in self.unknowns.items():
            lines.append(f"size of {name}: {scale:.2g}" + (f" around {offset:.4g}" if offset else ""))
        for row, parts in self.terms.items():
            for words, size in sorted(parts.items(), key=lambda part: -part[1]):
                lines.append(f"size of {_short(words)} in the equation of {row}: {size:.1e}")
        return lines

    def warning(self, remedies: Sequence[str] = ()) -> str | None:
        """One line where terms of a row are further apart than `APART`, with what helps; None elsewhere."""
        worst, line = APART, None
        for row, parts in self.terms.items():
            if len(parts) < 2:
                continue
            least, most = (pick(parts, key=lambda words: parts[words]) for pick in (min, max))
            ratio = parts[most] / parts[least]
            if ratio > worst:
                worst = ratio
                line = (
                    f"in the equation of {row} {_short(least)} is {ratio:.0e} times smaller than {_short(most)} on "
                    "smooth states: it acts in thin layers, or late, if its parameters have the right units"
                    + (f"; what may help: {', '.join(remedies)}" if remedies else "")
                )
        return line


def scales(problem: Problem, values: Mapping[str, Value] | None = None) -> Scales:
    """The scales of a problem with the parameter values it has or is given, from its data and its equation.

    An unknown is not shifted unless what is given of it lies within half its own middle, as 1e5 Pa ± 10 Pa does.
    The components of a vector share their scale, and their rows too. Sizes are known to two digits.
    """
    with torch.enable_grad():  # derivatives at points are taken by autograd
        states = [Characteristic(problem, values, seed=seed) for seed in range(_DRAWS)]
        given = given_ranges(problem, values)
        ranges = balanced(problem, {name: _widened(found) for name, found in given.items()}, states[0])
        found = [sizes(problem, state.state(ranges), state.p, state.x) for state in states]
    terms = {
        row: {words: _digits(_mean([draw[row].get(words, 0.0) for draw in found])) for words in parts}
        for row, parts in found[0].items()
    }
    unknowns: dict[str, tuple[float, float]] = {}
    rows: dict[str, float] = {}
    for unknown in problem.equation.unknowns:
        known = {**ranges, **given}
        parts = {name: _centred(known[name]) for name in unknown.scalars}
        if unknown.components:
            parts = dict.fromkeys(parts, (0.0, max(max(map(abs, known[name])) for name in parts)))
        unknowns |= {name: (offset, _digits(scale)) for name, (offset, scale) in parts.items()}
        row = max((max(terms[n].values(), default=0.0) for n in unknown.scalars if n in terms), default=0.0)
        rows |= dict.fromkeys((n for n in unknown.scalars if n in terms), row or 1.0)
    for name, condition in problem.named_conditions.items():
        rows[name] = _condition_scale(problem, condition, unknowns)
    return Scales(unknowns, rows, terms)


def _widened(found: Range) -> Range:
    """A range for states: a value that is given the same everywhere may well change by half of itself."""
    low, high = found
    if high - low > 1e-6 * max(abs(low), abs(high)):
        return found
    return low - abs(low) / 2, high + abs(high) / 2


def _centred(found: Range) -> tuple[float, float]:
    """Offset and scale of a range; a constant is not shifted, since nothing would be left of its size."""
    low, high = found
    middle, half = (low + high) / 2, (high - low) / 2
    if abs(middle) > 2 * half > 1e-6 * abs(middle):
        return _digits(middle, 4), half
    return 0.0, max(abs(low), abs(high))


def _condition_scale(problem: Problem, condition: Condition, unknowns: Mapping[str, tuple[float, float]]) -> float:
    """The size of what a condition compares."""
    if isinstance(condition, Observed):
        # a stated noise is what deviations are measured in; one that is not stated is 1 in the unknown's unit
        return unknowns[condition.unknown][1] if condition.noise == 1.0 else 1.0
    name = getattr(condition, "unknown", None)
    if name is None:
        return max(scale for _, scale in unknowns.values())
    scale = unknowns[problem.unknown(name).scalars[0]][1]
    if isinstance(condition, BoundaryCondition):
        alpha, beta = condition.coefficients
        length = problem.domain.measure ** (1 / problem.domain.dimension)
        return _digits((abs(alpha) + abs(beta) / length) * scale)
    if isinstance(condition, InitialRate):
        assert problem.time is not None
        return _digits(scale / problem.time.length)
    return scale


def _mean(draws: list[float]) -> float:
    return math.sqrt(sum(size**2 for size in draws) / len(draws))


def _digits(value: float, digits: int = 2) -> float:
    return float(f"{value:.{digits - 1}e}")


def _short(words: str) -> str:
    return words if len(words) <= 60 else f"{words[:57]}..."
