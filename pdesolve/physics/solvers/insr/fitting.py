"""The fit of a step: rows at points made small by Levenberg-Marquardt, or by Adam as the paper does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.errors import Diverged
from pdesolve.least_squares import LevenbergMarquardt
from pdesolve.least_squares.factor import Factor, factorise
from pdesolve.least_squares.form import Form, predicted_bytes
from pdesolve.least_squares.modular import Modular
from pdesolve.least_squares.objective import Linearisation
from pdesolve.physics.solvers.insr.kept import Kept
from pdesolve.physics.solvers.insr.places import Points
from pdesolve.training.checkpoint import Stateful

Rows = Callable[[], Mapping[str, Tensor]]

_FALL = 0.7  # factor of the squared residual above which another step has not lowered it
_MOVES = 3  # changes of parameters that are remembered for each fit of a step
_SLOWLY = 2  # slow steps in a row after which a fit ends: one alone is often a change of damping
_SLOW = 0.99  # the same in a first fit of a name
FIRST = 10  # times as many repetitions in such a fit, which has no move to begin with
_PATIENCE = 500  # iterations without progress after which Adam's rate falls to a tenth
_FLOOR = 1e-8  # the least rate
_PROGRESS = 1e-4  # relative fall of the loss that counts as such


class Fitting(Stateful, ABC):
    """What makes rows small. `rows(points)` gives what computes them at these points with the network as it is."""

    iterations = 0
    fall = 0.0  # the relative fall of the sum of squares in the last repetition

    @abstractmethod
    def minimise(self, name: str, module: nn.Module, rows: Callable[[Points], Rows], *, least: float = 0.0) -> float:
        """Train a module on rows; the root of their sum of squares at the end.

        name: which fit of a step it is, for what is remembered from one step to the next. least: the part of the sum of
        squares by which another repetition must lower it where it does not vanish, as that of a potential.

        Raises:
            Diverged: rows that are not finite.
        """

    @abstractmethod
    def forget(self) -> None:
        """Drop what was kept of the rows before: those to come are of another kind."""


class SecondOrder(Fitting):
    """Levenberg-Marquardt at points that stay, until the residual is at `tolerance` or falls slowly twice in a row.

    A fit starts from the parameters moved as in the steps before, which saves most of its own steps. Factors of J are
    kept for later fits of the same name for as long as steps from them do: they cost an evaluation and its gradient.
    Where what J can still remove is at `tolerance` the fit is over too, whatever stays.
    """

    def __init__(self, points: Points, *, repetitions: int, damping: float, tolerance: float = 1e-13) -> None:
        self.points, self.repetitions, self.damping, self.tolerance = points, repetitions, damping, tolerance
        self.iterations = 0
        self._method = LevenbergMarquardt()
        self._dampings: dict[str, float] = {}
        self._pointwise: dict[str, bool | None] = {}
        self._moves: dict[str, list[Tensor]] = {}
        self._kept: dict[str, Kept] = {}
        self._origins: dict[str, tuple[Tensor, float, float]] = {}  # of what is to be kept where a run goes on

    def minimise(self, name: str, module: nn.Module, rows: Callable[[Points], Rows], *, least: float = 0.0) -> float:
        objective = Modular(module, rows(self.points))
        objective.pointwise = self._pointwise.get(name)
        origin = objective.theta()
        known, slow, done = name in self._moves, 0, False
        fall = 1.0 - least if least else _FALL
        if name in self._origins:
            self._rebuild(name, objective)
        theta = self._guess(name, objective, origin)
        square, before = 2 * float(objective.loss(theta)), float("inf")
        for _ in range(self.repetitions if known else FIRST * self.repetitions):
            kept = self._kept.get(name)
            if kept is not None and known and not least:
                theta, square, done = kept.improve(objective, theta, enough=self.tolerance)
            slow = slow + 1 if square > (fall if known else max(fall, _SLOW)) * before else 0
            if done or slow == _SLOWLY or (square <= self.tolerance**2 and before < float("inf")):
                break
            before = square
            theta, square, moved = self._solved(name, objective, theta)
            self.fall = (before - square) / before
            if not moved:
                break
        objective.put(theta)
        self._moves[name] = [theta - origin, *self._moves.get(name, [])][:_MOVES]
        self._pointwise[name] = objective.pointwise
        return square**0.5

    def forget(self) -> None:
        self._kept.clear()
        self._origins.clear()

    def _solved(self, name: str, objective: Modular, theta: Tensor) -> tuple[Tensor, float, bool]:
        """One step of Levenberg-Marquardt with factors of its own, which are kept: θ, |r|², whether it moved."""
        here, factor = self._factorised(objective, theta)
        start = min(self._dampings.get(name, self.damping), self.damping)
        state = {"damping": theta.new_tensor(start), "growth": theta.new_tensor(2.0)}
        step = self._method.descend(objective, theta, state, here, factor)
        self.iterations += 1
        moved = bool(step.moved)
        self._dampings[name] = float(step.state["damping"]) if moved else self.damping
        before = self._kept.pop(name, None)
        if moved:
            assert factor.damping is not None
            last = None if before is None else before.last
            self._kept[name] = Kept(factor, theta, float(factor.damping), last=last)
        return step.theta, 2 * float(step.loss), moved

    def _rebuild(self, name: str, objective: Modular) -> None:
        """The kept factors again, where a run goes on: J of these rows does not depend on their target."""
        now, (theta, damping, last) = objective.theta(), self._origins.pop(name)
        _, factor = self._factorised(objective, theta)
        self._kept[name] = Kept(factor, theta, damping, last=last)
        objective.put(now)

    def _factorised(self, objective: Modular, theta: Tensor) -> tuple[Linearisation, Factor]:
        here = objective.linearise(theta)
        r = here.rows("a fit")
        form = Form("dense", len(r), len(theta), predicted_bytes("dense", len(r), len(theta)))
        return here, factorise(here.jacobian, r, form)

    def _guess(self, name: str, objective: Modular, theta: Tensor) -> Tensor:
        """Where to start: the parameters as they are, or moved as in the fits of this name before, whichever fits best.

        What a step changes, it changes much as the step before: to zeroth, first and second order in the step's number.
        """
        moves = self._moves.get(name, [])
        ways = [m for k, m in enumerate(_extrapolations(moves)) if k < len(moves)]
        starts = [theta, *(theta + way for way in ways)]
        losses = [float(objective.loss(start)) for start in starts] if ways else [0.0]
        return starts[min(range(len(starts)), key=losses.__getitem__)]

    def state_dict(self) -> dict[str, Any]:
        return {
            "dampings": dict(self._dampings),
            "moves": {name: list(moves) for name, moves in self._moves.items()},
            "origins": self._origins | {name: (k.origin, k.damping, k.last) for name, k in self._kept.items()},
            "pointwise": dict(self._pointwise),
            "tolerance": self.tolerance,
            "iterations": self.iterations,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._dampings, self.tolerance = dict(state["dampings"]), state["tolerance"]
        device = self.points.inside.x.device
        self._moves = {name: [m.to(device) for m in moves] for name, moves in state["moves"].items()}
        self._origins = {name: (theta.to(device), *dampings) for name, (theta, *dampings) in state["origins"].items()}
        self._pointwise, self._kept = dict(state["pointwise"]), {}
        self.iterations = state["iterations"]


def _extrapolations(moves: list[Tensor]) -> list[Tensor]:
    """The next move by polynomials through the last one, two and three."""
    if not moves:
        return []
    a, b, c = [*moves, moves[-1], moves[-1]][:3]
    return [a, 2 * a - b, 3 * a - 3 * b + c]


class FirstOrder(Fitting):
    """Adam from anew at fresh random points each iteration; its rate falls to a tenth where the loss stalls.

    Ends once the rate is at its floor, after four stalls from 1e-4, or after `cap` iterations (`first_cap` for a
    network that knows nothing).
    """

    def __init__(self, draw: Callable[[], Points], *, rate: float, cap: int, first_cap: int | None = None) -> None:
        self.draw, self.rate, self.cap, self.first_cap, self.iterations = draw, rate, cap, first_cap or cap, 0

    def minimise(self, name: str, module: nn.Module, rows: Callable[[Points], Rows], *, least: float = 0.0) -> float:
        return self._train(name, module, rows, cap=self.cap)

    def _train(self, name: str, module: nn.Module, rows: Callable[[Points], Rows], *, cap: int) -> float:
        optimiser = torch.optim.Adam(module.parameters(), lr=self.rate)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimiser, factor=0.1, patience=_PATIENCE, threshold=_PROGRESS, min_lr=_FLOOR
        )
        loss = 0.0
        for _ in range(cap):
            optimiser.zero_grad()
            with torch.enable_grad():
                total = torch.stack([term.square().sum() for term in rows(self.draw())().values()]).sum()
            total.backward()
            optimiser.step()
            self.iterations += 1
            loss = float(total.detach())
            if not loss < float("inf"):
                raise Diverged(f"the loss of the {name} fit is {loss}: give a smaller --method.learning_rate")
            plateau.step(loss)
            if optimiser.param_groups[0]["lr"] <= 1.1 * _FLOOR:
                break
        optimiser.zero_grad()
        return loss**0.5

    def forget(self) -> None:
        pass

    def begin(self, name: str, module: nn.Module, rows: Callable[[Points], Rows]) -> float:
        """As `minimise`, from a network that knows nothing."""
        return self._train(name, module, rows, cap=self.first_cap)

    def state_dict(self) -> dict[str, Any]:
        return {"iterations": self.iterations}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.iterations = state["iterations"]
