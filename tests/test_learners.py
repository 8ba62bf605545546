"""Every learner of the catalogue: it overfits a few samples, predicts at another resolution, is stored and read."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pdesolve import catalogue
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.task import Steps, Task
from pdesolve.data.windows import Windows
from pdesolve.datasets.training_data import FromDataset
from pdesolve.errors import InputError
from pdesolve.geometry import Axis
from pdesolve.method import Learner, Surrogate
from pdesolve.metrics import relative_l2
from pdesolve.surrogates.exporting import export
from pdesolve.surrogates.operator import OperatorSurrogate
from pdesolve.training.run import Run

SAMPLES, COARSE, FINE, STEPS = 6, 32, 48, 120
SMALL = {"modes": 8, "width": 16, "latent": 32, "radius": 0.15, "levels": 1, "alpha": 0.3}

OWN = {"cape": {"warm_up": 20, "training": {"unroll": 1, "curriculum": "none", "loss": "relative_l2"}}}


APART = {"sfno"}  # learn from fields that these are not, such as those on spheres: their own tests say the same


def learners() -> list[str]:
    found = [e.name for e in catalogue.entries("method") if issubclass(catalogue.find_method(e.name), Learner)]
    return [name for name in found if name not in APART]


def waves(size: int) -> Dataset:
    """Waves of two lengths that move by a speed of their own, known at two times: (sample, t, x), periodic in x."""
    draw = np.random.default_rng(4)
    a, b, phase = draw.normal(size=(3, SAMPLES, 1, 1))
    speed = draw.uniform(0.5, 1.0, SAMPLES)
    x, t = np.arange(size) / size, np.array([0.0, 0.1])
    moved = 2 * np.pi * (x - speed[:, None, None] * t[:, None])
    u = 1 + a * np.sin(moved + phase) + b * np.cos(2 * moved)
    return Dataset(
        {"u": Variable("u", Memory(u), ("sample", "t", "x"))},
        {
            "t": Coordinate(Axis("t", 0.0, 0.1), t),
            "x": Coordinate(Axis("x", 0.0, 1.0, periodic=True), x),
        },
        {"speed": Variable("speed", Memory(speed), ("sample",))},
        # what is kept is what is best on samples that are known, since overfitting is the test
        splits={"train": np.arange(SAMPLES), "valid": np.arange(SAMPLES)},
    )


TASK = Task(("u",), ("u",), Steps(past=1, ahead=1), ("speed",))


def made(name: str, *, depth: int = 2) -> Learner:
    """The learner with small settings, where it has settings of these names."""
    known = {f.name for f in dataclasses.fields(catalogue.find_method(name))}  # type: ignore[arg-type]
    settings = {**SMALL, "depth": depth}
    return catalogue.make_learner(name, {k: v for k, v in settings.items() if k in known} | OWN.get(name, {}))


@cache
def trained(
    name: str, *, steps: int = STEPS, dtype: torch.dtype = torch.float32, depth: int = 2
) -> tuple[Learner, Surrogate]:
    """The learner, and what it learnt. Skips where it needs an extra that is not installed, which it must say."""
    learner = made(name, depth=depth)
    try:
        run = Run(seed=1, steps=steps, dtype=dtype, measure=lambda candidate: candidate.validate())
        return learner, learner.learn(FromDataset(waves(COARSE), TASK, dtype=dtype), run)
    except InputError as error:
        if "pdesolve-suite[" not in str(error):
            raise
        pytest.skip(str(error))


def error_at(surrogate: Surrogate, size: int) -> float:
    batch = Windows(waves(size), TASK).batch(range(SAMPLES))
    return relative_l2(surrogate.predict(batch)["u"], batch.targets["u"])


@pytest.mark.parametrize("name", learners())
def test_it_overfits_a_few_samples_and_predicts_at_another_resolution(
    name: str, record_property: Any, capsys: pytest.CaptureFixture
) -> None:
    _, surrogate = trained(name)
    here, there = error_at(surrogate, COARSE), error_at(surrogate, FINE)
    record_property("relative_l2", {COARSE: here, FINE: there})
    still = Windows(waves(COARSE), TASK).batch(range(SAMPLES))
    before = relative_l2(still.inputs["u"], still.targets["u"])
    assert here < 0.3 * before, f"{name} has the error {here:.3g} where what was given has {before:.3g}"
    assert there < 2 * here + 0.02, f"{name} has the error {there:.3g} at {FINE} points, {here:.3g} at {COARSE}"
    said = capsys.readouterr()
    assert not said.out, f"{name} prints {said.out[:80]!r}"
    count = sum(p.numel() * (2 if p.is_complex() else 1) for p in parameters(surrogate))
    assert surrogate.parameters == count > 0


def modules(surrogate: Surrogate) -> list[torch.nn.Module]:
    """Its own, and those of the surrogates it is made of."""
    found: list[torch.nn.Module] = []
    for part in vars(surrogate).values():
        if isinstance(part, torch.nn.Module):
            found.append(part)
        elif isinstance(part, Surrogate):
            found += modules(part)
    return found


def parameters(surrogate: Surrogate) -> list[torch.nn.Parameter]:
    return [parameter for part in modules(surrogate) for parameter in part.parameters()]


def tensors(surrogate: Surrogate) -> list[torch.Tensor]:
    return [*parameters(surrogate), *(buffer for part in modules(surrogate) for buffer in part.buffers())]


@pytest.mark.parametrize("name", learners())
def test_it_is_stored_and_read_again(name: str, tmp_path: Path) -> None:
    learner, surrogate = trained(name)
    batch = Windows(waves(FINE), TASK).batch(range(2))
    surrogate.write(tmp_path)
    again = learner.restore(tmp_path)
    assert not any(part.training for part in modules(again))
    assert again.signature == surrogate.signature and again.parameters == surrogate.parameters
    assert torch.equal(again.predict(batch)["u"], surrogate.predict(batch)["u"])


@pytest.mark.parametrize("name", learners())
def test_it_learns_in_float64_and_is_read_so_again(name: str, tmp_path: Path) -> None:
    learner, surrogate = trained(name, steps=2, dtype=torch.float64)
    batch = Windows(waves(COARSE), TASK, dtype=torch.float64).batch(range(2))
    surrogate.write(tmp_path)
    again = learner.restore(tmp_path)
    found = surrogate.predict(batch)["u"]
    assert surrogate.dtype == again.dtype == found.dtype == torch.float64
    assert bool(found.isfinite().all()) and torch.equal(again.predict(batch)["u"], found)
    # what was learnt has more digits than float32 holds
    assert any(bool((p != p.float()).any()) for p in parameters(surrogate))


@pytest.mark.parametrize("name", learners())
def test_predicting_changes_nothing(name: str) -> None:
    _, surrogate = trained(name)
    assert not any(part.training for part in modules(surrogate))
    batch = Windows(waves(COARSE), TASK).batch(range(2))
    found, before = surrogate.predict(batch)["u"], [tensor.clone() for tensor in tensors(surrogate)]
    assert torch.equal(surrogate.predict(batch)["u"], found)
    assert all(map(torch.equal, before, tensors(surrogate)))


@pytest.mark.parametrize("name", learners())
def test_a_grid_that_is_too_coarse_is_refused_in_one_line_or_worked_on(name: str) -> None:
    _, surrogate = trained(name)
    batch = Windows(waves(4), TASK).batch(range(2))
    try:
        found = surrogate.predict(batch)["u"]
    except InputError as error:
        assert "4 points" in str(error) and "\n" not in str(error)
    else:
        assert bool(found.isfinite().all())


@pytest.mark.parametrize("name", learners())
def test_it_is_exported_or_says_why_not(name: str, tmp_path: Path) -> None:
    """A file that gives other values is refused by `export` itself. Programs take time by their length: one layer."""
    _, surrogate = trained(name, steps=2, depth=1)
    if not isinstance(surrogate, OperatorSurrogate):
        with pytest.raises(InputError, match="a surrogate that is one network can be exported"):
            export(surrogate, tmp_path / "step.pt2")
        return
    was = surrogate.module.training
    made = export(surrogate, tmp_path / "step.pt2", batch=2)
    assert made.outputs == {"u": [2, 1, 1, COARSE]} and made.difference < 1e-4
    assert surrogate.module.training == was
