"""The state that a network holds at one instant, and its rate, at quadrature points of space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from pdesolve.condition import BoundaryCondition
from pdesolve.constraint import Lift
from pdesolve.equation import State, assemble, flatten, velocity_name
from pdesolve.errors import Diverged
from pdesolve.fields import Coordinates, Field, d
from pdesolve.geometry import PointCloud, sample
from pdesolve.marching.algebraic import Algebraic
from pdesolve.marching.joined import InSpace, evolving
from pdesolve.marching.sizes import sizes, wave_speed
from pdesolve.marching.system import FirstOrder, at_time
from pdesolve.marching.walls import WallRows
from pdesolve.nn.features import Beside
from pdesolve.problem import Problem, Value


def quadrature(problem: Problem, n: int, generator: Generator) -> PointCloud:
    """About n weighted points of space: equally spaced on periodic boxes, Gauss-Legendre on others, Sobol elsewhere."""
    axes = problem.domain.axes
    if not problem.domain.is_box:
        return sample(problem.domain, n, generator=generator, sampler="sobol")
    periodic = all(axis.periodic for axis in axes)
    return sample(problem.domain, n, generator=generator, sampler="regular" if periodic else "gauss_legendre")


class Instant:
    """u(x) = g + D N at weighted points of space, values as (scalar, point) of all that evolves.

    problem: of first order in time (see `first_order`). module: a network of space, or one `joined` with that of the
    algebraic unknowns, which are found anew for each rate. walls: the boundary conditions that the lift does not hold,
    as rows of the weight `wall_weight` at `wall_points` points each.

    Rows are scaled so that their sum of squares is that of the relative L2 distance, the mean over the unknowns:
    `size` (scalar, 1) is the root mean square of each one's initial state. `start` is the initial time.

    Of u_tt = c² Δu + ... the scalars are u, u_t and the slopes of u, and the distance is that of the energy
    |u_t|² + c² |∇u|² (+ |u|² / T²), relative to its size: in that norm waves only turn, and so does what a projection
    leaves of them. In L2 short waves grow, the faster the shorter.
    """

    def __init__(
        self, problem: Problem, module: nn.Module, lift: Lift | None, cloud: PointCloud, values: Mapping[str, Value],
        *, walls: Mapping[str, BoundaryCondition] | None = None, wall_weight: float = 1.0, wall_points: int = 64,
        dtype: torch.dtype, device: torch.device,
    ) -> None:  # fmt: skip
        self.problem, self.lift, self.given, self.cloud = problem, lift, values, cloud
        self.equation = problem.evolution()
        self.module = evolving(module)
        self.scalars = tuple(s for unknown in self.equation.evolving for s in unknown.scalars)
        assert problem.time is not None and cloud.weights is not None
        self.start = problem.time.lower
        # what a lift gives of u_t is a derivative in time, for which points need a time of their own
        self._timed = lift is not None and isinstance(self.equation, FirstOrder)
        self._network = InSpace(self.module) if self._timed else self.module
        self._kind: dict[str, Any] = {"dtype": dtype, "device": device}
        self._plain = Coordinates(cloud, gradients=False, **self._kind)
        weights = cloud.weights.to(**self._kind)
        self._roots = (weights / weights.sum()).sqrt()
        self._now = self._placed(self._plain, self.start)
        self._time = self.start
        self._speed = wave_speed(problem, values)
        inner = self.equation.inner if isinstance(self.equation, FirstOrder) else None
        waving = [] if inner is None or self._speed is None else [s for u in inner.evolving for s in u.scalars]
        self._slopes = [(name, axis) for name in waving for axis in problem.domain.axes.names]
        self.names = self.scalars + tuple(f"slope of {name} in {axis}" for name, axis in self._slopes)
        smooth = Coordinates(cloud, **self._kind)
        state = problem.initial_state(smooth, values)
        self.initial = self._stacked({u.name: state[u.name] for u in self.equation.evolving}, smooth).detach()
        self.size = self._sizes()
        self.algebraic: Algebraic | None = None
        if isinstance(module, Beside):
            self.algebraic = Algebraic(
                problem, module.second, self._evolving, cloud, values, column=self._timed, **self._kind
            )
        asked = self._placed(self._plain, self.start).discretisation
        assert isinstance(asked, PointCloud)
        wanted = Coordinates.wanted_by(
            lambda x: [f for part in self._moving(self._placed(x, self.start)) for f in self._fields(part)],
            asked, **self._kind,
        )  # fmt: skip
        self._jets = Coordinates.of_jets(asked, wanted, **self._kind)
        self._jets_now: tuple[float, Coordinates] | None = None
        if self._slopes:
            sloped = Coordinates.wanted_by(
                lambda x: self._fields(self._evolving(self._placed(x, self.start))), asked, **self._kind
            )
            self._plain = Coordinates.of_jets(asked, sloped, **self._kind)
            self._now = self._placed(self._plain, self.start)
        self.walls: WallRows | None = None
        if walls:
            self.walls = WallRows(
                problem, walls, self._evolving, values, dict(zip(self.names, self.size[:, 0].tolist(), strict=True)),
                points=wall_points, weight=wall_weight, column=self._timed, **self._kind,
            )  # fmt: skip

    def values(self, time: float) -> Tensor:
        """The state at an instant (scalar, point), differentiable in the parameters."""
        if time != self._time:
            self._time, self._now = time, self._placed(self._plain, time)
        return self._stacked(self._evolving(self._now), self._now)

    def rate(self, time: float) -> Tensor:
        """What the equation makes of the state (scalar, point), not differentiable.

        Raises:
            Diverged: a rate that is not finite, with the place.
        """
        self.settle(time)
        return self.settled_rate(time)

    def settled_rate(self, time: float) -> Tensor:
        """As `rate`, with the algebraic unknowns as they are."""
        with torch.no_grad():
            _, found = self._moved(time)
        if not bool(torch.isfinite(found).all()):
            name, place = self.place((~torch.isfinite(found)).to(found))
            raise Diverged(f"the rate of {name} is not finite at t = {time:.6g}, {place}: give smaller steps")
        return found

    def settle(self, time: float) -> None:
        """Find the algebraic unknowns that belong to the state at an instant."""
        if self.algebraic is not None:
            self.algebraic.settle(time)

    def rows(self, target: Tensor, time: float, *, ahead: float = 0.0) -> Tensor:
        """u − ahead L u − target (scalar, point), differentiable, scaled so that its norm is the relative one in L2.

        The target is a state where `ahead` is zero, else that of an implicit step of that length, whose rate is taken
        with the algebraic unknowns as they are.
        """
        if ahead:
            values, rate = self._moved(time)
            values = values - ahead * rate
        else:
            values = self.values(time)
        return (values - target) * (self._roots / self.size)

    def terms(self, target: Tensor, time: float, *, ahead: float = 0.0) -> dict[str, Tensor]:
        """All rows of a projection onto a target by name: the distance, and what conditions on walls leave over."""
        inside = {"projection": self.rows(target, time, ahead=ahead)}
        return inside if self.walls is None else inside | self.walls.at(time)

    def distance(self, target: Tensor, time: float, *, ahead: float = 0.0) -> float:
        """The relative L2 distance to a target."""
        with torch.no_grad():
            return float(self.rows(target, time, ahead=ahead).norm())

    def place(self, values: Tensor) -> tuple[str, str]:
        """Of (scalar, point) where the largest absolute value is: the scalar and the point, as "x = 0.5, y = 1"."""
        flat = int(values.abs().nan_to_num(torch.inf).reshape(-1).argmax())
        scalar, point = divmod(flat, values.shape[-1])
        axes = self.cloud.axes.names
        return self.names[scalar], ", ".join(f"{a} = {v:.4g}" for a, v in zip(axes, self.cloud.x[point], strict=True))

    def _sizes(self) -> Tensor:
        """√n times the root mean square of the initial state of each unknown, n their number, at every scalar of it."""
        largest = sizes(self.problem, self.given)
        unknowns = self.equation.evolving
        counts = [len(unknown.scalars) for unknown in unknowns]
        square = (self.initial[: sum(counts)] * self._roots).square().sum(1)
        found: dict[str, float] = {}
        for unknown, own in zip(unknowns, square.split(counts), strict=True):
            # largest values where there is nothing yet, of what a root mean square is some 0.7
            size = float(own.sum().sqrt()) or 0.7 * largest[unknown.scalars[0]]
            found |= dict.fromkeys(unknown.scalars, size * math.sqrt(len(counts)))
        speed = self._speed
        if isinstance(self.equation, FirstOrder) and speed is not None:
            assert self.problem.time is not None
            for unknown in self.equation.inner.evolving:
                v = next(u for u in unknowns if u.name == velocity_name(unknown.name))
                energy = max(found[v.scalars[0]], 0.7 * largest[v.scalars[0]] * math.sqrt(len(counts)))
                found |= dict.fromkeys(v.scalars, energy)
                found |= dict.fromkeys(unknown.scalars, energy * self.problem.time.length)
                found |= dict.fromkeys((f"slope {name}" for name in unknown.scalars), energy / speed)
        names = [*self.scalars, *(f"slope {name}" for name, _ in self._slopes)]
        return self.initial.new_tensor([[found[name]] for name in names])

    def _placed(self, x: Coordinates, time: float) -> Coordinates:
        return at_time(self.problem, x, time, column=self._timed)

    def _evolving(self, x: Coordinates) -> State:
        """The evolving unknowns at coordinates with an instant."""
        timed = x.axes == self.problem.axes
        network = self._network if timed else self.module
        scalars = x.outputs(network, [self.problem.quantity(name) for name in self.scalars])
        if self.lift is not None:
            lift = self.lift
            with torch.enable_grad():  # derivatives of what is given are asked for later
                lifted = x.once(self, lambda: lift.at(x, self.given))
            scalars = lifted(scalars)
        return assemble(self.equation.evolving, scalars)

    def _moving(self, x: Coordinates) -> tuple[State, State]:
        """The evolving unknowns and their rates at coordinates with an instant."""
        state = self._evolving(x)
        known = state if self.algebraic is None else {**state, **self.algebraic.state(x)}
        return state, self.equation.rate(known, self.problem.bind(x, self.given), x)

    def _moved(self, time: float) -> tuple[Tensor, Tensor]:
        """The state and its rate (scalar, point), differentiable in the parameters."""
        if self._jets_now is None or self._jets_now[0] != time:
            self._jets_now = time, self._placed(self._jets, time)
        x = self._jets_now[1]
        state, rates = self._moving(x)
        return self._stacked(state, x), self._stacked(rates, x)

    def _fields(self, state: State) -> list[Field]:
        """All scalars of a state, and the slopes that count."""
        fields = flatten(state)
        return [*(fields[name] for name in self.scalars), *(d(fields[name], axis) for name, axis in self._slopes)]

    def _stacked(self, state: State, x: Coordinates) -> Tensor:
        return torch.stack([x.expand(field).values for field in self._fields(state)])
