"""DeepONet, POD-DeepONet and MIONet as learners: trained, stored, read at other resolutions and places."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pdesolve as ps
from pdesolve import catalogue
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.signature import Signature, Slot
from pdesolve.data.task import Steps, Task, Trajectory
from pdesolve.data.task_choice import TaskChoice
from pdesolve.data.windows import Windows
from pdesolve.datasets.training_data import FromDataset
from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Axis, GridAxis
from pdesolve.nn.branch import BranchShape
from pdesolve.nn.branch_trunk import Reads
from pdesolve.nn.places import PointPlaces
from pdesolve.nn.trunk import TrunkShape
from pdesolve.surrogates.placing import Placing
from pdesolve.training.losses import MeanSquare
from pdesolve.training.operator_objective import OperatorObjective
from pdesolve.training.operator_training import Training

NAMES = ("deeponet", "pod_deeponet", "mionet")
pytestmark = pytest.mark.usefixtures("own_folder")
RING, WALLED = Axis("x", 0.0, 2.0, periodic=True), Axis("x", 0.0, 2.0)


def data(size: int = 16, samples: int = 240, *, axis: Axis = RING) -> Dataset:
    """v = k (a * w), a of three waves, the kernel w and the factor k of each sample: linear in both."""
    rng = np.random.default_rng(0)
    x = 2 * np.arange(size) / size if axis.periodic else np.linspace(0, 2, size)
    drawn = rng.normal(size=(samples, 6))
    waves = np.stack([f(np.pi * m * x) for m in (1, 2, 3) for f in (np.cos, np.sin)])
    factor = rng.uniform(0.5, 1.5, samples)
    damped = drawn / np.repeat([1.0, 2.0, 4.0], 2)
    found = {"a": drawn @ waves, "v": factor[:, None] * (damped @ waves) + 5.0}
    return Dataset(
        {name: Variable(name, Memory(u), ("sample", "x")) for name, u in found.items()},
        {"x": Coordinate(axis, x)},
        {"k": Variable("k", Memory(factor), ("sample",))},
        splits={"train": np.arange(200), "valid": np.arange(200, 220), "test": np.arange(220, samples)},
    )


TASK = TaskChoice(inputs=("a",), targets=("v",))


def learner(name: str, **settings: Any) -> Any:
    small: dict[str, Any] = {
        "branch": BranchShape(kind="perceptron", width=32, depth=1),
        "training": Training(learning_rate=5e-3, weight_decay=0.0, batch=16),
    }
    if name == "pod_deeponet":
        small["modes"] = 8
    else:
        small |= {"functions": 16, "trunk": TrunkShape(width=32, depth=2)}
    return catalogue.make_learner(name, {}).__class__(**(small | settings))


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_predicts_at_another_resolution_and_comes_back_from_its_folder(name: str, tmp_path: Path) -> None:
    trained = ps.train(learner(name), data(), TASK, steps=150, threads=1, out=tmp_path / "run")
    assert trained.report is not None
    fine = Windows(data(64), trained.signature.task).batch(range(220, 240))
    coarse = Windows(data(), trained.signature.task).batch(range(220, 240))
    errors = []
    for batch in (coarse, fine):
        found = trained.predict(batch)["v"]
        assert found.shape == batch.targets["v"].shape
        spread = (batch.targets["v"] - 5).norm()
        errors.append(float((found - batch.targets["v"]).norm() / spread))
    assert errors[0] < 0.5, "one is the error of the mean"
    assert errors[1] < errors[0] + 0.05
    again = catalogue.make_learner(name, {}).__class__(**vars(learner(name))).restore(tmp_path / "run")
    assert torch.equal(again.predict(fine)["v"], trained.predict(fine)["v"])


@pytest.mark.parametrize("name", NAMES)
def test_values_at_points_are_those_of_the_field(name: str) -> None:
    trained = ps.train(learner(name), data(), TASK, steps=3, threads=1)
    batch = Windows(data(), trained.signature.task).batch(range(5))
    field = trained.predict(batch)["v"]
    order = torch.randperm(16)
    at = PointPlaces.of(Axes((RING,)), batch.coordinates["x"][order][None, :, None])
    torch.testing.assert_close(trained.predict(batch, at)["v"], field[..., order])
    several = trained.predict(replace(batch, coordinates={"x": batch.coordinates["x"]}))["v"]
    torch.testing.assert_close(several, field)


@pytest.mark.parametrize("name", NAMES)
def test_seeds_decide(name: str) -> None:
    batch = Windows(data(), TASK.task(data())).batch([221])
    first, again, other = (
        ps.train(learner(name), data(), TASK, steps=2, threads=1, seed=seed).predict(batch)["v"] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.allclose(first, other)


def test_walls_are_met_exactly_in_the_units_of_the_data() -> None:
    walled = data(axis=WALLED)
    trained = ps.train(learner("deeponet", wall=5.0), walled, TASK, steps=3, threads=1)
    found = trained.predict(Windows(walled, trained.signature.task).batch(range(4)))["v"]
    torch.testing.assert_close(found[..., [0, -1]], torch.full((4, 1, 1, 2), 5.0))
    assert float((found[..., 5] - 5.0).abs().max()) > 1e-3
    with pytest.raises(InputError, match="the axes x are periodic: leave wall out"):
        ps.train(learner("deeponet", wall=5.0), data(), TASK, steps=3)


def test_mionet_is_a_product_of_its_branches() -> None:
    """Affine branches make the operator affine in each input alone, and so of second order in both together."""
    trained = ps.train(learner("mionet", affine=("a", "parameters")), data(), TASK, steps=3, threads=1)
    batch = Windows(data(), trained.signature.task).batch(range(6))

    def values(a: float, k: float) -> torch.Tensor:
        moved = replace(
            batch,
            inputs={"a": batch.inputs["a"] + a * batch.inputs["a"].roll(1, 0)},
            parameters={"k": batch.parameters["k"] + k},
        )
        return trained.predict(moved)["v"]

    base = values(0, 0)
    along, across = values(1, 0) - base, values(0, 1) - base
    torch.testing.assert_close(values(2, 0) - base, 2 * along, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(values(0, 2) - base, 2 * across, rtol=1e-4, atol=1e-4)
    mixed = values(1, 1) - base - along - across
    assert float(mixed.abs().max()) > 1e-3
    torch.testing.assert_close(values(2, 3) - base - 2 * along - 3 * across, 6 * mixed, rtol=1e-3, atol=1e-3)


def test_branches_of_mionet_read_the_channels_of_their_own_input() -> None:
    slots = [Slot(name, 1, count, False, (0.0,) * count, (1.0,) * count) for name, count in (("a", 2), ("b", 3))]
    number = Slot("k", 1, 1, False, (0.0,), (1.0,))
    members = (GridAxis(RING, "periodic", 8),)
    signature = Signature(tuple(slots), (slots[0],), (number,), None, (RING,), members)
    network: Any = learner("mionet").module(signature).network
    none = slice(0, 0)
    expected = [Reads(slice(0, 2), none), Reads(slice(2, 5), none), Reads(none, slice(0, 1))]
    assert network.reads == expected


def test_mionet_learns_a_product_better_than_its_first_guess() -> None:
    affine = learner("mionet", affine=("a", "parameters"), training=Training(learning_rate=1e-2, weight_decay=0.0))
    trained = ps.train(affine, data(), TASK, steps=200, threads=1)
    batch = Windows(data(), trained.signature.task).batch(range(220, 240))
    error = (trained.predict(batch)["v"] - batch.targets["v"]).norm() / (batch.targets["v"] - 5).norm()
    assert float(error) < 0.05, "the operator is exactly of this form"
    with pytest.raises(InputError, match=r"unknown input 'b'"):
        ps.train(learner("mionet", affine=("b",)), data(), TASK, steps=3)


def test_modes_are_those_of_the_training_data() -> None:
    trained: Any = ps.train(learner("pod_deeponet"), data(), TASK, steps=1, threads=1)
    network = trained.module.network
    u = data().read("v")[:200]
    u = (u - u.mean()) / u.std()
    _, values, _ = np.linalg.svd(u - u.mean(0), full_matrices=False)
    used = int((network.deviations > 0).sum())
    assert used == 6, "the data have six modes"
    np.testing.assert_allclose(network.deviations[:6], values[:6] / np.sqrt(200 * 16), rtol=1e-4)
    modes = network.modes[:6, 0].double()
    torch.testing.assert_close(modes @ modes.T / 16, torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-5)
    rest = (u - u.mean(0)) - (u - u.mean(0)) @ modes.numpy().T @ modes.numpy() / 16
    assert np.abs(rest).max() < 1e-5
    assert trained.notes["variance_left_out"] < 1e-10 and trained.notes["modes"] == 6


def test_points_for_a_grid_and_empty_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="modes is at least 1, got 0"):
        ps.train(learner("pod_deeponet", modes=0), data(), TASK, steps=1)
    with pytest.raises(InputError, match="sensors from 2"):
        BranchShape(sensors=0)


@pytest.mark.parametrize("name", NAMES)
def test_training_on_points_of_the_fields(name: str) -> None:
    training = Training(learning_rate=5e-3, weight_decay=0.0, batch=16, points=5)
    trained = ps.train(learner(name, training=training), data(), TASK, steps=200, threads=1)
    batch = Windows(data(), trained.signature.task).batch(range(220, 240))
    error = (trained.predict(batch)["v"] - batch.targets["v"]).norm() / (batch.targets["v"] - 5).norm()
    assert float(error) < 0.6, "one is the error of the mean"


@pytest.mark.parametrize("predicts", ["state", "increment"])
@pytest.mark.parametrize("frames", ["steps", "trajectory"])
def test_all_points_of_a_field_have_the_loss_of_the_field(predicts: str, frames: str) -> None:
    x, rng = np.arange(8) / 4, np.random.default_rng(0)
    u = rng.normal(size=(6, 3, 8))
    moving = Dataset(
        {"u": Variable("u", Memory(u), ("sample", "t", "x"))},
        {"t": Coordinate(Axis("t", 0.0, 1.0), np.array([0.0, 0.4, 1.0])), "x": Coordinate(RING, x)},
        splits={"train": np.arange(6)},
    )
    task = Task(("u",), ("u",), Steps() if frames == "steps" else Trajectory())
    signature = FromDataset(moving, task).signature
    module = learner("deeponet", predicts=predicts).module(signature)
    count = 8 if frames == "steps" else 24
    losses = {
        points: OperatorObjective(module, {"mean_square": (1.0, MeanSquare())}, points=points)(
            Windows(moving, replace(task, points=points or None)).batch(range(6))
        )["mean_square"]
        for points in (0, count)
    }
    torch.testing.assert_close(losses[0], losses[count])


def test_points_are_refused_where_a_network_speaks_of_grids_alone() -> None:
    with pytest.raises(InputError, match=r"not at points: leave training.points at 0"):
        ps.train(catalogue.make_learner("fno", {"modes": 4, "training": {"points": 5}}), data(), TASK, steps=1)
    several = Training(points=5, unroll=2)
    with pytest.raises(InputError, match="drawn of one step"):
        ps.train(learner("deeponet", training=several), data(), TASK, steps=1)


def test_parameters_alone_may_be_given() -> None:
    only = FromDataset(data(), Task((), ("v",), None, ("k",))).signature
    module = learner("deeponet").module(only)
    places = Placing(only).of(Windows(data(), only.task).batch(range(4)))
    found = module({}, {"k": torch.tensor([0.5, 1.0, 1.5, 1.0])}, places, places)["v"]
    assert found.shape == (4, 1, 1, 16) and torch.equal(found[1], found[3]) and not torch.equal(found[0], found[1])
