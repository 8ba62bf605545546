"""What a training was like: its loss, its error on held-out samples and its learning rate over cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pdesolve.plotting.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ERROR = "relative_l2 "
_FEW = 40  # looks that are marked each


def training_figure(history: Sequence[Mapping[str, Any]]) -> Figure:
    """The loss and the relative L2 error of each variable on the validation split over CPU seconds, with the learning
    rate below; a vertical line where a stage begins."""
    figure = new_figure(6.4, 5.2)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    columns = dict.fromkeys(key for row in history for key in row)
    names = [name for name in columns if name.startswith(_ERROR)]
    mark = {"marker": "o", "markersize": 3} if len(history) <= _FEW else {}
    for column, label in (
        ("loss", "loss of a batch"),
        *((name, f"relative L2 of {name.removeprefix(_ERROR)}, validation") for name in names),
    ):
        found = _positive(history, column)
        if found:
            style = {"color": "0.6", "linewidth": 1} if column == "loss" else {}
            above.plot(*zip(*found, strict=True), label=label, **mark, **style)
    rates = _positive(history, "learning_rate")
    if rates:
        below.plot(*zip(*rates, strict=True), color="k", linewidth=1)
    for before, row in pairwise(history):
        if row["stage"] != before["stage"]:
            for axis in (above, below):
                axis.axvline(before["cpu_seconds"], color="0.5", linewidth=0.8, linestyle=":")
    above.set(yscale="log", ylabel="loss, error")
    below.set(xlabel="CPU seconds", ylabel="learning rate", ylim=(0, None))
    for axis in (above, below):
        axis.grid(alpha=0.3, which="both")
    if above.lines:
        above.legend(fontsize=8)
    return figure


def _positive(history: Sequence[Mapping[str, Any]], column: str) -> list[tuple[float, float]]:
    """The CPU seconds and the positive values of a column."""
    return [(row["cpu_seconds"], value) for row in history if (value := row.get(column)) is not None and value > 0]
