"""Figures and animations without pyplot, which notebooks show all the same: no window, backend or global state."""

from __future__ import annotations

from io import BytesIO

from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure

_NOTEBOOK_DPI = 80  # as wide as a page, and small in the file


class Canvas(Figure):
    """A matplotlib figure that a notebook shows as the value of a cell."""

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        self.savefig(picture, format="png", dpi=_NOTEBOOK_DPI)
        return picture.getvalue()


class Movie(FuncAnimation):
    """A matplotlib animation that a notebook shows with buttons to play it."""

    def _repr_html_(self) -> str:
        return self.to_jshtml()

    def __del__(self) -> None:
        # matplotlib warns of animations that were never drawn, which a notebook has many of
        self._draw_was_started = True
