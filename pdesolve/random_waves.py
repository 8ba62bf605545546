"""Sums of a few sine waves with random wave numbers, amplitudes and phases, for batches of samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from pdesolve.equation import Values
from pdesolve.family import Draws
from pdesolve.fields import Coordinates, Field
from pdesolve.geometry import Axes


@dataclass(frozen=True, eq=False)
class SineWaves:
    """u(x) = mean + sum_j A_j sin(2 pi k_j . s + phi_j), s_i = (x_i - lower_i) / L_i: a function of (p, x).

    The same function on every grid. numbers: k (sample, wave, axis), whole. amplitudes and phases: (sample, wave).
    mean: (sample,).
    """

    axes: Axes
    numbers: np.ndarray
    amplitudes: np.ndarray
    phases: np.ndarray
    mean: np.ndarray

    @staticmethod
    def draw(axes: Axes, draws: Draws, *, waves: int, highest: int, mean: np.ndarray | float = 0.0) -> SineWaves:
        """Wave numbers from 1 to `highest` along one axis, amplitudes from 0 to 1, phases from 0 to 2 pi, all uniform.

        In more dimensions those along the first axis are 0 to `highest`, along the others -`highest` to `highest`, and
        a wave of none becomes the longest along the first axis.
        """
        if len(axes) == 1:
            numbers = draws.integers(1, highest + 1, waves, 1)
        else:
            first = draws.integers(0, highest + 1, waves, 1)
            rest = draws.integers(-highest, highest + 1, waves, len(axes) - 1)
            numbers = np.concatenate([first, rest], -1)
            numbers[..., 0] += ~numbers.any(-1)
        amplitudes, phases = draws.unit(waves), draws.uniform(0.0, 2 * math.pi, waves)
        return SineWaves(axes, numbers, amplitudes, phases, mean + np.zeros(len(draws)))

    @property
    def bound(self) -> np.ndarray:
        """(sample,): what no value departs from the mean by more than."""
        return np.abs(self.amplitudes).sum(-1)

    @property
    def deviation(self) -> np.ndarray:
        """(sample,): the root of the mean square of the departures from the mean, were all waves different ones."""
        return np.sqrt(0.5 * (self.amplitudes**2).sum(-1))

    def scaled(self, factor: np.ndarray, mean: np.ndarray | float = 0.0) -> SineWaves:
        """The same waves with amplitudes times a factor (sample,) about another mean."""
        mean = mean + np.zeros_like(factor)
        return SineWaves(self.axes, self.numbers, self.amplitudes * factor[:, None], self.phases, mean)

    def __call__(self, p: Values, x: Coordinates) -> Field:
        places = len(x.discretisation.shape)

        def wide(numbers: np.ndarray) -> torch.Tensor:
            values = torch.as_tensor(numbers, dtype=x.dtype, device=x.device)
            return values.reshape(*values.shape, *[1] * places)

        angle: torch.Tensor | None = None
        for i, axis in enumerate(self.axes):
            part = wide(self.numbers[..., i]) * ((x[axis.name].values - axis.lower) * (2 * math.pi / axis.length))
            angle = part if angle is None else angle + part
        assert angle is not None
        waves = wide(self.amplitudes) * torch.sin(angle + wide(self.phases))
        return x.field(wide(self.mean) + waves.sum(1), "waves")
