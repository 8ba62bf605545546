"""Surrogates are judged on what they were not given, at the right times, on their grid."""

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
from pdesolve.data.moments import moments
from pdesolve.data.signature import signature_of
from pdesolve.data.task import Frames, Steps, Task, Trajectory
from pdesolve.data.windows import Windows
from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis, PointCloud
from pdesolve.method import Surrogate
from pdesolve.nn.places import Places
from pdesolve.surrogates.judging import measured, scored
from pdesolve.surrogates.predictions import _times, given_windows
from pdesolve.surrogates.rollout import longest, rollout_windows

FRAMES, SIZE, STEP = 6, 32, 0.25


def data(*, periodic: bool = True) -> Dataset:
    """sin(2 pi (x - t)) times an amplitude of each sample, at t = 0, 0.25, ...: a quarter of a period a frame."""
    x, t = np.arange(SIZE) / SIZE, STEP * np.arange(FRAMES)
    u = np.linspace(1.0, 2.0, 5)[:, None, None] * np.sin(2 * np.pi * (x - t[:, None]))
    places = Coordinate(Axis("x", 0.0, 1.0 if periodic else x[-1], periodic=periodic), x)
    times = Coordinate(Axis("t", 0.0, t[-1]), t)
    return Dataset({"u": Variable("u", Memory(u), ("sample", "t", "x"))}, {"t": times, "x": places})


class Persistence(Surrogate):
    """What was given last stays as it is, for as many frames as are wanted."""

    def __init__(self, dataset: Dataset, frames: Frames) -> None:
        self.signature = signature_of(dataset, Task(("u",), ("u",), frames), moments(dataset, split=""))
        self.device, self.notes = torch.device("cpu"), {}

    def start(self, batch: Batch) -> Tensor:
        return batch.inputs["u"]

    def step(self, carry: Tensor) -> Tensor:
        return carry

    def read(self, carry: Tensor, at: Places | None = None) -> dict[str, Tensor]:
        wanted = self.signature.targets[0].frames
        kept = carry[:, : wanted - 1] if wanted > 1 else carry[:, :0]
        return {"u": torch.cat([kept, carry[:, -1:].expand(-1, wanted - kept.shape[1], -1, -1)], 1)}

    def write(self, folder: Path) -> None:
        raise NotImplementedError


def judged(frames: Frames, **settings: Any) -> tuple[Surrogate, Windows]:
    dataset = data(**settings)
    return Persistence(dataset, frames), Windows(dataset, Task(("u",), ("u",), frames), dtype=torch.float64)


def test_one_step_of_persistence() -> None:
    """A quarter of a period later the wave is as wrong as can be without being opposed: |u - v|^2 = 2 |v|^2."""
    row = measured(*judged(Steps(past=1, ahead=1)), batch=4)["u"]
    assert row["nrmse"] == row["vrmse"] == pytest.approx(2**0.5)
    assert row["sample_relative_l2"] == row["relative_l2"] == row["relative_h1"] == pytest.approx(2**0.5)
    assert row["rmse"] == row["rmse_low"] == pytest.approx(1.5), "of amplitudes 1 to 2, each times sqrt(2) / sqrt(2)"
    assert row["conserved_rmse"] < 1e-14 and "boundary_rmse" not in row and "correlation_time" not in row
    assert "boundary_rmse" in measured(*judged(Steps(), periodic=False))["u"]


def test_a_rollout_has_its_lead_times() -> None:
    surrogate, _ = judged(Steps(past=1, ahead=1))
    windows = Windows(data(), Task(("u",), ("u",), Steps(past=1, ahead=4, every=10)), dtype=torch.float64)
    scores = scored(surrogate, windows, steps=4)
    curve = scores.curves()["u"]
    assert curve["lead"] == [0.25, 0.5, 0.75, 1.0]
    assert curve["correlation"] == pytest.approx([0, -1, 0, 1], abs=1e-12)
    assert curve["nrmse"] == pytest.approx([2**0.5, 2, 2**0.5, 0], abs=1e-12)
    assert scores.table()["u"]["correlation_time"] == 0.25
    with pytest.raises(InputError, match="predicted for 3 frames and the batch has 4"):
        scored(surrogate, windows, steps=3)


def test_given_frames_of_a_trajectory_are_not_judged() -> None:
    """Frames 0 and 1 are given and wanted too; what is judged are frames 2 to 5, from the time of frame 1 on."""
    scores = scored(*judged(Trajectory(past=2)))
    curve = scores.curves()["u"]
    assert curve["lead"] == [0.25, 0.5, 0.75, 1.0]
    assert curve["nrmse"] == pytest.approx([2**0.5, 2, 2**0.5, 0], abs=1e-12)


def test_padding_of_samples_of_different_points_is_not_judged() -> None:
    """Samples of 3 and of 7 points are one batch; persistence of a field that doubles is off by half."""
    axes, counts = Axes((Axis("x", 0.0, 1.0),)), [3, 7]
    u = np.random.default_rng(0).normal(size=(1, 10)) + 3.0
    points = [PointCloud(axes, torch.linspace(0, 1, n, dtype=torch.float64)[:, None]) for n in counts]
    dataset = Dataset(
        {"u": Variable("u", Memory(np.concatenate([u, 2 * u])), ("t", "point"))},
        {"t": Coordinate(Axis("t", 0.0, 1.0), np.array([0.0, 1.0]))},
        meshes=points,
        offsets={"point": np.array([0, 3, 10])},
    )

    class Loud(Persistence):
        """Says anything where there is nothing."""

        def start(self, batch: Batch) -> Tensor:
            return torch.where(batch.mask["point"][:, None, None], batch.inputs["u"], 1e6)

    surrogate = Loud(dataset, Steps())
    row = scored(surrogate, Windows(dataset, Task(("u",), ("u",), Steps()), dtype=torch.float64)).table()["u"]
    assert row["nrmse"] == row["sample_relative_l2"] == pytest.approx(0.5)
    assert row["max"] == pytest.approx(np.abs(u).max())


def test_rollouts_of_frames_apart_have_no_target_in_common() -> None:
    """Every second frame of 12: a window of 1 + 2 steps spans five frames, and the next begins four later."""
    signature = Persistence(data(), Steps(stride=2)).signature
    u = np.zeros((1, 13, SIZE))
    times = Coordinate(Axis("t", 0.0, 3.0), STEP * np.arange(13))
    long = Dataset({"u": Variable("u", Memory(u), ("sample", "t", "x"))}, {"t": times, "x": data().coordinates["x"]})
    windows = rollout_windows(signature, long, 2)
    assert [windows.place(i)[1] for i in range(len(windows))] == [0, 4, 8]
    assert [longest(Steps(stride=2), count) for count in (2, 3, 4, 5, 13)] == [0, 1, 1, 2, 6]
    assert [longest(Steps(past=2, ahead=3), count) for count in (4, 5, 7, 8)] == [0, 1, 1, 2]


def test_predicted_frames_have_the_times_of_their_stride() -> None:
    """Of frames 0 and 3 the next are 6, 9 and 12: within the data, and behind their end by the spacing of training."""
    frames = Steps(past=2, stride=3)
    u = np.arange(13.0)[None, :, None] * np.ones((2, 13, SIZE))
    times = Coordinate(Axis("t", 0.0, 3.0), STEP * np.arange(13))
    long = Dataset({"u": Variable("u", Memory(u), ("sample", "t", "x"))}, {"t": times, "x": data().coordinates["x"]})
    signature = signature_of(long, Task(("u",), ("u",), frames), moments(long, split=""))
    assert signature.spacing == pytest.approx(3 * STEP)
    for count in (13, 8, 6):
        part = long.isel({"t": slice(0, count)})
        assert _times(signature, part, 3).tolist() == pytest.approx([1.5, 2.25, 3.0])
        given = given_windows(signature, part).batch([0, 1]).inputs["u"]
        assert given[:, :, 0, 0].tolist() == [[0.0, 3.0], [0.0, 3.0]]
    with pytest.raises(InputError, match="2 frames, 3 apart, are given to this surrogate and the data have 3"):
        given_windows(signature, long.isel({"t": slice(0, 3)}))
