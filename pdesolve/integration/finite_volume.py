"""Finite volumes: balance laws on the cells of a box, also where their solutions jump."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pdesolve.equation import Evolution, FluxForm, State, assemble, flatten
from pdesolve.errors import Diverged, InputError
from pdesolve.fields import Coordinates, Field, Quantity, Vector
from pdesolve.geometry import Grid
from pdesolve.integration.ghosts import LAYERS, Ghosts
from pdesolve.integration.initial import initial_values
from pdesolve.integration.parameters import CellParameters, spacing
from pdesolve.integration.reconstruction import Limiter, SlopedField, face_values
from pdesolve.integration.tracing import traced
from pdesolve.problem import Problem, Value

# of the time in which the fastest wave crosses a cell: at most half, or a cell could give away more than it has
_COURANT = 0.45


class FiniteVolumes:
    """y_t = f(t, y) for the averages y (*sample, scalar, *grid) of u over cells, for u_t + div F(u) = source(u).

    Second order in space where u is smooth: primitive variables are linear in each cell with a limited slope (MUSCL),
    and the flux through a face is that of Harten, Lax and van Leer (HLL) between the slowest and the fastest wave of
    both sides. What of F depends on slopes is added with central differences. Every face's flux leaves one cell and
    enters the next, so that integrals are kept to rounding. Densities and depths that are positive stay so: HLL keeps
    them where the values at faces are, these lie between those of cells, and time steps are short enough.
    `state` is one that the equation admits, y or a sample of it, where that is not to be the initial one.
    A. Harten, P. D. Lax, B. van Leer, SIAM Review 25 (1983) 35; B. Einfeldt et al., J. Comput. Phys. 92 (1991) 273.

    Raises:
        InputError: an equation that is no balance law of first order in time, or whose flux along one axis depends on
            slopes along another.
    """

    def __init__(
        self,
        problem: Problem,
        grid: Grid,
        *,
        values: Mapping[str, Value] | None = None,
        limiter: Limiter = "van_leer",
        state: Tensor | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        equation = problem.equation
        if not isinstance(equation, FluxForm) or not isinstance(equation, Evolution) or equation.order != 1:
            kind = type(equation).__name__
            raise InputError(f"finite volumes need a balance law u_t + div F(u) = source(u), {kind} states no flux")
        assert problem.time is not None
        self.problem, self.grid, self.values = problem, grid, values
        self.limiter: Limiter = limiter
        self.equation: Any = equation
        self.scalars = equation.scalars
        self.dimension = len(grid.members)
        self.parameters = CellParameters(problem, grid, values, dtype=dtype, device=device)
        self.x = self.parameters.cells
        self.ghosts = Ghosts(problem, grid, self.scalars, values, dtype=dtype, device=device)
        state = initial_values(problem, self.x, values) if state is None else state
        t = torch.tensor(problem.time.lower, dtype=self.x.dtype, device=self.x.device)
        x = self.x.at_instant(t)
        self.waves = tuple(equation.wave_speed(self._state(state, x, {}), self.parameters.on_cells(t), x))
        self.diffusive = self._is_diffusive(state)

    def start(self) -> Tensor:
        """y at the initial time, for every sample of the parameters: the initial state at the centres of cells."""
        assert self.problem.time is not None
        t = torch.tensor(self.problem.time.lower, dtype=self.x.dtype, device=self.x.device)
        # parameters as the scheme has them, so that an initial state that balances them does so exactly
        cells = {n: f for n, f in self.parameters.on_cells(t).items() if isinstance(f, SlopedField)}
        y = initial_values(self.problem, self.x, {**(self.values or {}), **cells})
        return y.expand(np.broadcast_shapes(y.shape, self(t, y).shape)).clone()

    def __call__(self, t: Tensor, y: Tensor) -> Tensor:
        x, p = self.x.at_instant(t), self.parameters.on_cells(t)
        source = flatten(self.equation.source(self._state(y, x, {}), p, x))
        rows = [
            x.expand(source[n]).values if n in source else torch.zeros_like(y[..., 0, *self._all]) for n in self.scalars
        ]
        rate = self._stack(rows)
        for dim in range(-self.dimension, 0):
            flux = self._flux(t, y, dim, p)
            n = self.grid.members[dim].size
            rate = rate - (flux.narrow(dim, 1, n) - flux.narrow(dim, 0, n)) / spacing(self.grid.members[dim])
        return rate

    def advanced(self, t: Tensor, y: Tensor, h: Tensor) -> Tensor:
        """An Euler step of h (*sample), y + h f(t, y)."""
        return y + h.reshape(*h.shape, *[1] * (self.dimension + 1)) * self(t, y)

    def step_size(self, t: Tensor, y: Tensor) -> Tensor:
        """The longest stable time step (*sample)."""
        x, p = self.x.at_instant(t), self.parameters.on_cells(t)
        u = self._state(y, x, {})
        total = torch.zeros((), dtype=y.dtype, device=y.device)
        for axis, speed in self.equation.wave_speed(u, p, x).items():
            total = total + x.expand(speed).values / spacing(self.grid[axis])
        if self.diffusive:
            for member in self.grid.members:
                total = total + 2.0 * self._diffusivity(y, x, p, member.axis.name) / spacing(member) ** 2
        total = total.expand(*y.shape[: -self.dimension - 1], *self.grid.shape)
        return _COURANT / total.flatten(-self.dimension).amax(-1)

    @property
    def _all(self) -> tuple[slice, ...]:
        return (slice(None),) * self.dimension

    def _flux(self, t: Tensor, y: Tensor, dim: int, p: Mapping[str, Field]) -> Tensor:
        """The flux (*sample, scalar, *faces) through the faces across one axis."""
        axis = self.grid.members[dim].axis.name
        x, on_faces = self.parameters.faces[dim].at_instant(t), self.parameters.on_faces(t, dim)
        cells = self.ghosts.extend(y, dim, t)
        n = self.grid.members[dim].size + 1
        below, above = cells.narrow(dim, LAYERS - 1, n), cells.narrow(dim, LAYERS, n)
        slope, between = (above - below) / spacing(self.grid.members[dim]), 0.5 * (below + above)
        if axis not in self.waves:  # no flux but by slopes, or one that does not depend on the state
            sloped = self._state(between, x, {**self._flat, axis: slope})
            return self._component(self.equation.flux(sloped, on_faces, x), axis, x)
        lower, upper = self._sides(cells, dim, t, p, x, on_faces)
        states = [self._state(side, x, self._flat) for side in (lower, upper)]
        fluxes = [self._component(self.equation.flux(u, on_faces, x), axis, x) for u in states]
        speeds = [self.equation.characteristic_speeds(u, on_faces, x)[axis] for u in states]
        slowest, fastest = zip(*[[self._thin(s) for s in pair] for pair in speeds], strict=True)
        flux = 0.5 * (fluxes[0] + fluxes[1])
        flux = flux + _hll(lower, upper, fluxes[0], fluxes[1], torch.minimum(*slowest), torch.maximum(*fastest))
        if self.diffusive:
            sloped = self._state(between, x, {**self._flat, axis: slope})
            flux = flux + self._component(self.equation.flux(sloped, on_faces, x), axis, x)
            flux = flux - self._component(self.equation.flux(self._state(between, x, self._flat), on_faces, x), axis, x)
        return flux

    def _sides(
        self, cells: Tensor, dim: int, t: Tensor, p: Mapping[str, Field], x: Coordinates, on_faces: Mapping[str, Field]
    ) -> tuple[Tensor, Tensor]:
        """The states on the lower and the upper side of each face, interpolated in primitive variables."""
        if type(self.equation).primitive is FluxForm.primitive:
            return face_values(cells, dim, self.limiter)
        around = self.parameters.around[dim].at_instant(t)
        grid = around.discretisation
        assert isinstance(grid, Grid)
        beyond = {
            name: SlopedField(self.ghosts.reflect(f.values, dim), grid, f.quantity) if len(f.axes) else f
            for name, f in p.items()
        }
        primitive = self.equation.primitive(self._state(cells, around, {}), beyond, around)
        w = self._stack([field.values for field in flatten(primitive).values()])
        found = []
        for side in face_values(w, dim, self.limiter):
            state = self.equation.conservative(_rebuilt(primitive, side, x), on_faces, x)
            found.append(self._stack([field.values for field in flatten(state).values()]))
        return found[0], found[1]

    def _state(self, y: Tensor, x: Coordinates, slopes: Mapping[str, Tensor]) -> State:
        """The state at cells or faces from its values, and slopes of the same layout or alike for all scalars."""
        grid = x.discretisation
        assert isinstance(grid, Grid)
        fields: dict[str, Field] = {}
        for i, name in enumerate(self.scalars):
            own = {a: s if s.ndim < y.ndim else s.select(-self.dimension - 1, i) for a, s in slopes.items()}
            fields[name] = SlopedField(y.select(-self.dimension - 1, i), grid, self.problem.quantity(name), own)
        return assemble(self.equation.unknowns, fields)

    @property
    def _flat(self) -> dict[str, Tensor]:
        zero = torch.zeros([1] * self.dimension, dtype=self.x.dtype, device=self.x.device)
        return dict.fromkeys(self.grid.axes.names, zero)

    def _component(self, flux: Mapping[str, Vector], axis: str, x: Coordinates) -> Tensor:
        """The flux of every scalar along one axis (*sample, scalar, *places)."""
        zero = torch.zeros(x.discretisation.shape, dtype=x.dtype, device=x.device)
        parts = {name: vector.components.get(axis) for name, vector in flux.items()}
        return self._stack([zero if (part := parts.get(n)) is None else x.expand(part).values for n in self.scalars])

    def _stack(self, rows: Sequence[Tensor]) -> Tensor:
        return torch.stack(torch.broadcast_tensors(*rows), -self.dimension - 1)

    def _thin(self, field: Field) -> Tensor:
        """Values that broadcast against (*sample, scalar, *places)."""
        if not len(field.axes):
            return field.values.reshape(*field.values.shape, *[1] * (self.dimension + 1))
        return field.values.unsqueeze(-self.dimension - 1)

    def _diffusivity(self, y: Tensor, x: Coordinates, p: Mapping[str, Field], axis: str) -> Tensor:
        """A bound (*sample, *grid) for the eigenvalues of -dF/du_x: the largest sum of a row's absolute values."""
        without = self._component(self.equation.flux(self._state(y, x, self._flat), p, x), axis, x)
        total = torch.zeros((), dtype=y.dtype, device=y.device)
        for i in range(len(self.scalars)):
            slope = torch.zeros([len(self.scalars), *[1] * self.dimension], dtype=y.dtype, device=y.device)
            slope[i] = 1.0
            u = self._state(y, x, {**self._flat, axis: slope.expand_as(y)})
            total = total + (self._component(self.equation.flux(u, p, x), axis, x) - without).abs()
        return total.amax(-self.dimension - 1)

    def _is_diffusive(self, state: Tensor) -> bool:
        """Whether the flux depends on slopes."""
        assert self.problem.time is not None
        t = torch.tensor(self.problem.time.lower, dtype=self.x.dtype, device=self.x.device)
        x, p = self.x.at_instant(t), self.parameters.on_cells(t)
        found = False
        with torch.no_grad():
            # what is diffused may be absent at first, and so its diffusion
            for y, axis in itertools.product((state, 1.1 * state + 0.1), self.grid.axes.names):
                flat = self.equation.flux(self._state(y, x, self._flat), p, x)
                steep = self.equation.flux(self._state(y, x, {**self._flat, axis: torch.ones_like(y)}), p, x)
                for other in self.grid.axes.names:
                    change = self._component(steep, other, x) - self._component(flat, other, x)
                    depends = bool((change.abs() > 0).any())
                    if depends and other != axis:
                        raise InputError(
                            "finite volumes take fluxes that depend on slopes along their own axis alone, that of "
                            f"{type(self.equation).__name__} along {other} depends on slopes along {axis}: "
                            "take --method.scheme auto"
                        )
                    found = found or depends
        return found


def _hll(lower: Tensor, upper: Tensor, f_lower: Tensor, f_upper: Tensor, slowest: Tensor, fastest: Tensor) -> Tensor:
    """What the flux of HLL adds to the mean of the fluxes on both sides of a face."""
    down, up = slowest.clamp_max(0.0), fastest.clamp_min(0.0)
    # where nothing moves both are zero, and so is what they divide
    fan = (up - down).clamp_min(torch.finfo(lower.dtype).tiny)
    return (up * down * (upper - lower) - 0.5 * (up + down) * (f_upper - f_lower)) / fan


def _rebuilt(like: State, values: Tensor, x: Coordinates) -> State:
    """A state of the same names and units from values (*sample, name, *places)."""
    grid = x.discretisation
    assert isinstance(grid, Grid)
    rows = iter(values.unbind(-len(grid.members) - 1))

    def field(old: Field) -> Field:
        return SlopedField(next(rows), grid, Quantity(old.name, old.unit))

    return {n: f.map(field) if isinstance(f, Vector) else field(f) for n, f in like.items()}


def march(f: FiniteVolumes, times: Sequence[float]) -> Tensor:
    """y (time, *sample, scalar, *grid) at the given times, by `frames` from the initial state.

    Raises:
        Diverged: a value that is not finite, or steps that became too small.
    """
    return torch.stack(list(frames(f, times, f.start())))


def frames(
    f: FiniteVolumes,
    times: Sequence[float],
    y: Tensor,
    *,
    courant: float = 1.0,
    replay: Callable[..., Callable[..., Tensor]] = traced,
) -> Iterator[Tensor]:
    """y (*sample, scalar, *grid) at each of the times, the first of them given; every sample has steps of its own.

    The strong-stability-preserving Runge-Kutta method of order 3 with four stages: each is a mixture of Euler steps
    half as long as the whole, so that what one Euler step keeps (positivity, bounds) it keeps. `courant` is the part of
    the longest stable steps to take; `replay` makes fast copies of functions where no gradients are wanted.
    J. F. B. M. Kraaijevanger, BIT 31 (1991) 482; S. Gottlieb, C.-W. Shu, E. Tadmor, SIAM Review 43 (2001) 89.

    Raises:
        Diverged: a value that is not finite, or steps that became too small.
    """
    space = f.dimension + 1
    t = torch.full(y.shape[:-space], times[0], dtype=y.dtype, device=y.device)
    euler: Callable[..., Tensor] = f.advanced
    if not (torch.is_grad_enabled() and (y.requires_grad or f(t, y).requires_grad)):
        euler = replay(f.advanced, t, y, torch.zeros_like(t))
    stable = replay(f.step_size, t, y.detach())
    longest, shortest = 2.0 * courant, 1e-12 * (times[-1] - times[0])
    with torch.no_grad():
        limit = longest * stable(t, y)
    yield y
    for end in times[1:]:
        left = end - t
        while bool((left > shortest).any()):
            moving = left > shortest
            count = torch.ceil(left / limit).clamp_min(1.0)
            step = torch.where(moving, left / count, 0.0)
            if not bool(((step > shortest) | ~moving).all()):
                raise Diverged(f"{f.problem.name}: finite volumes cannot go on at t = {float(t.min()):.4g}")
            h, half = 0.5 * step, t + 0.5 * step
            stage = euler(half, euler(t, y, h), h)
            stage = 2 / 3 * y + 1 / 3 * euler(t + step, stage, h)
            new = euler(half, stage, h)
            with torch.no_grad():
                after = longest * stable(t + step, new)
                # waves that are twice as fast after a step, by inflow or a parameter, were not seen coming: again
                taken = step <= 2.0 * after
                shorter = torch.minimum(after, 0.5 * step).nan_to_num(0.0)
                next_limit = torch.where(taken, torch.minimum(after, 2.0 * limit), torch.maximum(shorter, 0.1 * step))
                # a sample that waits for others is as it would be alone
                limit = torch.where(moving, next_limit, limit)
                taken = taken & moving
            y = torch.where(taken.reshape(*taken.shape, *[1] * space), new, y)
            t = torch.where(taken, torch.where(count <= 1, end, t + step), t)
            left = end - t
        yield y
