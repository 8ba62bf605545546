"""Figures of solutions, errors and histories. Matplotlib is imported when the first figure is drawn."""

from pdesolve.plotting.animation import animate
from pdesolve.plotting.figures import comparison_figure, history_figure, save_figure, solution_figure

__all__ = ["animate", "comparison_figure", "history_figure", "save_figure", "solution_figure"]
