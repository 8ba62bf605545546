"""Short measured trials before a training, on copies of all that steps change."""

from __future__ import annotations

import copy
import statistics
import time

import torch
from torch import nn

from pdesolve.training.minibatch import Minibatch
from pdesolve.training.objective import Batches
from pdesolve.training.processes import agreed
from pdesolve.training.run import Run

_STEPS = 9  # that are timed
_SHARE = 0.05  # of what is left of the budget, the most that a trial takes once two steps are known
_SAFE = 0.9  # of the budget is planned for: validations and the last judgement take the rest


def affordable(objective: nn.Module, stepping: Minibatch, batches: Batches, run: Run) -> int:
    """How many steps fit what is left of the budget, by the CPU time that a few take."""
    return max(1, int(_SAFE * run.budget.left / step_seconds(objective, stepping, batches, run)))


def step_seconds(objective: nn.Module, stepping: Minibatch, batches: Batches, run: Run) -> float:
    """The CPU seconds of a step: the mean of some, without the first ones, which make plans and warm caches."""
    trial, takes = copy.deepcopy((objective, stepping))
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
