"""The residual of the equation that the data obey, as a loss of predictions on grids: physics-informed operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pdesolve.data.batch import Batch
from pdesolve.data.signature import Signature
from pdesolve.equation import flatten
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, GridField, Quantity
from pdesolve.geometry import Axis, Grid, GridAxis
from pdesolve.nn.places import GridPlaces, Places
from pdesolve.problem import Problem, Value
from pdesolve.training.losses import Loss
from pdesolve.training.reduction import batch_mean

Named = Mapping[str, Tensor]
_FRAMES = 3  # for a derivative in time of second order at every frame


@dataclass(frozen=True, eq=False)
class EquationResidual(Loss):
    """The mean square of the residual R(u) of the problem's equation, over that of its scale:

        mean |R(u)|² / mean |s|²,   s = ∂u/∂t of the truth for evolutions, R(0) (the source) for others

    Derivatives along periodic axes are Fourier's, elsewhere and in time differences, so that the frames of a window
    must resolve what happens between them. The last given frames go before the predicted ones. Coefficients and
    parameters are those of the batch.

    Li et al. (2021, arXiv 2111.03794). Departure: it is scaled, so that a weight of 1 means the same for all equations.

    Raises:
        InputError: predictions that are not the unknowns of the equation, fewer than three frames in all.
    """

    problem: Problem
    signature: Signature
    _kept: dict[object, Grid] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        equation, names = self.problem.equation, {slot.name for slot in self.signature.targets}
        missing = [unknown.name for unknown in equation.unknowns if unknown.name not in names]
        if missing:
            raise InputError(
                f"{self.problem.name} has the unknowns {', '.join(u.name for u in equation.unknowns)}, the targets are "
                f"{', '.join(sorted(names))}: name all of them among the targets, or leave the residual at 0"
            )
        if self.problem.time is not None:
            slot = self.signature.targets[0]
            given = sum(s.frames for s in self.signature.inputs if s.name == slot.name and s.moving)
            if given + slot.frames < _FRAMES or self.signature.spacing is None:
                raise InputError(
                    f"a residual in time needs {_FRAMES} evenly spaced frames in a window, it has {given} + "
                    f"{slot.frames}: write --ahead 4 or --frames trajectory, or leave the residual at 0"
                )

    def __call__(self, predicted: Named, truth: Named, places: Places, batch: Batch) -> Tensor:
        if not isinstance(places, GridPlaces) or places.grid is None:
            raise InputError("the residual of an equation needs values on a grid, got points")
        equation = self.problem.equation
        u, v = self._scalars(predicted, batch), self._scalars(truth, batch)
        first = next(iter(u.values()))
        x = Coordinates(self._grid(places.grid, first), dtype=first.dtype, device=first.device)
        p = self.problem.bind(x, self._values(batch, x, places.grid))

        def rows(values: Named) -> dict[str, Tensor]:
            found = flatten(equation.residual(self.problem.state(values, x), p, x))
            return {name: x.expand(row).values for name, row in found.items()}

        if self.problem.time is None:
            scales = rows({name: torch.zeros_like(values) for name, values in u.items()})
        else:
            assert self.signature.spacing is not None
            gap, dim = self.signature.spacing, -1 - len(places.shape)
            scales = {name: values.diff(dim=dim) / gap for name, values in v.items()}
        terms = []
        for name, row in rows(u).items():
            squares = scales[name].detach().square() if name in scales else torch.ones_like(row[:1])
            scale = batch_mean(squares.expand(len(row), *squares.shape[1:]).flatten(1).mean(1), batch)
            terms.append(row.square().mean() / torch.where(scale > 0, scale, 1.0))
        return torch.stack(terms).mean()

    def _scalars(self, values: Named, batch: Batch) -> dict[str, Tensor]:
        """The scalars of the state (sample, [time,] *space), given frames in front."""
        found = {}
        for unknown in self.problem.equation.unknowns:
            whole = values[unknown.name]
            moving = self.problem.time is not None
            given = batch.inputs.get(unknown.name)
            if moving and given is not None and len(batch.times[0]) and not self._repeats(batch):
                whole = torch.cat([given.to(whole), whole], 1)
            for i, name in enumerate(unknown.scalars):
                found[name] = whole[:, :, i] if moving else whole[:, 0, i]
        return found

    def _repeats(self, batch: Batch) -> bool:
        """Whether the targets hold the given frames too, as whole trajectories do."""
        return bool(self.signature.frames is not None and not self.signature.autoregressive)

    def _grid(self, space: Grid, values: Tensor) -> Grid:
        """The grid of the values: that of space, with the frames in front where the problem has time."""
        time = self.problem.time
        key = (space, tuple(values.shape[1:]))
        if key not in self._kept:
            members = tuple(
                replace(member, axis=replace(member.axis, unit=self.problem.axes[member.axis.name].unit))
                for member in space.members
            )
            if time is not None:
                frames, gap = values.shape[1], self.signature.spacing or 1.0
                # equations that do not know the time have the same residual at any
                axis = Axis("t", 0.0, gap * (frames - 1), time.unit)
                members = (GridAxis(axis, "nodes", frames), *members)
            self._kept[key] = Grid(members, 2)
        return self._kept[key]

    def _values(self, batch: Batch, x: Coordinates, space: Grid) -> dict[str, Value]:
        """The parameters of the equation that the batch knows: numbers, and fields of space."""
        found: dict[str, Value] = {}
        for parameter in self.problem.equation.parameters:
            if parameter.name in batch.parameters:
                value = batch.parameters[parameter.name].to(dtype=x.dtype, device=x.device)
                found[parameter.name] = value
            elif parameter.name in batch.inputs:
                values = batch.inputs[parameter.name][:, 0, 0].to(dtype=x.dtype, device=x.device)
                found[parameter.name] = GridField(values, space, Quantity(parameter.name))
        return found
