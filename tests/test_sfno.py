"""The spherical neural operator: what it refuses, and, where its extra is installed, that it learns on a sphere."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.task import Task
from pdesolve.data.windows import Windows
from pdesolve.datasets.training_data import FromDataset
from pdesolve.errors import InputError
from pdesolve.geometry import Axis
from pdesolve.metrics import relative_l2
from pdesolve.operators.sfno.method import SFNO
from pdesolve.training.operator_training import Training
from pdesolve.training.run import Run

TASK = Task(("a",), ("u",), None)


def sphere(latitudes: int, longitudes: int, *, periodic: bool = True) -> Dataset:
    """a = c0 z + c1 x y of points of a sphere and u = -2 c0 z - 6 c1 x y, its Laplacian: (sample, lat, lon)."""
    lat, lon = np.linspace(-90, 90, latitudes), 360 * np.arange(longitudes) / longitudes
    p, q = np.deg2rad(lat)[:, None], np.deg2rad(lon)
    z, xy = np.sin(p) + 0 * q, np.cos(p) ** 2 * np.sin(q) * np.cos(q)
    c = np.random.default_rng(2).normal(size=(2, 8, 1, 1))
    fields = {"a": c[0] * z + c[1] * xy, "u": -2 * c[0] * z - 6 * c[1] * xy}
    places = {
        "lat": Coordinate(Axis("lat", -90, 90), lat),
        "lon": Coordinate(Axis("lon", 0, 360, periodic=periodic), lon),
    }
    numbers = np.arange(8)
    return Dataset(
        {name: Variable(name, Memory(v), ("sample", "lat", "lon")) for name, v in fields.items()},
        places,
        splits={"train": numbers, "valid": numbers},
    )


def test_fields_on_no_sphere_are_refused() -> None:
    with pytest.raises(InputError, match="2 axes of which 0 go round"):
        SFNO().learn(FromDataset(sphere(9, 16, periodic=False), TASK), Run(steps=1))


@pytest.mark.skipif(find_spec("torch_harmonics") is not None, reason="the extra is installed")
def test_without_its_extra_it_names_it() -> None:
    with pytest.raises(InputError, match=r"pip install pdesolve-suite\[spherical\]"):
        SFNO().learn(FromDataset(sphere(9, 16), TASK), Run(steps=1))


@pytest.mark.skipif(find_spec("torch_harmonics") is None, reason="needs the extra spherical")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_learns_on_a_sphere_and_predicts_at_another_resolution(dtype: torch.dtype, tmp_path: Path) -> None:
    learner = SFNO(modes=8, width=12, depth=2, training=Training(batch=8))
    run = Run(seed=0, steps=150, dtype=dtype, measure=lambda candidate: candidate.validate())
    surrogate = learner.learn(FromDataset(sphere(17, 32), TASK, dtype=dtype), run)
    for size in ((17, 32), (33, 64)):
        batch = Windows(sphere(*size), TASK, dtype=dtype).batch(range(8))
        assert relative_l2(surrogate.predict(batch)["u"], batch.targets["u"]) < 0.15
    surrogate.write(tmp_path)
    assert torch.equal(learner.restore(tmp_path).predict(batch)["u"], surrogate.predict(batch)["u"])
    with pytest.raises(InputError, match="there are 5 and 16 points"):
        surrogate.predict(Windows(sphere(5, 16), TASK, dtype=dtype).batch(range(1)))
