"""Rollouts: what becomes of samples that diverge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pdesolve.data.arrays import Memory
from pdesolve.data.batch import Batch
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.task import Steps, Task
from pdesolve.data.windows import Windows
from pdesolve.datasets.training_data import FromDataset
from pdesolve.errors import Diverged, InputError
from pdesolve.geometry import Axis
from pdesolve.method import Surrogate
from pdesolve.nn.places import Places

TASK = Task(("u",), ("u",), Steps(past=1, ahead=1), ())


class Growing(Surrogate):
    """Multiplies each sample by a factor of its own."""

    def __init__(self, data: Dataset, factors: tuple[float, ...]) -> None:
        self.signature = FromDataset(data, TASK).signature
        self.factors, self.device = torch.tensor(factors), torch.device("cpu")

    def start(self, batch: Batch) -> Tensor:
        return batch.inputs["u"]

    def step(self, carry: Any) -> Tensor:
        return carry * self.factors.view(-1, 1, 1, 1)

    def read(self, carry: Any, at: Places | None = None) -> dict[str, Tensor]:
        return {"u": carry}

    def write(self, folder: Path) -> None:
        raise NotImplementedError


def given(*factors: float) -> tuple[Growing, Batch]:
    values = 1 + np.random.default_rng(0).uniform(size=(3, 4, 8)).astype(np.float32)
    data = Dataset(
        {"u": Variable("u", Memory(values), ("sample", "t", "x"))},
        {"t": Coordinate(Axis("t", 0.0, 3.0), np.arange(4.0)), "x": Coordinate(Axis("x", 0.0, 7.0), np.arange(8.0))},
        splits={"train": np.arange(3)},
    )
    return Growing(data, factors), Windows(data, TASK).batch([0, 3, 6])


def test_samples_that_diverge_end_and_others_go_on() -> None:
    surrogate, batch = given(1.0, 50.0, torch.nan)
    rollout = surrogate.rollout(batch, 5)
    u = rollout.states["u"]
    assert u.shape == (3, 5, 1, 8)
    assert rollout.diverged.tolist() == [0, 3, 1]  # 2500 times the start is a state, 125000 times it none
    assert torch.equal(u[0], batch.inputs["u"][0].expand(5, -1, -1))
    assert u[1, :2].isfinite().all() and u[1, 2:].isnan().all() and u[2].isnan().all()


def test_what_diverges_may_be_kept() -> None:
    surrogate, batch = given(1.0, 50.0, 1.0)
    rollout = surrogate.rollout(batch, 5, on_divergence="keep")
    assert rollout.diverged.tolist() == [0, 3, 0]
    torch.testing.assert_close(rollout.states["u"][1, 4], batch.inputs["u"][1, 0] * 50.0**5)


def test_a_divergence_may_be_raised() -> None:
    surrogate, batch = given(1.0, 50.0, 1.0)
    with pytest.raises(Diverged, match="diverged at step 3 of 5: u of sample 1 is not finite or 10000 times its scale"):
        surrogate.rollout(batch, 5, on_divergence="raise")
    assert not surrogate.rollout(batch, 2, on_divergence="raise").diverged.any()


def test_rollouts_that_make_no_sense_are_refused() -> None:
    surrogate, batch = given(1.0, 1.0, 1.0)
    with pytest.raises(InputError, match="at least one step, got 0"):
        surrogate.rollout(batch, 0)
    with pytest.raises(InputError, match="on_divergence 'stopp'"):
        surrogate.rollout(batch, 2, on_divergence="stopp")  # type: ignore[arg-type]
