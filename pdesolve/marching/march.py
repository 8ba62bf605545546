"""The march in time: accepted steps of a stepper, each stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from pdesolve.errors import Diverged
from pdesolve.marching.growth import Growth
from pdesolve.marching.instant import Instant
from pdesolve.marching.stepper import Step, Stepper
from pdesolve.marching.trajectory import MarchedSolution
from pdesolve.training.interrupts import Interrupts
from pdesolve.training.run import Run

_LOOKS = 8  # measurements of the error in a march, for a measurement evaluates all times


class March:
    """Steps from the initial to the final time; what a checkpoint holds of them.

    A step is accepted when its stepper returns; then the network's parameters are stored with the time.
    """

    def __init__(self, stepper: Stepper, solution: MarchedSolution, instant: Instant) -> None:
        self.stepper, self.solution, self.trajectory = stepper, solution, solution.trajectory
        self.instant, self.growth = instant, Growth(instant)
        self.fit: dict[str, Any] = {}
        self.worst = 0.0

    @property
    def begun(self) -> bool:
        """Whether the initial state is fitted."""
        return bool(self.trajectory.times)

    def begin(self, fit: Mapping[str, Any]) -> None:
        """Take the network as it is for the initial state; `fit`, in JSON values, says how it was found."""
        time = self.solution.problem.time
        assert time is not None
        self.fit = dict(fit)
        self.instant.settle(time.lower)
        self.growth.begin()
        self.trajectory.append(time.lower, self._theta())

    def go_on(self, run: Run) -> None:
        """March to the final time, or until budget or steps end it.

        Raises:
            Diverged: what the stepper raises, or a state that blows up, with time and place. The steps before are kept,
                and the network is that of the last of them.
        """
        try:
            self._march(run)
        except Diverged:
            self._take(self.trajectory.thetas[-1])
            self._note()
            raise

    def _march(self, run: Run) -> None:
        run.solution = self.solution
        time, at, parts = self.solution.problem.time, run.checkpoint.position, {"march": self}
        assert time is not None
        at.reason = ""
        self._take(self.trajectory.thetas[-1])
        run.checkpoint.write(run, parts)
        longest, looked, left = 0.0, self.trajectory.times[-1], ""
        with Interrupts() as interrupts:
            while not left and (now := self.trajectory.times[-1]) < time.upper:
                before = run.budget.spent
                if run.steps is not None and at.step >= run.steps:
                    left = "steps"
                elif before + longest >= run.budget.cpu_seconds:
                    left = "budget"
                if left:
                    break
                step = self._step(now, time.upper)
                self.growth.check(step)
                self.instant.settle(step.end)
                self.worst = max(self.worst, step.residual)
                self.trajectory.append(step.end, self._theta())
                at.step += 1
                run.advance(step.end, step=at.step, residual=step.residual)
                longest = max(longest, run.budget.spent - before)
                if run.due() and (step.end - looked >= time.length / _LOOKS or step.end == time.upper):
                    looked = step.end
                    self._watch(run, at.step)
                if interrupts.came is not None or run.checkpoint.due():
                    run.checkpoint.write(run, parts)
                if interrupts.came is not None:
                    break
        at.reason, at.loss = left or "final time", self.worst
        self._watch(run, at.step)
        run.checkpoint.write(run, parts)

    def _step(self, now: float, final: float) -> Step:
        try:
            return self.stepper.step(now, final)
        except Diverged as error:
            self._take(self.trajectory.thetas[-1])
            raise Diverged(f"{error}; {self.growth.largest_at(now)}") from error

    def ended(self, run: Run) -> MarchedSolution:
        """The solution with what is to be said of it."""
        run.checkpoint.leave()
        self.solution.converged = run.checkpoint.position.reason == "final time"
        self.solution.notes["stopped by"] = run.checkpoint.position.reason
        self._note()
        if not self.solution.converged:
            run.say(f"the march has come to t = {self.trajectory.times[-1]:.4g}; errors are those up to there")
        return self.solution

    def _note(self) -> None:
        algebraic = self.instant.algebraic
        self.solution.notes |= {
            "initial fit": self.fit["unseen"],
            "initial fit seconds": self.fit["seconds"],
            "initial fit cached": self.fit["cached"],
            "steps": len(self.trajectory.times) - 1,
            "worst projection": self.worst,
            **({} if algebraic is None else {"worst constraint": algebraic.worst}),
            **self.stepper.notes,
            "time reached": self.trajectory.times[-1],
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything that going on needs."""
        return {
            "times": list(self.trajectory.times),
            "thetas": torch.stack(self.trajectory.thetas) if self.begun else None,
            "module": dict(self.trajectory.module.state_dict()),
            "stepper": self.stepper.state_dict(),
            "fit": self.fit,
            "worst": self.worst,
            "growth": self.growth.state_dict(),
            **({} if self.instant.algebraic is None else {"algebraic": self.instant.algebraic.state_dict()}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Stand where `state_dict` stood."""
        module = self.trajectory.module
        module.load_state_dict(state["module"])
        self.stepper.load_state_dict(state["stepper"])
        device = next(module.parameters()).device
        self.trajectory.times = list(state["times"])
        self.trajectory.thetas = [] if state["thetas"] is None else list(state["thetas"].to(device))
        self.fit, self.worst = state["fit"], state["worst"]
        self.growth.load_state_dict(state["growth"])
        if self.instant.algebraic is not None:
            self.instant.algebraic.load_state_dict(state["algebraic"])

    def _watch(self, run: Run, step: int) -> None:
        run.watch(self.solution, stage=f"t = {self.trajectory.times[-1]:.4g}", step=step, losses={"worst": self.worst})

    def _theta(self) -> torch.Tensor:
        return torch.cat([p.detach().reshape(-1) for p in self.trajectory.module.parameters()])

    @torch.no_grad()
    def _take(self, theta: torch.Tensor) -> None:
        parameters = list(self.trajectory.module.parameters())
        for p, part in zip(parameters, theta.split([p.numel() for p in parameters]), strict=True):
            p.copy_(part.view_as(p))
