"""Sums of a few sines on a ring with random signs, folds and windows: the initial states of PDEBench."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdesolve.equation import Values
from pdesolve.family import Draws
from pdesolve.fields import Coordinates, Field, Quantity
from pdesolve.geometry import Axis

_EDGE = 0.01  # width of a window's edges over the length of the ring
_PROBES = 1024  # places where the extremes of a sum are looked for


@dataclass(frozen=True, eq=False)
class SineSum:
    """A batch of functions of (p, x) on a periodic axis,

        u = s w(x) f(sum_i a_i sin(2 pi n_i x / L + b_i)),   w = (tanh((x - l) / d) - tanh((x - r) / d)) / 2 or 1,

    f the absolute value of some samples. waves n, amplitudes a, phases b: (sample, term). signs s, folded (whether f is
    the absolute value), windowed (whether there is a w), edges (l, r) / L: (sample,) and (sample, 2).
    unit_range: whether each function is then moved and scaled to least and largest values of 0 and 1.
    """

    axis: Axis
    waves: np.ndarray
    amplitudes: np.ndarray
    phases: np.ndarray
    signs: np.ndarray
    folded: np.ndarray
    windowed: np.ndarray
    edges: np.ndarray
    unit_range: bool = False

    def __call__(self, p: Values, x: Coordinates) -> Field:
        return self.at(x[self.axis.name])

    def at(self, place: Field) -> Field:
        """The functions at coordinates of any kind, of every sample or of all."""
        samples = place.values if place.sample_shape else place.values.unsqueeze(0)
        values = self._values(samples)
        if self.unit_range:
            unit = torch.arange(_PROBES, dtype=samples.dtype, device=samples.device) / _PROBES
            probes = self._values((self.axis.lower + self.axis.length * unit).unsqueeze(0))
            shape = (-1, *[1] * (values.ndim - 1))
            least, most = probes.amin(1).reshape(shape), probes.amax(1).reshape(shape)
            values = (values - least) / (most - least)
        return place.like(values, Quantity("sines"))

    def _values(self, place: Tensor) -> Tensor:
        def each(numbers: np.ndarray) -> Tensor:
            made = torch.as_tensor(numbers, device=place.device)
            return (made if made.dtype == torch.bool else made.to(place.dtype)).reshape(-1, *[1] * (place.ndim - 1))

        s = ((place - self.axis.lower) / self.axis.length) % 1.0
        total = sum(
            each(a) * torch.sin(2 * math.pi * each(n) * s + each(b))
            for n, a, b in zip(self.waves.T, self.amplitudes.T, self.phases.T, strict=True)
        )
        assert isinstance(total, Tensor)
        total = each(self.signs) * torch.where(each(self.folded), total.abs(), total)
        left, right = (each(edge) for edge in self.edges.T)
        window = 0.5 * (torch.tanh((s - left) / _EDGE) - torch.tanh((s - right) / _EDGE))
        return torch.where(each(self.windowed), window * total, total)


def pdebench_sines(axis: Axis, draws: Draws, *, unit_range: bool = False) -> SineSum:
    """Two sines each, n_i uniform in 1..4, a_i in [0, 1], b_i in [0, 2 pi].

    One sample in ten is folded; a folded one has a random sign. One in ten has a window from [0.1, 0.45] L to
    [0.55, 0.9] L. M. Takamoto et al., NeurIPS 2022, arXiv 2210.07182, with 4 waves and 2 terms. Departure: waves that
    a sample has twice stay two terms of the same wave number.
    """
    waves, amplitudes = draws.integers(1, 5, 2), draws.unit(2)
    phases = draws.uniform(0.0, 2 * math.pi, 2)
    folded = draws.unit() < 0.1
    signs = np.where(folded & (draws.unit() < 0.5), -1.0, 1.0)
    windowed = draws.unit() < 0.1
    edges = np.stack([draws.uniform(0.1, 0.45), draws.uniform(0.55, 0.9)], 1)
    return SineSum(axis, waves, amplitudes, phases, signs, folded, windowed, edges, unit_range)
