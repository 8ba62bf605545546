"""Incompressible flow: the pressure of an instant, its part in the rate, and the paper's step in parts."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.condition import Impermeable, InitialValue
from pdesolve.equation import Evolution, State, Unknown, Values
from pdesolve.fields import Coordinates, Vector, div, dot, grad, laplacian
from pdesolve.geometry import PointCloud, sample
from pdesolve.physics.equations.navier_stokes import NavierStokes
from pdesolve.physics.solvers.insr.characteristics import feet
from pdesolve.physics.solvers.insr.dynamics import Dynamics, frozen
from pdesolve.physics.solvers.insr.fitting import Fitting, Rows
from pdesolve.physics.solvers.insr.places import Medium, Places, Points
from pdesolve.physics.solvers.insr.schemes import Fitted
from pdesolve.physics.solvers.insr.walls import walls
from pdesolve.problem import Problem, Value


@dataclass(frozen=True)
class Momentum(Evolution):
    """v_t = -(v . grad) v + nu lap v + f: what velocities do before the pressure keeps them free of divergence."""

    unknowns = NavierStokes.unknowns[:1]
    parameters = NavierStokes.parameters

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        v: Vector = u["velocity"]
        moved = v.map(lambda component: -dot(v, grad(component)) + p["viscosity"] * laplacian(component))
        return {"velocity": Vector({name: moved[name] + p[f"force_{name}"] for name in v.names})}

    def source(self, u: State, p: Values, x: Coordinates) -> State:
        """div(f - (v . grad) v), the Laplacian that a pressure must have; viscosity makes no divergence."""
        v: Vector = u["velocity"]
        moved = v.map(lambda component: -dot(v, grad(component)))
        return {"source": div(Vector({name: moved[name] + p[f"force_{name}"] for name in v.names}))}


@dataclass(frozen=True)
class Pressure(Evolution):
    """The pressure alone, p_t = lap p: only its derivatives are ever asked for."""

    unknowns = (Unknown("pressure", unit=NavierStokes.unknowns[1].unit),)

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        return {"pressure": laplacian(u["pressure"])}


def velocity_problem(problem: Problem) -> Problem:
    """The problem of the velocity alone."""
    kept = tuple(c for c in problem.conditions if isinstance(c, InitialValue | Impermeable))
    return _part(problem, Momentum(), kept, problem.values)


def _part(problem: Problem, equation: Evolution, conditions: Any, values: Mapping[str, Value]) -> Problem:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is to be said of walls is said of the whole problem
        return dataclasses.replace(
            problem, equation=equation, conditions=conditions, values=values, exact=None, conserved=(),
            up_to_constant=(), sister="", file=None,
        )  # fmt: skip


class Flow(Dynamics):
    """Velocity and pressure, a network each: `first` and `second` of the whole one."""

    parts = 2

    def __init__(
        self, problem: Problem, values: Mapping[str, Value], size: float, fitting: Fitting,
        *, dtype: torch.dtype, device: torch.device,
    ) -> None:  # fmt: skip
        kind: dict[str, Any] = {"dtype": dtype, "device": device}
        momentum, moving = Momentum(), velocity_problem(problem)
        self.size, self.fitting = size, fitting
        self.medium = Medium(
            moving, walls(moving), values,
            {
                "rate": momentum.rate, "source": momentum.source,
                "divergence": lambda u, p, x: {"divergence": div(u["velocity"])},
                "diffusion": lambda u, p, x: {"": u["velocity"].map(lambda c: p["viscosity"] * laplacian(c))},
                "force": lambda u, p, x: {n: x.expand(p[n]) for n in ("force_x", "force_y")},
            },
            **kind,
        )  # fmt: skip
        pressed = _part(problem, Pressure(), (InitialValue("pressure", 0.0),), {})
        self.pressure = Medium(
            pressed, None, {},
            {
                "laplacian": lambda u, p, x: {"": laplacian(u["pressure"])},
                "gradient": lambda u, p, x: {"": grad(u["pressure"])},
            },
            **kind,
        )  # fmt: skip
        self._length = min(axis.length for axis in problem.domain.axes)
        self._scale = _pressing(moving, values, kind) + (size / self._length) ** 2
        self._at_walls: tuple[PointCloud, tuple[Places, Places, Tensor]] | None = None

    def part(self, module: nn.Module) -> nn.Module:
        return getattr(module, "first")  # noqa: B009  the two networks of a Beside

    def rate(self, points: Points, module: nn.Module, time: float) -> Tensor:
        places = self.medium.at(points.inside)
        with torch.no_grad():
            rate = places.formula("rate", places.state(self.part(module), time), time)
            return rate - self.gradient(points, module, time)

    def gradient(self, points: Points, module: nn.Module, time: float) -> Tensor:
        """grad p (axis, point) of the whole network; not differentiable."""
        places = self.pressure.at(points.inside)
        with torch.no_grad():
            return places.formula("gradient", places.state(self.second(module), time), time)

    def settle(self, module: nn.Module, time: float, dt: float) -> float:
        return self.fitting.minimise("pressure", self.second(module), self.rows_of_pressure(module, time, dt))

    def rows_of_pressure(self, module: nn.Module, time: float, dt: float) -> Callable[[Points], Rows]:
        """lap p = div(f - (v . grad) v) + div v / dt, so that what divergence there is goes within a step.

        On walls the slope of p is what velocities do there before there is a pressure.
        """
        velocity = self.part(module)

        def source(places: Places) -> Tensor:
            state = places.state(velocity, time)
            return places.formula("source", state, time) + places.formula("divergence", state, time) / dt

        def slope(places: Places) -> Tensor:
            return places.formula("rate", places.state(velocity, time), time)

        return self.poisson(module, time, source, slope)

    def poisson(
        self, module: nn.Module, time: float, source: Callable[[Places], Tensor], slope: Callable[[Places], Tensor]
    ) -> Callable[[Points], Rows]:
        """Rows of lap p = source (1, point), and of n . grad p = n . slope (axis, point) on walls, without units.

        In parts of the initial state's source, and of a shear flow's inertia: the same in all steps.
        """
        second = self.second(module)

        def rows(points: Points) -> Rows:
            inside = self.pressure.at(points.inside)
            with torch.no_grad():
                wanted = source(self.medium.at(points.inside))
            at_walls = None if points.walls is None else self._rows_at_walls(points.walls, second, time, slope)

            def now() -> Mapping[str, Tensor]:
                left = inside.formula("laplacian", inside.state(second, time), time)
                terms = {"pressure": (left - wanted) * (inside.roots / self._scale)}
                if at_walls is not None:
                    terms["pressure at walls"] = at_walls() * (self._length / self._scale)
                return terms

            return now

        return rows

    def _rows_at_walls(
        self, cloud: PointCloud, second: nn.Module, time: float, slope: Callable[[Places], Tensor]
    ) -> Callable[[], Tensor]:
        """n . (grad p - slope) (1, point), times the roots of the weights."""
        moving, pressed, normals = self._walls(cloud)
        with torch.no_grad():
            pushed = (normals * slope(moving)).sum(0, keepdim=True)

        def now() -> Tensor:
            left = normals * pressed.formula("gradient", pressed.state(second, time), time)
            return (left.sum(0, keepdim=True) - pushed) * pressed.roots

        return now

    def _walls(self, cloud: PointCloud) -> tuple[Places, Places, Tensor]:
        """Velocity and pressure at points of walls, with their normals (axis, point)."""
        if self._at_walls is None or self._at_walls[0] is not cloud:
            assert cloud.normals is not None
            normals = cloud.normals.to(**self.medium.kind).mT
            self._at_walls = (cloud, (Places(self.medium, cloud), Places(self.pressure, cloud), normals))
        return self._at_walls[1]

    def second(self, module: nn.Module) -> nn.Module:
        """The network of the pressure."""
        return getattr(module, "second")  # noqa: B009


def _pressing(problem: Problem, values: Mapping[str, Value], kind: Mapping[str, Any]) -> float:
    """The root mean square of the initial velocity's div(f - (v . grad) v)."""
    assert problem.time is not None
    x = Coordinates(sample(problem.domain, 2048, generator=torch.Generator().manual_seed(0)), **kind)
    here = x.at_instant(problem.time.lower)
    source = Momentum().source(problem.initial_state(x, values), problem.bind(here, values), here)["source"]
    return float(here.expand(source).values.detach().square().mean().sqrt())


class Splitting(Fitted):
    """The paper's step: advection along characteristics, diffusion, pressure and projection, one after the other.

        v* = v_n(X) + dt f,   v** - dt nu lap v** = v*,   lap p = div v** / dt,   v = v** - dt grad p

    Of first order in time. Without viscosity nothing diffuses.
    """

    def __init__(self, module: nn.Module, fitting: Fitting, flow: Flow, *, length: float, viscous: bool) -> None:
        super().__init__(module, fitting, flow.medium, length=length)
        self.dynamics, self.viscous, self.fits = flow, viscous, 4 if viscous else 3

    def advance(self, time: float, end: float) -> float:
        flow, dt, old = self.dynamics, end - time, frozen(self.dynamics.part(self.module))
        residuals = [self._fit("advection", lambda points: self._carried(points, old, time, end), end)]
        if self.viscous:
            residuals.append(self._diffuse(dt, end))
        residuals.append(flow.fitting.minimise("pressure", flow.second(self.module), self._pressed(dt, end)))
        before = frozen(self.module)

        def projected(points: Points) -> Tensor:
            return flow.values(points, before, end) - dt * flow.gradient(points, before, end)

        residuals.append(self._fit("projection", projected, end))
        return max(residuals)

    def _fit(self, name: str, target: Callable[[Points], Tensor], end: float) -> float:
        """Fit the velocity to a target at the end of the step."""
        flow = self.dynamics

        def rows(points: Points) -> Rows:
            with torch.no_grad():
                wanted = target(points)
            return lambda: {name: flow.rows(points, flow.values(points, self.module, end) - wanted)}

        return self.fitting.minimise(name, flow.part(self.module), rows)

    def _carried(self, points: Points, old: nn.Module, time: float, end: float) -> Tensor:
        medium = self.dynamics.medium
        axes = points.inside.axes

        def velocity(x: Tensor, _: float) -> Tensor:
            return medium.values(old, PointCloud(axes, x), time).mT

        origin = feet(points.inside.x.to(**medium.kind), time, end, velocity, medium)
        places = medium.at(points.inside)
        force = places.formula("force", places.state(old, end), end)
        return medium.values(old, PointCloud(axes, origin), time) + (end - time) * force

    def _diffuse(self, dt: float, end: float) -> float:
        flow, old = self.dynamics, frozen(self.module)
        velocity = flow.part(self.module)

        def rows(points: Points) -> Rows:
            places = flow.medium.at(points.inside)
            with torch.no_grad():
                before = flow.values(points, old, end)

            def now() -> Mapping[str, Tensor]:
                change = dt * places.formula("diffusion", places.state(velocity, end), end)
                return {"diffusion": flow.rows(points, flow.values(points, self.module, end) - change - before)}

            return now

        return self.fitting.minimise("diffusion", velocity, rows)

    def _pressed(self, dt: float, end: float) -> Callable[[Points], Rows]:
        velocity = self.dynamics.part(self.module)

        def source(places: Places) -> Tensor:
            return places.formula("divergence", places.state(velocity, end), end) / dt

        def slope(places: Places) -> Tensor:
            return places.values(velocity, end) / dt

        return self.dynamics.poisson(self.module, end, source, slope)
