"""How fine the initial state is: waves along each axis and modes, from which a network and its points follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from pdesolve.equation import flatten
from pdesolve.fields import Coordinates
from pdesolve.geometry import Axis, PointCloud
from pdesolve.problem import Problem, Value

_POINTS = {1: 1024, 2: 128, 3: 40}  # along each axis; fewer where there are more
_PART = 1e-3  # relative L2 that modes left out may have
_NARROWEST, _WIDEST, _WIDTH = 12, 32, 4.6
_SLOWEST, _FASTEST, _TURNS = 4.0, 30.0, 0.25
_WAVE, _MOST = 3.0, 20_000  # points for each wave and axis, and the most that this asks for


@dataclass(frozen=True)
class Resolution:
    """Of a state to a thousandth: waves on the axis that has most, modes of a scalar (Fourier, Legendre on each axis).

    turns: waves on an axis times inputs of the network, by which weights of a first layer are divided; the most.
    """

    waves: float
    turns: float
    modes: float
    axes: int

    @property
    def width(self) -> int:
        """4.6 modes^(1/5), from 12 to 32: fewer than the tightest fits want (5.4), so that a march ends in time."""
        return int(min(_WIDEST, max(_NARROWEST, np.ceil(_WIDTH * self.modes**0.2))))

    @property
    def frequency(self) -> float:
        """At which the first layer turns a twelfth as fast as the shortest wave, 4 to 30: those after it multiply."""
        return float(min(_FASTEST, max(_SLOWEST, _TURNS * self.turns)))

    @property
    def points(self) -> int:
        """Three for each wave along every axis."""
        return int(min(_MOST, np.ceil(_WAVE * self.waves) ** self.axes))


def resolution(problem: Problem, values: Mapping[str, Value]) -> Resolution:
    """The resolution that the initial state of all that evolves asks for, rates included."""
    axes = problem.domain.axes
    n = _POINTS.get(len(axes), 12)
    bases = [_basis(axis, n) for axis in axes]
    x = torch.from_numpy(np.stack([part.reshape(-1) for part in np.meshgrid(*[b[0] for b in bases], indexing="ij")], 1))
    here = Coordinates(PointCloud(axes, x), gradients=False)
    state = flatten(problem.initial_state(here, values))
    squares = []
    for field in state.values():
        part = here.expand(field).values.detach().cpu().double().numpy().reshape([n] * len(axes))
        for i, (_, transform, _) in enumerate(bases):
            part = np.moveaxis(np.tensordot(transform, part, axes=(1, i)), 0, i)
        squares.append(np.abs(part) ** 2)
    squares = [s for s in squares if np.isfinite(s).all() and s.sum() > 0]
    if not squares:
        return Resolution(1.0, 0.0, 1.0, len(axes))
    modes = np.mean([_count(np.sort(s.reshape(-1))[::-1]) for s in squares])
    waves, inputs = [], sum(2 if axis.periodic else 1 for axis in axes)
    for i, (_, _, wave) in enumerate(bases):
        others = tuple(j for j in range(len(axes)) if j != i)
        along = np.sum([s.sum(axis=others) / s.sum() for s in squares], axis=0)
        order = np.argsort(wave, kind="stable")
        waves.append(float(wave[order][_count(along[order]) - 1]))
    # a periodic axis enters as a cosine and a sine of pi times it, and weights are a part of their number
    turns = max(w * inputs / (np.pi if axis.periodic else 1.0) for w, axis in zip(waves, axes, strict=True))
    return Resolution(max(waves), float(turns), float(modes), len(axes))


def _basis(axis: Axis, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of an axis, the transform of values there to amplitudes, and how many waves on the axis each one is."""
    if axis.periodic:
        x = axis.lower + axis.length * np.arange(n) / n
        return x, np.fft.fft(np.eye(n), norm="ortho"), np.abs(np.fft.fftfreq(n, 1 / n))
    s, weights = np.polynomial.legendre.leggauss(n)
    order = np.arange(n)
    basis = np.polynomial.legendre.legvander(s, n - 1) * np.sqrt(order + 0.5)
    return axis.lower + axis.length * (s + 1) / 2, (basis * weights[:, None]).T, order / 2


def _count(squares: np.ndarray) -> int:
    """How many of the first hold all but a part of the sum."""
    rest = squares[::-1].cumsum()[::-1]
    return max(1, int((rest > _PART**2 * rest[0]).sum()))
