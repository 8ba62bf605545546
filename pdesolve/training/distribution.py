"""Training on several devices: gradients are means over the batch that all processes have together."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pdesolve.data.batch import Batch
from pdesolve.training.objective import sum_of
from pdesolve.training.processes import place, together
from pdesolve.training.sharding import divided


def distributed(objective: nn.Module, batch: Any) -> nn.Module:
    """An objective as all processes take steps with it: its backward pass leaves the mean of their gradients.

    That goes on beside the backward pass, bucket by bucket. batch: one of a training, to see which parameters it uses.
    One whose weights are divided does so itself.
    """
    if not together() or divided(objective):
        return objective
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the name of a setting that older versions know alone
        return DistributedDataParallel(
            objective, broadcast_buffers=False, gradient_as_bucket_view=True,
            find_unused_parameters=_some_unused(objective, batch),
        )  # fmt: skip


def weight(batch: Any) -> float:
    """Of the means over a process's windows in the mean over processes, where these have not all as many."""
    if not (isinstance(batch, Batch) and batch.whole and together()):
        return 1.0
    return len(batch) * place()[1] / batch.whole


def _some_unused(objective: nn.Module, batch: Any) -> bool:
    """Whether some parameters get no gradient; looking for them in each step takes time."""
    was = objective.training
    objective.eval()  # nothing that training counts or draws moves on
    parameters = [p for p in objective.parameters() if p.requires_grad]
    found = torch.autograd.grad(sum_of(objective(batch)), parameters, allow_unused=True)
    objective.train(was)
    return any(gradient is None for gradient in found)
