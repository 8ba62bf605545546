"""The pictures of a surrogate's run folder."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdesolve.metrics import THRESHOLD
from pdesolve.surrogates.examples import Example

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES, PREDICTION = "figures", "prediction.png"


def draw_examples(path: Path, shown: Sequence[Example], title: str) -> Path | None:
    """Truth, prediction and error of some samples; None where there are none to draw, or no place for it."""
    from pdesolve.plotting import prediction_figure

    return _saved(prediction_figure(shown, title), path) if shown else None


def draw_rollouts(path: Path, found: Mapping[str, Any], title: str, unit: str) -> Path | None:
    """The curves of `rollout_errors` over lead times in a unit; None where there is no place for it."""
    from pdesolve.plotting import rollout_figure

    if found["diverged"]:
        title += f"; {found['diverged']} of {found['rollouts']} rollouts diverged"
    else:
        title += f", {found['rollouts']} rollouts"
    return _saved(rollout_figure(found["rollout"], THRESHOLD, unit, title), path)


def draw_training(path: Path, history: Sequence[Mapping[str, Any]]) -> Path | None:
    """Losses, errors and learning rates of a run; None where it was never looked at."""
    from pdesolve.plotting import training_figure

    return _saved(training_figure(history), path) if history else None


def _saved(figure: Figure, path: Path) -> Path | None:
    """The path of a figure that is written; what was measured is not lost for a picture's sake."""
    from pdesolve.plotting import save_figure

    try:
        path.parent.mkdir(exist_ok=True)
        save_figure(figure, path)
    except OSError as error:
        warnings.warn(f"no picture: cannot write {path}, {error.strerror}", stacklevel=2)
        return None
    return path
