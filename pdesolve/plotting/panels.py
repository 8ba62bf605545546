"""Single panels of figures: maps of values on grids and at scattered points, and the limits of their colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

VALUES, ERRORS = "viridis", "RdBu_r"  # colours
Limits = Mapping[str, float]


def draw_map(axis: Any, field: xr.DataArray, *, colours: str, limits: Limits) -> Any:
    """The cells of a field over (upward, to the right)."""
    vertical, horizontal = (str(dim) for dim in field.dims)
    image = axis.pcolormesh(
        field[horizontal].values,
        field[vertical].values,
        field.values,
        cmap=colours,
        shading="nearest",
        rasterized=True,
        **limits,
    )
    spans = [float(np.ptp(field[dim].values)) for dim in (vertical, horizontal)]
    if "t" not in field.dims and 0.25 < spans[0] / max(spans[1], 1e-300) < 4.0:
        axis.set_aspect("equal")
    return image


def draw_scattered(
    axis: Any, points: np.ndarray, values: np.ndarray, cells: np.ndarray, *, colours: str, limits: Limits
) -> Any:
    """Values at points (n, 2) of the plane: shaded over triangles (cell, 3), as dots where there are none."""
    axis.set_aspect("equal")
    if len(cells):
        kind = {"cmap": colours, "shading": "gouraud", "rasterized": True}
        return axis.tripcolor(points[:, 0], points[:, 1], values, triangles=cells, **kind, **limits)
    return axis.scatter(points[:, 0], points[:, 1], c=values, s=8, cmap=colours, **limits)


def clipped(values: np.ndarray) -> dict[str, float]:
    """Limits of colours without the extremes, where a few points (a singular corner) would take all of the scale."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return {}
    low, high = np.quantile(finite, [0.01, 0.99])
    if float(np.ptp(finite)) <= 3.0 * (high - low) or not high > low:
        return {}
    return {"vmin": float(low), "vmax": float(high)}


def around_zero(values: np.ndarray) -> dict[str, float]:
    """Limits of colours so that white is no error, where all values are missing too."""
    limit = float(np.abs(values[np.isfinite(values)]).max(initial=0.0)) or 1.0
    return {"vmin": -limit, "vmax": limit}
