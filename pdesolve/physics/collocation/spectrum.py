"""How fast, and at which frequencies, a problem's data vary along each axis: the scales of random features.

What is looked at is the residual without a network: the source, and the equation applied to what the conditions say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pdesolve.geometry import Axes, PointCloud
from pdesolve.physics.collocation.model import Residuals

_DIFFERENCE = 1e-3  # of half an axis
_SLOWEST = 0.5  # a scale of features that hardly turn
_SAMPLES = 1024  # along a line
_LINES = 160  # along all axes together
_FAST = 4  # waves on an axis from which on a network needs to be given them
_STRONG = 0.1  # of the largest amplitude: a peak
_LEAST = 1e-3  # of the largest amplitude: below it lies what the window lets through


def starting_scales(objective: Residuals, cloud: PointCloud, *, nothing: float) -> tuple[float, ...]:
    """Along each axis, in [-1, 1], |dr/ds| / |r|, by differences; 1 where the residual is below `nothing`."""
    there = objective.signed_residual(cloud)
    size = _root_mean_square(there)
    found = []
    for i, axis in enumerate(cloud.axes):
        x = cloud.x.clone()
        x[:, i] += torch.where(x[:, i] < (axis.lower + axis.upper) / 2, 1.0, -1.0) * _DIFFERENCE * axis.length / 2
        slope = _root_mean_square(objective.signed_residual(PointCloud(cloud.axes, x)) - there) / _DIFFERENCE
        found.append(max(_SLOWEST, slope / size) if size > nothing else 1.0)
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Spectra:
    """The amplitude (axis, m) of waves of pi m along each axis, which is [-1, 1], on the average of some lines."""

    axes: Axes
    amplitude: Tensor

    @staticmethod
    def of(objective: Residuals, cloud: PointCloud) -> Spectra:
        """The spectra along lines through the points of a cloud, under a Hann window."""
        found = []
        cloud = cloud.some(slice(0, max(1, _LINES // len(cloud.axes))))
        for i, axis in enumerate(cloud.axes):
            along = axis.lower + axis.length * torch.arange(_SAMPLES, dtype=torch.float64) / _SAMPLES
            x = cloud.x.repeat_interleave(_SAMPLES, 0)
            x[:, i] = along.repeat(len(cloud.x))
            lines = objective.signed_residual(PointCloud(cloud.axes, x)).sum(0).reshape(-1, _SAMPLES)
            window = torch.hann_window(_SAMPLES, dtype=torch.float64)
            amplitude = torch.fft.rfft(lines * window).abs().square().mean(0).sqrt()
            found.append(torch.where(amplitude > _LEAST * amplitude.max(), amplitude, 0.0))
        return Spectra(cloud.axes, torch.stack(found))

    @property
    def any(self) -> bool:
        """Whether there is anything to draw from; periodic axes have features of their own."""
        finite = bool(torch.isfinite(self.amplitude).all()) and bool((self.amplitude.sum(1) > 0).all())
        return finite and not any(axis.periodic for axis in self.axes)

    @property
    def peaks(self) -> tuple[tuple[int, ...], ...]:
        """Along each axis the strongest fast waves m, one or two of them; none along axes without."""
        found = []
        for row in self.amplitude.tolist():
            tops = [m for m in range(_FAST, len(row) - 1) if row[m] > max(row[m - 1], row[m + 1], _STRONG * max(row))]
            found.append(tuple(sorted(sorted(tops, key=lambda m: -row[m])[:2])))
        return tuple(found)

    @torch.no_grad()
    def move(self, objective: Residuals) -> None:
        """Add frequencies drawn from the spectra to the weights of the hidden layer, always the same draws."""
        hidden = next(m for m in objective.module.modules() if isinstance(m, nn.Linear))
        generator = torch.Generator().manual_seed(0)
        for i, amplitude in enumerate(self.amplitude):
            m = torch.multinomial(amplitude, hidden.out_features, replacement=True, generator=generator)
            sign = 2.0 * torch.randint(2, m.shape, generator=generator) - 1.0
            hidden.weight[:, i] += (math.pi * m * sign).to(hidden.weight)


def _root_mean_square(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
