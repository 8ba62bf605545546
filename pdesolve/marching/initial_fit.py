"""The fit of the initial state, on which the error of everything after rests: Adam, then Levenberg-Marquardt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from pdesolve.errors import InputError
from pdesolve.least_squares import LeastSquares, LevenbergMarquardt
from pdesolve.marching import fit_cache
from pdesolve.marching.instant import Instant
from pdesolve.training.interrupts import Interrupts
from pdesolve.training.run import Run

_RATE = 5e-3  # learning rate of Adam
_SLOW = 0.999  # factor of the loss over `_LOOK` steps above which it has stalled
_LOOK = 20
STAGE = "initial fit"


@dataclass(frozen=True)
class Fit:
    """How a fit ended: relative L2 at the points it was made on and at others, Levenberg-Marquardt's steps.

    seconds: CPU time that it took, when it was made. cached: whether that was in an earlier run.
    """

    residual: float
    unseen: float
    steps: int
    seconds: float
    cached: bool = False


class InitialFit:
    """A fit of the network to the initial state, which a checkpoint holds in the midst of it.

    adam_steps of Adam, in a quarter of the time at most; then `steps` of Levenberg-Marquardt, until the relative
    residual at the points is at most `goal`, or until nothing is gained.
    """

    def __init__(self, instant: Instant, *, adam_steps: int, steps: int, goal: float) -> None:
        self.instant, self.adam_steps, self.steps, self.goal = instant, adam_steps, steps, goal
        self.adam = torch.optim.Adam(instant.module.parameters(), lr=_RATE)
        self.method = LeastSquares(instant.module, LevenbergMarquardt())
        self.losses: list[float] = []
        self.taken = 0  # steps of Adam; all of them where that is over
        self.seconds = 0.0
        self.cached = False
        self.reason = ""
        self._last = 0.0  # loss of Adam's last step

    def go_on(self, run: Run, *, seconds: float) -> None:
        """Fit until it ends; `seconds` of CPU time in all, with what earlier runs have spent on it."""
        began, before = run.budget.spent, self.seconds
        end, longest = min(began + seconds - before, run.budget.cpu_seconds), 0.0
        parts = {STAGE: self}
        with Interrupts() as interrupts:
            while not self.reason:
                start = run.budget.spent
                if start + longest >= end:
                    self.reason = "share"
                    break
                if self.taken < self.adam_steps:
                    self._descend()
                    if run.budget.spent >= began + (end - began) / 4:
                        self.taken = self.adam_steps
                else:
                    self._solve()
                    longest = max(longest, run.budget.spent - start)
                self.seconds = before + run.budget.spent - began
                if run.due():
                    self._record(run)
                if run.checkpoint.due() or interrupts.came is not None:
                    run.checkpoint.position.step = self.taken + len(self.losses)
                    run.checkpoint.write(run, parts)
                if interrupts.came is not None:
                    break
        self.seconds = before + run.budget.spent - began

    def state_dict(self) -> dict[str, Any]:
        """Everything that going on needs."""
        return {
            "module": dict(self.instant.module.state_dict()),
            "adam": self.adam.state_dict(),
            "method": self.method.state_dict(),
            "losses": list(self.losses),
            "taken": self.taken,
            "seconds": self.seconds,
            "reason": self.reason,
        }

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Stand where `state_dict` stood."""
        self.instant.module.load_state_dict(state["module"])
        self.adam.load_state_dict(state["adam"])
        self.method.load_state_dict(state["method"])
        self.losses, self.taken = list(state["losses"]), state["taken"]
        self.seconds, self.reason = state["seconds"], state["reason"]

    def ended(self, run: Run, unseen: Instant) -> Fit:
        """How it ended, said and recorded."""
        instant = self.instant
        fit = Fit(
            instant.distance(instant.initial, instant.start), unseen.distance(unseen.initial, unseen.start),
            len(self.losses), self.seconds, self.cached,
        )  # fmt: skip
        self._record(run)
        run.say(
            f"initial fit: relative L2 {fit.unseen:.1e} at unseen points after {fit.steps} steps, {fit.seconds:.0f} "
            f"CPU s{' of an earlier run, from the cache' if fit.cached else ''}"
        )
        return fit

    def _descend(self) -> None:
        self.adam.zero_grad()
        loss = self._square()
        loss.backward(inputs=list(self.instant.module.parameters()))  # what a lift adds is used again
        self.adam.step()
        self.adam.zero_grad()
        self.taken += 1
        self._last = float(loss.detach()) / 2

    def _solve(self) -> None:
        instant = self.instant
        loss = float(self.method.step(lambda: instant.terms(instant.initial, instant.start)))
        self.losses.append(loss)
        stalled = len(self.losses) > _LOOK and loss > _SLOW * self.losses[-1 - _LOOK]
        if 2 * loss <= self.goal**2:
            self.reason = "converged"
        elif not self.method.moved or stalled:
            self.reason = "stalled"
        elif len(self.losses) >= self.steps:
            self.reason = "steps"

    def _square(self) -> torch.Tensor:
        terms = self.instant.terms(self.instant.initial, self.instant.start).values()
        return torch.stack([rows.square().sum() for rows in terms]).sum()

    def _record(self, run: Run) -> None:
        loss = self.losses[-1] if self.losses else self._last
        run.record(stage=STAGE, step=self.taken + len(self.losses), losses={"residual": (2 * loss) ** 0.5})


def fit_initial(
    instant: Instant, unseen: Instant, run: Run, *, adam_steps: int, steps: int, seconds: float, tolerance: float,
    goal: float = 1e-12,
) -> Fit | None:  # fmt: skip
    """Fit the network to the initial state, until the steps or the CPU seconds are over or nothing is gained.

    The fit is a call of its own in the run's checkpoint: None where that had ended before the run was resumed. Its
    result is kept in the cache, and what an earlier run has spent on it counts as spent.

    Raises:
        InputError: a relative L2 at unseen points above the tolerance, with the fit that was reached.
    """
    fit = InitialFit(instant, adam_steps=adam_steps, steps=steps, goal=goal)
    key = fit_cache.key(fit)
    if run.checkpoint.enter(run, {STAGE: fit}, seconds=seconds) is not None:
        return None
    if not run.checkpoint.resumed:
        fit_cache.load(key, fit)
    if fit.reason == "share" and fit.seconds < seconds:
        fit.reason = ""  # more time than it had
    fit.go_on(run, seconds=seconds)
    fit_cache.save(key, fit)
    run.checkpoint.position.reason = fit.reason
    run.checkpoint.leave()
    found = fit.ended(run, unseen)
    if not found.unseen <= tolerance:
        raise InputError(
            f"the network fits the initial state to {found.unseen:.1e} at points it has not seen ({found.residual:.1e} "
            f"at its own), not to {tolerance:g}: give --method.width, --budget or a larger --method.fit_tolerance"
        )
    return found
