"""Linear problems: one wide hidden layer, drawn at random, whose output layer is solved for exactly.

With equation, conditions and lift linear in the unknowns the rows are r = r₀ + A c, c the weights of the output layer:
linear least squares. What is left to find are the scales of the features along the axes and how many they are. Both are
judged by the residual at points that no fit has seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from pdesolve.nn import Basis
from pdesolve.physics.collocation.model import Residuals
from pdesolve.physics.collocation.output_layer import Clouds, fit_output_layer, residual_root
from pdesolve.physics.collocation.spectrum import Spectra, starting_scales
from pdesolve.training.run import Run

SOLVED = 1e-12  # a residual that is nothing, in rows of the size of one
_FIRST, _LARGEST = 400, 3200  # features
_RATIO = 2.5  # rows for each feature
_BETTER = 0.9  # of the residual: what is worth another scale
_ENOUGH = 0.5  # of the residual: what is worth twice the features
# of the residual without a network
_PART = 1e-4  # what counts as solved
_GOOD = 1e-3  # what needs no other kind of features
_HOLD = 0.6  # what features must reach before single axes are tried
_CLOSE = 0.25  # 1 / width of radial functions times their distance, over two: wider ones are better until rounding
_ROUNDING = 1e-11  # below which nothing is gained
MANY = 10  # axes: beyond, they are not looked at one by one, and features of single coordinates are tried too
_SHARE = 0.7  # of the budget that is left, for all this

Kind = Literal["tanh", "sine", "spectral", "additive"] | Basis


@dataclass(frozen=True)
class Wide:
    """A hidden layer: its width, and the scales of its weights along each axis, rescaled to [-1, 1].

    tanh and sine: weights of mean zero. spectral: sines whose frequencies are drawn from the spectrum of what the
    conditions and the source leave over, and then moved by the scales. Radial functions: of the width 1 / scale.
    additive: tanh of single coordinates.
    """

    width: int
    kind: Kind
    scales: tuple[float, ...]


@dataclass(frozen=True)
class Oscillation:
    """Waves that a deep network is given beside its coordinates: m of cos(pi m s), sin(pi m s) for each axis."""

    frequencies: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Trials:
    """Fits of wide layers to a problem.

    make: the objective of a network with that layer, its draws always the same. draw: (objective, points, seed) ->
    points of each term. axes: how many. kinds: of features, in the order in which they are tried.
    """

    make: Callable[[Wide], Residuals]
    draw: Callable[[Residuals, int, int], Clouds]
    axes: int
    kinds: Sequence[Kind]

    def solve(self, run: Run, name: str) -> tuple[Residuals, bool] | None:
        """The network of the widest layer that pays, its output layer solved for, and whether it is a solution.

        None where random features do not get hold of the problem. name: of the run's choice, which a run that is
        repeated obeys.
        """
        chosen = run.choose(name, lambda: self._search(run))
        if not chosen["width"]:
            run.say("the problem is linear, but random features do not get hold of it: a deep network is trained")
            return None
        layer = Wide(chosen["width"], chosen["kind"], tuple(chosen["scales"]))
        objective, held_out = self.fitted(layer)
        before = self._nothing()
        run.say(
            f"the problem is linear: {layer.width} random features ({layer.kind}), scales "
            f"{_short(layer.scales)}, output layer solved for; residual elsewhere "
            f"{held_out:.1e}, without a network {before:.1e}"
        )
        return objective, held_out < max(_PART * before, SOLVED)

    def oscillation(self, run: Run, name: str) -> Oscillation | None:
        """The waves that the problem's data are made of, where they are fast; None where they are not."""
        chosen = run.choose(name, lambda: [list(peaks) for peaks in self._peaks()])
        if not any(chosen):
            return None
        run.say(
            f"its data oscillate: a deep network is given cos(pi m s) and sin(pi m s), m = {chosen} by axis, s in "
            "[-1, 1], and conditions are left to the loss, since a lift would blur these waves"
        )
        return Oscillation(tuple(map(tuple, chosen)))

    def _peaks(self) -> tuple[tuple[int, ...], ...]:
        spectra = self._spectra()
        return spectra.peaks if spectra.any else ((),) * self.axes

    def fitted(self, layer: Wide) -> tuple[Residuals, float]:
        """The objective of a layer, its output layer solved for, and the root of its loss at other points."""
        objective = self.make(layer)
        if layer.kind == "spectral":
            self._spectra().move(objective)
        fit_output_layer(objective, self.draw(objective, round(_RATIO * layer.width), 1))
        return objective, residual_root(objective, self.draw(objective, max(64, layer.width // 2), 2))

    def _search(self, run: Run) -> dict[str, Any]:
        """The layer with the least residual elsewhere; of width 0 where random features do not get hold."""
        end = run.budget.spent + _SHARE * run.budget.left
        before, start = self._nothing(), self._starting_scales()
        best: tuple[float, Wide] = (math.inf, Wide(0, self.kinds[0], start))
        for kind in self.kinds:
            scales = self._first_scales(kind, _FIRST, start)
            if best[0] < max(_GOOD * before, SOLVED) or (kind == "spectral" and not self._spectra().any):
                continue
            found = self._scaled(Wide(_FIRST, kind, scales), run, end, _HOLD * before)
            best = min(best, found, key=lambda pair: pair[0])
        for kind in self.kinds:  # radial functions see what lies between their centres once these are close enough
            for width in (_FIRST * 4, _FIRST * 8):
                if kind in get_args(Basis) and best[0] > max(_HOLD * before, SOLVED) and run.budget.spent < end:
                    layer = Wide(width, kind, self._first_scales(kind, width, start))
                    best = min(best, self._scaled(layer, run, end, 0.0), key=lambda pair: pair[0])
        if best[0] > max(_HOLD * before, SOLVED):
            return {"width": 0, "kind": self.kinds[0], "scales": list(start)}
        while best[1].width < _LARGEST and best[0] > max(_ROUNDING * before, SOLVED):
            begin = run.budget.spent
            wider = replace(best[1], width=2 * best[1].width)
            trials = [replace(wider, scales=tuple(f * s for s in wider.scales)) for f in (1.0, 1.4)]
            found = min(((self.fitted(layer)[1], layer) for layer in trials), key=lambda pair: pair[0])
            gain, left = found[0] / best[0], math.log2(_LARGEST / found[1].width)
            if not gain < _ENOUGH:
                break
            best = found
            if found[0] * gain**left > max(_PART * before, SOLVED):
                break  # it would not come to a solution
            if run.budget.spent + 8 * (run.budget.spent - begin) > end:
                break
        return {"width": best[1].width, "kind": best[1].kind, "scales": list(best[1].scales)}

    def _first_scales(self, kind: Kind, width: int, start: tuple[float, ...]) -> tuple[float, ...]:
        """The scales to begin with: those of the data, for radial functions no finer than their centres are close."""
        if kind == "spectral":
            return (1.0,) * self.axes
        if kind not in get_args(Basis):
            return start
        room = _CLOSE * (width / math.prod(start)) ** (1 / self.axes)
        return tuple(min(1.0, room) * s for s in start)

    def _scaled(self, layer: Wide, run: Run, end: float, hold: float) -> tuple[float, Wide]:
        """The best scales by coordinate search: all axes together, then each, by factors of 2.56, then of 1.6.

        Single axes are tried only once the residual is below `hold`, and where they are not too many.
        """
        best = tuple(round(s, 6) for s in layer.scales)
        tried = {best: self.fitted(layer)[1]}
        for step in (2.56, 1.6):
            moved = True
            while moved and run.budget.spent < end:
                moved = False
                single = [[i] for i in range(self.axes)] if 1 < self.axes <= MANY and tried[best] < hold else []
                for some in ([*range(self.axes)], *single):
                    for factor in (step, 1 / step):
                        trial = tuple(round(s * factor, 6) if i in some else s for i, s in enumerate(best))
                        if trial in tried or run.budget.spent > end:
                            continue
                        tried[trial] = self.fitted(replace(layer, scales=trial))[1]
                        if tried[trial] < _BETTER * tried[best]:
                            best, moved = trial, True
        return tried[best], replace(layer, scales=best)

    def _nothing(self) -> float:
        """The residual of no network at all."""
        objective = self._bare()
        return residual_root(objective, self.draw(objective, 256, 2))

    def _starting_scales(self) -> tuple[float, ...]:
        objective = self._bare()
        return starting_scales(objective, self.draw(objective, 512, 3)["equation"], nothing=SOLVED)

    def _spectra(self) -> Spectra:
        objective = self._bare()
        return Spectra.of(objective, self.draw(objective, 16, 4)["equation"])

    def _bare(self) -> Residuals:
        return self.make(Wide(1, "tanh", (1.0,) * self.axes))


def _short(scales: Sequence[float]) -> str:
    """One for each axis, or once what is the same along more than three."""
    if len(scales) > 3 and len(set(scales)) == 1:
        return f"{scales[0]:.2g} along all axes"
    return ", ".join(f"{s:.2g}" for s in scales)
