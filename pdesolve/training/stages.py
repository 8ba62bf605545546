"""Procedures of several stages: which optimiser, for which share of the budget, and how often points are redrawn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
from torch import nn

from pdesolve.least_squares import Form
from pdesolve.method import Solution
from pdesolve.training.checkpoint import Outcome
from pdesolve.training.doctor import Doctor
from pdesolve.training.fit import fit
from pdesolve.training.objective import Batches, ResidualObjective, sum_of
from pdesolve.training.optimisers import (
    FIRST_ORDER,
    LEAST_SQUARES,
    QUASI_NEWTON,
    Optimiser,
    linear_form,
    make_optimiser,
)
from pdesolve.training.run import Run

_AT_ONCE = 25  # iterations of a quasi-Newton method between two looks at the clock, where steps are counted
_BY_HEART = 10  # times the residual at the points: more elsewhere was not learned but remembered
_LOOKS = 10  # looks at the clock in a stage, at least
_EVALUATIONS = 2  # of the gradient, in an iteration with its line search


@dataclass(frozen=True)
class Stage:
    """One optimiser for a share of the budget (or of the steps); points are redrawn every so many steps, 0: never.

    form: of the linear solves of least squares, where another than the one chosen by size is wanted and rows suffice.
    """

    optimiser: Optimiser
    share: float = 1.0
    redraw: int = 0
    form: Literal["normal"] | None = None


@dataclass(frozen=True)
class Part:
    """One of several trainings in a run, by number and count: each gets an equal part of the budget or of the steps."""

    number: int = 0
    count: int = 1

    def seconds(self, run: Run) -> float:
        """CPU time of this part, from what is left."""
        return run.budget.left / (self.count - self.number)

    def steps(self, run: Run) -> int | None:
        """Steps of this part; None where the clock decides."""
        if run.steps is None:
            return None
        return run.steps * (self.number + 1) // self.count - run.steps * self.number // self.count

    def __str__(self) -> str:
        return "" if self.count == 1 else f" of part {self.number + 1}"


_WHOLE = Part()


def train(
    objective: nn.Module, batches: Batches, stages: Sequence[Stage], *, run: Run, solution: Solution,
    learning_rate: float = 1e-3, memory: int = 50, part: Part = _WHOLE,
) -> Outcome:  # fmt: skip
    """The stages one after the other; how the last of them ended. Stages without a share are left out.

    A stage gets its share of what is left, so that one that converges early leaves the rest to those after it; the last
    ends with the budget or the steps. First-order stages follow a cosine from `learning_rate` to a hundredth of it.
    What was measured or left to the clock is a choice of the run, which resuming and repeating obey. memory: of lbfgs.
    part: of a procedure that trains several times.

    Raises:
        InputError: an optimiser that needs more memory than is free.
        Diverged: see `fit`.
    """
    stages = [stage for stage in stages if stage.share > 0]
    names = [f"{stage.optimiser} of stage {index}{part}" for index, stage in enumerate(stages, 1)]
    forms = [_form(stage, name, objective, batches.batch, run) for stage, name in zip(stages, names, strict=True)]
    # all of them first, so that what cannot be afforded is refused before any time is spent
    optimisers = [
        make_optimiser(stage.optimiser, objective, learning_rate=learning_rate, memory=memory, form=form)
        for stage, form in zip(stages, forms, strict=True)
    ]
    outcome, taken = Outcome(0, math.nan, "steps"), 0
    doctor = Doctor(objective, run.checkpoint)
    total, end = part.steps(run), run.budget.spent + part.seconds(run)
    for index, (stage, name, optimiser, form) in enumerate(zip(stages, names, optimisers, forms, strict=True)):
        last = index == len(stages) - 1 and part.number + 1 == part.count  # it ends with the run
        share = stage.share / sum(s.share for s in stages[index:])
        left = None if total is None else total - taken
        if left is not None and left < 1:
            break
        seconds = share * (end - run.budget.spent)
        counted = None if left is None else max(1, round(share * left))
        planned = _planned(stage, name, objective, batches.batch, run, counted, seconds, last)
        known = [count for count in (left, None if last else planned) if count is not None]
        outcome = fit(
            objective, batches, optimiser, run=run, stage=stage.optimiser, solution=solution,
            steps=min(known, default=None), redraw=stage.redraw, seconds=math.inf if last or known else seconds,
            rate=_cosine(planned) if stage.optimiser in FIRST_ORDER and planned is not None else None,
            iterations=_at_once(name, objective, batches.batch, run, seconds) if stage.optimiser in QUASI_NEWTON else 1,
            doctor=doctor, opening=_sizes(stage, form, objective, batches.batch, memory),
        )  # fmt: skip
        taken += outcome.steps
        if outcome.reason in ("budget", "target"):
            break
        if not last:
            run.choices[f"steps of {name}"] = outcome.steps
    found = batches.residuals()
    if found is not None and found[1] > _BY_HEART * found[0]:
        run.say(
            f"overfitted: the residual is {found[0]:.1e} at the points and {found[1]:.1e} between them; take more "
            "points, move them more often or take a smaller network"
        )
    return outcome


def _sizes(stage: Stage, form: Form | None, objective: nn.Module, batch: Any, memory: int) -> list[str]:
    """What a stage of second order will hold, and whether its points can determine that many parameters."""
    if form is not None:
        return [str(form)]
    if stage.optimiser not in QUASI_NEWTON:
        return []
    tensors = [p for p in objective.parameters() if p.requires_grad]
    count, size = sum(p.numel() for p in tensors), tensors[0].element_size()
    dense = stage.optimiser != "lbfgs"
    vectors, what = (count, "dense inverse Hessian") if dense else (2 * memory, f"{memory} pairs of vectors")
    lines = [f"{stage.optimiser}: {count} parameters, {vectors * count * size / 1e6:.3g} MB ({what})"]
    rows = sum(r.numel() for r in objective.rows(batch).values()) if isinstance(objective, ResidualObjective) else count
    if rows < count:
        lines.append(
            f"{rows} rows are fewer than {count} parameters: the loss may vanish at the points and not between them; "
            "take more points or a smaller network"
        )
    return lines


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


def _form(stage: Stage, name: str, objective: nn.Module, batch: Any, run: Run) -> Form | None:
    """The form of a stage of least squares: a choice of the run."""
    if stage.optimiser not in LEAST_SQUARES:
        return None

    def chosen() -> Form:
        found = linear_form(objective, batch)
        if stage.form is None or found.kind != "dense" or found.rows <= found.parameters:
            return found
        return replace(found, kind=stage.form)

    return Form(**run.choose(f"form of {name}", lambda: asdict(chosen())))


def _planned(
    stage: Stage, name: str, objective: nn.Module, batch: Any, run: Run, counted: int | None, seconds: float,
    last: bool,
) -> int | None:  # fmt: skip
    """The steps of a stage, or of its schedule, as counted, measured or chosen before; None where the clock decides."""
    if last and stage.optimiser not in FIRST_ORDER:
        return None
    if counted is not None:
        return run.choose(f"steps of {name}", lambda: counted)
    if stage.optimiser in FIRST_ORDER:
        return run.choose(f"steps of {name}", lambda: measured_steps(objective, batch, seconds=seconds))
    return run.choices.get(f"steps of {name}")


def _at_once(name: str, objective: nn.Module, batch: Any, run: Run, seconds: float) -> int:
    """Iterations of a quasi-Newton stage between two looks at the clock: those of a second, or of a part of its time.

    Measured for each stage, since those of later windows evaluate the ones before.
    """
    if run.steps is not None:
        return _AT_ONCE
    between = min(1.0, seconds / _LOOKS)
    return run.choose(
        f"iterations at once of {name}",
        lambda: min(50, measured_steps(objective, batch, seconds=between / _EVALUATIONS)),
    )


def _cosine(steps: int) -> Callable[[int], float]:
    """The factor of the learning rate at a step: from 1 along a cosine to a hundredth, where it stays."""
    return lambda step: 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, step / steps))) / 2
