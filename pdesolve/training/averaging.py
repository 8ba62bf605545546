"""Means of weights over the steps of a training."""

from __future__ import annotations

from typing import Any

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pdesolve.nn.field_operator import FieldOperator
from pdesolve.training.sharding import own_part


def averaged(module: FieldOperator, decay: float) -> AveragedModel:
    """A module whose weights are an exponential mean of those of another: w̄ ← d w̄ + (1 − d) w after step n, with

        d = min(decay, (1 + n) / (10 + n))

    so that the mean is over the last tenth of the steps while these are few, and does not lag behind a short training.
    """

    def update(kept: Any, current: Any, count: Any) -> None:
        kept, current = ([own_part(value) for value in values] for values in (kept, current))
        if not kept[0].is_floating_point() and not kept[0].is_complex():
            for number, value in zip(kept, current, strict=True):  # of channels and waves: a mean would round them
                number.copy_(value)
            return
        n = int(mean.n_averaged)  # on the CPU; `count` is where the weights are, and would have to be waited for
        get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))(kept, current, count)

    mean = AveragedModel(module, multi_avg_fn=update, use_buffers=True)
    return mean
