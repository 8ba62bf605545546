"""Tasks: which frames are given and wanted, with the right numbers, coordinates and parameters; splits and moments."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from pdesolve.data.arrays import Memory
from pdesolve.data.batch import collated
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.moments import moments
from pdesolve.data.splits import divided, with_splits
from pdesolve.data.task import Frames, InitialToFinal, Steps, Task, Trajectory
from pdesolve.data.windows import Windows
from pdesolve.errors import InputError
from pdesolve.geometry import Axis, PointCloud
from pdesolve.geometry.axis import Axes

SAMPLES, FRAMES, POINTS = 5, 11, 8
U = np.random.default_rng(0).standard_normal((SAMPLES, FRAMES, 2, POINTS))
A = np.random.default_rng(1).standard_normal((SAMPLES, POINTS))
T, X = np.linspace(0, 1, FRAMES) ** 2, 2 * np.arange(POINTS) / POINTS


def example() -> Dataset:
    return Dataset(
        {
            "u": Variable("u", Memory(U), ("sample", "t", "component", "x"), "m s-1", ("x", "y")),
            "a": Variable("a", Memory(A), ("sample", "x")),
            "mask": Variable("mask", Memory(A[0]), ("x",)),
        },
        {"t": Coordinate(Axis("t", 0.0, 1.0), T), "x": Coordinate(Axis("x", 0.0, 2.0, periodic=True), X)},
        {
            "viscosity": Variable("viscosity", Memory(np.arange(5.0)), ("sample",)),
            "forcing": Variable("forcing", Memory(10.0 * np.arange(FRAMES)), ("t",)),
            "radius": Variable("radius", Memory(np.array(0.5))),
        },
    )


def ragged() -> Dataset:
    numbers, bounds = np.arange(2 * 9.0).reshape(2, 9), np.array([0, 4, 5, 9])
    axes = Axes((Axis("x", 0.0, 1.0),))
    clouds = [PointCloud(axes, torch.rand(int(n), 1)) for n in np.diff(bounds)]
    u = Variable("u", Memory(numbers), ("t", "node"))
    scale = Variable("scale", Memory(np.arange(3.0)), ("sample",))
    return Dataset({"u": u}, {}, {"scale": scale}, meshes=clouds, offsets={"node": bounds})


STEPS = [
    (Steps(), 10, [0], [1]),
    (Steps(2, 3), 7, [0, 1], [2, 3, 4]),
    (Steps(2, 3, stride=2), 3, [0, 2], [4, 6, 8]),
    (Steps(1, 2, every=3), 3, [0], [1, 2]),
    (InitialToFinal(), 1, [0], [10]),
    (Trajectory(), 1, [0], list(range(11))),
    (Trajectory(past=2, stride=5), 1, [0, 5], [0, 5, 10]),
]


@pytest.mark.parametrize(("frames", "starts", "given", "wanted"), STEPS)
def test_windows_have_the_numbers_and_times_of_their_frames(
    frames: Frames, starts: int, given: list[int], wanted: list[int]
) -> None:
    windows = Windows(example(), Task(("u", "a"), ("u",), frames), dtype=torch.float64)
    assert len(windows) == SAMPLES * starts
    every = getattr(frames, "every", 1)
    numbers = [len(windows) - 1, 0, *range(starts)]
    batch = windows.batch(numbers)
    for row, number in enumerate(numbers):
        sample, first = number // starts, every * (number % starts)
        assert windows.place(number) == (sample, first) == (int(batch.numbers[row]), int(batch.first[row]))
        at, then = (np.array(part) + first for part in (given, wanted))
        assert np.array_equal(batch.inputs["u"][row], U[sample, at])
        assert np.array_equal(batch.targets["u"][row], U[sample, then])
        assert np.array_equal(batch.inputs["a"][row], A[sample][None, None])
        assert np.array_equal(batch.times[row], T[at]) and np.array_equal(batch.target_times[row], T[then])
        assert batch.parameters["viscosity"][row] == sample and batch.parameters["radius"][row] == 0.5
        assert np.array_equal(batch.parameters["forcing"][row], 10.0 * np.concatenate([at, then]))
        alone = windows[number]
        assert torch.equal(alone.targets["u"], batch.targets["u"][row]) and torch.equal(alone.times, batch.times[row])
        assert (alone.number, alone.first) == (sample, first)
    with pytest.raises(IndexError, match=f"there are {len(windows)} windows"):
        windows[len(windows)]


def test_thinned_axes_keep_their_coordinates() -> None:
    task = Task(("u",), ("u",), Steps(1, 2), thinned={"x": 2, "t": 5})
    windows = Windows(example(), task, dtype=torch.float64)
    batch = windows.batch([0, 2])
    assert len(windows) == SAMPLES and windows.dataset.coordinates["x"].axis.periodic
    assert np.array_equal(batch.coordinates["x"], X[::2])
    assert np.array_equal(batch.times[0], T[[0]]) and np.array_equal(batch.target_times[1], T[[5, 10]])
    assert np.array_equal(batch.targets["u"][1], U[2][[5, 10]][..., ::2])


def test_what_has_no_frames_maps_coefficients_to_solutions() -> None:
    windows = Windows(example(), Task(("a", "mask"), ("a",), parameters=("viscosity",)))
    batch = windows.batch([3, 1])
    assert len(windows) == SAMPLES and batch.inputs["a"].shape == (2, 1, 1, POINTS) and batch.times.shape == (2, 0)
    assert np.array_equal(batch.targets["a"][0, 0, 0], A[3].astype(np.float32))
    assert np.array_equal(batch.inputs["mask"][1, 0, 0], A[0].astype(np.float32))
    assert list(batch.parameters) == ["viscosity"] and batch.dims["a"] == ("x",)
    alone = Windows(example(), Task((), ("u",), Trajectory(past=0))).batch([4])
    assert not alone.inputs and alone.targets["u"].shape == (1, FRAMES, 2, POINTS)


def test_axes_that_a_variable_lacks_are_one() -> None:
    fields = np.random.default_rng(0).random((3, 4, 6))
    data = Dataset(
        {
            "u": Variable("u", Memory(fields), ("sample", "x", "y")),
            "profile": Variable("profile", Memory(fields[:, 0]), ("sample", "y")),
        }
    )
    batch = Windows(data, Task(("profile",), ("u",))).batch([0, 1])
    assert batch.inputs["profile"].shape == (2, 1, 1, 1, 6) and batch.targets["u"].shape == (2, 1, 1, 4, 6)


def test_points_are_places_of_the_fields_and_the_same_for_a_seed() -> None:
    task = Task(("u",), ("u",), Trajectory(), points=20, seed=3)
    windows = Windows(example(), task, dtype=torch.float64)
    batch = windows.batch([1, 4])
    assert batch.targets["u"].shape == (2, 1, 2, 20) and batch.inputs["u"].shape == (2, 1, 2, POINTS)
    for row, sample in enumerate([1, 4]):
        at = np.searchsorted(T, batch.target_coordinates["t"][row].numpy())
        where = np.searchsorted(X, batch.target_coordinates["x"][row].numpy())
        assert len(set(zip(at.tolist(), where.tolist(), strict=True))) == 20
        assert np.array_equal(batch.targets["u"][row, 0], U[sample][at, :, where].T)
    again, later = windows.batch([4]), windows.batch([4], epoch=1)
    assert torch.equal(again.targets["u"][0], batch.targets["u"][1])
    assert not torch.equal(later.targets["u"], again.targets["u"])


def test_splits_read_their_own_samples() -> None:
    data = with_splits(example(), {"train": np.array([3, 1]), "test": np.array([0, 4])})
    windows = Windows(data.split("train"), Task(("u",), ("u",), Steps(thinned := 1, 1), thinned={"t": thinned}))
    assert len(windows) == 2 * 10
    assert np.array_equal(windows.batch([10]).inputs["u"][0, 0], U[1, 0].astype(np.float32))
    thin = Windows(data.split("test"), Task(("u",), ("u",), Steps(), thinned={"t": 2, "x": 4}), dtype=torch.float64)
    assert np.array_equal(thin.batch([5]).targets["u"][0, 0], U[4, 2, :, ::4])


def test_batches_go_to_other_processes_whole() -> None:
    batch = Windows(example(), Task(("u", "a"), ("u",), Steps(2, 1))).batch([0, 3, 9])
    other = pickle.loads(pickle.dumps(batch))
    tensors: list[tuple[str, torch.Tensor, torch.Tensor]] = []
    for name in ("inputs", "targets", "parameters", "coordinates"):
        for key, value in getattr(batch, name).items():
            tensors.append((name, value, getattr(other, name)[key]))
    assert len(tensors) == 7 and all(torch.equal(a, b) for _, a, b in tensors)
    assert torch.equal(other.numbers, batch.numbers) and torch.equal(other.times, batch.times)
    assert len({b.untyped_storage().data_ptr() for _, _, b in tensors}) == 1
    doubled = batch.map(lambda tensor: tensor * 2)
    assert torch.equal(doubled.targets["u"], batch.targets["u"] * 2) and doubled.dims == batch.dims


def test_samples_of_different_sizes_are_padded_or_packed() -> None:
    data = ragged()
    windows = Windows(data, Task(("u",), ("u",), Steps()), dtype=torch.float64)
    batch = windows.batch([2, 0, 1])
    assert batch.inputs["u"].shape == (3, 1, 1, 4) and batch.mask["node"].sum(1).tolist() == [4, 4, 1]
    assert batch.targets["u"][0, 0, 0].tolist() == [14.0, 15.0, 16.0, 17.0]
    assert batch.targets["u"][2, 0, 0].tolist() == [13.0, 0.0, 0.0, 0.0]
    assert batch.discretisations == (data.meshes[2], data.meshes[0], data.meshes[1])
    assert batch.parameters["scale"].tolist() == [2.0, 0.0, 1.0]
    assert batch.samples()[2].targets["u"].tolist() == [[[13.0]]]
    packed = batch.packed()
    assert packed.offsets["node"].tolist() == [0, 4, 8, 9] and packed.targets["u"].shape == (1, 1, 9)
    assert packed.inputs["u"][0, 0].tolist() == [5, 6, 7, 8, 0, 1, 2, 3, 4]
    assert torch.equal(collated(batch.samples()).targets["u"], batch.targets["u"])


def test_coordinates_of_each_sample_go_with_it() -> None:
    """Grids and times that differ between samples, read together and one by one."""
    x = np.arange(5.0)[:, None] + np.linspace(0, 1, 4)
    t = np.arange(5.0)[:, None] + np.array([0.0, 0.1, 0.3])
    u = np.random.default_rng(0).normal(size=(5, 3, 4))
    places = {"x": Coordinate(Axis("x", 0.0, 5.0), x), "t": Coordinate(Axis("t", 0.0, 5.0), t)}
    windows = Windows(
        Dataset({"u": Variable("u", Memory(u), ("sample", "t", "x"))}, places), Task(("u",), ("u",), Steps()),
        dtype=torch.float64,
    )  # fmt: skip
    numbers = [1, 6, 7]  # two windows a sample: the second of the first, both of the fourth
    for batch in (windows.batch(numbers), collated([windows[number] for number in numbers])):
        assert np.array_equal(batch.coordinates["x"], x[[0, 3, 3]])
        assert np.array_equal(batch.times, t[[0, 3, 3], [1, 0, 1]][:, None])
        assert np.array_equal(batch.target_times, t[[0, 3, 3], [2, 1, 2]][:, None])
    assert collated([windows[6], windows[7]]).coordinates["x"].tolist() == x[3].tolist(), "one grid for both"


def test_samples_are_collated_as_windows_are() -> None:
    windows = Windows(example(), Task(("u", "a"), ("u",), Steps(2, 1)))
    batch, other = windows.batch([7, 1]), collated([windows[7], windows[1]])
    assert torch.equal(batch.inputs["u"], other.inputs["u"]) and torch.equal(batch.times, other.times)
    assert torch.equal(batch.coordinates["x"], other.coordinates["x"]) and other.coordinates["x"].ndim == 1
    smaller = replace(windows[1], inputs={"u": windows[1].inputs["u"][..., 1:], "a": windows[1].inputs["a"]})
    with pytest.raises(InputError, match="u differs in shape between samples of one batch"):
        collated([windows[7], smaller])


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (lambda: Task(("u",), ("v",), Steps()), "unknown variable 'v'"),
        (lambda: Task(("u",), ("u",), Steps(), parameters=("speed",)), "unknown parameter 'speed'"),
        (lambda: Task(("u",), ()), "a task needs targets"),
        (lambda: Task((), ("u",), Steps(past=0), parameters=()), "a task needs something that is given"),
        (lambda: Task(("u",), ("u",)), r"u has 11 frames: say which of them, such as frames=Steps\(past=1, ahead=1\)"),
        (lambda: Task(("a",), ("a",), Steps()), "a have no frames: leave frames out"),
        (lambda: Task(("u",), ("a",), Steps()), "the targets a have no frames"),
        (lambda: Task(("u",), ("u",), Steps(6, 6)), "6 \\+ 6 frames, 1 apart, spans 12 frames and a trajectory has 11"),
        (lambda: Task(("u",), ("u",), Steps(2, 2, stride=4)), "spans 13 frames and a trajectory has 11"),
        (lambda: Task(("u",), ("u",), Steps(past=0)), "past=0 gives no frames of u"),
        (lambda: Task(("u",), ("u",), Steps(ahead=0)), "ahead, stride, every >= 1"),
        (lambda: Task(("u",), ("u",), Steps(), points=17), "17 points .* has \\(1, 8\\), which is 8"),
        (lambda: Task(("u",), ("u",), Steps(), points=0), "at least one point"),
        (lambda: Task(("u",), ("u",), Steps(), thinned={"x": 0}), "every 0-th point of x"),
        (lambda: Task(("u",), ("u",), Steps(), thinned={"y": 2}), "unknown dimension 'y'"),
        (lambda: Task(("u", "u"), ("u",), Steps()), "named once"),
    ],
)
def test_tasks_that_do_not_fit_are_refused_in_a_line(task: Callable[[], Task], message: str) -> None:
    with pytest.raises(InputError, match=message) as found:
        Windows(example(), task())
    assert "\n" not in str(found.value)


def test_splits_are_drawn_or_those_of_the_file() -> None:
    data = Dataset({"a": Variable("a", Memory(np.arange(20.0)), ("sample",))})
    made = divided(data, seed=1)
    assert {name: len(numbers) for name, numbers in made.splits.items()} == {"train": 16, "valid": 2, "test": 2}
    assert sorted(np.concatenate(list(made.splits.values())).tolist()) == list(range(20))
    assert np.array_equal(divided(data, seed=1).splits["test"], made.splits["test"])
    assert not np.array_equal(divided(data, seed=2).splits["train"], made.splits["train"])
    assert set(divided(data, valid=0.0).splits) == {"train", "test"}
    for samples in (3, 4, 5, 7):
        few = divided(data.isel({"sample": slice(samples)})).splits
        assert {len(few["valid"]), len(few["test"])} == {1} and len(few["train"]) == samples - 2
        assert sorted(np.concatenate(list(few.values())).tolist()) == list(range(samples))
    few = divided(data.isel({"sample": slice(3)}), train=0.3, valid=0.05, test=0.05).splits
    assert [len(numbers) for numbers in few.values()] == [1, 1, 1]
    own = replace(data, splits={"train": np.array([3])})
    assert np.array_equal(divided(own).splits["train"], [3])


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda d: divided(d, train=0.9), "together at most 1: got train=0.9, valid=0.1, test=0.1"),
        (lambda d: divided(d.isel({"sample": slice(2)})), "3 splits .* need a sample each, and the data have 2"),
        (lambda d: with_splits(d, {"train": np.array([1, 2]), "test": np.array([2])}), "train and test overlap: .* 2"),
        (lambda d: with_splits(d, {"train": np.array([], int)}), "the split train is empty"),
        (lambda d: with_splits(d, {"train": np.array([20])}), "there are 20 samples"),
        (lambda d: with_splits(d, {"train": np.array([1, 1])}), "has samples twice"),
        (lambda d: divided(replace(d, splits={"a": np.array([0]), "b": np.array([0])})), "a and b overlap"),
    ],
)
def test_splits_that_are_empty_or_overlap_are_refused(act: Callable[[Dataset], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        act(Dataset({"a": Variable("a", Memory(np.arange(20.0)), ("sample",))}))


@pytest.mark.parametrize("block", [200, 2**20])  # many blocks, and one
def test_moments_are_of_the_training_split_alone(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdesolve.data.moments.BLOCK_BYTES", block)
    far = U + 1e6 * np.arange(1, 3)[:, None]
    data = replace(
        example(), variables={"u": Variable("u", Memory(far), ("sample", "t", "component", "x"), None, ("x", "y"))}
    )
    data = with_splits(data, {"train": np.array([1, 4]), "test": np.array([0, 2, 3])})
    found = moments(data)
    assert np.allclose(found.mean["u"], far[[1, 4]].mean((0, 1, 3)), rtol=1e-14)
    assert np.allclose(found.std["u"], U[[1, 4]].std((0, 1, 3)), rtol=1e-9)
    assert found.mean["viscosity"] == (2.5,) and found.count["u"] == 2 * FRAMES * POINTS
    assert (found.split, found.samples) == ("train", 2)
    with pytest.raises(InputError, match="unknown split 'train'"):
        moments(example())
    assert moments(example(), split="").samples == SAMPLES
    broken = U.copy()
    broken[2, 3] = np.nan
    data = replace(example(), variables={"u": Variable("u", Memory(broken[..., 0, :]), ("sample", "t", "x"))})
    with pytest.raises(InputError, match="u is nan at "):
        moments(data, split="")
