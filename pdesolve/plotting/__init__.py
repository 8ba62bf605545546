"""Figures of solutions, errors and histories, and the accessor `.pde` of xarray.

Matplotlib is imported when the first figure is drawn.
"""

import pdesolve.accessor  # noqa: F401  registers itself
from pdesolve.plotting.animation import animate, movie, save_movie
from pdesolve.plotting.ellipses import ellipses, ellipses_figure, motion, recorded_motion
from pdesolve.plotting.figures import comparison_figure, history_figure, save_figure, solution_figure, work_figure
from pdesolve.plotting.learning import training_figure
from pdesolve.plotting.predictions import prediction_figure, rollout_figure
from pdesolve.plotting.times import march_figure, times_figure

__all__ = [
    "animate",
    "comparison_figure",
    "ellipses",
    "ellipses_figure",
    "history_figure",
    "march_figure",
    "motion",
    "movie",
    "prediction_figure",
    "recorded_motion",
    "rollout_figure",
    "save_figure",
    "save_movie",
    "solution_figure",
    "times_figure",
    "training_figure",
    "work_figure",
]
