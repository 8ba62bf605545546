"""Finite elements of degree 2 on meshes of any domain, for stationary problems and evolutions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from pdesolve.condition import BoundaryCondition, Dirichlet, Traction
from pdesolve.equation import Evolution
from pdesolve.errors import InputError
from pdesolve.geometry import Domain, Mesh, MeshDomain, corner_angles, grade, refine, triangulate
from pdesolve.integration.elements import Elements
from pdesolve.integration.galerkin import newton
from pdesolve.integration.semidiscrete import evolve
from pdesolve.integration.weak import WeakForm
from pdesolve.physics.solvers.reference.mesh_solution import MeshSolution
from pdesolve.physics.solvers.reference.scheme import Scheme
from pdesolve.physics.solvers.reference.task import Task, differentiable, one, samples
from pdesolve.problem import Problem

_COARSEST = 8  # intervals along the longest axis of the mesh that others are refined from
_STATIONARY, _EVOLVING = 40_000, 10_000  # cells of the finest mesh
_FIRST_LAYERS, _LAYERS = 4, 3  # towards singular corners: on the coarsest mesh, and with each refinement
_BLUNT = 0.1  # radians by which an angle must exceed that of a corner without a singularity


class ElementScheme(Scheme):
    """Weak forms of any equation of second order on P2 elements (P1 for algebraic unknowns), sample by sample.

    Meshes are refined uniformly from a coarse one, and towards corners where solutions have singularities: re-entrant
    ones, and those where kinds of conditions meet.
    """

    name = "elements"
    intervals = ((32, 1024), (_COARSEST, 128), (_COARSEST, 32))
    snapshots = (50, 25, 10)

    def refusal(self, task: Task) -> str | None:
        problem = task.problem
        if any(axis.periodic for axis in problem.domain.axes):
            return "it has a periodic axis"
        if not problem.domain.boundaries:
            return "its domain has no boundary"
        if differentiable(task):
            return "elements give no gradients in the parameters"
        time = None if problem.time is None else problem.time.lower
        sample = task if samples(task) is None else one(task, 0)
        try:
            form = WeakForm(problem, Elements.on(coarsest(problem), degree=1), values=sample.values)
            rates = torch.zeros(form.size, dtype=torch.float64) if form.order == 2 else None
            form.residual(form.boundary_values(time), time, rates=rates)
        except InputError as error:
            return str(error).removeprefix(f"{problem.name}: ")
        return None

    def range(self, problem: Problem) -> tuple[int, int]:
        least, most = super().range(problem)
        mesh = coarsest(problem)
        if isinstance(problem.domain, MeshDomain):
            least = _intervals(problem.domain)
        cells = _EVOLVING if isinstance(problem.equation, Evolution) else _STATIONARY
        doublings = max(1, math.floor(math.log2(cells / len(mesh.cells)) / problem.domain.dimension))
        return least, max(2 * least, min(most, least * 2**doublings))

    def compute(self, task: Task, intervals: Mapping[str, int], steps: int) -> tuple[MeshSolution, bool]:
        problem = task.problem
        size = max(axis.length / intervals[axis.name] for axis in problem.domain.axes)
        elements = Elements.on(fitted(problem, size), problem.domain)
        count = samples(task)
        tasks = [task] if count is None else [one(task, i) for i in range(count)]
        found = [self._solve(WeakForm(problem, elements, values=t.values, device=t.device), t) for t in tasks]
        names = found[0]
        nodal = {name: found[0][name] if count is None else torch.stack([f[name] for f in found]) for name in names}
        solution = MeshSolution(problem, elements, nodal, task.values, times=task.times)
        solution.notes["cells"] = len(elements.mesh.cells)
        return solution, False

    def _solve(self, form: WeakForm, task: Task) -> dict[str, Tensor]:
        if not task.times:
            return form.split(newton(form))
        return form.split(evolve(form, task.times, tolerance=1e-1 * task.tolerance))


def coarsest(problem: Problem, spacing: float | None = None) -> Mesh:
    """The mesh of a domain that finer ones are refined from."""
    domain = problem.domain
    return (
        domain.mesh if isinstance(domain, MeshDomain) else triangulate(domain, spacing or _longest(domain) / _COARSEST)
    )


def fitted(problem: Problem, size: float) -> Mesh:
    """The mesh of about the given spacing: a coarse one refined uniformly, and towards singular corners.

    Raises:
        InputError: a mesh as the domain that is finer already.
    """
    domain, longest = problem.domain, _longest(problem.domain)
    if isinstance(domain, MeshDomain):
        curved, mesh, spacing = None, domain.mesh, domain.mesh.size
        if size > 2 * spacing * (1 + 1e-9):
            least = 2 * _intervals(domain)
            raise InputError(
                f"{problem.name}: the mesh is finer than asked for: leave out --method.resolution, or give {least} or "
                "more"
            )
    else:
        halvings = max(0, math.floor(math.log2(longest / size / _COARSEST) + 1e-9))
        curved, spacing = domain, size * 2**halvings
        mesh = coarsest(problem, spacing)
    corners = _singular(problem, mesh, curved)
    while len(corners) and bool((torch.isin(mesh.cells, corners).sum(1) > 1).any()):
        mesh, spacing = refine(mesh, curved), spacing / 2
    mesh = grade(mesh, corners, curved, layers=_FIRST_LAYERS)
    while spacing > size * (1 + 1e-9):
        mesh = grade(refine(mesh, curved), corners, curved, layers=_LAYERS)
        spacing /= 2
    return mesh


def _intervals(domain: MeshDomain) -> int:
    """About how many intervals of its own a mesh has along its longest axis, rounded down."""
    return max(1, math.floor(_longest(domain) / domain.mesh.size + 1e-9))


def _longest(domain: Domain) -> float:
    return max(axis.length for axis in domain.axes)


def _singular(problem: Problem, mesh: Mesh, curved: Domain | None) -> Tensor:
    """The corners at which solutions of second-order equations are less smooth than their data.

    With one kind of condition on both sides the leading power is pi / angle, with two it is half of that.
    """
    if mesh.dimension != 2:
        return torch.zeros(0, dtype=torch.int64)
    corners, angles = corner_angles(mesh, curved)
    mixed = torch.zeros(len(mesh.points), dtype=torch.bool)
    for unknown in problem.equation.unknowns:
        touched = []
        for kind in (True, False):
            names = {
                part
                for c in problem.conditions
                if isinstance(c, (BoundaryCondition, Traction))
                and c.unknown == unknown.name
                and isinstance(c, Dirichlet) == kind
                for part in c.parts(problem)
            }
            touched.append(torch.zeros(len(mesh.points), dtype=torch.bool))
            for name in names & set(mesh.boundaries):
                touched[-1][mesh.part(name).reshape(-1)] = True
        mixed |= touched[0] & touched[1]
    limit = torch.where(mixed[corners], math.pi / 2, math.pi) + _BLUNT
    return corners[angles > limit]
