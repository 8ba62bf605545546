"""Short measured trials before a training, on copies of all that steps change."""

from __future__ import annotations

import copy
import math
import shutil
import statistics
import time
import warnings

import torch
from torch import nn

from pdesolve.errors import Diverged, InputError
from pdesolve.training.minibatch import Minibatch
from pdesolve.training.objective import Batches
from pdesolve.training.processes import agreed
from pdesolve.training.run import Run
from pdesolve.training.sharding import divided, undone

_STEPS = 9  # that are timed
_SHARE = 0.05  # of what is left of the budget, the most that a trial takes once two steps are known
_WORTH = (1800.0, 300.0)  # CPU seconds of a training on a CPU and on a GPU from which on compiling may pay
_SAFE = 0.9  # of the budget is planned for: validations and the last judgement take the rest


def affordable(
    objective: nn.Module, stepping: Minibatch, batches: Batches, run: Run, *, compiled: str = ""
) -> int:  # fmt: skip
    """How many steps fit what is left of the budget, by the CPU time that a few take. compiled: see `step_seconds`."""
    each = step_seconds(objective, stepping, batches, run, compiled=compiled)
    return max(1, int(_SAFE * run.budget.left / each))


def compiles(
    objective: nn.Module, stepping: Minibatch, batches: Batches, run: Run, *, network: str, steps: int
) -> bool:
    """Whether a training takes less time compiled, by a trial of both; what came of it is told.

    network: the name of the part of the objective to compile. steps: of the training; 0 for those that fit the budget.
    Short trainings are not tried, since compiling takes most of a minute.
    """
    if run.budget.left < _WORTH[run.device.type == "cuda"]:
        return False
    if run.device.type == "cpu" and shutil.which("g++") is None and shutil.which("clang++") is None:
        run.say("no C++ compiler: the training runs eager")
        return False
    eager = step_seconds(objective, stepping, batches, run)
    ahead = min(run.budget.left, steps * eager if steps else math.inf)
    if ahead < _WORTH[run.device.type == "cuda"]:
        return False
    began = run.budget.spent
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = step_seconds(objective, stepping, batches, run, compiled=network)
    except (InputError, Diverged):
        raise
    except Exception as error:  # whatever a compiler may say
        run.say(f"not compiled: {' '.join(str(error).split())[:80]}; the training runs eager")
        return False
    cost = run.budget.spent - began
    saved = (1 - found / eager) * ahead
    run.say(
        f"a step takes {eager:.3g} CPU s, {found:.3g} compiled, and compiling {cost:.0f}: "
        f"{'compiled' if saved > cost else 'eager'}"
    )
    return saved > cost


def step_seconds(
    objective: nn.Module, stepping: Minibatch, batches: Batches, run: Run, *, compiled: str = ""
) -> float:  # fmt: skip
    """The CPU seconds of a step: the mean of some, without the first ones, which make plans and warm caches.

    compiled: the part of the objective that is compiled; none by default.
    """
    if divided(objective):  # cannot be copied
        with undone(objective, stepping.optimiser):
            return _mean_seconds(objective, Minibatch(stepping.optimiser, clip=stepping.clip), batches, run)
    trial, takes = copy.deepcopy((objective, stepping))
    if compiled:
        trial.get_submodule(compiled).compile()
    return _mean_seconds(trial, takes, batches, run)


def _mean_seconds(trial: nn.Module, takes: Minibatch, batches: Batches, run: Run) -> float:
    left = run.budget.left
    times: list[float] = []
    while len(times) < 2 or agreed(len(times) < _STEPS and run.budget.left > (1 - _SHARE) * left):
        batches.renew()
        began = time.process_time()  # finer than the clock of budgets
        takes.take(trial, batches.batch)
        if run.device.type == "cuda":
            torch.cuda.synchronize(run.device)
        times.append(time.process_time() - began)
    return max(1e-6, statistics.fmean(times[(len(times) + 2) // 3 :]))
