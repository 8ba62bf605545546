"""The one training loop."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import torch
from torch import nn

from pdesolve.errors import Diverged
from pdesolve.training.checkpoint import Outcome
from pdesolve.training.doctor import Doctor
from pdesolve.training.examiner import Examiner
from pdesolve.training.interrupts import Interrupts
from pdesolve.training.objective import Batches, ResidualObjective
from pdesolve.training.processes import Pace, agreed
from pdesolve.training.run import Run, Watched
from pdesolve.training.stationary import stationary
from pdesolve.training.steppers import Stepper, Taken, stepper

_IDLE = 2  # steps in a row that find nothing better, on new points where there are any: the end
_TAIL = 0.8  # of the steps between two draws of points: with less left, new ones would only be begun on
_SHORTER = 0.1  # factor of the learning rate with which a run goes on that diverged


def fit(
    objective: nn.Module,
    batches: Batches,
    optimiser: torch.optim.Optimizer,
    *,
    run: Run,
    stage: str,
    solution: Watched,
    steps: int | None = None,
    seconds: float = math.inf,
    rate: Callable[[int], float] | None = None,
    redraw: int = 0,
    iterations: int = 1,
    look: int = 0,
    doctor: Examiner | None = None,
    stepping: Stepper | None = None,
    opening: Sequence[str] = (),
) -> Outcome:
    """Minimise the sum of the objective's terms by one optimiser: a stage of a procedure.

    objective: batch -> {name: scalar loss term}; its parameters are trained. Least squares take its rows.
    steps, seconds: the stage stops at the earlier of the two, `seconds` counting CPU time of this stage.
    rate: factor of the learning rate as a function of the step. redraw: steps after which a new batch is drawn, and at
    the beginning, but not where less than most of that is left of the budget; 0: never. iterations: the most that a
    quasi-Newton method makes between two looks at the clock; each counts as a step. look: steps between two looks at
    how good the solution is, where what is kept depends on when that is; 0: every few seconds.
    solution: what `run.watch` measures and stores at each look. doctor: of the stages before with this objective,
    so that the best of them stays the best while the points do. stepping: how steps are taken, where the kind of the
    optimiser does not say it. opening: lines to say where it is not over already.

    A run that goes on finds its way by the order of the calls: those that had ended return what they returned, the one
    that was under way goes on bit for bit with what its checkpoint holds, objective, batches and optimiser. What
    earlier stages trained must be part of the objective, or it is not in the checkpoint.

    Raises:
        Diverged: a term that is not finite or explodes: where, when, what to do. The objective has the best
            parameters seen then, and a run that goes on begins with them and a tenth of the learning rate.
    """
    run.solution = solution  # an interrupt before the first look leaves it as it is then
    rates = [group["lr"] for group in optimiser.param_groups]
    stepping = stepping or stepper(optimiser)
    doctor = doctor or Doctor(objective, run.checkpoint)
    doctor.stage = stage
    parts = {"objective": objective, "optimiser": optimiser, "batches": batches, "doctor": doctor, "stepping": stepping}
    ended = run.checkpoint.enter(run, parts, seconds=seconds)
    if ended is not None:
        return ended
    for line in opening:
        run.say(line)
    at = run.checkpoint.position
    if at.step == 0:
        at.since = redraw  # a stage begins with points of its own
        run.checkpoint.write(run, parts)
    said: set[str] = set()
    reason, opened, before, pace = "", run.budget.spent, at.step, Pace()

    def late() -> bool:
        """Whether the budget's end is too near for points that nobody has seen; those with nothing more to give go."""
        if at.idle or at.step == before or steps is not None:  # counted steps may go on, as if they had not ended
            return False
        each = (run.budget.spent - opened) / (at.step - before)
        return agreed(min(at.until, run.budget.cpu_seconds) - run.budget.spent < _TAIL * redraw * each)

    try:
        with Interrupts() as interrupts:
            while not reason and not (steps is not None and at.step >= steps):
                renewed = redraw and at.since >= redraw and not late() and batches.renew()
                # only first-order methods bear weights that move between their steps: the others compare losses
                adapts = renewed or stepping.has_rate
                if isinstance(objective, ResidualObjective) and adapts and objective.adapt(batches.batch):
                    doctor.renew()
                if renewed:
                    doctor.renew()
                    stepping.renew()
                    at.since = 0
                for group, base in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = base * at.shrink * (1.0 if rate is None else rate(at.step))
                room = min(iterations, redraw - at.since if redraw > at.since else iterations)
                began = run.budget.spent
                taken = stepping.step(
                    objective, batches.batch, doctor, room if steps is None else min(room, steps - at.step)
                )
                _say(taken, stage, said, run)
                at.step, at.since = at.step + taken.iterations, at.since + taken.iterations
                at.idle = 0 if taken.moved else at.idle + 1
                if not taken.moved and redraw:
                    at.since = redraw  # these points have nothing more to give

                over = steps is not None and at.step >= steps
                planned = over or bool(look and at.step % look == 0)  # all processes know it
                if not (pace.due() or planned):
                    continue
                now = run.budget.spent
                long = now - began if now - began > 1.0 else 0.0
                if at.idle >= _IDLE:
                    reason = "converged" if stationary(objective, batches.batch, doctor.first) else "stalled"
                elif over:
                    reason = "steps"
                elif now + long / 2 >= min(at.until, run.budget.cpu_seconds):
                    reason = "share" if at.until < run.budget.cpu_seconds else "budget"
                # clocks and signals differ between processes
                reason, came, looks, stores = pace.agreed(
                    reason, interrupts.came, not look and run.due(), run.checkpoint.due()
                )
                if not (reason or came or looks or planned):
                    if look and stores:
                        run.checkpoint.write(run, parts)
                    continue
                extra = came is not None and not (reason or planned)
                if extra:  # the look is for whoever reads the result: who goes on has not had it
                    run.checkpoint.write(run, parts)
                # what is judged and kept must belong to the parameters as they are
                losses = stepping.losses(objective, batches.batch)
                at.loss = sum(losses.values())
                doctor.examine(at.loss)
                taken_at = optimiser.param_groups[0]["lr"] if stepping.has_rate else None
                if agreed(run.watch(solution, stage=stage, step=at.step, losses=losses, rate=taken_at)):
                    reason = "target"
                at.reason = reason
                if not extra and (reason or came or stores):
                    run.checkpoint.write(run, parts)
                if came is not None:
                    raise came
    except Diverged:
        message = doctor.diagnosis(batches.batch, rates[0] * at.shrink if stepping.has_rate else None)
        doctor.restore()
        optimiser.state.clear()
        at.shrink *= _SHORTER
        run.checkpoint.write(run, parts)
        raise Diverged(message) from None
    at.reason = reason or "steps"
    if reason == "stalled":
        run.say(f"{stage} stalled after {at.step} steps: it finds nothing better downhill; {stepping.advice}")
    return run.checkpoint.leave()


def _say(taken: Taken, stage: str, said: set[str], run: Run) -> None:
    """Say what was odd about a step, once in a stage whatever its figures are."""
    for note in taken.notes:
        kind = re.sub(r"\d+", "", note)
        if kind not in said:
            said.add(kind)
            run.say(f"{stage}: {note}")
