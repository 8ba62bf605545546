"""Random fields on periodic boxes, the same function on every grid and at every point."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from torch import Tensor

from pdesolve.equation import Values
from pdesolve.family import Draws
from pdesolve.fields import Coordinates, Field
from pdesolve.geometry import Axes, Grid


class FourierSeries:
    """u(x) = sum_k c_k exp(2 pi i k . s), s_i = (x_i - lower_i) / L_i: a function of (p, x) on periodic axes.

    coefficients: complex (*sample, 2 K + 1, ...), one axis for each of `axes`, wave numbers from -K to K,
    c_-k = conj(c_k). `sample` is empty, or one axis for a batch of functions.
    """

    def __init__(self, axes: Axes, coefficients: np.ndarray) -> None:
        self.axes, self.coefficients = axes, coefficients

    def __call__(self, p: Values, x: Coordinates) -> Field:
        at = {axis.name: x[axis.name].values for axis in self.axes}  # coordinates that are names have none: refused
        whole = self._on_periods(x)
        if whole is not None:
            return x.field(whole, "series")
        kind = x.dtype.to_complex()
        total = torch.as_tensor(self.coefficients, dtype=kind, device=x.device)
        batch = total.ndim - len(self.axes)
        on_grid = x.places is None
        axes = self.axes.members if on_grid else self.axes.members[::-1]
        for i, axis in enumerate(axes):
            size = total.shape[batch if on_grid else -1 if i == 0 else -2]
            k = torch.arange(size, dtype=x.dtype, device=x.device) - size // 2
            angles = (at[axis.name].reshape(-1, 1) - axis.lower) * (2 * math.pi / axis.length * k)
            waves = torch.complex(torch.cos(angles), torch.sin(angles)).T
            if on_grid:  # (*sample, k, ..., done) -> (*sample, ..., done, place)
                total = torch.movedim(total, batch, -1) @ waves
            elif i == 0:
                total = total @ waves
            else:
                total = (total * waves).sum(-2)
        values = total.real
        if on_grid:  # axes that the series does not depend on stay thin
            sizes = {name: len(places.reshape(-1)) for name, places in at.items()}
            values = values.reshape(*values.shape[:batch], *[sizes.get(name, 1) for name in x.axes.names])
        return x.field(values, "series")

    def _on_periods(self, x: Coordinates) -> Tensor | None:
        """Its values by fast transforms, on a periodic grid of the same box; None elsewhere."""
        grid = x.discretisation
        if not isinstance(grid, Grid) or x.axes != self.axes or any(m.placement != "periodic" for m in grid.members):
            return None
        values = self.coefficients
        for i, n in enumerate(grid.shape):
            waves = np.moveaxis(values, values.ndim - len(self.axes) + i, 0)
            modes = len(waves) // 2
            folded = np.zeros((n, *waves.shape[1:]), dtype=complex)
            np.add.at(folded, np.arange(-modes, modes + 1) % n, waves)  # those that the grid cannot tell apart
            values = np.moveaxis(folded, 0, values.ndim - len(self.axes) + i)
        places = tuple(range(values.ndim - len(self.axes), values.ndim))
        return torch.as_tensor(np.fft.ifftn(values, axes=places, norm="forward").real, dtype=x.dtype, device=x.device)


def gaussian_series(
    axes: Axes, variance: Callable[[np.ndarray], np.ndarray], *, modes: int, seed: int
) -> FourierSeries:
    """One draw of a Gaussian random field of mean zero with as many waves as `modes` along each axis,

        u = sum over half of the k, 0 < max |k_i| <= K, of  (2 v(|q|^2))^(1/2) (a_k cos q . x + b_k sin q . x),

    q_i = 2 pi k_i / L_i, v the variance of a wave of |q|^2, a_k and b_k the numbers of `normal_numbers(seed)` in turn,
    k in the order of max |k_i|, then of k, the first component that is not zero positive. So more modes leave those
    that were there as they are, and no version of any library draws another field.
    """
    return _series(axes, variance, modes, normal_numbers(seed, _half(modes, len(axes)).size * 2 // len(axes)))


def gaussian_batch(
    axes: Axes, variance: Callable[[np.ndarray], np.ndarray], draws: Draws, *, modes: int
) -> FourierSeries:
    """The same for every sample of some draws, a_k and b_k the next normal numbers of each."""
    return _series(axes, variance, modes, draws.normal(_half(modes, len(axes)).size * 2 // len(axes)))


def _half(modes: int, dimension: int) -> np.ndarray:
    """The wave numbers (wave, axis) of which a real field needs coefficients, by their largest component."""
    indices = [k for k in product(range(-modes, modes + 1), repeat=dimension) if k > (0,) * dimension]
    return np.array(sorted(indices, key=lambda k: (max(map(abs, k)), k))).reshape(-1, dimension)


def _series(axes: Axes, variance: Callable[[np.ndarray], np.ndarray], modes: int, normal: np.ndarray) -> FourierSeries:
    """The field of the normal numbers (*sample, 2 * wave)."""
    k = _half(modes, len(axes))
    q = 2 * math.pi * k / np.array([axis.length for axis in axes])
    pairs = normal.reshape(*normal.shape[:-1], -1, 2)
    waves = 0.5 * np.sqrt(2 * variance((q**2).sum(1))) * (pairs[..., 0] - 1j * pairs[..., 1])
    coefficients = np.zeros((*normal.shape[:-1], *[2 * modes + 1] * len(axes)), dtype=complex)
    coefficients[(..., *(modes + k).T)] = waves
    coefficients[(..., *(modes - k).T)] = waves.conj()
    return FourierSeries(axes, coefficients)


def normal_numbers(seed: int, count: int) -> np.ndarray:
    """Standard normal numbers (count,) from the bits of PCG64 by Box and Muller's formula.

    numpy promises the bits of a seed for good, but not what its own normal numbers make of them.
    """
    bits = np.random.PCG64(seed).random_raw(2 * math.ceil(count / 2))
    uniform = ((bits >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53
    radius, angle = np.sqrt(-2 * np.log(uniform[::2])), 2 * math.pi * uniform[1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:count]


class CosineSeries:
    """m(x) = sum_k c_k prod_i s_(k_i) cos(k_i pi (x_i - lower_i) / L_i), s_0 = 1 and s_k = sqrt(2) for k > 0.

    A function of (p, x) with zero slopes at the walls of a box in one to three dimensions. The products are orthonormal
    on it, so that the mean square of m is the sum of c_k^2. coefficients: (*sample, K, ...), one axis for each of
    `axes`, k_i from 0 to K - 1.
    """

    def __init__(self, axes: Axes, coefficients: np.ndarray) -> None:
        self.axes, self.coefficients = axes, coefficients

    def __call__(self, p: Values, x: Coordinates) -> Field:
        waves = []
        for i, axis in enumerate(self.axes):
            k = torch.arange(self.coefficients.shape[i - len(self.axes)], dtype=x.dtype, device=x.device)
            angles = (x[axis.name].values.reshape(-1, 1) - axis.lower) * (math.pi / axis.length * k)
            waves.append(k.sign().add(1).sqrt() * torch.cos(angles))
        on_grid, d = x.places is None, len(self.axes)
        modes, places = "abc"[:d], "xyz"[:d] if on_grid else "p" * d
        pairs = ",".join(place + mode for place, mode in zip(places, modes, strict=True))
        total = torch.as_tensor(self.coefficients, dtype=x.dtype, device=x.device)
        values = torch.einsum(f"...{modes},{pairs}->...{places if on_grid else 'p'}", total, *waves)
        if on_grid:  # axes that the series does not depend on stay thin
            sizes = {axis.name: len(x[axis.name].values.reshape(-1)) for axis in self.axes}
            values = values.reshape(*values.shape[:-d], *[sizes.get(name, 1) for name in x.axes.names])
        else:
            values = values.unflatten(-1, x[self.axes.names[0]].values.shape)
        return x.field(values, "series")


def cosine_fields(axes: Axes, deviation: Callable[[np.ndarray], np.ndarray], normal: np.ndarray) -> CosineSeries:
    """Draws of a Gaussian random field without mean and with zero slopes at the walls of a box,

        m(x) = sum over 0 < max k_i < K of  d(|q|^2) xi_k prod_i s_(k_i) cos(q_i (x_i - lower_i)),   q_i = k_i pi / L_i,

    d the standard deviation of a mode of |q|^2, xi_k the standard normal numbers `normal` (*sample, K^d - 1) in turn,
    k in the order of max k_i, then of k: more modes leave those that were there as they are.
    """
    modes = round((normal.shape[-1] + 1) ** (1 / len(axes)))
    indices = np.stack(np.meshgrid(*[np.arange(modes)] * len(axes), indexing="ij"), -1).reshape(-1, len(axes))
    indices = indices[np.argsort(indices.max(1), kind="stable")][1:]
    q = math.pi * indices / np.array([axis.length for axis in axes])
    coefficients = np.zeros((*normal.shape[:-1], *[modes] * len(axes)))
    coefficients[(..., *indices.T)] = deviation((q**2).sum(1)) * normal
    return CosineSeries(axes, coefficients)
