"""Algebraic unknowns of a marched system, such as a pressure: found anew for each state by least squares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.equation import State, assemble, flatten
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates
from pdesolve.geometry import PointCloud
from pdesolve.least_squares import LeastSquares, LevenbergMarquardt
from pdesolve.marching.joined import InSpace
from pdesolve.marching.system import at_time
from pdesolve.problem import Problem, Value

_FIRST, _LATER = 400, 12  # the most Gauss-Newton steps, from a random network and from the last instant's
_EXACT = 1e-10  # part of what is to be balanced that may stay
_LOOK, _SLOW = (20, 3), 0.5  # steps, at first and later, over which the squares must fall by such a factor


class Algebraic:
    """A network of the algebraic unknowns q that minimises, at the points, what the constraint C leaves over.

    Where C asks for q itself, |C(u, q)|² (a potential of a charge). Where it does not, q acts through the rates only:
    C(u) = 0 stays true if its derivative in time vanishes, for a C that is affine in u

        |C(rate(u, q)) − C(0)|²

    (a pressure: div v_t = 0). Each solve starts from the network of the last one. residual: of the last solve, relative
    to what the rates are without q at first; `worst` of all.

    Raises:
        InputError: a constraint that is not affine and does not hold the algebraic unknowns, or depends on time.
    """

    def __init__(
        self, problem: Problem, module: nn.Module, evolving: Callable[[Coordinates], State], cloud: PointCloud,
        values: Mapping[str, Value], *, column: bool, dtype: torch.dtype, device: torch.device,
    ) -> None:  # fmt: skip
        self.problem, self.module, self.values, self.column = problem, module, values, column
        self._evolving_at = evolving
        self.equation = problem.evolution()
        self.unknowns = tuple(unknown for unknown in self.equation.unknowns if unknown.algebraic)
        self.scalars = tuple(name for unknown in self.unknowns for name in unknown.scalars)
        assert problem.time is not None and cloud.weights is not None
        self.start = problem.time.lower
        kind: dict[str, Any] = {"dtype": dtype, "device": device}
        weights = cloud.weights.to(**kind)
        self._roots = (weights / weights.sum()).sqrt()
        placed = at_time(problem, Coordinates(cloud), self.start, column=column).discretisation
        assert isinstance(placed, PointCloud)

        def constraint(x: Coordinates) -> State:
            x = self._placed(x, self.start)
            return self.equation.constraint({**evolving(x), **self.state(x)}, problem.bind(x, values), x)

        asked = Coordinates.wanted_by(constraint, placed, **kind)
        self.direct = self._holds(placed, kind)
        if not self.direct:
            self._check_affine(placed, kind)
        self._apart = not self.direct and self._acts_apart(placed, kind)
        wanted = Coordinates.wanted_by(lambda x: self._left(self._placed(x, self.start)), placed, **kind)
        self._jets = Coordinates.of_jets(placed, wanted if not self.direct else asked, **kind)
        self._method = LeastSquares(module, LevenbergMarquardt())
        self._scale: float | None = None
        self._begun = False
        self.residual = self.worst = 0.0

    def state(self, x: Coordinates) -> State:
        """The algebraic unknowns at coordinates of space at an instant."""
        network = _in_space(self.module, x, self.problem)
        return assemble(self.unknowns, x.outputs(network, [self.problem.quantity(name) for name in self.scalars]))

    def settle(self, time: float) -> None:
        """Fit the network to the state at an instant."""
        x = self._placed(self._jets, time)
        with torch.no_grad():
            known = self._evolving_at(x)
            moved = self._stacked(self._left(x, known, absent=True), x)
            if self._scale is None:
                self._scale = float((moved * self._roots).norm()) or 1.0
            if self._apart:  # what does not depend on q is computed once
                known = self._nothing(x)
                moved = moved - self._stacked(self._left(x, known, absent=True), x)
        scale, offset = self._scale, moved if self._apart else 0.0

        def rows() -> dict[str, Tensor]:
            return {"constraint": (self._stacked(self._left(x, known), x) + offset) * (self._roots / scale)}

        with torch.no_grad():
            squares = [float(rows()["constraint"].square().sum())]
        look = _LOOK[self._begun]
        for _ in range(_LATER if self._begun else _FIRST):
            slow = len(squares) > look and squares[-1] > _SLOW * squares[-1 - look]
            if squares[-1] <= _EXACT**2 or slow:
                break
            squares.append(2 * float(self._method.step(rows)))
            if not self._method.moved:
                break
        self._begun = True
        self.residual = squares[-1] ** 0.5
        self.worst = max(self.worst, self.residual)

    def state_dict(self) -> dict[str, Any]:
        """What the next solve starts from, besides the network."""
        return {"scale": self._scale, "begun": self._begun, "worst": self.worst, "method": self._method.state_dict()}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Go on where `state_dict` was."""
        self._scale, self._begun, self.worst = state["scale"], state["begun"], state["worst"]
        self._method.load_state_dict(state["method"])

    def _placed(self, x: Coordinates, time: float) -> Coordinates:
        return at_time(self.problem, x, time, column=self.column)

    def _left(
        self, x: Coordinates, known: State | None = None, *, algebraic: State | None = None, absent: bool = False
    ) -> State:
        """What the constraint leaves over; `absent`: with algebraic unknowns that are zero."""
        p = self.problem.bind(x, self.values)
        known = self._evolving_at(x) if known is None else known
        algebraic = self.state(x) if algebraic is None else algebraic
        if absent:
            algebraic = _zero(algebraic)
        state = {**known, **algebraic}
        if self.direct:
            return self.equation.constraint(state, p, x)
        rates = {**self.equation.rate(state, p, x), **algebraic}
        moved, still = (self.equation.constraint(s, p, x) for s in (rates, _zero({**known, **algebraic})))
        return {name: moved[name] - still[name] for name in moved}

    def _holds(self, cloud: PointCloud, kind: Mapping[str, Any]) -> bool:
        """Whether the constraint depends on the algebraic unknowns: at a few points, with some values of them."""
        rows = [self._probe(cloud, kind, 1.0, factor) for factor in (0.0, 1.0)]
        return not torch.equal(*rows)

    def _check_affine(self, cloud: PointCloud, kind: Mapping[str, Any]) -> None:
        zero, one, two = (self._probe(cloud, kind, factor, 0.0) for factor in (0.0, 1.0, 2.0))
        if not torch.allclose(two - one, one - zero, rtol=1e-8, atol=1e-10):
            raise InputError(
                f"{self.problem.name}: marching keeps constraints that are linear in what evolves, as div v = 0, or "
                "that hold the algebraic unknowns themselves: take --method pinn"
            )

    def _acts_apart(self, cloud: PointCloud, kind: Mapping[str, Any]) -> bool:
        """Whether C(rate(u, q)) is a part of u alone and a part of q alone: for a few u and q."""
        x = self._placed(Coordinates(cloud.some(slice(0, 8)), **kind), self.start)
        parts = []
        for factor, algebraic in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
            state = self._state(x, factor, algebraic)
            known = {u.name: state[u.name] for u in self.equation.evolving}
            own = {u.name: state[u.name] for u in self.unknowns}
            parts.append(self._stacked(self._left(x, known, algebraic=own), x).detach())
        none, evolving, own, both = parts
        return torch.allclose(both - own, evolving - none, rtol=1e-8, atol=1e-8 * float(both.abs().max()))

    def _nothing(self, x: Coordinates) -> State:
        """The evolving unknowns, all zero."""
        unknowns = self.equation.evolving
        zeros = {name: x.constant(0.0, name) for unknown in unknowns for name in unknown.scalars}
        return assemble(unknowns, zeros)

    def _probe(self, cloud: PointCloud, kind: Mapping[str, Any], factor: float, algebraic: float) -> Tensor:
        """The constraint of factor times a smooth state, and algebraic times another."""
        x = self._placed(Coordinates(cloud.some(slice(0, 8)), **kind), self.start)
        state = self._state(x, factor, algebraic)
        rows = flatten(self.equation.constraint(state, self.problem.bind(x, self.values), x))
        return torch.stack([x.expand(row).values.detach() for row in rows.values()])

    def _state(self, x: Coordinates, factor: float, algebraic: float) -> State:
        """factor times a smooth state that is nothing special, and algebraic times another."""
        state: dict[str, Any] = {}
        for i, unknown in enumerate(self.equation.unknowns):
            own, scalars = algebraic if unknown.algebraic else factor, {}
            for j, name in enumerate(unknown.scalars):
                total: Any = 1.0
                for k, axis in enumerate(self.problem.domain.axes):
                    s = (x[axis.name] - axis.lower) / axis.length
                    total = total * (1.3 + k + 0.4 * j + s * s + (0.2 * i + 0.1 * j) * s**3)
                scalars[name] = x.expand(own * total)
            state |= assemble([unknown], scalars)
        return state

    def _stacked(self, state: State, x: Coordinates) -> Tensor:
        return torch.stack([x.expand(field).values for field in flatten(state).values()])


def _in_space(module: nn.Module, x: Coordinates, problem: Problem) -> nn.Module:
    return module if x.axes == problem.domain.axes else InSpace(module)


def _zero(state: State) -> State:
    return {name: 0.0 * field for name, field in state.items()}
