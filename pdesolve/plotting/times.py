"""What becomes of an evolution's error, of its conserved quantities and of a march's fits along time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pdesolve.plotting.drawable import drawable
from pdesolve.plotting.figures import new_figure

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def error_over_time(
    field: xr.DataArray, truth: xr.DataArray, *, centred: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The times, and the relative L2 error at each, the last one what a proof calls `final`.

    centred: less the mean at each time.
    """
    import torch

    from pdesolve.metrics import relative_l2

    times = np.unique(field["t"].values)
    if "t" in field.dims:
        axis = field.get_axis_num("t")
        values = [np.moveaxis(part.transpose(*field.dims).values, axis, 0).reshape(len(times), -1)
                  for part in (field, truth)]  # fmt: skip
    else:  # scattered points, each with its time
        order = np.argsort(field["t"].values, kind="stable")
        values = [part.values[..., order].reshape(len(times), -1) for part in (field, truth)]
    if centred:
        values = [part - part.mean(1, keepdims=True) for part in values]
    found, right = values
    each = [relative_l2(torch.from_numpy(a), torch.from_numpy(b)) for a, b in zip(found, right, strict=True)]
    return times, np.array(each)


Curves = dict[str, list[tuple[str, np.ndarray, np.ndarray]]]  # of each panel: name, times, values


def times_figure(
    dataset: xr.Dataset, reference: xr.Dataset | None, drifts: Mapping[str, Any], up_to_constant: Collection[str] = ()
) -> Figure | None:
    """Error of each unknown and drift of each conserved quantity (time,) over time; None where there is neither."""
    curves = _over_time(dataset, reference, drifts, up_to_constant)
    return _panels(curves) if curves else None


def march_figure(
    history: Sequence[Mapping[str, Any]], dataset: xr.Dataset, reference: xr.Dataset | None, drifts: Mapping[str, Any],
    up_to_constant: Collection[str] = (),
) -> Figure | None:  # fmt: skip
    """What a march was like over time: what the fits of each step have left, beside what `times_figure` draws.

    history: a run's rows, of which those with a time t are steps. None where there is no step.
    """
    steps = [row for row in history if row.get("t") is not None]
    if not steps:
        return None
    times, left = (np.array([row[name] for row in steps]) for name in ("t", "loss residual"))
    curves: Curves = {"relative residual of a step": [("fit", times, left)]}
    return _panels(curves | _over_time(dataset, reference, drifts, up_to_constant))


def _over_time(
    dataset: xr.Dataset, reference: xr.Dataset | None, drifts: Mapping[str, Any], up_to_constant: Collection[str]
) -> Curves:
    dataset = drawable(dataset)
    if "t" not in dataset.coords:  # one instant alone
        return {}
    times = np.unique(dataset["t"].values)
    if len(times) < 2:
        return {}
    curves: Curves = {}
    if reference is not None:
        truth = drawable(reference)
        curves["relative L2 error"] = [
            (str(name), *error_over_time(dataset[name], truth[name], centred=name in up_to_constant))
            for name in dataset.data_vars
            if name in truth
        ]
    if drifts:
        curves["relative drift"] = [(name, times, np.asarray(values.cpu())) for name, values in drifts.items()]
    return {label: found for label, found in curves.items() if found}


def _panels(curves: Curves) -> Figure:
    figure = new_figure(5.0 * len(curves), 3.6)
    axes = figure.subplots(1, len(curves), squeeze=False, sharex=True)[0]
    for axis, (label, found) in zip(axes, curves.items(), strict=True):
        for name, instants, values in found:
            axis.plot(instants, np.where(values > 0, values, np.nan), marker="o", markersize=3, label=name)
        axis.set(xlabel="t", ylabel=label)
        if any(bool((values > 0).any()) for _, _, values in found):
            axis.set_yscale("log")
        axis.grid(alpha=0.3, which="both")
        axis.legend(fontsize=7)
    return figure
