"""The method of lines: an evolution on a grid with walls as a system of ordinary differential equations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pdesolve.condition import BoundaryCondition, evaluate
from pdesolve.equation import assemble, flatten, velocity_name
from pdesolve.errors import Diverged
from pdesolve.fields import Coordinates, Edge, Field, GridField
from pdesolve.geometry import Grid, GridAxis
from pdesolve.integration.initial import initial_values
from pdesolve.integration.tracing import traced
from pdesolve.problem import Problem, Value

Surroundings = tuple[dict[str, dict[str, Edge]], dict[str, Field]]


class _Bound(Mapping[str, Field]):
    """Parameters at coordinates, bound when the first of them is asked for: most conditions ask for none."""

    def __init__(self, problem: Problem, x: Coordinates, values: Mapping[str, Value] | None) -> None:
        self._bind = lambda: problem.bind(x, values)

    @cached_property
    def _fields(self) -> dict[str, Field]:
        return self._bind()

    def __getitem__(self, name: str) -> Field:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Lines:
    """y_t = f(t, y) for y (*sample, scalar, *grid): the values of u, then for order 2 those of u_t, at every node.

    Derivatives obey the boundary conditions of the instant. Values at nodes where a condition holds belong to the
    condition: f is zero there, and `obeying` puts them in.
    """

    def __init__(
        self,
        problem: Problem,
        grid: Grid,
        *,
        values: Mapping[str, Value] | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        assert problem.time is not None
        self.problem, self.grid, self.values = problem, grid, values
        self.equation = problem.evolution()
        self.x = Coordinates(grid, dtype=dtype, device=device)
        self.scalars = tuple(name for unknown in self.equation.evolving for name in unknown.scalars)
        self.size = len(self.scalars) * self.equation.order
        self.dimension = len(grid.members)
        self._faces = self._boundary()
        self._closed = all(member.placement != "cells" for member in grid.members)
        self._fixed: Surroundings | None = None
        a, b = problem.time.lower, problem.time.upper
        instants = [self.surroundings(t) for t in (a, a + 0.31 * (b - a), b)]
        if all(_same(instants[0], later) for later in instants[1:]):
            self._fixed = instants[0]
        self.free = self._free()

    @property
    def autonomous(self) -> bool:
        """Whether conditions and parameters look the same at all instants."""
        return self._fixed is not None

    def start(self) -> Tensor:
        """y at the initial time, for every sample of the parameters."""
        y = initial_values(self.problem, self.x, self.values)
        assert self.problem.time is not None
        rate = self(torch.tensor(self.problem.time.lower, dtype=y.dtype, device=y.device), y)
        return y.expand(np.broadcast_shapes(y.shape, rate.shape)).clone()

    def fields(self, y: Tensor, edges: Mapping[str, Mapping[str, Edge]]) -> dict[str, Field]:
        """The scalars of u, with boundary values that obey the edges."""
        parts = y.unbind(-self.dimension - 1)
        fields: dict[str, Field] = {}
        for unknown in self.equation.evolving:
            for name in unknown.scalars:
                values = parts[self.scalars.index(name)]
                field = GridField(values, self.grid, self.problem.quantity(name), edges[unknown.name]).obeying()
                if self._closed:  # boundary values are nodes: the field obeys as it is
                    field.edges = None
                fields[name] = field
        return fields

    def __call__(self, t: Tensor, y: Tensor) -> Tensor:
        x = self.x.at_instant(t)
        edges, p = self.surroundings(t)
        scalars, n = self.fields(y, edges), len(self.scalars)
        u = dict(assemble(self.equation.evolving, scalars))
        parts = y.unbind(-self.dimension - 1)
        if self.equation.order == 2:
            rates = {name: self.x.field(part, name) for name, part in zip(self.scalars, parts[n:], strict=True)}
            u.update({velocity_name(k): v for k, v in assemble(self.equation.evolving, rates).items()})
        rate = flatten(self.equation.rate(u, p, x))
        right = [*parts[n:], *[self.x.expand(rate[name]).values for name in self.scalars]]
        return torch.stack(torch.broadcast_tensors(*right), -self.dimension - 1) * self.free

    def obeying(self, t: float, y: Tensor) -> Tensor:
        """The values of u (*sample, scalar, *grid) with those of the conditions on the boundary."""
        fields = self.fields(y, self.surroundings(t)[0]).values()
        return torch.stack([field.values for field in fields], -self.dimension - 1)

    def surroundings(self, t: float | Tensor) -> Surroundings:
        """What holds at an instant: the edges of each unknown, and the parameters."""
        if self._fixed is not None:
            return self._fixed
        edges: dict[str, dict[str, Edge]] = {unknown.name: {} for unknown in self.equation.evolving}
        for condition, side, face in self._faces:
            x = face.at_instant(t)
            value = evaluate(condition.value, _Bound(self.problem, x, self.values), x)
            edges[condition.unknown][side] = Edge(*condition.coefficients, x.expand(value).values)
        return edges, self.problem.bind(self.x.at_instant(t), self.values)

    def _boundary(self) -> list[tuple[BoundaryCondition, str, Coordinates]]:
        faces = []
        for condition in self.problem.conditions:
            for side in condition.parts(self.problem) if isinstance(condition, BoundaryCondition) else ():
                axis, end = side.rsplit("_", 1)
                bounds = self.grid.axes[axis]
                at = GridAxis.at(bounds, [bounds.lower if end == "min" else bounds.upper])
                face = Grid(tuple(at if m.axis.name == axis else m for m in self.grid.members), self.grid.accuracy)
                faces.append((condition, side, Coordinates(face, dtype=self.x.dtype, device=self.x.device)))
        return faces

    def _free(self) -> Tensor:
        """One where a value evolves, zero where a condition gives it."""
        assert self.problem.time is not None
        edges = self.surroundings(self.problem.time.lower)[0]
        masks = []
        for unknown in self.equation.evolving:
            mask = torch.ones(self.grid.shape, dtype=self.x.dtype, device=self.x.device)
            for i, member in enumerate(self.grid.members):
                for side, position in (("min", 0), ("max", member.size - 1)):
                    held = f"{member.axis.name}_{side}" in edges[unknown.name]
                    if held and member.placement in ("nodes", "chebyshev"):
                        mask.select(i, position).zero_()
            masks += [mask] * len(unknown.scalars)
        return torch.stack(masks * self.equation.order)


def _same(a: tuple, b: tuple) -> bool:
    """Whether two instants have the same conditions and the same parameters."""
    edges_a = [torch.as_tensor(e.value) for sides in a[0].values() for e in sides.values()]
    edges_b = [torch.as_tensor(e.value) for sides in b[0].values() for e in sides.values()]
    fields_a, fields_b = [f.values for f in a[1].values()], [f.values for f in b[1].values()]
    return all(map(torch.equal, edges_a + fields_a, edges_b + fields_b))


def spectral_radius(f: Lines, t: float, y: Tensor, *, iterations: int = 30) -> float:
    """About the largest |eigenvalue| of df/dy, by power iteration with differences of f.

    The growth over two steps: for an evolution of order 2 one step alone measures k^2 instead of k.
    """
    generator = torch.Generator().manual_seed(0)
    time = torch.tensor(t, dtype=y.dtype, device=y.device)
    y = y.detach()
    v = torch.randn(y.shape, generator=generator, dtype=y.dtype).to(y.device)
    norms = [torch.linalg.vector_norm(v)]
    with torch.no_grad():
        here, step = f(time, y), 1e-6 * (1 + torch.linalg.vector_norm(y))
        for _ in range(iterations):
            v = (f(time, y + step / norms[-1] * v) - here) / step
            norms.append(torch.linalg.vector_norm(v).clamp(min=1e-300))
    return float((norms[-1] * norms[-2]).sqrt())


def explicit(f: Lines, times: Sequence[float], *, tolerance: float) -> Tensor:
    """y (time, *sample, scalar, *grid) by Dormand and Prince's method of order 8, with steps that end at each time.

    `tolerance` is the error of a step relative to the largest value. Differentiable.

    Raises:
        Diverged: steps that became too small.
    """
    from torchdiffeq import odeint

    y = f.start()
    t = torch.tensor(times, dtype=y.dtype, device=y.device)
    size = max(float(y.detach().abs().max()), 1e-3)
    replay = f if torch.is_grad_enabled() and f(t[0], y).requires_grad else traced(f, t[0], y)

    def rate(time: Tensor, y: Tensor) -> Tensor:
        return replay(torch.minimum(time, t[-1]), y)  # the first step is chosen by a look ahead, maybe beyond the end

    # without step_t outputs would come from an interpolant of lower order than the steps, which go beyond the last one
    options = {"step_t": t[1:]}
    for finer in (1.0, 0.8, 0.6, 0.4):
        try:
            given = finer * tolerance
            states = odeint(rate, y, t, rtol=given, atol=given * size, method="dopri8", options=options)
            assert isinstance(states, Tensor)
            return states
        except AssertionError as error:
            reason = error  # also where a step happens to end a rounding before an output: other steps then do
    raise Diverged(f"{f.problem.name}: the method of lines cannot go on, {reason}") from reason
