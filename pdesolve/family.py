"""Families: distributions of problems, from which simulation data are drawn and methods without a file are trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from pdesolve.data.dataset import Dataset
from pdesolve.errors import InputError
from pdesolve.problem import Problem


class Draws:
    """Random numbers for some samples, each with a stream of its own: the same whatever is drawn beside it.

    The bits are those of PCG64 seeded by (seed, number of the sample), which numpy promises for good; uniform and
    normal numbers are made from them here, since numpy does not promise its own. Calls must come in one fixed order.
    """

    def __init__(self, seed: int, numbers: Sequence[int]) -> None:
        if seed < 0 or any(n < 0 for n in numbers):
            raise InputError(f"seeds and numbers of samples are not negative, got the seed {seed}")
        self.seed, self.numbers = seed, tuple(numbers)
        self._bits = [np.random.PCG64([seed, n]) for n in self.numbers]

    def __len__(self) -> int:
        return len(self.numbers)

    def unit(self, *shape: int) -> np.ndarray:
        """Uniform numbers (sample, *shape) inside of (0, 1)."""
        count = int(np.prod(shape, dtype=int))
        raw = (
            np.stack([bits.random_raw(count) for bits in self._bits]) if self._bits else np.zeros((0, count), np.uint64)
        )
        return (((raw >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53).reshape(len(self), *shape)

    def uniform(self, lower: float, upper: float, *shape: int) -> np.ndarray:
        """Uniform numbers (sample, *shape) between two bounds."""
        return lower + (upper - lower) * self.unit(*shape)

    def normal(self, *shape: int) -> np.ndarray:
        """Standard normal numbers (sample, *shape), by Box and Muller's formula."""
        count = int(np.prod(shape, dtype=int))
        uniform = self.unit((count + 1) // 2, 2)
        radius, angle = np.sqrt(-2 * np.log(uniform[..., 0])), 2 * np.pi * uniform[..., 1]
        pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
        return pairs.reshape(len(self), -1)[:, :count].reshape(len(self), *shape)

    def integers(self, lower: int, upper: int, *shape: int) -> np.ndarray:
        """Whole numbers (sample, *shape) with lower <= number < upper."""
        return np.floor(self.uniform(lower, upper, *shape)).astype(int)


class Simulator(ABC):
    """A classical solver at a resolution that was chosen before, for batches of problems."""

    @abstractmethod
    def simulate(self, problem: Problem, *, device: str = "cpu") -> Dataset:
        """The solutions of a batched problem on its evaluation set (`pdesolve.simulation.simulated` labels them)."""

    @abstractmethod
    def defect(self, problem: Problem, data: Dataset, *, device: str = "cpu") -> np.ndarray:
        """(sample,): how far each solution is from what it should be, relative to its size.

        Stationary problems: the residual of the discrete equation. Evolutions: the change of the last frame where the
        steps since the frame before are half as long.
        """


class Family(ABC):
    """A distribution of problems: one equation, random parameters, fields, initial states or domains.

    Families are frozen dataclasses, whose fields are the settings. Their problems own the evaluation set: the grid and
    the frames that are stored. `tolerance` is the largest defect that a sample of the family may have, `drift` the
    largest relative departure of a conserved integral on the stored grid, whose quadrature errs where there are jumps.
    """

    tolerance: float = 1e-3
    drift: float = 1e-3

    @abstractmethod
    def problems(self, draws: Draws) -> Sequence[Problem]:
        """The problems of the samples: a single one, batched by values of shape (sample, ...), or one for each sample
        where they have domains of their own."""

    @property
    @abstractmethod
    def simulator(self) -> Simulator:
        """How its problems are solved."""

    def sample(self, n: int, *, seed: int = 0, first: int = 0) -> Sequence[Problem]:
        """The problems of n samples, numbers `first` to `first` + n - 1 of a seed."""
        return self.problems(Draws(seed, range(first, first + n)))
