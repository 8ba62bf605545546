"""Steppers: equal steps of a scheme, steps as long as an embedded pair allows, and torchdiffeq's."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pdesolve.errors import Diverged
from pdesolve.marching.stepper import Step, Stepper, next_time
from pdesolve.physics.solvers.teng.solves import Solve
from pdesolve.physics.solvers.teng.stability import spectral_radius
from pdesolve.physics.solvers.teng.stages import Stages, TangentStages, parameters, put

_TRIES = 12  # lengths that one step of an embedded pair is tried with
_SAFE = 0.9  # part of the step that the estimate allows
_GROWTH, _SHRINK = 5.0, 0.2  # the most and the least that a step may change by
_LOST_SHRINK = 0.25  # factor of a step whose network lost its target


class Equal(Stepper):
    """Equal steps. Past the limit of stability they are told so, with the numbers.

    instead: a scheme without a limit that the settings may have.
    """

    def __init__(
        self, stages: Stages, *, length: float, name: str, by: Solve, damping: float, instead: str = ""
    ) -> None:
        self.stages, self.length, self.name, self.by, self.damping = stages, length, name, by, damping
        self.instead, self.radius = instead, math.nan

    def advice(self, time: float) -> str:
        """A line where the step is past stability at the state as it is, empty where not; keeps the radius."""
        now = self.stages.quadrature.now
        if self.stages.scheme.implicit:
            return ""
        self.radius = spectral_radius(now, self.by, damping=self.damping, time=time)
        limit = self.stages.scheme.limit
        if not self.radius * self.length > limit:
            return ""
        assert now.problem.time is not None
        steps = math.ceil(now.problem.time.length * self.radius / limit)
        other = f", or an implicit scheme: --method.scheme {self.instead}" if self.instead else ""
        return (
            f"steps of {self.length:.3g} are past stability at t = {time:.4g}, the rate's spectral radius "
            f"{self.radius:.3g} times the step is {self.radius * self.length:.3g} where {self.name} takes {limit:.3g}: "
            f"what there is of the fastest waves grows, give --method.time_steps {steps}{other}"
        )

    def step(self, time: float, final: float) -> Step:
        self.stages.renew()
        now, end = self.stages.quadrature.now, next_time(time, self.length, final)
        start = parameters(now)
        try:
            return Step(end, self.stages.attempt(time, end).residual)
        except Diverged as error:
            put(now, start)
            advice = self.advice(time)
            more = "the network is too small, give a larger --method.width or more --method.time_steps"
            raise Diverged(f"{error}: {advice or more}") from error

    @property
    def notes(self) -> dict[str, Any]:
        told = {} if math.isnan(self.radius) else {"spectral radius of the rate": self.radius}
        return {**self.stages.notes, **told}

    def state_dict(self) -> dict[str, Any]:
        return {"stages": self.stages.state_dict(), "radius": self.radius}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self.stages.load_state_dict(state["stages"])
        self.radius = state["radius"]


class Adaptive(Stepper):
    """Steps of an embedded pair, the estimated error of each at most the tolerance, relative in L2.

        dt ← 0.9 dt (tolerance/error)^(0.7/q) (error_before/tolerance)^(0.4/q),   q the order of the pair

    A rejected step puts the network back as it was. Proportional-integral control: K. Gustafsson, ACM Trans. Math.
    Softw. 17 (1991) 533.
    """

    def __init__(self, stages: Stages, *, length: float, tolerance: float) -> None:
        self.stages, self.length, self.tolerance = stages, length, tolerance
        self.before = 1.0
        self.accepted = self.rejected = 0
        self.shortest, self.longest = math.inf, 0.0

    def step(self, time: float, final: float) -> Step:
        self.stages.renew()
        now = self.stages.quadrature.now
        start, q, grows, reason, dt = parameters(now), self.stages.scheme.order, True, "", self.length
        for _ in range(_TRIES):
            end = next_time(time, self.length, final)
            dt = end - time
            try:
                found = self.stages.attempt(time, end)
                ratio = found.error / self.tolerance
            except Diverged as error:
                found, ratio, reason = None, math.inf, f", {error}"
            if found is not None and ratio <= 1:
                ratio = max(ratio, 1e-8)
                factor = _SAFE * ratio ** (-0.7 / q) * self.before ** (0.4 / q)
                factor = min(max(factor, _SHRINK), _GROWTH if grows else 1.0)
                # a step cut at the end says little of how long the next may be
                self.length = max(self.length, dt * factor) if end == final else dt * factor
                self.before, self.accepted = ratio, self.accepted + 1
                self.shortest, self.longest = min(self.shortest, dt), max(self.longest, dt)
                return Step(end, found.residual)
            put(now, start)
            self.rejected, grows = self.rejected + 1, False
            finite = math.isfinite(ratio)
            self.length = dt * (max(_SAFE * ratio ** (-1 / q), _SHRINK) if finite else _LOST_SHRINK)
        raise Diverged(
            f"no step from t = {time:.6g} keeps --method.step_tolerance {self.tolerance:g}, the last was {dt:.1e} long"
            f"{reason}: give a larger one or a larger --method.width"
        )

    @property
    def notes(self) -> dict[str, Any]:
        lengths = {"shortest step": self.shortest, "longest step": self.longest} if self.accepted else {}
        return {**self.stages.notes, "rejected steps": self.rejected, **lengths}

    def state_dict(self) -> dict[str, Any]:
        return {
            "stages": self.stages.state_dict(), "length": self.length, "before": self.before,
            "accepted": self.accepted, "rejected": self.rejected, "shortest": self.shortest, "longest": self.longest,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self.stages.load_state_dict(state["stages"])
        self.length, self.before = state["length"], state["before"]
        self.accepted, self.rejected = state["accepted"], state["rejected"]
        self.shortest, self.longest = state["shortest"], state["longest"]


class Integrated(Stepper):
    """θ_t = argmin |J θ_t − L u|² by torchdiffeq's adaptive method of order 8 from one equal time to the next."""

    def __init__(self, stages: TangentStages, *, length: float, tolerance: float) -> None:
        self.stages, self.length, self.tolerance = stages, length, tolerance

    def step(self, time: float, final: float) -> Step:
        from torchdiffeq import odeint

        self.stages.renew()
        now, end = self.stages.quadrature.now, next_time(time, self.length, final)
        start = parameters(now)
        self.stages.defect = 0.0
        self.stages.look(start, self.stages.velocity(time), time, end - time)

        def velocity(t: Tensor, theta: Tensor) -> Tensor:
            put(now, theta)
            return self.stages.velocity(min(float(t), end))

        times = torch.tensor([time, end], dtype=start.dtype, device=start.device)
        try:
            states = odeint(
                velocity, start, times, rtol=self.tolerance, atol=self.tolerance, method="dopri8",
                options={"step_t": times[1:]},
            )  # fmt: skip
        except AssertionError as error:
            put(now, start)
            raise Diverged(
                f"torchdiffeq finds no step at t = {time:.6g}, {error}: give a larger --method.damping"
            ) from error
        assert isinstance(states, Tensor)
        put(now, states[-1])
        return Step(end, self.stages.defect * (end - time))

    @property
    def notes(self) -> dict[str, Any]:
        return self.stages.notes

    def state_dict(self) -> dict[str, Any]:
        return self.stages.state_dict()

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self.stages.load_state_dict(state)
