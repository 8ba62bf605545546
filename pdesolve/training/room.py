"""Whether a batch fits the memory, foreseen by what a few of its windows take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from pdesolve.batch import Batch
from pdesolve.errors import InputError
from pdesolve.least_squares.footprint import measured
from pdesolve.least_squares.form import free_bytes
from pdesolve.training.objective import sum_of
from pdesolve.training.processes import agreed, place
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
    one, two = (step_bytes(objective, few(batch, count)) for count in (1, 2))
    each = max(1, two - one)
    needed = one + each * (windows - 1)
    if needed > free:
        fits = max(1, 1 + (free - one) // each)
        processes = place()[1]
        raise InputError(
            f"a batch of {windows * processes} windows needs {needed / 1e9:.3g} GB, {free / 1e9:.3g} GB are free: "
            f"take --method.training.batch {fits * processes} or less"
        )


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
