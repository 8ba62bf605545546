"""Whether a batch fits the memory, foreseen by what a few of its windows take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from traceback import clear_frames

import torch
from torch import Tensor, nn

from pdesolve.data.batch import Batch
from pdesolve.errors import InputError
from pdesolve.exhaustion import exhausted
from pdesolve.least_squares.footprint import measured
from pdesolve.least_squares.form import free_bytes
from pdesolve.training.objective import Batches, sum_of
from pdesolve.training.processes import agreed, place
from pdesolve.training.run import Run
from pdesolve.training.sharding import divided

_LARGE = 2000  # times the bytes of its windows: no network here takes more for each, so that most need no measurement


def check_room(objective: nn.Module, batch: Batch, device: torch.device) -> None:
    """Refuse a batch whose step would not fit the memory that is free.

    Raises:
        InputError: what it needs, what is free, and the batch that would fit.
    """
    windows, free = len(batch), free_bytes(device)
    if agreed(windows < 3 or _LARGE * _nbytes(batch) < free):  # all measure or none does
        return
    one, each = _needed(objective, batch)
    needed = one + each * (windows - 1)
    if needed > free:
        fits = max(1, 1 + (free - one) // each)
        processes = place()[1]
        raise InputError(
            f"a batch of {windows * processes} windows needs {needed / 1e9:.3g} GB, {free / 1e9:.3g} GB are free: "
            f"take --method.training.batch {fits * processes} or less"
        )


@contextmanager
def enough_room(objective: nn.Module, batches: Batches, run: Run) -> Iterator[None]:
    """Inside the block memory that runs out ends in one line, with the batch that would fit by what is free then.

    Raises:
        InputError: what there was no room for; the checkpoint stays.
    """
    try:
        yield
        return
    except (MemoryError, RuntimeError) as error:
        if not exhausted(error):
            raise
        why = " ".join(str(error).split())[:120]
        clear_frames(error.__traceback__)  # they hold what the step had computed
    batch, processes = batches.batch, place()[1]
    kept = f"; what there is stays in {run.folder}" if run.folder is not None and run.checkpoint.begun else ""
    if batch is None or len(batch) < 2:
        raise InputError(
            f"the memory has no room for one window ({why}): take a smaller network or fewer points, or "
            f"--method.training.recompute true where steps are unrolled{kept}"
        )
    raise InputError(
        f"the memory has no room for a batch of {len(batch) * processes} windows ({why}): take --method.training.batch "
        f"{_fitting(objective, batch, run.device) * processes} or less{kept}"
    )


def _fitting(objective: nn.Module, batch: Batch, device: torch.device) -> int:
    """How many windows of a batch that did not fit would: at most half, since other things need memory too."""
    half = len(batch) // 2
    if divided(objective):  # a measurement is of all processes, and the others may be at work
        return half
    try:
        one, each = _needed(objective, batch)
    except Exception:  # where there is no room to measure, or the network is compiled: half is what can be said
        return half
    return max(1, min(half, 1 + (free_bytes(device) - one) // each))


def _needed(objective: nn.Module, batch: Batch) -> tuple[int, int]:
    """The bytes of the step of one window, and of each further one."""
    one, two = (step_bytes(objective, few(batch, count)) for count in (1, 2))
    return one, max(1, two - one)


def step_bytes(objective: nn.Module, batch: Batch) -> int:
    """The most bytes at once that the loss of a batch and its gradient take, counted as they are computed."""
    was = objective.training
    objective.eval()  # nothing that training counts or draws moves on
    parameters = [p for p in objective.parameters() if p.requires_grad]
    backward = divided(objective)  # what is divided among processes has gradients in its own way

    def gradient() -> object:
        loss = sum_of(objective(batch))
        return loss.backward() if backward else torch.autograd.grad(loss, parameters, allow_unused=True)

    peak = measured(gradient)[1].peak
    objective.zero_grad(set_to_none=True)
    objective.train(was)
    return peak


def few(batch: Batch, count: int) -> Batch:
    """The first windows of a batch."""

    def cut(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: value[:count] for name, value in values.items()}

    shared = {name: value if value.ndim == 1 else value[:count] for name, value in batch.coordinates.items()}
    own = batch.discretisations
    return replace(
        batch, inputs=cut(batch.inputs), targets=cut(batch.targets), parameters=cut(batch.parameters),
        coordinates=shared, times=batch.times[:count], target_times=batch.target_times[:count],
        target_coordinates=cut(batch.target_coordinates), numbers=batch.numbers[:count], first=batch.first[:count],
        mask=cut(batch.mask), discretisations=own if len(own) < 2 else own[:count], begin=0, whole=0,
    )  # fmt: skip


def _nbytes(batch: Batch) -> int:
    return sum(value.nbytes for values in (batch.inputs, batch.targets) for value in values.values())
