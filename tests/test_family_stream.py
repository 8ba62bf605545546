"""Batches simulated while a method trains: those of a file, in any order, by ranks, from any batch on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from pdesolve.catalogue import make_family
from pdesolve.data.arrays import Memory
from pdesolve.data.batch import Batch
from pdesolve.data.dataset import Dataset
from pdesolve.data.task import Steps, Task
from pdesolve.datasets.family_stream import FamilyStream
from pdesolve.errors import Diverged, InputError
from pdesolve.family import Draws, Family, Simulator
from pdesolve.problem import Problem

DARCY = make_family("darcy", {"points": 9, "modes": 4})
TASK = Task(("permeability",), ("u",))


def stream(**settings: Any) -> FamilyStream:
    return FamilyStream(DARCY, TASK, **{"batch": 4, "block": 6, "seed": 3, "dtype": torch.float64, **settings})


def rows(batches: list[Batch]) -> np.ndarray:
    return np.concatenate([batch.targets["u"].reshape(len(batch), -1).numpy() for batch in batches])


def test_a_stream_holds_the_samples_of_the_family_each_once() -> None:
    found = list(islice(stream(), 4))
    assert [len(batch) for batch in found] == [4, 2, 4, 2]
    assert found[0].inputs["permeability"].shape == (4, 1, 1, 9, 9) and found[0].targets["u"].dtype == torch.float64
    numbers = np.concatenate([batch.numbers.numpy() for batch in found])
    assert list(numbers) != list(range(12))
    assert sorted(numbers[:6]) == list(range(6)) and sorted(numbers) == list(range(12))
    data = DARCY.simulator.simulate(DARCY.sample(12, seed=3)[0])
    assert np.allclose(rows(found), data.read("u")[numbers].reshape(12, -1), rtol=1e-12, atol=1e-15)


def test_ranks_have_samples_of_their_own() -> None:
    one, two = (list(islice(stream(rank=rank, ranks=2), 4)) for rank in (0, 1))
    numbers = [sorted(np.concatenate([batch.numbers.numpy() for batch in part])) for part in (one, two)]
    assert numbers == [[*range(6), *range(12, 18)], [*range(6, 12), *range(18, 24)]]
    assert not set(map(bytes, rows(one))) & set(map(bytes, rows(two)))


def test_a_stream_goes_on_where_another_was() -> None:
    first = stream()
    list(islice(first, 3))
    expected = rows(list(islice(first, 3)))
    again = stream()
    list(islice(again, 3))
    position = again.position()
    assert (position.epoch, position.batch) == (1, 1)
    fresh = stream()
    fresh.resume(position)
    assert np.array_equal(rows(list(islice(fresh, 3))), expected)
    with pytest.raises(InputError, match="the order of batches was that of"):
        stream(seed=4).resume(position)


def test_windows_of_trajectories_and_bodies_with_meshes_stream_too() -> None:
    burgers = make_family("burgers", {"points": 32, "frames": 4, "step": 0.05})
    batch = next(iter(FamilyStream(burgers, Task(("u",), ("u",), Steps(1, 2)), batch=5, block=3)))
    assert batch.inputs["u"].shape[:2] == (5, 1) and batch.targets["u"].shape[:2] == (5, 2)
    bodies = make_family("elasticity", {"spacing": 0.3, "modes": 1})
    batch = next(iter(FamilyStream(bodies, Task((), ("displacement",)), batch=2, block=2)))
    assert len(batch) == 2 and len(batch.discretisations) == 2 and batch.mask


@dataclass(frozen=True)
class Faulty(Simulator):
    """Darcy flow of which odd samples, or all, come out as NaN."""

    every: int

    def simulate(self, problem: Problem, *, device: str = "cpu") -> Dataset:
        data = DARCY.simulator.simulate(problem, device=device)
        u = data.read("u").copy()
        u[self.every - 1 :: self.every] = np.nan
        return replace(data, variables={**data.variables, "u": replace(data.variables["u"], array=Memory(u))})

    def defect(self, problem: Problem, data: Dataset, *, device: str = "cpu") -> np.ndarray:
        return DARCY.simulator.defect(problem, data, device=device)


@dataclass(frozen=True)
class Unsafe(Family):
    every: int = 2

    def problems(self, draws: Draws) -> Any:
        return DARCY.problems(draws)

    @property
    def simulator(self) -> Simulator:
        return Faulty(self.every)


def test_samples_that_fail_are_left_out_and_counted() -> None:
    unsafe = FamilyStream(Unsafe(), TASK, batch=4, block=6)
    found = list(islice(unsafe, 2))
    assert [len(batch) for batch in found] == [3, 3] and unsafe.failed == 6
    assert np.isfinite(rows(found)).all()
    assert sorted(torch.cat([batch.numbers for batch in found]).tolist()) == [0, 2, 4, 6, 8, 10]
    with pytest.raises(Diverged, match="none of the samples 0 to 5 passes its checks"):
        next(iter(FamilyStream(Unsafe(every=1), TASK, batch=4, block=6)))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="batch >= 1"):
        stream(batch=0)
    with pytest.raises(InputError, match="rank 2 of 2"):
        stream(rank=2, ranks=2)
    with pytest.raises(InputError, match="unknown variable 'pressure'"):
        next(iter(FamilyStream(DARCY, Task(("permeability",), ("pressure",)), block=2)))
