"""Weak residuals of problems on elements, whatever the equation is, and their sparse Jacobians."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from pdesolve.condition import BoundaryCondition, Dirichlet, evaluate
from pdesolve.equation import Evolution, State, Values, assemble, flatten, velocity_name
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Field, MeshField, MeshPlaces, Vector
from pdesolve.fields.mesh import weak_parts
from pdesolve.geometry import PointCloud
from pdesolve.integration.blocks import Block, Entries, blocks
from pdesolve.integration.elements import Elements, Table
from pdesolve.problem import Problem, Value


@dataclass(frozen=True, eq=False)
class _Place:
    """A table with its coordinates; on the boundary the part that it is of."""

    table: Table
    x: Coordinates
    part: str | None


class WeakForm:
    """R(y)_i = integral of residual(u) phi_i for the shape functions phi_i, at nodal values y (node of each block,).

    An evolution has its rate in place of the residual, and the rows of its constraints. Where the residual is the
    density v and the divergence of a flux f, the integral is that of v phi - f . grad phi and over the boundary of
    f . n phi. There the slope of an unknown with a condition alpha u + beta du/dn = value has the normal part
    (value - alpha u) / beta; Dirichlet values are the vector's own (`held`), and their rows mean nothing. Algebraic
    unknowns beside others are of degree 1 where these are of degree 2 (C. Taylor, P. Hood, Comput. Fluids 1 (1973) 73).

    The integrands are functions of the unknowns and their slopes at the same point, so that the Jacobian needs one
    backward pass for each row and each entry of (v, f), for all points at once.

    Raises:
        InputError: periodic axes, a part of the boundary where an unknown with second derivatives has no condition,
            an equation that is of higher order than two (as `WeakField` says).
    """

    def __init__(
        self,
        problem: Problem,
        elements: Elements,
        *,
        values: Mapping[str, Value] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        for axis in problem.domain.axes:
            if axis.periodic:
                raise InputError(f"{problem.name}: axis {axis.name!r} is periodic, elements need its ends")
        self.problem, self.elements, self.values = problem, elements, values
        self.equation, self.device = problem.equation, torch.device(device)
        self.blocks = blocks(problem, elements)
        self.size = sum(block.size for block in self.blocks)
        self.order = self.equation.order if isinstance(self.equation, Evolution) else 1
        self.conditions = self._conditions()
        self.dirichlet = {
            key: (elements.boundary_nodes(key[0], self._block(key[1]).degree), condition)
            for key, condition in self.conditions.items()
            if isinstance(condition, Dirichlet)
        }
        self.held = np.zeros(self.size, dtype=bool)
        for (_, name), (nodes, _) in self.dirichlet.items():
            self.held[self._block(name).start + nodes.numpy()] = True
        self._places = [_Place(elements.inside, self._coordinates(elements.inside), None)]
        for part in elements.mesh.boundaries:
            if any((part, block.name) not in self.dirichlet for block in self.blocks):
                table = elements.boundary(part)
                self._places.append(_Place(table, self._coordinates(table), part))
        self._bound: dict[int, tuple[float | None, Values]] = {}

    @property
    def nodes(self) -> dict[str, Tensor]:
        """The coordinates of the nodes of each scalar (node, axis)."""
        return {block.name: self.elements.nodes(block.degree) for block in self.blocks}

    def split(self, y: Tensor) -> dict[str, Tensor]:
        """The nodal values of each scalar."""
        return {block.name: y[..., block.rows] for block in self.blocks}

    def at_nodes(self, given: Mapping[str, Any]) -> Tensor:
        """y from fields of each scalar at its nodes."""
        return torch.cat([given[block.name] for block in self.blocks])

    def boundary_values(self, time: float | None = None) -> Tensor:
        """y with the Dirichlet values, and zero elsewhere."""
        y = torch.zeros(self.size, dtype=torch.float64, device=self.device)
        for (_, name), (nodes, condition) in self.dirichlet.items():
            block = self._block(name)
            cloud = PointCloud(self.problem.domain.axes, self.elements.nodes(block.degree)[nodes])
            x = self._instant(Coordinates(cloud, device=self.device, gradients=False), time)
            value = _component(evaluate(condition.value, self.problem.bind(x, self.values), x), block.component)
            y[block.start + nodes.to(self.device)] = x.expand(value).values.detach()
        return y

    def mass(self) -> csr_array:
        """The integrals of phi_i phi_j for the scalars that evolve; nothing for algebraic ones."""
        algebraic = {unknown.name for unknown in self.equation.unknowns if unknown.algebraic}
        table = self.elements.inside
        entries = Entries(self.size)
        for block in self.blocks:
            if block.unknown not in algebraic:
                phi = table.values[block.degree]
                nodes = block.start + self.elements.cell_nodes(block.degree)
                entries.add(nodes, nodes, (phi * table.quadrature.weights[..., None]).transpose(1, 2) @ phi)
        return entries.matrix()

    def integrals(self, name: str) -> Tensor:
        """The integrals of the shape functions of one scalar, at its place in a vector (node of each block,)."""
        block, table = self._block(name), self.elements.inside
        y = torch.zeros(self.size, dtype=torch.float64)
        shares = (table.values[block.degree] * table.quadrature.weights[..., None]).sum(1)
        return y.index_add(0, (block.start + self.elements.cell_nodes(block.degree)).reshape(-1), shares.reshape(-1))

    def residual(self, y: Tensor, time: float | None = None, *, rates: Tensor | None = None) -> Tensor:
        """R (node of each block,). `rates` are the nodal values of u_t for evolutions of order 2."""
        total = torch.zeros(self.size, dtype=torch.float64, device=self.device)
        for place in self._places:
            for block, integrand in self._integrands(place, y, rates, time)[1]:
                tests = self._tests(place, block.degree).to(y.device)
                weights = place.table.quadrature.weights.to(y.device)[..., None]
                local = ((integrand.detach() * weights).unsqueeze(-2) @ tests).squeeze(-2).sum(1)
                total.index_add_(0, self._numbers(place, block).to(y.device).reshape(-1), local.reshape(-1))
        return total

    def jacobian(
        self, y: Tensor, time: float | None = None, *, rates: Tensor | None = None
    ) -> tuple[csr_array, csr_array | None]:
        """dR/dy, and for evolutions of order 2 dR/d(u_t)."""
        count = 2 if rates is not None else 1
        entries = [Entries(self.size) for _ in range(count)]
        for place in self._places:
            nodes, rows = self._integrands(place, y, rates, time)
            weights = place.table.quadrature.weights[..., None, None]
            flat = [tensor for pair in nodes for tensor in pair]
            for block, integrand in rows:
                parts = [_derivatives(entry, flat) for entry in integrand.unbind(-1)]
                left = (self._tests(place, block.degree) * weights).flatten(1, 2).transpose(1, 2)
                for k in range(len(nodes)):
                    if all(part[2 * k] is None and part[2 * k + 1] is None for part in parts):
                        continue
                    other = self.blocks[k % len(self.blocks)]
                    trials = self._trials(place, other.degree)
                    # (cell, point, entry of the integrand, value and slopes of the unknown)
                    partial = torch.stack([_joined(p[2 * k], p[2 * k + 1], *nodes[k]) for p in parts], -2).cpu()
                    local = left @ (partial @ trials).flatten(1, 2)
                    target = entries[k // len(self.blocks)]
                    target.add(self._numbers(place, block), self._numbers(place, other), local)
        matrices = [entry.matrix() for entry in entries]
        return matrices[0], matrices[1] if rates is not None else None

    def fields(self, y: Tensor) -> tuple[State, Values, Coordinates]:
        """The state, the parameters and the coordinates at the quadrature points of the cells."""
        place = self._places[0]
        x = place.x.without_unknowns()
        p = {name: _moved(field, x) for name, field in self._values_at(place, None).items()}
        scalars = {}
        for block in self.blocks:
            assert isinstance(x.places, MeshPlaces)
            value, slope = self._known(place, block, y)
            scalars[block.name] = x.places.unknown(value, slope, self.problem.quantity(block.name))
        return assemble(self.equation.unknowns, scalars), p, x

    def _integrands(
        self, place: _Place, y: Tensor, rates: Tensor | None, time: float | None
    ) -> tuple[list[tuple[Tensor, Tensor]], list[tuple[Block, Tensor]]]:
        """Values and slopes of the unknowns, and for each row (v, -f), or f . n on the boundary (cell, point, entry)."""
        with torch.enable_grad():
            bound = self._values_at(place, time)
            x = self._instant(place.x.without_unknowns(), time)
            assert isinstance(x.places, MeshPlaces)
            p = {name: _moved(field, x) for name, field in bound.items()}
            nodes, scalars = [], {}
            for values, suffix in ((y, ""), (rates, "_t")):
                for block in self.blocks if values is not None else ():
                    value, slope = (part.detach().requires_grad_() for part in self._known(place, block, values))
                    nodes.append((value, slope))
                    condition = None if place.part is None else self.conditions.get((place.part, block.name))
                    if condition is not None and not suffix:
                        slope = self._conditioned(condition, block, value, slope, x, p)
                    quantity = self.problem.quantity(block.name)
                    name = block.name + suffix if not suffix else block.velocity
                    scalars[name] = x.places.unknown(value, slope, quantity)
            rows = self._rows(scalars, p, x)
            found = []
            for block in self.blocks:
                density, flux = weak_parts(rows[block.name], x.places)
                if place.part is None:
                    parts = [density, *[-flux[a] if a in flux else None for a in x.axes.names]]
                else:
                    if (place.part, block.name) in self.dirichlet or not flux:
                        continue
                    if (place.part, block.name) not in self.conditions:
                        raise self._open(block, place.part)
                    assert x.normals is not None
                    normals = x.normals
                    parts = [sum((f * normals[a].values for a, f in flux.items()), torch.zeros(()))]
                shape = x.places.weights.shape
                filled = [x.places.weights.new_zeros(shape) if part is None else part.expand(shape) for part in parts]
                found.append((block, torch.stack(filled, -1)))
            return nodes, found

    def _rows(self, scalars: Mapping[str, Field], p: Values, x: Coordinates) -> dict[str, Field]:
        equation = self.equation
        u = dict(assemble(equation.unknowns, scalars))
        if not isinstance(equation, Evolution):
            return flatten(equation.residual(u, p, x))
        if equation.order == 2:
            for unknown in equation.evolving:
                name = velocity_name(unknown.name)
                parts = {c: scalars[f"{name}_{c}"] for c in unknown.components}
                u[name] = Vector(parts) if parts else scalars[name]
        return {**flatten(equation.rate(u, p, x)), **flatten(equation.constraint(u, p, x))}

    def _known(self, place: _Place, block: Block, y: Tensor) -> tuple[Tensor, Tensor]:
        table = place.table
        local = y[self._numbers(place, block).to(y.device)].unsqueeze(1)
        value = (table.values[block.degree].to(y.device) * local).sum(-1)
        return value, (table.slopes[block.degree].to(y.device) @ local.unsqueeze(-1)).squeeze(-1)

    def _conditioned(
        self, condition: BoundaryCondition, block: Block, value: Tensor, slope: Tensor, x: Coordinates, p: Values
    ) -> Tensor:
        """The slope with the normal part that the condition gives."""
        alpha, beta = condition.coefficients
        if not beta:
            return slope
        assert x.normals is not None
        normals = torch.stack([field.values for field in x.normals], -1)
        given = x.expand(_component(evaluate(condition.value, p, x), block.component)).values
        normal_part = (given - alpha * value) / beta - (slope * normals).sum(-1)
        return slope + normals * normal_part[..., None]

    def _values_at(self, place: _Place, time: float | None) -> Values:
        """The parameters, bound once for an instant."""
        known = self._bound.get(id(place))
        if known is None or known[0] != time:
            known = time, self.problem.bind(self._instant(place.x, time), self.values)
            self._bound[id(place)] = known
        return known[1]

    def _tests(self, place: _Place, degree: int) -> Tensor:
        """What an integrand is tested with: phi, and inside its slopes (cell, point, entry, node)."""
        return place.table.values[degree].unsqueeze(-2) if place.part else self._trials(place, degree)

    def _trials(self, place: _Place, degree: int) -> Tensor:
        return torch.cat([place.table.values[degree].unsqueeze(-2), place.table.slopes[degree]], -2)

    def _numbers(self, place: _Place, block: Block) -> Tensor:
        return block.start + self.elements.cell_nodes(block.degree)[place.table.cells]

    def _coordinates(self, table: Table) -> Coordinates:
        return Coordinates(table.quadrature, device=self.device)

    def _instant(self, x: Coordinates, time: float | None) -> Coordinates:
        return x if time is None else x.at_instant(time)

    def _block(self, name: str) -> Block:
        return next(block for block in self.blocks if block.name == name)

    def _conditions(self) -> dict[tuple[str, str], BoundaryCondition]:
        """The condition of each scalar at each part of the boundary."""
        found: dict[tuple[str, str], BoundaryCondition] = {}
        for condition in self.problem.conditions:
            if isinstance(condition, BoundaryCondition):
                for part in condition.parts(self.problem):
                    for name in self.problem.unknown(condition.unknown).scalars:
                        found[part, name] = condition
        return found

    def _open(self, block: Block, part: str) -> InputError:
        return InputError(
            f"{self.problem.name}: {block.unknown} has second derivatives and no condition at {part}: add "
            f"Neumann({block.unknown!r}, {part!r}, 0.0), Dirichlet or Robin"
        )


def _component(value: Any, component: str | None) -> Any:
    return value[component] if isinstance(value, Vector) and component else value


def _moved(field: Field, x: Coordinates) -> Field:
    assert isinstance(x.places, MeshPlaces)
    return field.moved(x.places) if isinstance(field, MeshField) else field


def _derivatives(entry: Tensor, nodes: list[Tensor]) -> Any:
    if not entry.requires_grad:
        return [None] * len(nodes)
    return torch.autograd.grad(entry.sum(), nodes, retain_graph=True, allow_unused=True)
