"""The one training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.errors import Diverged
from pdesolve.least_squares import SelfScaledBroyden
from pdesolve.method import Solution
from pdesolve.training.run import Run


@dataclass(frozen=True)
class Outcome:
    """How a stage of training ended: its steps, its last loss, and why it stopped."""

    steps: int
    loss: float
    reason: str  # "steps", "budget", "target" or "converged"


def fit(
    objective: nn.Module,
    batches: Iterable[Any],
    optimiser: torch.optim.Optimizer,
    *,
    run: Run,
    stage: str,
    solution: Solution,
    steps: int | None = None,
    seconds: float = math.inf,
    rate: Callable[[float], float] | None = None,
    first: int = 0,
) -> Outcome:
    """Minimise the sum of the objective's terms.

    objective: batch -> {name: scalar loss term}; its parameters are trained. batches: one for each step.
    steps, seconds: the stage stops at the earlier of the two, `seconds` counting CPU time of this stage.
    rate: factor of the learning rate as a function of progress in [0, 1] through `steps`.
    first: the number of steps that earlier calls of this stage took, for the history.
    solution: what `run.watch` measures and stores every few seconds. Losses are read there only, so that the loop
    never waits for a GPU; the parameters of the least loss seen there come back when the loss stops being finite.

    Raises:
        Diverged: a term that is not finite, with its name, the stage and the step.
    """
    run.solution = solution  # an interrupt before the first look leaves it as it is then
    parameters = [p for p in objective.parameters() if p.requires_grad]
    base_rates = [group["lr"] for group in optimiser.param_groups]
    best, best_state = math.inf, _copy(parameters)
    stop = run.budget.spent + min(seconds, max(run.budget.left, 0.0))
    done, reason, total = 0, "steps", math.inf

    for batch in batches:
        if steps is not None and done >= steps:
            break
        if rate is not None and steps:
            for group, base in zip(optimiser.param_groups, base_rates, strict=True):
                group["lr"] = base * rate(done / steps)

        def closure(batch: Any = batch) -> Tensor:
            optimiser.zero_grad(set_to_none=True)
            terms = objective(batch)
            loss = torch.stack(list(terms.values())).sum()
            loss.backward(inputs=parameters)
            return loss

        before = _iterations(optimiser)
        optimiser.step(closure)  # type: ignore[arg-type]
        done += 1
        last = steps is not None and done >= steps
        stalled = before is not None and (_iterations(optimiser) or 0) - before <= 1 and done > 1
        over = run.budget.spent >= stop
        if not (last or stalled or over or run.due()):
            continue
        # the closure saw the loss before the step: what is judged and kept must belong to the parameters as they are
        losses = {name: float(term.detach()) for name, term in objective(batch).items()}
        total = sum(losses.values())
        if not math.isfinite(total):
            _restore(parameters, best_state)
            names = ", ".join(name for name, value in losses.items() if not math.isfinite(value))
            raise Diverged(
                f"the loss term {names} is not finite at step {first + done} of stage {stage}: the best parameters "
                "seen are kept; try a smaller learning rate"
            )
        if total < best:
            best, best_state = total, _copy(parameters)
        if run.watch(solution, stage=stage, step=first + done, losses=losses):
            reason = "target"
            break
        if over or stalled:
            reason = "budget" if over else "converged"
            break
    return Outcome(done, total, reason)


def measured_steps(objective: nn.Module, batch: Any, *, seconds: float, trials: int = 5) -> int:
    """How many gradient steps fit into `seconds` of CPU time, from a few timed evaluations (the first not counted)."""
    parameters = [p for p in objective.parameters() if p.requires_grad]
    times = []
    for _ in range(trials + 1):
        start = time.process_time()
        loss = torch.stack(list(objective(batch).values())).sum()
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        float(next(g for g in gradients if g is not None).sum())  # waits for a GPU, which works behind our back
        times.append(time.process_time() - start)
    each = sorted(times[1:])[trials // 2]
    return max(1, int(seconds / max(each, 1e-6)))


def _iterations(optimiser: torch.optim.Optimizer) -> int | None:
    """The inner iterations of a quasi-Newton optimiser so far; None for optimisers without inner iterations."""
    if not isinstance(optimiser, (torch.optim.LBFGS, SelfScaledBroyden)):
        return None
    return optimiser.state[optimiser.param_groups[0]["params"][0]].get("n_iter", 0)


def _copy(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [p.detach().clone() for p in parameters]


def _restore(parameters: list[nn.Parameter], state: list[Tensor]) -> None:
    with torch.no_grad():
        for p, saved in zip(parameters, state, strict=True):
            p.copy_(saved)
