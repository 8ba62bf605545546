"""The march in time: steps of a scheme, each accepted state stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from pdesolve.errors import Diverged
from pdesolve.physics.solvers.teng.instant import Instant
from pdesolve.physics.solvers.teng.model import MarchedSolution
from pdesolve.physics.solvers.teng.projection import Projection
from pdesolve.physics.solvers.teng.schemes import scheme
from pdesolve.training.interrupts import Interrupts
from pdesolve.training.run import Run

_LOST = 0.1  # relative residual of a projection at which a march has lost its target
_LOOKS = 8  # measurements of the error in a march, for a measurement evaluates all times


class March:
    """Equal time steps from the initial to the final time; what a checkpoint holds of them.

    A step is accepted when every projection in it has come near its target; then its parameters are stored.
    """

    def __init__(
        self, name: str, steps: int, instant: Instant, projection: Projection, solution: MarchedSolution
    ) -> None:
        self.scheme, self.steps, self.instant, self.projection = scheme(name), steps, instant, projection
        self.trajectory, self.solution = solution.trajectory, solution
        self.fit: dict[str, Any] = {}
        self.worst = 0.0

    @property
    def begun(self) -> bool:
        """Whether the initial state is fitted."""
        return bool(self.trajectory.times)

    def begin(self, fit: Mapping[str, Any]) -> None:
        """Take the network as it is for the initial state; `fit`, in JSON values, says how it was found."""
        self.fit = dict(fit)
        self.trajectory.append(self.instant.start, self._theta())

    def go_on(self, run: Run) -> None:
        """March to the final time, or until budget, steps or target end it.

        Raises:
            Diverged: a projection that has lost its target, or a value that is not finite; the steps before are kept.
        """
        run.solution = self.solution
        time, at, parts = self.solution.problem.time, run.checkpoint.position, {"march": self}
        assert time is not None
        self._take(self.trajectory.thetas[-1])
        run.checkpoint.write(run, parts)
        longest, left, between = 0.0, "", max(1, self.steps // _LOOKS)
        with Interrupts() as interrupts:
            while not left and at.step < self.steps:
                before = run.budget.spent
                if run.steps is not None and at.step >= run.steps:
                    left = "steps"
                elif before + longest >= run.budget.cpu_seconds:
                    left = "budget"
                if left:
                    break
                self._step(self._time(at.step), self._time(at.step + 1))
                at.step += 1
                longest = max(longest, run.budget.spent - before)
                if run.due() and (at.step % between == 0 or at.step == self.steps):
                    self._watch(run, at.step)
                if interrupts.came is not None or run.checkpoint.due():
                    run.checkpoint.write(run, parts)
                if interrupts.came is not None:
                    break
        at.reason, at.loss = left or "final time", self.worst
        self._watch(run, at.step)
        run.checkpoint.write(run, parts)

    def ended(self, run: Run) -> MarchedSolution:
        """The solution with what is to be said of it."""
        run.checkpoint.leave()
        reached = self.trajectory.times[-1]
        self.solution.converged = run.checkpoint.position.reason == "final time"
        self.solution.notes |= {
            "stopped by": run.checkpoint.position.reason,
            "initial fit": self.fit["unseen"],
            "initial fit seconds": self.fit["seconds"],
            "worst projection": self.worst,
            "solves": self.projection.solves,
            "stalled projections": self.projection.stalls,
            "time reached": reached,
        }
        if not self.solution.converged:
            run.say(f"the march has come to t = {reached:.4g}; after that the last state is held")
        return self.solution

    def state_dict(self) -> dict[str, Any]:
        """Everything that going on needs."""
        return {
            "times": list(self.trajectory.times),
            "thetas": torch.stack(self.trajectory.thetas) if self.begun else None,
            "module": dict(self.trajectory.module.state_dict()),
            "projection": self.projection.state_dict(),
            "fit": self.fit,
            "worst": self.worst,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Stand where `state_dict` stood."""
        self.trajectory.module.load_state_dict(state["module"])
        self.projection.load_state_dict(state["projection"])
        device = self.instant.initial.device
        self.trajectory.times = list(state["times"])
        self.trajectory.thetas = [] if state["thetas"] is None else list(state["thetas"].to(device))
        self.fit, self.worst = state["fit"], state["worst"]

    def _step(self, time: float, end: float) -> None:
        with torch.no_grad():
            u = self.instant.values(time)

        def reach(target: torch.Tensor, at: float) -> None:
            residual = self.projection.onto(target, at)
            self.worst = max(self.worst, residual)
            if not residual < _LOST:
                raise Diverged(
                    f"the network is {residual:.1e} from its target at t = {at:.6g}: the step is past stability or the "
                    "network too small, give more --method.time_steps or --method.width"
                )

        self.scheme.step(u, time, end - time, self.instant.rate, reach)
        self.trajectory.append(end, self._theta())

    def _time(self, step: int) -> float:
        time = self.solution.problem.time
        assert time is not None
        return time.upper if step == self.steps else time.lower + time.length * step / self.steps

    def _watch(self, run: Run, step: int) -> None:
        run.watch(self.solution, stage=f"t = {self.trajectory.times[-1]:.4g}", step=step, losses={"worst": self.worst})

    def _theta(self) -> torch.Tensor:
        return torch.cat([p.detach().reshape(-1) for p in self.trajectory.module.parameters()])

    @torch.no_grad()
    def _take(self, theta: torch.Tensor) -> None:
        parameters = list(self.trajectory.module.parameters())
        for p, part in zip(parameters, theta.split([p.numel() for p in parameters]), strict=True):
            p.copy_(part.view_as(p))
