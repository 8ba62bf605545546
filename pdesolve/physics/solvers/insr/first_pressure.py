"""The fit of a flow's first pressure, from a network that knows nothing."""

from __future__ import annotations

from typing import Any

from torch import nn

from pdesolve.least_squares import LeastSquares, LevenbergMarquardt
from pdesolve.marching.initial_fit import Fit
from pdesolve.physics.solvers.insr.fitting import Rows
from pdesolve.training.interrupts import Interrupts
from pdesolve.training.run import Run

_SLOW, _LOOK = 0.99, 20  # factor of the loss over so many steps above which it has stalled
STAGE = "first pressure"


class FirstPressure:
    """Levenberg-Marquardt on the rows of a pressure, which a checkpoint holds in the midst of it.

    whole: the network of velocity and pressure, the first of which is fitted and stays. fit: how that ended. goal: the
    relative residual at which this one has.
    """

    def __init__(self, whole: nn.Module, pressure: nn.Module, *, steps: int, goal: float, fit: Fit | None) -> None:
        self.whole, self.steps, self.goal, self.fit = whole, steps, goal, fit
        self.method = LeastSquares(pressure, LevenbergMarquardt())
        self.losses: list[float] = []
        self.seconds = 0.0
        self.reason = ""

    @property
    def residual(self) -> float:
        """The root of the sum of squares so far."""
        return (2 * self.losses[-1]) ** 0.5 if self.losses else float("inf")

    def go_on(self, rows: Rows, run: Run, *, seconds: float) -> None:
        """Fit until it ends; `seconds` of CPU time in all, with what earlier runs have spent on it."""
        began, before = run.budget.spent, self.seconds
        end = min(began + seconds - before, run.budget.cpu_seconds)
        parts = {STAGE: self}
        run.checkpoint.write(run, parts)
        with Interrupts() as interrupts:
            while not self.reason:
                self.losses.append(float(self.method.step(rows)))
                self.seconds = before + run.budget.spent - began
                self.reason = self._ended(spent=run.budget.spent >= end)
                run.checkpoint.position.step = len(self.losses)
                if run.due():
                    run.record(stage=STAGE, step=len(self.losses), losses={"residual": self.residual})
                if run.checkpoint.due() or interrupts.came is not None:
                    run.checkpoint.write(run, parts)
                if interrupts.came is not None:
                    break
        run.checkpoint.position.reason = self.reason

    def _ended(self, *, spent: bool) -> str:
        losses = self.losses
        if self.residual <= self.goal:
            return "converged"
        if not self.method.moved or (len(losses) > _LOOK and losses[-1] > _SLOW * losses[-1 - _LOOK]):
            return "stalled"
        return "share" if spent else "steps" if len(losses) >= self.steps else ""

    def state_dict(self) -> dict[str, Any]:
        """Everything that going on needs."""
        return {
            "module": dict(self.whole.state_dict()),
            "method": self.method.state_dict(),
            "losses": list(self.losses),
            "seconds": self.seconds,
            "reason": self.reason,
            "fit": None if self.fit is None else vars(self.fit).copy(),
        }

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Stand where `state_dict` stood."""
        self.whole.load_state_dict(state["module"])
        self.method.load_state_dict(state["method"])
        self.losses, self.seconds, self.reason = list(state["losses"]), state["seconds"], state["reason"]
        self.fit = None if state["fit"] is None else Fit(**state["fit"])
