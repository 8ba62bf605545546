"""Samples worth seeing: what a surrogate makes of the median and of the worst of those it is judged by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pdesolve.data.batch import Batch
from pdesolve.data.dataset import SCATTERED
from pdesolve.data.windows import Windows
from pdesolve.labelled import dataset_of
from pdesolve.method import Surrogate
from pdesolve.surrogates.envelopes import truth_of
from pdesolve.surrogates.placing import points_of

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Example:
    """The last frame of a window, true and predicted: a variable for each component, over axes of space or `point`.

    title: which window this is, and its error over all of its frames.
    """

    title: str
    truth: xr.Dataset
    prediction: xr.Dataset


def examples(surrogate: Surrogate, windows: Windows, errors: Mapping[str, Tensor]) -> tuple[Example, ...]:
    """The median and the worst window; one where there is no other.

    errors: {variable: (window,)}, relative L2, as `Scores.each` has them: windows are in the order of the mean over
    variables, and one that is not finite is the worst. Of an even number the better one of the middle is the median.
    """
    mean = torch.stack(list(errors.values())).mean(0)
    order = mean.nan_to_num(nan=math.inf, posinf=math.inf).argsort(stable=True)
    chosen = {"median": int(order[(len(order) - 1) // 2]), "worst": int(order[-1])}
    if len(order) == 1:
        chosen = {"the only one": 0}
    kind = "samples" if len(windows.starts) == 1 else "windows"
    return tuple(
        _example(surrogate, windows, number, f"{which} of {len(order)} {kind}", float(mean[number]))
        for which, number in chosen.items()
    )


def _example(surrogate: Surrogate, windows: Windows, number: int, which: str, error: float) -> Example:
    batch = windows.batch([number]).to(surrogate.device)
    found = surrogate.predict(batch)
    truths, predictions = {}, {}
    data = windows.dataset
    for name, values in found.items():
        dims = tuple("point" if dim in SCATTERED else dim for dim in windows.sources[name].space)
        known = data.variables[name]
        for i in range(values.shape[2]):
            label = f"{name} {known.components[i]}" if known.components else name
            attributes = {"units": known.unit or "1"}
            for kept, tensor in ((truths, truth_of(batch, name, values)), (predictions, values)):
                kept[label] = (dims, tensor[0, -1, i].double().cpu().numpy(), attributes)
    coordinates = _coordinates(windows, batch)
    frames = max(values.shape[1] for values in found.values())
    over = f" over {frames} frames, of which this is the last" if frames > 1 else ""
    size = "not finite" if not math.isfinite(error) else f"{error:.2e}"
    title = f"{which}: sample {int(batch.numbers[0])}{_when(windows, batch)}, relative L2 {size}{over}"
    return Example(title, dataset_of(truths, {}, coordinates), dataset_of(predictions, {}, coordinates))


def _when(windows: Windows, batch: Batch) -> str:
    """The time of the last frame that is wanted."""
    if not batch.target_times.numel():
        return ""
    last, known = float(batch.target_times[0, -1]), windows.dataset.coordinates.get("t")
    return (
        f", frame {last:.0f}" if known is None else f", t = {last:.4g} {known.label or known.axis.unit or ''}".rstrip()
    )


def _coordinates(windows: Windows, batch: Batch) -> dict[str, Any]:
    """Where the values of one window lie, with units; the numbers of points along axes without coordinates."""
    data = windows.dataset
    found: dict[str, Any] = {}
    if batch.discretisations:
        places = batch.discretisations[0]
        columns = points_of(places).cpu().numpy()
        return {
            axis.name: (("point",), columns[:, i], {"units": axis.unit or "1"})
            for i, axis in enumerate(places.axes.space)
        }
    for name in data.space:
        points, known = batch.coordinates.get(name), data.coordinates.get(name)
        if points is None or known is None:
            found[name] = ((name,), np.arange(data.sizes[name]), {"units": "points"})
        else:
            unit = known.label or known.axis.unit or "1"
            found[name] = ((name,), points.double().reshape(-1, points.shape[-1])[0].cpu().numpy(), {"units": unit})
    return found
