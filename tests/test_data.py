"""Data sets as one labelled thing: arrays read in parts, slices with the right coordinates, samples, splits."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from pdesolve.data.arrays import (
    Array,
    Flattened,
    Joined,
    Memory,
    Part,
    Picked,
    Repeated,
    Slices,
    Squared,
    Stacked,
    Transposed,
)
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.errors import InputError
from pdesolve.geometry import Axis

NUMBERS = np.arange(4 * 6 * 8, dtype=np.float32).reshape(4, 6, 8)


@dataclass(frozen=True, eq=False)
class Watched(Array):
    """An array that says how many of its numbers were read."""

    values: np.ndarray
    read_so_far: list[int] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    @property
    def chunks(self) -> None:
        return None

    def read(self, index: Slices) -> np.ndarray:
        assert all(0 <= part.start <= part.stop <= n for part, n in zip(index, self.shape, strict=True))
        found = self.values[index]
        self.read_so_far.append(found.size)
        return found


MAKE: dict[str, tuple[Callable[[Array], Array], np.ndarray]] = {
    "whole": (lambda a: a, NUMBERS),
    "transposed": (lambda a: Transposed(a, (2, 0, 1)), NUMBERS.transpose(2, 0, 1)),
    "part": (lambda a: Part(a, (slice(1, 4, 2), slice(2, 3), slice(None)), frozenset({1})), NUMBERS[1:4:2, 2]),
    "picked": (lambda a: Picked(a, np.array([3, 0, 1])), NUMBERS[[3, 0, 1]]),
    "picked later": (lambda a: Picked(a, np.array([5, 4, 1, 2]), 1), NUMBERS[:, [5, 4, 1, 2]]),
    "joined": (lambda a: Joined((a, a, a)), np.concatenate([NUMBERS] * 3)),
    "joined later": (lambda a: Joined((a, a), 2), np.concatenate([NUMBERS] * 2, 2)),
    "stacked": (lambda a: Stacked((a, a), 1), np.stack([NUMBERS] * 2, 1)),
    "repeated": (lambda a: Repeated(a, 3, 1), np.stack([NUMBERS] * 3, 1)),
    "flattened": (Flattened, NUMBERS.reshape(4, 48)),
    "squared": (lambda a: Squared(Part(a, (slice(None), slice(None), slice(1, 5)))),
                NUMBERS[..., 1:5].reshape(4, 6, 2, 2)),
    "nested": (lambda a: Picked(Transposed(Joined((a, a), 1), (1, 0, 2)), np.array([11, 2])),
               np.concatenate([NUMBERS] * 2, 1).transpose(1, 0, 2)[[11, 2]]),
}  # fmt: skip


@pytest.mark.parametrize("name", MAKE)
def test_views_read_what_numpy_would(name: str) -> None:
    make, expected = MAKE[name]
    array = pickle.loads(pickle.dumps(make(Watched(NUMBERS))))
    assert array.shape == expected.shape and array.dtype == expected.dtype and array.nbytes == expected.nbytes
    assert np.array_equal(array.all(), expected)
    generator = np.random.default_rng(0)
    for _ in range(20):
        index = []
        for n in expected.shape:
            start, stop = sorted(generator.integers(0, n + 1, 2).tolist())
            index.append(slice(start, stop, int(generator.integers(1, 4))))
        assert np.array_equal(array.read(tuple(index)), expected[tuple(index)])
        out = np.full_like(expected[tuple(index)], -1)
        array.read_into(tuple(index), out)
        assert np.array_equal(out, expected[tuple(index)])


def example() -> tuple[Dataset, Watched]:
    numbers = Watched(np.random.default_rng(0).standard_normal((5, 11, 2, 8)))
    u = Variable("velocity", numbers, ("sample", "t", "component", "x"), "m s-1", ("x", "y"))
    nu = Variable("viscosity", Memory(np.arange(5.0)), ("sample",), "m2 s-1")
    t = Coordinate(Axis("t", 0.0, 1.0), np.linspace(0, 1, 11))
    x = Coordinate(Axis("x", 0.0, 2.0, periodic=True), 2 * np.arange(8) / 8)
    splits = {"train": np.array([0, 1, 2]), "test": np.array([4, 3])}
    return Dataset({"velocity": u}, {"t": t, "x": x}, {"viscosity": nu}, splits=splits), numbers


def test_a_slice_reads_its_own_numbers_only() -> None:
    data, numbers = example()
    whole = numbers.values
    assert np.array_equal(data.read("velocity", {"sample": -1, "t": slice(2, 4)}), whole[4, 2:4])
    part = data.isel({"sample": [3, 1], "t": slice(0, 11, 5), "x": slice(0, 8, 2)})
    lazily = part.to_xarray()["velocity"].isel(sample=1, velocity_component=0, x=slice(None, None, -1))
    assert numbers.read_so_far == [2 * 2 * 8]
    assert np.array_equal(lazily.values, whole[1, ::5, 0, ::2][:, ::-1])
    assert numbers.read_so_far[1:] == [3 * 4]
    assert list(part.to_xarray()["t"].values) == [0.0, 0.5, 1.0] and part.samples == 2
    assert list(part.read("viscosity")) == [3.0, 1.0]


def test_parts_keep_the_axes_that_they_have() -> None:
    data, _ = example()
    assert [(m.axis.periodic, m.placement, m.size) for m in data.grid().members] == [(True, "periodic", 8)]
    (coarse,) = data.isel({"x": slice(0, 8, 2)}).grid().members
    assert coarse.placement == "periodic" and coarse.axis.length == 2.0
    (half,) = data.isel({"x": slice(0, 4)}).grid().members
    assert half.placement == "nodes" and (half.axis.lower, half.axis.upper) == (0.0, 0.75)


def test_splits_are_samples() -> None:
    data, numbers = example()
    assert np.array_equal(data.split("test").read("velocity"), numbers.values[[4, 3]])
    with pytest.raises(InputError, match=r"unknown split 'valid': .*known: test, train"):
        data.split("valid")


def test_ragged_samples_are_packed() -> None:
    numbers = np.arange(2 * 9.0).reshape(2, 9)
    u = Variable("u", Memory(numbers), ("t", "node"))
    data = Dataset({"u": u}, offsets={"node": np.array([0, 4, 4, 9])})
    assert data.samples == 3 and data.read("u", {"sample": 2}).shape == (2, 5)
    assert np.array_equal(data.read("u", {"sample": 0, "t": 1}), numbers[1, :4])
    back = data.isel({"sample": [2, 0]})
    assert np.array_equal(back.read("u", {"sample": 1}), numbers[:, :4])
    assert np.array_equal(back.read("u", {"sample": 0}), numbers[:, 4:])


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda d: d.read("velocity", {"sample": 5}), "sample has 5 entries, from 0 on: 5 is out of range"),
        (lambda d: d.read("u"), "unknown variable 'u'"),
        (lambda d: d.read("velocity", {"y": 0}), "unknown dimension 'y'"),
        (lambda d: d.isel({"sample": [7]}), "there are 5 samples"),
        (lambda d: d.isel({"t": slice(None, None, -1)}), "a slice of t with a positive step"),
        (lambda d: replace(d, coordinates={"x": Coordinate(Axis("x", 0, 1), np.arange(9))}), "8 entries .* 9 coord"),
        (lambda d: Joined((Memory(NUMBERS), Memory(NUMBERS[:, 1:]))), "different shapes"),
    ],
)
def test_what_cannot_be_is_refused(act: Callable[[Dataset], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        act(example()[0])
