"""How a surrogate's error grows along rollouts over held-out trajectories."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from pdesolve.data.dataset import Dataset
from pdesolve.data.signature import Signature
from pdesolve.data.task import Steps
from pdesolve.data.windows import Windows
from pdesolve.errors import InputError
from pdesolve.metrics import Scores
from pdesolve.rollout import check_goes_on
from pdesolve.training.run import finite


def rollout_windows(
    signature: Signature, data: Dataset, steps: int, *, dtype: torch.dtype = torch.float32
) -> Windows:  # fmt: skip
    """The windows of rollouts of so many steps over trajectories, one behind the other: no two have a target in common.

    Raises:
        InputError: a surrogate whose targets are not the inputs of its next step, trajectories that are too short.
    """
    check_goes_on(signature)
    frames = signature.frames
    assert isinstance(frames, Steps)
    if steps < 1:
        raise InputError(f"a rollout takes at least one step, got {steps}")
    count = data.sizes.get("t", 1)
    ahead = frames.ahead * steps
    whole = replace(frames, ahead=ahead, every=ahead * frames.stride)
    if count < whole.length:
        most = longest(frames, count)
        hint = f"write --steps {most}, or give longer trajectories" if most else "give longer trajectories"
        apart = f", {frames.stride} apart," if frames.stride > 1 else ""
        raise InputError(
            f"a rollout of {steps} steps needs {ahead} frames{apart} behind the {frames.past} that are given, "
            f"{whole.length} in all, and the data have {count}: {hint}"
        )
    return Windows(data, replace(signature.task, frames=whole), dtype=dtype)


def longest(frames: Steps, count: int) -> int:
    """How many steps in a row trajectories of so many frames have the truth of."""
    return max(0, ((count - 1) // frames.stride + 1 - frames.past) // frames.ahead)


def rollout_errors(scores: Scores) -> dict[str, Any]:
    """What the scores of rollouts say, as JSON values: under `rollout` {variable: {lead_times, rmse, nrmse, vrmse,
    relative_l2, correlation: means over rollouts at each lead time, correlation_time}}, how many `rollouts` there were,
    and how many of them `diverged`. Where one has, the means are None from then on.

    The correlation time is that of the mean curve, the last lead time where it stays above the threshold, and None of
    one lead time or of what is constant.
    """
    table = scores.table()
    curves = {
        name: {"lead_times": curve.pop("lead"), **curve, "correlation_time": table[name].get("correlation_time")}
        for name, curve in scores.curves().items()
    }
    diverged = torch.stack([~each.isfinite() for each in scores.each().values()]).any(0)
    return finite({"rollout": curves, "rollouts": len(diverged), "diverged": int(diverged.sum())})
