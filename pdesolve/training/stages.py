"""Procedures of several stages: which optimiser, for which share of the budget, and how often points are redrawn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from pdesolve.least_squares import Form
from pdesolve.method import Solution
from pdesolve.training.checkpoint import Outcome
from pdesolve.training.fit import fit
from pdesolve.training.objective import Batches
from pdesolve.training.optimisers import (
    FIRST_ORDER,
    LEAST_SQUARES,
    QUASI_NEWTON,
    Optimiser,
    linear_form,
    make_optimiser,
    sum_of,
)
from pdesolve.training.run import Run

_AT_ONCE = 25  # iterations of a quasi-Newton method between two looks at the clock, where steps are counted


@dataclass(frozen=True)
class Stage:
    """One optimiser for a share of the budget (or of the steps); points are redrawn every so many steps, 0: never."""

    optimiser: Optimiser
    share: float = 1.0
    redraw: int = 0


def train(
    objective: nn.Module, batches: Batches, stages: Sequence[Stage], *, run: Run, solution: Solution,
    learning_rate: float = 1e-3, memory: int = 50,
) -> Outcome:  # fmt: skip
    """The stages one after the other; how the last of them ended. Stages without a share are left out.

    A stage gets its share of what is left, so that one that converges early leaves the rest to those after it; the last
    ends with the budget or the steps. First-order stages follow a cosine from `learning_rate` to a hundredth of it.
    What was measured or left to the clock is a choice of the run, which resuming and repeating obey. memory: of lbfgs.

    Raises:
        InputError: an optimiser that needs more memory than is free.
        Diverged: see `fit`.
    """
    stages = [stage for stage in stages if stage.share > 0]
    outcome, taken = Outcome(0, math.nan, "steps"), 0
    for index, stage in enumerate(stages):
        last = index == len(stages) - 1
        share = stage.share / sum(s.share for s in stages[index:])
        name = f"{stage.optimiser} of stage {index + 1}"
        form = None
        if stage.optimiser in LEAST_SQUARES:
            form = Form(**run.choose(f"form of {name}", lambda: asdict(linear_form(objective, batches.batch))))
            run.say(str(form))
        optimiser = make_optimiser(stage.optimiser, objective, learning_rate=learning_rate, memory=memory, form=form)
        planned, seconds = _plan(stage, name, share, objective, batches.batch, run, taken)
        if last:
            steps = None if run.steps is None else run.steps - taken
        else:
            steps = planned if run.steps is None or planned is None else min(planned, run.steps - taken)
        if steps is not None and steps < 1:
            break
        outcome = fit(
            objective, batches, optimiser, run=run, stage=stage.optimiser, solution=solution, steps=steps,
            seconds=math.inf if last else seconds, redraw=stage.redraw,
            rate=_cosine(planned) if stage.optimiser in FIRST_ORDER and planned is not None else None,
            iterations=_at_once(objective, batches.batch, run) if isinstance(optimiser, QUASI_NEWTON) else 1,
        )  # fmt: skip
        taken += outcome.steps
        if last or outcome.reason in ("budget", "target"):
            break
        run.choices[f"steps of {name}"] = outcome.steps
    return outcome


def measured_steps(objective: nn.Module, batch: Any, *, seconds: float, trials: int = 5) -> int:
    """How many gradient steps fit into `seconds` of CPU time, from a few timed evaluations (the first not counted)."""
    parameters = [p for p in objective.parameters() if p.requires_grad]
    times = []
    for _ in range(trials + 1):
        start = time.process_time()
        gradients = torch.autograd.grad(sum_of(objective(batch)), parameters, allow_unused=True)
        float(next(g for g in gradients if g is not None).sum())  # waits for a GPU, which works behind our back
        times.append(time.process_time() - start)
    each = sorted(times[1:])[trials // 2]
    return max(1, int(seconds / max(each, 1e-6)))


def _plan(
    stage: Stage, name: str, share: float, objective: nn.Module, batch: Any, run: Run, taken: int
) -> tuple[int | None, float]:
    """The steps of a stage, None where the clock decides, and its CPU seconds."""
    seconds = share * run.budget.left
    if run.steps is not None:
        steps = max(1, round(share * (run.steps - taken)))
        return run.choose(f"steps of {name}", lambda: steps), math.inf
    if stage.optimiser in FIRST_ORDER:
        return run.choose(f"steps of {name}", lambda: measured_steps(objective, batch, seconds=seconds)), math.inf
    planned = run.choices.get(f"steps of {name}")
    return planned, seconds if planned is None else math.inf


def _at_once(objective: nn.Module, batch: Any, run: Run) -> int:
    """Iterations of a quasi-Newton method between two looks at the clock: those of about a second."""
    if run.steps is not None:
        return _AT_ONCE
    return run.choose("iterations at once", lambda: min(50, measured_steps(objective, batch, seconds=1.0)))


def _cosine(steps: int) -> Callable[[int], float]:
    """The factor of the learning rate at a step: from 1 along a cosine to a hundredth, where it stays."""
    return lambda step: 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, step / steps))) / 2
