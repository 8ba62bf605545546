"""Which grids a network of Fourier modes can work on."""

from __future__ import annotations

from pdesolve.errors import InputError
from pdesolve.nn.places import GridPlaces, Places


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
