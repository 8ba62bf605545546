"""The stages of a step: projected states, or velocities in the tangent space."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pdesolve.errors import Diverged
from pdesolve.least_squares.modular import Modular
from pdesolve.marching.instant import Instant
from pdesolve.marching.stepper import Part
from pdesolve.physics.solvers.teng.projector import Projector
from pdesolve.physics.solvers.teng.quadrature import Quadrature, Watch
from pdesolve.physics.solvers.teng.schemes import Scheme
from pdesolve.physics.solvers.teng.solves import Solve

_LOST = 0.1  # relative residual of a projection at which a march has lost its target
_NUDGE = 1e-5  # part of the time or of the parameters over which differences are taken
_SEEN = 1e-7  # defect of a velocity over a step, relative in L2, below which nobody need look between the points


@dataclass(frozen=True)
class Attempt:
    """What a step has left: its worst relative residual, and its embedded error, relative in L2; zero where none."""

    residual: float
    error: float


class Stages(Part):
    """One step of a scheme for a network, from whatever it holds. What it remembers is in `state_dict`."""

    scheme: Scheme
    quadrature: Quadrature

    @abstractmethod
    def attempt(self, time: float, end: float) -> Attempt:
        """One step of the network.

        Raises:
            Diverged: the network has lost its target, or a value is not finite.
        """

    @abstractmethod
    def renew(self) -> None:
        """Take the points of another step."""


class ProjectedStages(Stages):
    """T = u + dt Σ_j a_ij L u_j at the points, and the network brought onto it before the next rate is taken.

    Of an implicit stage U − γ dt L U = T the rate is (U − T) / (γ dt), which has no part of the short waves that L
    makes of what the projection left.

    Each projection starts from the parameters moved as in the same stage of the step before, θ + (dt/dt') Δθ', where
    that is nearer to the target.
    """

    def __init__(
        self, scheme: Scheme, quadrature: Quadrature, projector: Projector, watch: Watch, *, tolerance: float = 0.0
    ) -> None:
        self.scheme, self.quadrature, self.projector, self.watch = scheme, quadrature, projector, watch
        self.tolerance = tolerance
        self._moves: list[Tensor] = []  # of the parameters, for each stage of the last accepted step and a unit of time
        self._tried: list[Tensor] = []

    def attempt(self, time: float, end: float) -> Attempt:
        now, unseen, start = self.quadrature.now, self.quadrature.unseen, parameters(self.quadrature.now)
        own, worst, last, other = now.initial.shape[-1], 0.0, 0.0, 0.0
        tried: list[Tensor] = []
        solved: tuple[Tensor, float] | None = None

        def values(at: float) -> Tensor:
            with torch.no_grad():
                return torch.cat([now.values(at), unseen.values(at)], -1)

        def rate(at: float) -> Tensor:
            if solved is not None:
                target, ahead = solved
                return (values(at) - target) / ahead
            return torch.cat([now.rate(at), unseen.settled_rate(at)], -1)

        def reach(target: Tensor, at: float, ahead: float) -> None:
            nonlocal worst, last, other, solved
            stage = len(tried)
            if self._moves:
                self._guess(target[:, :own], at, start + (end - time) * self._moves[stage], ahead=ahead)
            last = self.projector.onto(target[:, :own], at, ahead=ahead)
            solved = (target, ahead) if ahead else None
            worst = max(worst, last)
            if not worst < _LOST:
                raise Diverged(f"the network is {worst:.1e} from its target at t = {at:.6g}")
            other = unseen.distance(target[:, own:], at, ahead=ahead)
            tried.append((parameters(now) - start) / (end - time))

        rates = self.scheme.step(values(time), time, end - time, rate, reach)
        self._tried = tried
        self.watch.look(last, other, time=end, tolerance=self.tolerance)
        if not self.scheme.embedded:
            return Attempt(worst, 0.0)
        with torch.no_grad():
            apart = now.values(end) + self.scheme.error([*rates, rate(end)], end - time)[:, :own]
        return Attempt(worst, now.distance(apart, end))

    def renew(self) -> None:
        self._moves = self._tried  # the last attempt was accepted
        if self.quadrature.renew():
            self.projector.instant = self.quadrature.now

    def _guess(self, target: Tensor, time: float, theta: Tensor, *, ahead: float) -> None:
        now, here = self.quadrature.now, parameters(self.quadrature.now)
        before = now.distance(target, time, ahead=ahead)
        put(now, theta)
        if not now.distance(target, time, ahead=ahead) < before:
            put(now, here)

    @property
    def notes(self) -> dict[str, Any]:
        return {**self.projector.notes, **self.watch.notes}

    def state_dict(self) -> dict[str, Any]:
        return {
            "projector": self.projector.state_dict(), "watch": self.watch.state_dict(), "tolerance": self.tolerance,
            "tried": list(self._tried),
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self.projector.load_state_dict(state["projector"])
        self.watch.load_state_dict(state["watch"])
        self.tolerance, self._tried = state["tolerance"], list(state["tried"])


class TangentStages(Stages):
    """θ_t = argmin |J θ_t − L u|², the time-dependent variational principle: a scheme for the parameters themselves."""

    def __init__(self, scheme: Scheme, quadrature: Quadrature, watch: Watch, *, by: Solve, damping: float) -> None:
        self.scheme, self.quadrature, self.watch, self.by, self.damping = scheme, quadrature, watch, by, damping
        self.solves, self.defect = 0, 0.0
        self._pointwise: bool | None = None

    def attempt(self, time: float, end: float) -> Attempt:
        now, dt = self.quadrature.now, end - time
        theta, self.defect = parameters(now), 0.0
        rates = self.scheme.step(theta, time, dt, self.velocity, lambda target, at, _: put(now, target))
        residual, there = self.defect * dt, parameters(now)
        self.look(theta, rates[0], time, dt)
        put(now, there)
        if not self.scheme.embedded:
            return Attempt(residual, 0.0)
        apart = there + self.scheme.error([*rates, self.velocity(end)], dt)
        with torch.no_grad():
            u = now.values(end)
            put(now, apart)
            error = now.distance(u, end)
        put(now, there)
        return Attempt(residual, error)

    def velocity(self, time: float) -> Tensor:
        """θ_t of the network as it is.

        Raises:
            Diverged: a rate that is not finite.
        """
        now = self.quadrature.now
        rate = now.rate(time) - lifted_rate(now, time)
        if not bool(torch.isfinite(rate).all()):
            raise Diverged(f"the rate at t = {time:.6g} is not finite")
        with torch.no_grad():
            target = now.values(time) - rate
        objective = Modular(now.module, lambda: {"velocity": now.rows(target, time)})
        objective.pointwise = self._pointwise
        here = objective.linearise(objective.theta())
        r = here.rows("a velocity")
        velocity = self.by.linear(here.jacobian, r, self.damping)(r)
        self.solves += 1
        self._pointwise = objective.pointwise
        self.defect = max(self.defect, float((here.jacobian.times(velocity) - r).norm()))
        return velocity

    def look(self, theta: Tensor, velocity: Tensor, time: float, dt: float) -> None:
        """Watch what J θ_t − L u, over a step, is at unseen points; J θ_t by a difference along θ_t."""
        h = _NUDGE * float(theta.norm() / velocity.norm().clamp_min(1e-300))
        defects = []
        for instant in (self.quadrature.now, self.quadrature.unseen):
            put(instant, theta)
            rate = instant.settled_rate(time) - lifted_rate(instant, time)
            with torch.no_grad():
                u = instant.values(time)
                put(instant, theta + h * velocity)
                above = instant.values(time)
                put(instant, theta - h * velocity)
                moved = (above - instant.values(time)) / (2 * h)
            put(instant, theta)
            defects.append(dt * instant.distance(u + moved - rate, time))
        self.watch.look(*defects, time=time, tolerance=_SEEN)

    def renew(self) -> None:
        self.quadrature.renew()

    @property
    def notes(self) -> dict[str, Any]:
        return {"solves": self.solves, **self.watch.notes}

    def state_dict(self) -> dict[str, Any]:
        return {"solves": self.solves, "watch": self.watch.state_dict()}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self.solves = state["solves"]
        self.watch.load_state_dict(state["watch"])


def lifted_rate(instant: Instant, time: float) -> Tensor:
    """What the state changes by itself while the parameters stay: the rate of the walls' values; zero without walls."""
    if instant.lift is None:
        return torch.zeros_like(instant.initial)
    assert instant.problem.time is not None
    h = _NUDGE * instant.problem.time.length
    with torch.no_grad():
        return (instant.values(time + h) - instant.values(time - h)) / (2 * h)


def parameters(instant: Instant) -> Tensor:
    """The network's parameters, flat."""
    return torch.cat([p.detach().reshape(-1) for p in instant.module.parameters()])


@torch.no_grad()
def put(instant: Instant, theta: Tensor) -> None:
    """Write flat parameters into the network."""
    own = list(instant.module.parameters())
    for p, part in zip(own, theta.split([p.numel() for p in own]), strict=True):
        p.copy_(part.view_as(p))
