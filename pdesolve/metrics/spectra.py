"""Isotropic spectra of values on equally spaced points, and errors in bands of wavenumbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry import Grid
from pdesolve.metrics.means import LEADING, compared, spacing
from pdesolve.metrics.norms import same_places

PDEBENCH_EDGES = (4.0, 12.0)


def energy_spectrum(values: Tensor, grid: Grid) -> Tensor:
    """E(j) = sum over waves k in shell j of |u_k|^2 / 2, u_k = mean_x u exp(-i k x): (sample, time, component, shell).

    Shell j holds the waves whose |k| is nearest to j times the lowest wavenumber, 2 pi over the longest period; one
    axis of space has k and -k in it. Over all shells the sum is mean_x u^2 / 2 (Parseval). The Well divides each shell
    by the number of its waves, and PDEBench sums over the waves with positive components alone.

    Raises:
        InputError: points that are not equally spaced. Along axes that are not periodic the jump from one end to the
        other spreads over all waves, falling as 1/k^2.
    """
    shells = wavenumbers(grid, like=values).round()
    return _summed(values, grid, shells)


def band_energy(values: Tensor, grid: Grid, *, edges: Sequence[float]) -> Tensor:
    """The energies of `energy_spectrum` in bands edges[i-1] <= |k| < edges[i]: (sample, time, component, band).

    edges: in lowest wavenumbers, ascending; one band lies below the first, one above the last of them.
    """
    k = wavenumbers(grid, like=values)
    bounds = torch.tensor(list(edges), dtype=k.dtype, device=k.device)
    # rounding in |k| must not move a wave that lies on an edge
    return _summed(values, grid, torch.bucketize(k * (1 + 1e-6), bounds, right=True), bands=len(bounds) + 1)


def band_rmse(prediction: Tensor, truth: Tensor, *, grid: Grid, edges: Sequence[float] = PDEBENCH_EDGES) -> Tensor:
    """sqrt(sum over waves k in a band of |u_k - v_k|^2): (sample, time, component, band), low waves first.

    The squares of all bands sum up to that of the RMSE, as in the Well (whose three bands have other edges, spaced
    evenly in log |k|) and APEBench (whose bands include both bounds). The default edges are PDEBench's, |k| < 4, < 12
    and above; its fRMSE is another measure: the mean over the shells of a band of sqrt(mean over samples of the
    energy), with waves k and -k counted once, and of several axes only those with positive components. A test set's is
    the mean of roots over samples, times and components. A band without waves, of a coarse grid, has 0.
    """
    prediction, truth = compared(prediction, truth)
    return (2 * band_energy(prediction - truth, grid, edges=edges)).sqrt()


def octave_edges(grid: Grid) -> tuple[float, ...]:
    """Edges 1, 2, 4, ... of octaves of wavenumbers, up to the highest that the grid has along all of its axes."""
    longest = max(_periods(grid))
    highest = min(longest / period * (size // 2) for period, size in zip(_periods(grid), grid.shape, strict=True))
    edges = [1.0]
    while 2 * edges[-1] <= highest:
        edges.append(2 * edges[-1])
    return tuple(edges)


def wavenumbers(grid: Grid, *, like: Tensor) -> Tensor:
    """|k| of the waves of a real transform over the axes of a grid, in units of 2 pi over the longest period."""
    periods = _periods(grid)
    longest, last = max(periods), len(periods) - 1
    dtype = torch.promote_types(like.dtype, torch.float32)
    squares = torch.zeros((), dtype=dtype, device=like.device)
    for i, (period, size) in enumerate(zip(periods, grid.shape, strict=True)):
        frequencies = torch.fft.rfftfreq if i == last else torch.fft.fftfreq
        line = frequencies(size, 1 / size, dtype=dtype, device=like.device) * (longest / period)
        squares = squares + line.square().reshape([-1 if i == j else 1 for j in range(last + 1)])
    return squares.sqrt()


def _periods(grid: Grid) -> list[float]:
    found = []
    for member in grid.members:
        gap = spacing(member)
        if gap is None:
            raise InputError(
                f"a spectrum needs equally spaced points, those along {member.axis.name} are "
                f"{member.placement}: interpolate to a regular grid first"
            )
        found.append(gap * member.size)
    return found


def _summed(values: Tensor, grid: Grid, places: Tensor, bands: int | None = None) -> Tensor:
    """Half the squared amplitudes, summed over the waves of each place."""
    values, _ = compared(values, values)
    same_places(values, grid)
    dims = tuple(range(LEADING, values.ndim))
    power = torch.fft.rfftn(values, dim=dims, norm="forward").abs().square()
    # a real transform leaves out the conjugates of all waves but those of 0 and, of an even size, of the highest
    size, half = values.shape[-1], power.shape[-1]
    counted = power.new_full((half,), 1.0)
    counted[0] = 0.5
    if size % 2 == 0:
        counted[-1] = 0.5
    flat = (power * counted).flatten(LEADING)
    places = places.to(torch.int64).flatten()
    count = int(places.max()) + 1 if bands is None else bands
    return flat.new_zeros(*flat.shape[:-1], count).index_add_(-1, places, flat)
