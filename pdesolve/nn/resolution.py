"""Which grids networks can work on: of enough points for Fourier modes, evenly spaced for convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from pdesolve.errors import InputError
from pdesolve.nn.places import GridPlaces, Places
from pdesolve.nn.resampling import Layout, layouts

_SAID = {"periodic": "points around a period", "nodes": "points with the ends among them", "cells": "cell centres"}


def check_resolution(given: Places, modes: int, *, method: str) -> None:
    """Refuse points, and grids with fewer points along an axis than modes.

    Raises:
        InputError: with both numbers, and the setting to write.
    """
    if not isinstance(given, GridPlaces):
        raise InputError(f"{method} needs values on a grid, got {given.shape[0]} points: take gino")
    for axis, size in zip(given.axes, given.shape, strict=True):
        if size < modes:
            raise InputError(
                f"{method} has {modes} modes and {axis.name} has {size} points: give finer data, or train with "
                f"--method.modes {size} or fewer"
            )


def check_spacing(given: GridPlaces, kinds: Sequence[Layout], *, method: str) -> None:
    """Refuse points of uneven spacing, and those that lie in other ways than these.

    Raises:
        InputError: with the axis, and what to do.
    """
    for axis, points, kind, known in zip(given.axes, given.points, layouts(given), kinds, strict=True):
        gaps = points.diff()
        if len(points) > 2 and float(gaps.max() - gaps.min()) > 1e-3 * float(gaps.mean()):
            raise InputError(
                f"{method} needs evenly spaced points, those of {axis.name} are {float(gaps.min()):.3g} to "
                f"{float(gaps.max()):.3g} of its length apart: interpolate the data, or take transformer"
            )
        if kind != known:
            raise InputError(
                f"{method} was made for {_SAID[known]} along {axis.name}, got {_SAID[kind]}: give data as in training"
            )
