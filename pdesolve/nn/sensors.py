"""Sensors: the fixed places at which a branch reads a function, wherever that is known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry import Axes, Grid, GridAxis
from pdesolve.nn.interpolation import Interpolation
from pdesolve.nn.places import GridPlaces, Places


class Sensors:
    """Every k-th point of each axis of a grid, with the smallest k that leaves at most `limit` an axis.

    What that leaves over at the ends of an axis that is not periodic is as much on either side.

    Values on the same grid are taken as they are, those on another one by multilinear interpolation.

    Raises:
        InputError: no grid, fewer than two sensors an axis.
    """

    def __init__(self, members: Sequence[GridAxis], *, limit: int) -> None:
        if not members:
            raise InputError("a branch reads functions at sensors on a grid, and these data lie at points: write gino")
        if limit < 2:
            raise InputError(f"a branch needs 2 sensors an axis or more, got {limit}: write 64")
        self.grid = Grid(tuple(_thinned(member, -(-member.size // limit)) for member in members))
        self.axes: Axes = self.grid.axes
        self.shape = self.grid.shape
        self._places: dict[tuple[torch.dtype, torch.device], GridPlaces] = {}
        self._given: tuple[GridPlaces, Interpolation] | None = None

    def check(self, given: Places) -> None:
        """Refuse what is no grid, or one of other axes.

        Raises:
            InputError: with what was expected.
        """
        if not isinstance(given, GridPlaces):
            raise InputError("sensors lie on a grid, and these values at points: interpolate them to a grid")
        if len(given.points) != len(self.axes):
            raise InputError(f"sensors lie on the axes {self.axes}, these values on {given.axes}: give the same axes")

    def read(self, x: Tensor, given: Places) -> Tensor:
        """The values (sample, channel, *sensors) of x (sample, channel, *given.shape)."""
        self.check(given)
        assert isinstance(given, GridPlaces)
        if self._given is None or self._given[0] is not given:  # the grid of a data set is one object throughout
            self._given = given, Interpolation(given)
        return self._given[1].to(x, self.places(given.points[0]))

    def places(self, like: Tensor) -> GridPlaces:
        """The sensors in the dtype and on the device of a tensor."""
        key = like.dtype, like.device
        if key not in self._places:
            self._places[key] = GridPlaces.of(self.grid, dtype=like.dtype, device=like.device)
        return self._places[key]


def _thinned(member: GridAxis, step: int) -> GridAxis:
    first = 0 if member.axis.periodic else (member.size - 1) % step // 2
    return GridAxis.at(member.axis, member.points[first::step].tolist())
