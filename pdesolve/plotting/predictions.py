"""What a surrogate predicts beside what is true, and how far apart the two are along a rollout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pdesolve.plotting.figures import new_figure
from pdesolve.plotting.panels import ERRORS, VALUES, around_zero, draw_map, draw_scattered
from pdesolve.plotting.scattered import triangles

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from pdesolve.surrogates.examples import Example

_MOST = 4  # variables of a sample
_BESIDE = 3  # variables from which on samples are drawn beside each other, not below
_WIDER = 1.5  # times the range of the truth: colours go no further for the prediction's sake
_FEW = 40  # lead times that are marked each
_SLAB = 0.12  # part of the points of space that are drawn about the middle of a third axis


def prediction_figure(examples: Sequence[Example], title: str = "") -> Figure:
    """Truth, prediction and prediction less truth of each example: lines over one axis of space, maps over two, the
    central slice of three. Truth and prediction have one scale of colours, their difference has its own."""
    shown = [[str(name) for name in example.truth.data_vars][:_MOST] for example in examples]
    flat = all(len(_axes(e.truth[name])) == 1 for e, names in zip(examples, shown, strict=True) for name in names)
    columns, most = 2 if flat else 3, max(map(len, shown))
    beside = len(examples) if most >= _BESIDE else 1
    below = len(examples) // beside
    figure = new_figure(3.5 * columns * beside, (2.9 * most + 0.4) * below)
    parts = np.asarray(figure.subfigures(below, beside, squeeze=False)).ravel()
    for part, example, names in zip(parts, examples, shown, strict=True):
        left_out = len(example.truth.data_vars) - len(names)
        part.suptitle(example.title + (f" ({left_out} more variables)" if left_out else ""), fontsize=10)
        rows = part.subplots(len(names), columns, squeeze=False)
        for row, name in zip(rows, names, strict=True):
            _row(part, row, example.truth[name], example.prediction[name])
    figure.suptitle(title, fontsize=11)
    return figure


def rollout_figure(
    curves: Mapping[str, Mapping[str, Any]], threshold: float, unit: str = "", title: str = ""
) -> Figure:
    """nRMSE and correlation of each variable over the lead time, and how long the correlation lasts.

    curves: by variable `lead_times`, `nrmse`, `correlation` and `correlation_time`, which may be None. threshold: of
    the correlation. unit: of times.
    """
    figure = new_figure(9.6, 3.8)
    left, right = figure.subplots(1, 2)
    for name, curve in curves.items():
        times, lasting = curve["lead_times"], curve.get("correlation_time")
        errors, alike = (np.array(curve[kind], float) for kind in ("nrmse", "correlation"))
        mark = {"marker": "o", "markersize": 3} if len(times) <= _FEW else {}
        (line,) = left.plot(times, np.where(errors > 0, errors, np.nan), label=name, **mark)
        said = name
        if lasting is not None:
            reached = ">" if bool((alike >= threshold).all()) else "="
            said = f"{name}: correlation time {reached} {lasting:.4g}"
            right.axvline(lasting, color=line.get_color(), linestyle=":", linewidth=1)
        right.plot(times, alike, color=line.get_color(), label=said, **mark)
    right.axhline(threshold, color="k", linestyle="--", linewidth=0.8, label=f"threshold {threshold:g}")
    lead = f"lead time [{unit}]" if unit else "lead time"
    left.set(xlabel=lead, ylabel="nRMSE", yscale="log", title="error")
    right.set(xlabel=lead, ylabel="correlation", title="correlation with the truth")
    right.set_ylim(top=1.03)
    for axis in (left, right):
        axis.grid(alpha=0.3, which="both")
        axis.legend(fontsize=7)
    figure.suptitle(title, fontsize=11)
    return figure


def _row(figure: Any, row: Sequence[Any], truth: xr.DataArray, prediction: xr.DataArray) -> None:
    """One variable."""
    axes, name = _axes(truth), str(truth.name)
    colour_label, where = _labelled(truth), ""
    if len(axes) == 1:
        places = truth[axes[0]].values
        order, style = np.argsort(places, kind="stable"), "." if "point" in truth.dims else "-"
        row[0].plot(places[order], truth.values[order], "k" + style, label="truth")
        row[0].plot(places[order], prediction.values[order], "C1" + ("x" if style == "." else "--"), label="prediction",
                    markersize=4)  # fmt: skip
        row[0].legend(fontsize=7)
        row[1].axhline(0, color="k", linewidth=0.6)
        row[1].plot(places[order], (prediction.values - truth.values)[order], "C3" + style)
        row[0].set(xlabel=_labelled(truth[axes[0]]), ylabel=colour_label, title=name)
        row[1].set(xlabel=_labelled(truth[axes[0]]), ylabel=colour_label, title="prediction − truth")
        for axis in row[2:]:
            axis.axis("off")
        return
    if len(axes) > 2:
        truth, prediction, where = _sliced(truth, prediction, axes)
    error = prediction.values - truth.values
    limits, beyond = _shared(truth.values, prediction.values)
    titles = (f"truth{where}", f"prediction{where}", "prediction − truth")
    points, cells = None, np.zeros((0, 3), int)
    if "point" in truth.dims:
        points = np.stack([truth[axis].values for axis in axes[:2]], 1)
        cells = triangles(points)
    images = []
    for axis, title, values in zip(row, titles, (truth.values, prediction.values, error), strict=True):
        kind = {"colours": ERRORS, "limits": around_zero(error)} if axis is row[2] else {
            "colours": VALUES, "limits": limits}  # fmt: skip
        if points is None:
            images.append(draw_map(axis, truth.copy(data=values).transpose(axes[1], axes[0]), **kind))
        else:
            images.append(draw_scattered(axis, points, values, cells, **kind))
        axis.set(xlabel=_labelled(truth[axes[0]]), title=title)
    row[0].set_ylabel(_labelled(truth[axes[1]]))
    figure.colorbar(images[1], ax=list(row[:2]), label=colour_label, extend="both" if beyond else "neither")
    figure.colorbar(images[2], ax=row[2], label=colour_label)


def _axes(field: xr.DataArray) -> list[str]:
    """The axes of space of a field on a grid or at points."""
    return [str(name) for name in (field.coords if "point" in field.dims else field.dims)]


def _sliced(
    truth: xr.DataArray, prediction: xr.DataArray, axes: Sequence[str]
) -> tuple[xr.DataArray, xr.DataArray, str]:
    """The plane of the first two axes through the middle of the others, and which that is."""
    if "point" not in truth.dims:
        middle = {axis: truth.sizes[axis] // 2 for axis in axes[2:]}
        where = ", ".join(f"{axis} = {float(truth[axis][i]):.4g}" for axis, i in middle.items())
        return truth.isel(middle), prediction.isel(middle), f" at {where}"
    others = np.stack([truth[axis].values for axis in axes[2:]], 1)
    centre = (others.max(0) + others.min(0)) / 2
    away = np.abs(others - centre).max(1)
    near = away <= np.quantile(away, _SLAB)
    where = ", ".join(f"{axis} = {value:.4g}" for axis, value in zip(axes[2:], centre, strict=True))
    return truth[near], prediction[near], f" within {away[near].max():.2g} of {where}"


def _shared(truth: np.ndarray, prediction: np.ndarray) -> tuple[dict[str, float], bool]:
    """Limits of colours for both, and whether the prediction goes beyond them."""
    known = truth[np.isfinite(truth)]
    both = np.concatenate([known, prediction[np.isfinite(prediction)]])
    if not known.size or not np.ptp(both) > 0:
        return {}, False
    wide = float(np.ptp(both)) <= _WIDER * float(np.ptp(known))
    taken = both if wide else known
    return {"vmin": float(taken.min()), "vmax": float(taken.max())}, not wide


def _labelled(values: xr.DataArray) -> str:
    """A name with its unit."""
    unit = str(values.attrs.get("units", ""))
    return f"{values.name} [{unit}]" if unit not in ("", "1") else str(values.name)
