"""Random fields on periodic boxes, the same function on every grid and at every point."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import torch

from pdesolve.equation import Values
from pdesolve.fields import Coordinates, Field
from pdesolve.geometry import Axes


class FourierSeries:
    """u(x) = sum_k c_k exp(2 pi i k . s), s_i = (x_i - lower_i) / L_i: a function of (p, x) on periodic axes.

    coefficients: complex (2 K + 1, ...), one axis for each of `axes`, wave numbers from -K to K, c_-k = conj(c_k).
    """

    def __init__(self, axes: Axes, coefficients: np.ndarray) -> None:
        self.axes, self.coefficients = axes, coefficients

    def __call__(self, p: Values, x: Coordinates) -> Field:
        kind = x.dtype.to_complex()
        total = torch.as_tensor(self.coefficients, dtype=kind, device=x.device)
        on_grid = x.places is None
        for axis, size in zip(self.axes, self.coefficients.shape, strict=True):
            k = torch.arange(size, dtype=x.dtype, device=x.device) - size // 2
            angles = (x[axis.name].values.reshape(-1, 1) - axis.lower) * (2 * math.pi / axis.length * k)
            waves = torch.complex(torch.cos(angles), torch.sin(angles))
            if on_grid:  # (k, ..., done) -> (..., done, place)
                total = torch.movedim(total, 0, -1) @ waves.T
            elif total.ndim == len(self.axes) and total.shape[0] == size and axis is self.axes.members[0]:
                total = (waves @ total.flatten(1)).unflatten(1, total.shape[1:]) if total.ndim > 1 else waves @ total
            else:
                total = (total * waves.reshape(*waves.shape, *[1] * (total.ndim - 2))).sum(1)
        values = total.real
        if on_grid:  # axes that the series does not depend on stay thin
            sizes = {axis.name: len(x[axis.name].values.reshape(-1)) for axis in self.axes}
            values = values.reshape([sizes.get(name, 1) for name in x.axes.names])
        return x.field(values, "series")


def gaussian_series(
    axes: Axes, variance: Callable[[np.ndarray], np.ndarray], *, modes: int, seed: int
) -> FourierSeries:
    """One draw of a Gaussian random field of mean zero with as many waves as `modes` along each axis,

        u = sum over half of the k, 0 < max |k_i| <= K, of  (2 v(|q|^2))^(1/2) (a_k cos q . x + b_k sin q . x),

    q_i = 2 pi k_i / L_i, v the variance of a wave of |q|^2, a_k and b_k the numbers of `normal_numbers(seed)` in turn,
    k in the order of max |k_i|, then of k, the first component that is not zero positive. So more modes leave those
    that were there as they are, and no version of any library draws another field.
    """
    indices = [k for k in product(range(-modes, modes + 1), repeat=len(axes)) if k > (0,) * len(axes)]
    indices.sort(key=lambda k: (max(map(abs, k)), k))
    q = 2 * math.pi * np.array(indices) / np.array([axis.length for axis in axes])
    amplitudes = np.sqrt(2 * variance((q**2).sum(1)))
    normal = normal_numbers(seed, 2 * len(indices)).reshape(-1, 2)
    coefficients = np.zeros((2 * modes + 1,) * len(axes), dtype=complex)
    for k, amplitude, (a, b) in zip(indices, amplitudes, normal, strict=True):
        c = 0.5 * amplitude * complex(a, -b)
        coefficients[tuple(modes + n for n in k)] = c
        coefficients[tuple(modes - n for n in k)] = c.conjugate()
    return FourierSeries(axes, coefficients)


def normal_numbers(seed: int, count: int) -> np.ndarray:
    """Standard normal numbers (count,) from the bits of PCG64 by Box and Muller's formula.

    numpy promises the bits of a seed for good, but not what its own normal numbers make of them.
    """
    bits = np.random.PCG64(seed).random_raw(2 * math.ceil(count / 2))
    uniform = ((bits >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53
    radius, angle = np.sqrt(-2 * np.log(uniform[::2])), 2 * math.pi * uniform[1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:count]
