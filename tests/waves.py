"""A small data set for tests of training: sums of sines that travel around a ring."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.datasets.writing import write
from pdesolve.geometry import Axis

FRAMES, POINTS = 6, 16


def waves(samples: int = 20, *, seed: int = 0) -> Dataset:
    """u = sum_k a_k sin(2 pi k (x - t/10) + b_k), k to 3, for random a and b, with splits."""
    rng = np.random.default_rng(seed)
    k, t, x = np.arange(1, 4), np.linspace(0, 1, FRAMES), np.arange(POINTS) / POINTS
    heights, phases = rng.standard_normal((2, samples, 3))
    places = k * (x[:, None] - 0.1 * t[:, None, None])
    u = np.einsum("nk,ntxk->ntx", heights, np.sin(2 * np.pi * places + phases[:, None, None]))
    held = samples // 5
    return Dataset(
        variables={"u": Variable("u", Memory(u.astype(np.float32)), ("sample", "t", "x"))},
        coordinates={
            "t": Coordinate(Axis("t", 0.0, 1.0), t), "x": Coordinate(Axis("x", 0.0, 1.0, periodic=True), x),
        },
        splits={
            "train": np.arange(samples - 2 * held), "valid": np.arange(samples - 2 * held, samples - held),
            "test": np.arange(samples - held, samples),
        },
    )  # fmt: skip


def waves_file(folder: Path, samples: int = 20) -> Path:
    """The same as a file."""
    return write(waves(samples), folder / "waves.h5")
