"""Still figures of labelled data sets and run histories."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdesolve.data.dataset import SCATTERED
from pdesolve.plotting.drawable import drawable
from pdesolve.plotting.panels import ERRORS, VALUES, around_zero, clipped, draw_map, draw_scattered
from pdesolve.plotting.scattered import triangles

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_INSTANTS = 4  # profiles or snapshots in one figure


def new_figure(width: float, height: float) -> Figure:
    """An empty figure; sizes in inches."""
    from pdesolve.plotting.canvas import Canvas

    return Canvas(figsize=(width, height), layout="constrained", dpi=130)


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a picture aside and rename it."""
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    figure.draw_without_rendering()  # the layout of maps settles in the second pass
    figure.savefig(aside, format=path.suffix.removeprefix(".") or "png")
    aside.replace(path)
    return path


def solution_figure(dataset: xr.Dataset, reference: xr.Dataset | None = None) -> Figure:
    """The first sample of each unknown: over one axis of space as a map over (x, t) with profiles at a few times, over
    two as maps (at the last time), with the reference and the error beside where a reference is given.

    Raises:
        InputError: no variable of numbers over axes.
    """
    dataset = drawable(dataset)
    reference = None if reference is None else drawable(reference)
    dataset, reference = _by_points(dataset), None if reference is None else _by_points(reference)
    names = [str(name) for name in dataset.data_vars if reference is None or name in reference]
    if "point" in dataset.dims:
        return _points_figure(dataset[names], reference)
    columns = 2 if reference is None else 3
    figure = new_figure(4.2 * columns, 3.2 * len(names))
    axes = np.atleast_2d(np.asarray(figure.subplots(len(names), columns, squeeze=False)))
    for row, name in zip(axes, names, strict=True):
        field = dataset[name]
        truth = None if reference is None else reference[name].transpose(*field.dims)
        space = [str(dim) for dim in field.dims if dim != "t"]
        if not space:
            _profiles(row[0], field.rename(t="time"), None if truth is None else truth.rename(t="time"), "time")
            row[1].axis("off")
        elif len(space) == 1 and "t" in field.dims:
            _map(figure, row[0], field.transpose(space[0], "t"), name)
            _profiles(row[1], field, truth, space[0])
            if truth is not None:
                _map(figure, row[2], (field - truth).transpose(space[0], "t"), f"error of {name}", diverging=True)
        elif len(space) == 1:
            _profiles(row[0], field, truth, space[0])
            row[1].axis("off")
        else:
            _plane(figure, row, field, truth, name, space)
    figure.suptitle(str(dataset.attrs.get("title", "")).split(":")[0])
    return figure


def _by_points(dataset: xr.Dataset) -> xr.Dataset:
    """Nodes and cells whose places are known as points; those that a sample lacks are left out."""
    for dim in SCATTERED:
        places = [str(name) for name, coordinate in dataset.coords.items() if coordinate.dims == (dim,)]
        if places:
            there = np.isfinite(np.stack([dataset[name].values for name in places])).all(0)
            dataset = dataset.rename({dim: "point"} if dim != "point" else {}).isel(point=there)
    return dataset


def _points_figure(dataset: xr.Dataset, reference: xr.Dataset | None) -> Figure:
    """The first two axes of space of scattered points, at the last time: in the plane as a map, else as points."""
    names = [str(name) for name in dataset.data_vars]
    axes = [str(name) for name in dataset.coords if name != "t"]
    if "t" in dataset.dims:
        dataset = dataset.isel(t=-1, drop=True)
        reference = None if reference is None else reference.isel(t=-1, drop=True)
    if "t" in dataset.coords:
        last = dataset["t"].values == dataset["t"].values.max()
        dataset = dataset.isel(point=last)
        reference = None if reference is None else reference.isel(point=last)
    columns = 1 if reference is None else 2
    figure = new_figure(4.4 * columns, 3.4 * len(names))
    grid = np.atleast_2d(np.asarray(figure.subplots(len(names), columns, squeeze=False)))
    points = np.stack([dataset[axis].values for axis in axes[:2]], 1)
    cells = triangles(points) if len(axes) == 2 else np.zeros((0, 3), dtype=int)
    for row, name in zip(grid, names, strict=True):
        values = dataset[name].values
        panels = [(name, values, VALUES)]
        if reference is not None:
            panels.append((f"error of {name}", values - reference[name].values, ERRORS))
        for axis, (title, values, colours) in zip(row, panels, strict=True):
            if len(axes) == 1:
                axis.plot(points[:, 0], values, ".")
                axis.set(xlabel=axes[0], ylabel=title)
                continue
            limits = around_zero(values) if colours == ERRORS else {}
            image = draw_scattered(axis, points, values, cells, colours=colours, limits=limits)
            figure.colorbar(image, ax=axis)
            axis.set(xlabel=axes[0], ylabel=axes[1], title=title)
    figure.suptitle(str(dataset.attrs.get("title", "")).split(":")[0])
    return figure


def _plane(
    figure: Figure, row: Sequence[Any], field: xr.DataArray, truth: xr.DataArray | None, name: str, space: list[str]
) -> None:
    last = ""
    if "t" in field.dims:
        last = f" at t = {float(field['t'][-1]):.3g}"
    flat = _slice(field, space)
    _map(figure, row[0], flat, name + last)
    if truth is not None:
        _map(figure, row[1], _slice(truth, space), f"reference{last}")
        _map(figure, row[2], flat - _slice(truth, space), f"error of {name}{last}", diverging=True)
    else:
        first = field.isel(t=0) if "t" in field.dims else field
        middle = _slice(first, space)
        row[1].plot(middle[space[0]], middle.isel({space[1]: middle.sizes[space[1]] // 2}))
        row[1].set(xlabel=space[0], title=f"{name} along the middle" + (" at the start" if last else ""))


def _slice(field: xr.DataArray, space: list[str]) -> xr.DataArray:
    """The plane of the first two space axes, at the last time and the middle of the others."""
    field = field.isel(t=-1) if "t" in field.dims else field
    return field.isel({axis: field.sizes[axis] // 2 for axis in space[2:]}).transpose(space[1], space[0])


def _map(figure: Figure, axis: Any, field: xr.DataArray, title: str, *, diverging: bool = False) -> None:
    vertical, horizontal = (str(dim) for dim in field.dims)
    limits = around_zero(field.values) if diverging else clipped(field.values)
    image = draw_map(axis, field, colours=ERRORS if diverging else VALUES, limits=limits)
    figure.colorbar(image, ax=axis, extend="both" if limits and not diverging else "neither")
    axis.set(xlabel=horizontal, ylabel=vertical, title=title)


def _profiles(axis: Any, field: xr.DataArray, truth: xr.DataArray | None, space: str) -> None:
    import matplotlib

    if "t" not in field.dims:
        axis.plot(field[space], field, label="solution")
        if truth is not None:
            axis.plot(truth[space], truth, "k--", linewidth=1, label="reference")
    else:
        chosen = np.unique(np.linspace(0, field.sizes["t"] - 1, _INSTANTS).round().astype(int))
        colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(chosen)))
        for colour, i in zip(colours, chosen, strict=True):
            axis.plot(field[space], field.isel(t=i), color=colour, label=f"t = {float(field['t'][i]):.3g}")
            if truth is not None:
                label = "reference" if i == chosen[-1] else None
                axis.plot(truth[space], truth.isel(t=i), "k--", linewidth=0.8, label=label)
    axis.set(xlabel=space, ylabel=str(field.name))
    axis.legend(fontsize=7)


def history_figure(histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Work and precision: the worst relative L2 error (the loss where there is no reference) over CPU seconds."""
    figure = new_figure(5.5, 4.0)
    axis = figure.subplots()
    label = "loss"
    for method, history in histories.items():
        errors = [[v for k, v in row.items() if k.startswith("relative_l2") and v is not None] for row in history]
        if any(errors):
            label = "relative L2 error"
            points = [(row["cpu_seconds"], max(e)) for row, e in zip(history, errors, strict=True) if e and max(e) > 0]
        else:
            points = [(row["cpu_seconds"], row["loss"]) for row in history if row.get("loss")]
        if points:
            axis.plot(*zip(*points, strict=True), marker="o", markersize=3, label=method)
    axis.set(xlabel="CPU seconds", ylabel=label, yscale="log")
    axis.grid(alpha=0.3, which="both")
    if axis.lines:
        axis.legend()
    return figure


def comparison_figure(
    histories: Mapping[str, Sequence[Mapping[str, Any]]], datasets: Mapping[str, xr.Dataset]
) -> Figure:
    """One problem by several methods: error over cost on the left, the solutions at their last common time."""
    figure = new_figure(10.5, 4.0)
    left, right = figure.subplots(1, 2)
    _work(left, histories)
    # a march that has ended early has none later
    last = min((float(d["t"][-1]) for d in datasets.values() if "t" in d.dims), default=None)
    for method, dataset in datasets.items():
        name = str(next(iter(dataset.data_vars)))
        field = drawable(dataset)[name]
        field = field.sel(t=last, method="nearest") if "t" in field.dims else field
        space = [str(dim) for dim in field.dims]
        field = field.isel({axis: field.sizes[axis] // 2 for axis in space[1:]})
        style = {"color": "k", "linestyle": "--", "linewidth": 1.0} if method.startswith("reference") else {}
        right.plot(field[space[0]], field, label=method, **style)
        right.set(xlabel=space[0], ylabel=name, title="solution" if last is None else f"at t = {last:.4g}")
    right.legend()
    return figure


def work_figure(histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Error over cost of several methods."""
    figure = new_figure(5.6, 4.0)
    _work(figure.subplots(), histories)
    return figure


def _work(axis: Any, histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    for method, history in histories.items():
        rows = [
            (row["cpu_seconds"], max(e))
            for row in history
            if (e := [v for k, v in row.items() if k.startswith("relative_l2") and v is not None])
        ]
        rows = [row for row in rows if row[1] > 0]
        if rows:
            axis.plot(*zip(*rows, strict=True), marker="o", markersize=3, label=method)
    axis.set(xlabel="CPU seconds", ylabel="relative L2 error", yscale="log", title="work and precision")
    axis.grid(alpha=0.3, which="both")
    if axis.lines:
        axis.legend()
    else:
        axis.text(0.5, 0.5, "no error to show", ha="center", transform=axis.transAxes)
