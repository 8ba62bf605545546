"""Animations of time-dependent solutions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdesolve.errors import InputError
from pdesolve.plotting.drawable import drawable
from pdesolve.plotting.figures import new_figure

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.animation import FuncAnimation


def animate(dataset: xr.Dataset, path: Path, *, frames: int = 60, rate: int = 15) -> Path:
    """Write the `movie` of a data set as a GIF."""
    return save_movie(movie(dataset, frames=frames, rate=rate), path, rate=rate)


def save_movie(shown: FuncAnimation, path: Path, *, rate: int) -> Path:
    """Write an animation as a GIF of `rate` frames a second, aside and renamed."""
    from matplotlib.animation import PillowWriter

    aside = path.with_name(f".{os.getpid()}.{path.name}")
    shown.save(aside, writer=PillowWriter(fps=rate))
    aside.replace(path)
    return path


def movie(dataset: xr.Dataset, *, frames: int = 60, rate: int = 15) -> FuncAnimation:
    """The first unknown that has a time axis: a curve over one axis of space, a map over two.

    Raises:
        InputError: the data set has no time axis, or no axis of space.
    """
    from pdesolve.plotting.canvas import Movie

    dataset = drawable(dataset)
    names = [str(name) for name in dataset.data_vars]
    name = next((name for name in names if {"t"} < {*dataset[name].dims}), names[0])
    field = dataset[name]
    space = [str(dim) for dim in field.dims if dim != "t"]
    if "t" not in field.dims or not space or "point" in space:
        raise InputError(
            f"an animation needs the axis t and one of space, {name} has {', '.join(map(str, field.dims))}"
        )
    field = field.isel({axis: field.sizes[axis] // 2 for axis in space[2:]})
    chosen = np.unique(np.linspace(0, field.sizes["t"] - 1, frames).round().astype(int))
    low, high = float(field.min()), float(field.max())
    figure = new_figure(5.0, 3.6)
    axis = figure.subplots()
    artist: Any
    if len(space) == 1:
        (artist,) = axis.plot(field[space[0]], field.isel(t=0))
        margin = 0.05 * (high - low or 1.0)
        axis.set(xlabel=space[0], ylabel=name, ylim=(low - margin, high + margin))
    else:
        first = field.isel(t=0).transpose(space[1], space[0])
        artist = axis.pcolormesh(first[space[0]], first[space[1]], first, vmin=low, vmax=high, shading="nearest")
        figure.colorbar(artist, ax=axis)
        axis.set(xlabel=space[0], ylabel=space[1])

    def draw(i: int) -> tuple[Any]:
        frame = field.isel(t=i)
        axis.set_title(f"{name} at t = {float(frame['t']):.3f}")
        if len(space) == 1:
            artist.set_ydata(frame.values)
        else:
            artist.set_array(frame.transpose(space[1], space[0]).values)
        return (artist,)

    return Movie(figure, draw, frames=chosen.tolist(), interval=1000 / rate)
