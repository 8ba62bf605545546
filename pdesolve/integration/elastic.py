"""The equilibrium of elastic bodies by elements of degree 2, on a mesh for each body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdesolve.condition import Dirichlet
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import COMPONENT, Dataset, Variable
from pdesolve.equation import Elastic
from pdesolve.errors import InputError
from pdesolve.family import Simulator
from pdesolve.fields import Constant, Coordinates
from pdesolve.geometry import MeshDomain, refine, triangulate
from pdesolve.geometry.outline import Size
from pdesolve.integration.elements import Elements
from pdesolve.integration.galerkin import newton
from pdesolve.integration.weak import WeakForm
from pdesolve.problem import Problem
from pdesolve.simulation import described

_AT_ENDS, _ALONG_CURVES = 1 / 12, 1 / 2  # of the spacing
_GROWTH = 0.2  # of the spacing with the distance from there
_PROBES = 129  # along a part of the boundary, from which that distance is taken


@dataclass(frozen=True)
class ElasticSimulator(Simulator):
    """Displacement and stress on meshes of triangles, a problem without samples each.

    Sides are about `spacing` long, half of it along curved parts of the boundary, where stresses concentrate, and a
    twelfth at the ends of parts that are held, where they grow without bound. The mesh of the data is that of the
    elements with each triangle cut into four, so that its nodes, on the body's own boundary where that is curved, are
    those of the elements. Stresses at a node are means over the triangles that meet there, by their areas; those of
    cells are means over the corners of a quarter.
    """

    spacing: float

    def simulate(self, problem: Problem, *, device: str = "cpu") -> Dataset:
        form = self.form(problem)
        y, equation = newton(form), problem.equation
        assert isinstance(equation, Elastic)
        elements, unknown = form.elements, equation.unknowns[0]
        curved = None if isinstance(problem.domain, MeshDomain) else problem.domain
        mesh = refine(elements.mesh, curved)
        u, p, x = form.fields(y, table=elements.at_nodes)
        with torch.no_grad():
            rows, von_mises = equation.stress(u, p, x), equation.equivalent_stress(u, p, x).values
        names = [(i, j) for i in rows for j in rows if i <= j]
        stress = torch.stack([rows[i][j].values for i, j in names])
        displacement = torch.stack([form.split(y)[name] for name in unknown.scalars])
        variables = (
            (unknown.name, displacement, (COMPONENT, "node"), unknown.unit, unknown.components),
            ("von_mises", _at_nodes(elements, von_mises), ("node",), "Pa", ()),
            ("stress", _in_quarters(stress), (COMPONENT, "cell"), "Pa", tuple(i + j for i, j in names)),
        )
        return Dataset(
            {
                name: Variable(
                    name, Memory(v.detach().numpy()), dims, None if problem.nondimensional else unit, components
                )
                for name, v, dims, unit, components in variables
            },
            parameters=_numbers(problem),
            meshes=(mesh,),
            offsets={"node": np.array([0, len(mesh.points)]), "cell": np.array([0, len(mesh.cells)])},
            attributes=described(problem),
        )

    def defect(self, problem: Problem, data: Dataset, *, device: str = "cpu") -> np.ndarray:
        """The forces on nodes that are not balanced, relative to those that pull."""
        form = self.form(problem)
        found = data.read(problem.equation.unknowns[0].name, {"sample": 0})
        if found.shape[1] != form.elements.count(2):
            raise InputError(f"{problem.name}: the data have {found.shape[1]} nodes, not {form.elements.count(2)}")
        y = torch.as_tensor(found, dtype=torch.float64).reshape(-1)
        free, nothing = torch.as_tensor(~form.held), form.boundary_values()
        left, load = (torch.linalg.vector_norm(form.residual(v)[free]) for v in (y, nothing))
        off = (y - nothing)[~free].abs().max() / y.abs().max()
        return (left / load + off).reshape(1).numpy()

    def form(self, problem: Problem) -> WeakForm:
        """The equilibrium of a body on the mesh that it is given.

        Raises:
            InputError: no elastic body.
        """
        if not isinstance(problem.equation, Elastic):
            raise InputError(f"{problem.name}: {type(problem.equation).__name__} is no elastic body")
        mesh = triangulate(problem.domain, _sizes(problem, self.spacing))
        return WeakForm(problem, Elements.on(mesh, problem.domain))


def _sizes(problem: Problem, spacing: float) -> Size:
    """The length of sides as a function of the place; a number for meshes as domains, which are refined uniformly."""
    domain = problem.domain
    if isinstance(domain, MeshDomain):
        return spacing
    probes = torch.linspace(0.0, 1.0, _PROBES, dtype=torch.float64)[:, None]
    placed = {name: part.place(probes) for name, part in domain.boundaries.items()}
    curved = [x for x, normals in placed.values() if bool(((normals - normals[0]).abs() > 1e-9).any())]
    held = {part for c in problem.conditions if isinstance(c, Dirichlet) for part in c.parts(problem)}
    ends = [placed[part][0][[0, -1]] for part in sorted(held)]
    places = [(_AT_ENDS * spacing, x) for x in ends] + [(_ALONG_CURVES * spacing, x) for x in curved]

    def size(x: Tensor) -> Tensor:
        fine = [near + _GROWTH * torch.cdist(x, at).amin(1) for near, at in places]
        return torch.stack(fine).amin(0).clamp(max=spacing) if fine else torch.full((len(x),), spacing)

    return size


def _at_nodes(elements: Elements, values: Tensor) -> Tensor:
    """The mean (node,) of what the triangles round a node say (cell, node of the cell), by their areas."""
    cells, areas = elements.cell_nodes(elements.degree), elements.mesh.measures[:, None]
    nothing = torch.zeros(elements.count(elements.degree), dtype=torch.float64)
    total = nothing.index_add(0, cells.reshape(-1), (values * areas).reshape(-1))
    return total / nothing.index_add(0, cells.reshape(-1), areas.expand(cells.shape).reshape(-1))


def _in_quarters(values: Tensor) -> Tensor:
    """Means (..., 4 cells) over the corners of the quarters of each triangle, in the order of `refine`."""
    corners = torch.tensor([[0, 3, 4], [3, 1, 5], [4, 5, 2], [3, 5, 4]])
    return values[..., corners].mean(-1).flatten(-2)


def _numbers(problem: Problem) -> dict[str, Variable]:
    """The parameters that are numbers."""
    found = {}
    for name, field in problem.bind(Coordinates(problem.evaluation_set)).items():
        if isinstance(field, Constant):
            unit = None if field.quantity.unit is None else str(field.quantity.unit)
            found[name] = Variable(name, Memory(field.values.numpy()), (), unit)
    return found
