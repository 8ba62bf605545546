"""Rollouts: a surrogate fed with its own output, step by step, and how its error grows over held-out trajectories."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from pdesolve.data.batch import Batch
from pdesolve.data.dataset import Dataset
from pdesolve.data.signature import Signature
from pdesolve.data.task import Steps
from pdesolve.data.windows import Windows
from pdesolve.errors import Diverged, InputError, unknown_name
from pdesolve.method import Surrogate
from pdesolve.metrics import Scores
from pdesolve.nn.places import Places
from pdesolve.training.run import finite

OnDivergence = Literal["stop", "raise", "keep"]
_LARGE = 1e4  # deviations of the training data: no state any more, though still a number; one cell of 1e8 has as many


@dataclass(frozen=True)
class Rollout:
    """States {name: (sample, time, component, *space)} of the frames behind those that were given.

    diverged: (sample,) the step at which each sample diverged, counted from 1; 0 where it did not.
    """

    states: dict[str, Tensor]
    diverged: Tensor


@torch.no_grad()
def rolled_out(
    surrogate: Surrogate, batch: Batch, steps: int, on_divergence: OnDivergence, at: Places | None = None
) -> Rollout:
    """See `Surrogate.rollout`. Weights that are made from others (parametrizations) are made once for all steps."""
    with parametrize.cached():
        return _rolled_out(surrogate, batch, steps, on_divergence, at)


def _rolled_out(
    surrogate: Surrogate, batch: Batch, steps: int, on_divergence: OnDivergence, at: Places | None
) -> Rollout:
    signature = surrogate.signature
    if on_divergence not in ("stop", "raise", "keep"):
        raise unknown_name("on_divergence", on_divergence, ("stop", "raise", "keep"))
    if steps < 1:
        raise InputError(f"a rollout takes at least one step, got {steps}")
    check_goes_on(signature)
    carry = surrogate.start(batch)
    frames: dict[str, list[Tensor]] = {slot.name: [] for slot in signature.targets}
    diverged: Tensor | None = None
    for step in range(1, steps + 1):
        carry = surrogate.step(carry)
        found = surrogate.read(carry)
        bad = _bad(surrogate, found)
        if on_divergence == "raise" and bool(bad.any()):
            sample = int(bad.nonzero()[0])
            name = next(n for n, values in found.items() if _outside(surrogate, n, values)[sample])
            raise Diverged(
                f"the rollout diverged at step {step} of {steps}: {name} of sample {sample} is not finite or "
                f"{_LARGE:g} times its scale; ask for fewer steps, train on longer rollouts (training.unroll), or take "
                "stable_fno"
            )
        diverged = torch.zeros_like(bad, dtype=torch.long) if diverged is None else diverged
        diverged = torch.where(bad & (diverged == 0), step, diverged)
        for name, values in (found if at is None else surrogate.read(carry, at)).items():
            if on_divergence == "stop":
                values = values.masked_fill((diverged > 0).view(-1, *[1] * (values.ndim - 1)), torch.nan)
            frames[name].append(values)
    assert diverged is not None
    return Rollout({name: torch.cat(parts, 1) for name, parts in frames.items()}, diverged)


def check_goes_on(signature: Signature) -> None:
    """Refuse a surrogate that cannot go on from its own outcome.

    Raises:
        InputError: targets that are not the inputs of the next step.
    """
    if not signature.autoregressive:
        given, wanted = ([slot.name for slot in slots] for slots in (signature.inputs, signature.targets))
        raise InputError(
            f"a rollout feeds targets back as inputs, this surrogate maps {', '.join(given)} to {', '.join(wanted)} by "
            f"{signature.frames or 'one map'}: train on a task of steps in time"
        )


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


def _bad(surrogate: Surrogate, found: dict[str, Tensor]) -> Tensor:
    """(sample,): whether any variable is no state any more."""
    return torch.stack([_outside(surrogate, name, values) for name, values in found.items()]).any(0)


def _outside(surrogate: Surrogate, name: str, values: Tensor) -> Tensor:
    slot = next(slot for slot in surrogate.signature.targets if slot.name == name)
    scale = max(abs(m) + s for m, s in zip(slot.mean, slot.std, strict=True))
    return ~(values.abs() <= _LARGE * scale).flatten(1).all(1)  # NaN compares false
