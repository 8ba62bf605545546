"""Optimisation-based time integration: the same targets, reached by descent along gradients."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from pdesolve.errors import Diverged
from pdesolve.marching.instant import Instant
from pdesolve.physics.solvers.teng.projector import Projector

DescentName = Literal["adam", "lbfgs"]

_MEMORY = 50  # pairs that L-BFGS keeps


class Descent(Projector):
    """|u_θ − target|² lowered by Adam or L-BFGS for a number of iterations; the best parameters seen are kept.

    Every target begins with an optimiser of its own, so that there is nothing to remember.
    """

    def __init__(
        self, instant: Instant, *, by: DescentName, iterations: int, rate: float, tolerance: float = 1e-13
    ) -> None:
        self.instant, self.by, self.iterations, self.rate, self.tolerance = instant, by, iterations, rate, tolerance
        self.evaluations = 0

    def onto(self, target: Tensor, time: float, *, ahead: float = 0.0) -> float:
        if not bool(torch.isfinite(target).all()):
            raise Diverged(f"the state at t = {time:.6g} is not finite: give more --method.time_steps")
        own = list(self.instant.module.parameters())
        best, kept = float("inf"), [p.detach().clone() for p in own]

        def closure() -> Tensor:
            nonlocal best
            for p in own:
                p.grad = None
            with torch.enable_grad():
                rows = self.instant.terms(target, time, ahead=ahead).values()
                loss = torch.stack([row.square().sum() for row in rows]).sum()
                loss.backward()
            self.evaluations += 1
            if float(loss.detach()) < best:
                best = float(loss.detach())
                for old, p in zip(kept, own, strict=True):
                    old.copy_(p.detach())
            return loss

        if self.by == "adam":
            adam = torch.optim.Adam(own, lr=self.rate)
            for _ in range(self.iterations):
                if float(closure().detach()) <= self.tolerance**2:
                    break
                adam.step()
        else:
            torch.optim.LBFGS(
                own, max_iter=self.iterations, history_size=_MEMORY, line_search_fn="strong_wolfe",
                tolerance_grad=0.0, tolerance_change=0.0,
            ).step(closure)  # fmt: skip
        with torch.no_grad():
            for old, p in zip(kept, own, strict=True):
                p.copy_(old)
                p.grad = None
        return best**0.5

    @property
    def notes(self) -> dict[str, Any]:
        return {"evaluations": self.evaluations}

    def state_dict(self) -> dict[str, Any]:
        return {"evaluations": self.evaluations, "tolerance": self.tolerance}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self.evaluations, self.tolerance = state["evaluations"], state["tolerance"]
