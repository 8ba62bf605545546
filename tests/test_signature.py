"""Signatures of training data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.signature import Signature
from pdesolve.data.task import Frames, InitialToFinal, Steps, Task, Trajectory
from pdesolve.datasets.training_data import FromDataset
from pdesolve.errors import InputError
from pdesolve.geometry import Axis
from pdesolve.operators.fno.method import FNO


def decay() -> Dataset:
    """u = a exp(-t) + number of the frame, 6 samples of which the last two are not trained on."""
    rng = np.random.default_rng(0)
    t = np.linspace(0.0, 4.0, 5)
    u = rng.normal(size=(6, 1, 8)) * np.exp(-t)[:, None] + np.arange(5)[:, None]
    return Dataset(
        {"u": Variable("u", Memory(u), ("sample", "t", "x"))},
        {"t": Coordinate(Axis("t", 0.0, 4.0), t), "x": Coordinate(Axis("x", 0.0, 1.0), np.arange(8) / 7)},
        splits={"train": np.arange(4), "valid": np.arange(4, 6)},
    )


@pytest.mark.parametrize(
    ("frames", "given", "wanted"),
    [
        (Steps(), slice(None), slice(None)),
        (InitialToFinal(), slice(0, 1), slice(4, 5)),
        (Trajectory(past=2), slice(0, 2), slice(None)),
    ],
)
def test_moments_are_of_the_frames_that_are_given_or_wanted(frames: Frames, given: slice, wanted: slice) -> None:
    data = decay()
    signature = FromDataset(data, Task(("u",), ("u",), frames)).signature
    u = data.read("u")[:4]
    for slot, part in ((signature.inputs[0], given), (signature.targets[0], wanted)):
        assert slot.mean == pytest.approx((u[:, part].mean(),), rel=1e-12)
        assert slot.std == pytest.approx((u[:, part].std(),), rel=1e-12)


def test_what_is_constant_is_divided_by_one() -> None:
    data = decay()
    held = {"k": Variable("k", Memory(np.full(6, 3.0)), ("sample",))}
    still = {"a": Variable("a", Memory(np.full((6, 8), 2.0)), ("sample", "x"))}
    known = replace(data, parameters=held, variables={**data.variables, **still})
    signature = FromDataset(known, Task(("u", "a"), ("u",), Steps())).signature
    assert (signature.parameters[0].mean, signature.parameters[0].std) == ((3.0,), (1.0,))
    assert (signature.inputs[1].mean, signature.inputs[1].std) == ((2.0,), (1.0,))
    with pytest.raises(InputError, match="the target a is 2 everywhere: there is nothing to learn"):
        FromDataset(known, Task(("u",), ("u", "a"), Steps()))


def test_changes_are_measured_from_the_last_given_frame_and_scale_increments() -> None:
    times, x = np.arange(4.0), np.arange(8) / 8
    u = np.ones((6, 4, 8)) + 0.01 * times[:, None] + np.arange(6.0)[:, None, None]
    data = Dataset(
        {"u": Variable("u", Memory(u), ("sample", "t", "x"))},
        {"t": Coordinate(Axis("t", 0.0, 3.0), times), "x": Coordinate(Axis("x", 0.0, 1.0, periodic=True), x)},
        splits={"train": np.arange(6)},
    )
    known = FromDataset(data, Task(("u",), ("u",), Steps(past=2, ahead=2))).signature
    (slot,) = known.targets
    assert slot.change == pytest.approx((0.01 * np.sqrt((1 + 4) / 2),), rel=1e-4)
    assert known.inputs[0].change == ()
    assert Signature.of_json(known.json()) == known
    increment, state = (FNO(modes=4, width=4, predicts=what) for what in ("increment", "state"))
    torch.testing.assert_close(increment.module(known).target_std, torch.tensor(slot.change * 2))
    torch.testing.assert_close(state.module(known).target_std, torch.tensor(slot.std * 2))
