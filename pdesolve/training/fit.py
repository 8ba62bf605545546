"""The one training loop."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pdesolve.errors import Diverged
from pdesolve.least_squares import LeastSquares
from pdesolve.method import Solution
from pdesolve.training.checkpoint import Outcome
from pdesolve.training.doctor import Doctor
from pdesolve.training.interrupts import Interrupts
from pdesolve.training.objective import Batches, ResidualObjective
from pdesolve.training.optimisers import QUASI_NEWTON, allow, forget, has_rate, sum_of
from pdesolve.training.processes import agreed
from pdesolve.training.reduction import total, total_gradients
from pdesolve.training.run import Run

_IDLE = 2  # steps in a row that find nothing better, on new points where there are any: converged
_LITTLE = 1e-10  # a step of many iterations that lowers the loss by less has found nothing better
_SHORTER = 0.1  # factor of the learning rate with which a run goes on that diverged


def fit(
    objective: nn.Module,
    batches: Batches,
    optimiser: torch.optim.Optimizer,
    *,
    run: Run,
    stage: str,
    solution: Solution,
    steps: int | None = None,
    seconds: float = math.inf,
    rate: Callable[[int], float] | None = None,
    redraw: int = 0,
    iterations: int = 1,
) -> Outcome:
    """Minimise the sum of the objective's terms by one optimiser: a stage of a procedure.

    objective: batch -> {name: scalar loss term}; its parameters are trained. Least squares take its rows.
    steps, seconds: the stage stops at the earlier of the two, `seconds` counting CPU time of this stage.
    rate: factor of the learning rate as a function of the step. redraw: steps after which a new batch is drawn, and at
    the beginning; 0: never. iterations: the most that a quasi-Newton method makes between two looks at the clock; each
    counts as a step.
    solution: what `run.watch` measures and stores every few seconds.

    A run that goes on finds its way by the order of the calls: those that had ended return what they returned, the one
    that was under way goes on bit for bit with what its checkpoint holds, objective, batches and optimiser. What
    earlier stages trained must be part of the objective, or it is not in the checkpoint.

    Raises:
        Diverged: a term that is not finite or explodes: where, when, what to do. The objective has the best
            parameters seen then, and a run that goes on begins with them and a tenth of the learning rate.
    """
    run.solution = solution  # an interrupt before the first look leaves it as it is then
    parameters = [p for p in objective.parameters() if p.requires_grad]
    rates = [group["lr"] for group in optimiser.param_groups]
    doctor = Doctor(objective, run.checkpoint, stage)
    parts = {"objective": objective, "optimiser": optimiser, "batches": batches, "doctor": doctor}
    ended = run.checkpoint.enter(run, parts, seconds=seconds)
    if ended is not None:
        return ended
    at = run.checkpoint.position
    if at.step == 0:
        at.since = redraw  # a stage begins with points of its own
        run.checkpoint.write(run, parts)
    seen: list[Tensor] = []  # losses of one step

    def closure() -> Tensor:
        optimiser.zero_grad(set_to_none=True)
        loss = sum_of(objective(batches.batch))
        whole = total(loss.detach())
        if not seen and doctor.looks():  # the first is that of the parameters as they are, the others are trials
            doctor.examine(float(whole))
        seen.append(whole)
        loss.backward(inputs=parameters)
        total_gradients(parameters)
        return whole

    reason = ""
    try:
        with Interrupts() as interrupts:
            while not reason and not (steps is not None and at.step >= steps):
                renewed = redraw and at.since >= redraw and batches.renew()
                # only first-order methods bear weights that move between their steps: the others compare losses
                if (renewed or has_rate(optimiser)) and isinstance(objective, ResidualObjective):
                    at.least = math.inf if objective.adapt(batches.batch) else at.least
                if renewed:
                    forget(optimiser)
                    at.since, at.least = 0, math.inf
                for group, base in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = base * at.shrink * (1.0 if rate is None else rate(at.step))
                room = min(iterations, redraw - at.since if redraw > at.since else iterations)
                count = allow(optimiser, room if steps is None else min(room, steps - at.step))
                began, moved = run.budget.spent, True
                seen.clear()
                if isinstance(optimiser, LeastSquares):
                    assert isinstance(objective, ResidualObjective)
                    loss = optimiser.step(lambda: objective.rows(batches.batch))
                    moved = optimiser.moved
                    doctor.examine(2 * float(loss))  # that of the parameters after the step
                else:
                    optimiser.step(closure)  # type: ignore[arg-type]
                    if isinstance(optimiser, QUASI_NEWTON):
                        first, *trials = map(float, seen)
                        moved = any(loss < (1 - _LITTLE) * first for loss in trials)
                at.step, at.since = at.step + count, at.since + count
                at.idle = 0 if moved else at.idle + 1
                if not moved and redraw:
                    at.since = redraw  # these points have nothing more to give

                now = run.budget.spent
                long = now - began if now - began > 1.0 else 0.0
                if at.idle >= _IDLE:
                    reason = "converged"
                elif steps is not None and at.step >= steps:
                    reason = "steps"
                elif now + long / 2 >= min(at.until, run.budget.cpu_seconds):
                    reason = "share" if at.until < run.budget.cpu_seconds else "budget"
                # clocks and signals differ between processes
                reason, came, looks = agreed((reason, interrupts.came, run.due()))
                if not (reason or came or looks):
                    continue
                # what is judged and kept must belong to the parameters as they are
                losses = {name: float(total(term.detach())) for name, term in objective(batches.batch).items()}
                at.loss = sum(losses.values())
                doctor.examine(at.loss)
                if agreed(run.watch(solution, stage=stage, step=at.step, losses=losses)):
                    reason = "target"
                at.reason = reason
                if reason or came or run.checkpoint.due():
                    run.checkpoint.write(run, parts)
                if came:
                    raise KeyboardInterrupt
    except Diverged:
        message = doctor.diagnosis(batches.batch, rates[0] * at.shrink if has_rate(optimiser) else None)
        doctor.restore()
        optimiser.state.clear()
        at.shrink *= _SHORTER
        run.checkpoint.write(run, parts)
        raise Diverged(message) from None
    at.reason = reason or "steps"
    return run.checkpoint.leave()
