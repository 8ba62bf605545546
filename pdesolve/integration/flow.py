"""Stationary flow down a gradient for batches of problems: finite volumes by conjugate gradients, on any device.

The matrix A of -div(a grad u) lies between a_min L and a_max L, with L that of a = 1, whose inverse is two sine
transforms: preconditioned by it, conjugate gradients gain a digit in log(10) / 2 (a_max / a_min)^(1/2) steps or fewer,
on every grid. P. Concus, G. H. Golub, SIAM J. Numer. Anal. 10 (1973) 1103.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdesolve.data.dataset import Dataset
from pdesolve.errors import Diverged, InputError
from pdesolve.family import Simulator
from pdesolve.geometry import Grid
from pdesolve.integration.sine import SineBasis
from pdesolve.integration.two_point_flux import Volumes, coefficients
from pdesolve.problem import Problem, Value
from pdesolve.simulation import simulated

_TOLERANCE = 1e-12  # of the residual in the norm of the preconditioner
_STEPS = 1000  # enough for coefficients whose values differ by a factor of some thousands


@dataclass(frozen=True)
class FlowSimulator(Simulator):
    """Two-point fluxes between the nodes of the evaluation set, on a box whose walls all hold values of u."""

    def simulate(self, problem: Problem, *, device: str = "cpu") -> Dataset:
        (name,) = problem.equation.scalars
        system = FlowSystem(problem, device)
        u = _balanced(system).detach()
        return simulated(problem, {name: u if u.ndim > system.dimension else u[None]})

    def defect(self, problem: Problem, data: Dataset, *, device: str = "cpu") -> np.ndarray:
        """The residual r of the volumes as (r, L^-1 r)^(1/2), relative to that of u = 0: errors in the slopes of u."""
        (name,) = problem.equation.scalars
        system = FlowSystem(problem, device)
        u = torch.as_tensor(data.read(name), dtype=torch.float64, device=device)
        nothing = system.volumes.obeying(torch.zeros_like(u))
        size, scale = (system.norm(system.volumes.residual(v)[system.inner]) for v in (u, nothing))
        walls = (system.volumes.obeying(u) - u).expand_as(u).flatten(-system.dimension)
        off = walls.abs().amax(-1) / u.flatten(-system.dimension).abs().amax(-1)
        return (size / scale + off).cpu().numpy()


class FlowSystem:
    """A u = b for the values between the walls, (*sample, *inner), on the evaluation set or another grid of nodes.

    Raises:
        InputError: other grids, equations that are no linear flow, walls that do not all hold values of u.
    """

    def __init__(
        self, problem: Problem, device: torch.device | str, *, grid: Grid | None = None,
        values: Mapping[str, Value] | None = None,
    ) -> None:  # fmt: skip
        chosen, where = problem.evaluation_set if grid is None else grid, torch.device(device)
        assert isinstance(chosen, Grid)
        grid = chosen
        if any(m.axis.periodic or m.placement != "nodes" for m in grid.members):
            raise InputError(f"{problem.name}: flow is simulated between walls, on nodes that lie on them too")
        found = coefficients(problem, {m.axis.name: m.size - 1 for m in grid.members}, values=values, device=where)
        (name,) = problem.equation.scalars
        edges = problem.edges(name, grid, values=values, device=where)
        self.volumes = volumes = Volumes(problem, grid, found, edges, where)
        self.dimension = d = len(grid.members)
        self.inner = (..., *[slice(1, -1)] * d)
        if (
            volumes.fixed[self.inner].any()
            or not volumes.fixed.sum() == volumes.fixed.size - volumes.fixed[self.inner].size
        ):
            raise InputError(f"{problem.name}: flow is simulated with {name} given on all walls: add Dirichlet")
        if not volumes.definite:
            raise InputError(f"{problem.name}: flow is simulated with sinks, not with sources that grow with {name}")
        self.diagonal = volumes.reaction.expand(*volumes.reaction.shape[:-d], *grid.shape)[self.inner]
        self.between: list[Tensor] = []
        for i, g in enumerate(volumes.conductances):
            g, n = g[(..., *[slice(None) if j == i else slice(1, -1) for j in range(d)])], grid.shape[i]
            self.diagonal = self.diagonal + g.narrow(i - d, 0, n - 2) + g.narrow(i - d, 1, n - 2)
            self.between.append(g.narrow(i - d, 1, n - 3).contiguous())
        self.basis = SineBasis([n - 1 for n in grid.shape], [m.axis.length for m in grid.members], device=where)
        self.eigenvalues = sum(self.basis.eigenvalues, torch.zeros((), device=where)) * math.prod(volumes.spacing)

    def apply(self, u: Tensor) -> Tensor:
        """A u."""
        total = self.diagonal * u
        for i, g in enumerate(self.between):
            dim = i - self.dimension
            n = u.shape[dim] - 1
            total.narrow(dim, 1, n).addcmul_(g, u.narrow(dim, 0, n), value=-1.0)
            total.narrow(dim, 0, n).addcmul_(g, u.narrow(dim, 1, n), value=-1.0)
        return total

    def precondition(self, r: Tensor) -> Tensor:
        """L^-1 r."""
        return self.basis.transform(self.basis.transform(r).div_(self.eigenvalues))

    def dot(self, a: Tensor, b: Tensor) -> Tensor:
        """The scalar product of each sample."""
        return (a * b).sum(tuple(range(-self.dimension, 0)), keepdim=True)

    def norm(self, r: Tensor) -> Tensor:
        """(r, L^-1 r)^(1/2) of each sample (*sample,)."""
        return (self.basis.transform(r).square() / self.eigenvalues).flatten(-self.dimension).sum(-1).sqrt()


def _balanced(system: FlowSystem, *, tolerance: float = _TOLERANCE) -> Tensor:
    """u (*sample, *nodes) whose volumes balance.

    Raises:
        Diverged: coefficients whose values are too far apart.
    """
    volumes, d = system.volumes, system.dimension
    u = volumes.obeying(torch.zeros(volumes.grid.shape, dtype=torch.float64, device=volumes.device))
    r = -volumes.residual(u)[system.inner]
    r = r.expand(np.broadcast_shapes(r.shape, system.diagonal.shape)).clone()
    v, z = torch.zeros_like(r), system.precondition(r)
    direction, size = z, system.dot(r, z)
    stop = tolerance**2 * size
    for _ in range(_STEPS):
        active = size > stop
        if not bool(active.any()):
            break
        image = system.apply(direction)
        # finished samples stand still, so that none depends on those beside it
        length = torch.where(active, size / system.dot(direction, image), 0.0)
        v.addcmul_(length, direction)
        r.addcmul_(length, image, value=-1.0)
        z = system.precondition(r)
        after = torch.where(active, system.dot(r, z), size)
        direction = torch.addcmul(z, torch.where(active, after / size, 0.0), direction)
        size = after
    else:
        raise Diverged(
            f"{volumes.problem.name}: conjugate gradients did not converge in {_STEPS} steps: are the largest and the "
            "smallest coefficient more than a factor of a thousand apart?"
        )
    u = u.expand(*r.shape[:-d], *volumes.grid.shape).clone()
    u[system.inner] = v
    return u
