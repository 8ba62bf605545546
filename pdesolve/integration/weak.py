"""Weak residuals of problems on elements, whatever the equation is, and their sparse Jacobians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from pdesolve.condition import BoundaryCondition, Dirichlet, Traction, evaluate
from pdesolve.equation import Evolution, State, Values, assemble, flatten, velocity_name
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Field, MeshField, MeshPlaces, Quantity, Vector
from pdesolve.fields.mesh import weak_parts
from pdesolve.geometry import PointCloud
from pdesolve.integration.elements import Elements, Table
from pdesolve.integration.nodal import Block, Entries, blocks
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
    (value - alpha u) / beta, and tractions are -f . n; Dirichlet values are the vector's own (`held`), and their rows
    mean nothing. Algebraic
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
        self.dirichlet = {key: c for key, c in self.conditions.items() if isinstance(c, Dirichlet)}
        self._held_at = [self._held(part, name, c) for (part, name), c in self.dirichlet.items()]
        self.held = np.zeros(self.size, dtype=bool)
        for _, _, numbers, _ in self._held_at:
            self.held[numbers.cpu().numpy()] = True
        self._given: tuple[float | None, Tensor] | None = None
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
        if self._given is None or self._given[0] != time:
            y = torch.zeros(self.size, dtype=torch.float64, device=self.device)
            for condition, component, numbers, where in self._held_at:
                x = self._instant(where, time)
                if isinstance(condition.value, (int, float)):  # needs no parameters
                    y[numbers] = float(condition.value)
                else:
                    value = evaluate(condition.value, self.problem.bind(x, self.values), x)
                    y[numbers] = x.expand(_component(value, component)).values.detach()
            self._given = time, y
        return self._given[1].clone()

    def mass(self) -> csr_array:
        """The integrals of phi_i phi_j for the scalars that evolve; nothing for algebraic ones."""
        algebraic = {unknown.name for unknown in self.equation.unknowns if unknown.algebraic}
        return self._bilinear([b for b in self.blocks if b.unknown not in algebraic], slice(0, 1))

    def stiffness(self) -> csr_array:
        """The integrals of grad phi_i . grad phi_j for all scalars."""
        return self._bilinear(self.blocks, slice(1, None))

    def _bilinear(self, chosen: Sequence[Block], entry: slice) -> csr_array:
        table, entries = self.elements.inside, Entries(self.size)
        for block in chosen:
            functions = table.functions[block.degree][:, :, entry]
            weighted = functions * table.quadrature.weights[..., None, None]
            nodes = block.start + self.elements.cell_nodes(block.degree)
            entries.add(nodes, nodes, weighted.flatten(1, 2).transpose(1, 2) @ functions.flatten(1, 2))
        return entries.matrix()

    def integrals(self, name: str) -> Tensor:
        """The integrals of the shape functions of one scalar, at its place in a vector (node of each block,)."""
        block, table = self._block(name), self.elements.inside
        shares = (table.functions[block.degree][:, :, 0] * table.quadrature.weights[..., None]).sum(1)
        nodes = block.start + self.elements.cell_nodes(block.degree)
        return torch.zeros(self.size, dtype=torch.float64).index_add(0, nodes.reshape(-1), shares.reshape(-1))

    def residual(self, y: Tensor, time: float | None = None, *, rates: Tensor | None = None) -> Tensor:
        """R (node of each block,). `rates` are the nodal values of u_t, which evolutions of order 2 need.

        Raises:
            InputError: an evolution of order 2 without them.
        """
        total = torch.zeros(self.size, dtype=torch.float64, device=self.device)
        for place in self._places:
            weights = place.table.quadrature.weights.to(y.device)[..., None]
            for block, integrand in self._integrands(place, y, rates, time)[1]:
                tests = place.table.functions[block.degree].to(y.device)[:, :, : integrand.shape[-1]]
                local = ((integrand.detach() * weights).flatten(1).unsqueeze(1) @ tests.flatten(1, 2)).squeeze(1)
                total.index_add_(0, self._numbers(place, block).to(y.device).reshape(-1), local.reshape(-1))
        return total

    def jacobian(
        self, y: Tensor, time: float | None = None, *, rates: Tensor | None = None
    ) -> tuple[csr_array, csr_array]:
        """dR/dy and dR/d(u_t); the latter is zero but for evolutions of order 2.

        Raises:
            InputError: an evolution of order 2 without rates.
        """
        entries = Entries(self.size), Entries(self.size)
        n = len(self.blocks)
        for place in self._places:
            weights = place.table.quadrature.weights[..., None, None]
            leaves, rows = self._integrands(place, y, rates, time)
            for block, integrand in rows:
                partials = [_derivatives(integrand, i, leaves) for i in range(integrand.shape[-1])]
                tests = place.table.functions[block.degree][:, :, : integrand.shape[-1]] * weights
                tests = tests.flatten(1, 2).transpose(1, 2)
                for k, leaf in enumerate(leaves):
                    found = [partial[k] for partial in partials]
                    if all(partial is None for partial in found):
                        continue
                    other = self.blocks[k % n]
                    # (cell, point, entry of the integrand, value and slopes of the unknown)
                    matrix = torch.stack([torch.zeros_like(leaf) if f is None else f for f in found], -2).cpu()
                    local = tests @ (matrix @ place.table.functions[other.degree]).flatten(1, 2)
                    entries[k // n].add(self._numbers(place, block), self._numbers(place, other), local)
        return entries[0].matrix(), entries[1].matrix()

    def fields(
        self, y: Tensor, *, rates: Tensor | None = None, table: Table | None = None
    ) -> tuple[State, Values, Coordinates]:
        """The state, the parameters and the coordinates at the quadrature points of the cells, or at those of a table.

        Raises:
            InputError: an evolution of order 2 without rates, which its energy may ask for.
        """
        place = self._places[0] if table is None else _Place(table, self._coordinates(table), None)
        x = place.x.without_unknowns()
        bound = self._values_at(place, None) if table is None else self.problem.bind(place.x, self.values)
        p = {name: _moved(field, x) for name, field in bound.items()}
        scalars = {}
        for block, vector, name in self._carried(y, rates):
            assert isinstance(x.places, MeshPlaces)
            known = self._known(place, block, vector)
            scalars[name] = x.places.unknown(known[..., 0], known[..., 1:], self._quantity(block, name))
        return self._state(scalars), p, x

    def _carried(self, y: Tensor, rates: Tensor | None) -> list[tuple[Block, Tensor, str]]:
        """The block, the vector and the name of each scalar of the state: all unknowns, then all rates."""
        values = [(block, y, block.name) for block in self.blocks]
        if self.order == 1:
            return values
        if rates is None:
            raise InputError(
                f"{self.problem.name}: {type(self.equation).__name__} is of second order in time and its state holds "
                "the rates, which were not given: pass rates=, the nodal values of u_t; zeros for a state at rest"
            )
        return values + [(block, rates, block.velocity) for block in self.blocks]

    def _quantity(self, block: Block, name: str) -> Quantity:
        return self.problem.quantity(block.name) if name == block.name else Quantity(name)

    def _integrands(
        self, place: _Place, y: Tensor, rates: Tensor | None, time: float | None
    ) -> tuple[list[Tensor], list[tuple[Block, Tensor]]]:
        """The values and slopes of each unknown (cell, point, 1 + axis), and what each row is integrated of.

        That is (v, -f) on cells, f . n on facets (cell, point, entry).
        """
        with torch.enable_grad():
            bound = self._values_at(place, time)
            x = self._instant(place.x.without_unknowns(), time)
            assert isinstance(x.places, MeshPlaces)
            p = {name: _moved(field, x) for name, field in bound.items()}
            leaves: list[Tensor] = []
            scalars: dict[str, Field] = {}
            for block, vector, name in self._carried(y, rates):
                leaf = self._known(place, block, vector).detach().requires_grad_()
                value, slope = leaf[..., 0], leaf[..., 1:]
                condition = self.conditions.get((place.part or "", name))
                if isinstance(condition, BoundaryCondition):
                    slope = self._conditioned(condition, block, value, slope, x, p)
                scalars[name] = x.places.unknown(value, slope, self._quantity(block, name))
                leaves.append(leaf)
            rows = self._rows(scalars, p, x)
            found = []
            for block in self.blocks:
                density, flux = weak_parts(rows[block.name], x.places)
                if place.part is None:
                    parts = [density, *[-flux[a] if a in flux else torch.zeros(()) for a in x.axes.names]]
                else:
                    if (place.part, block.name) in self.dirichlet or not flux:
                        continue
                    condition = self.conditions.get((place.part, block.name))
                    if condition is None:
                        raise self._open(block, place.part)
                    assert x.normals is not None
                    normals = x.normals
                    if isinstance(condition, Traction):
                        parts = [-x.expand(_component(evaluate(condition.value, p, x), block.component)).values]
                    else:
                        parts = [sum((f * normals[a].values for a, f in flux.items()), torch.zeros(()))]
                shape = x.places.weights.shape
                found.append((block, torch.stack([part.to(y).expand(shape) for part in parts], -1)))
            return leaves, found

    def _rows(self, scalars: Mapping[str, Field], p: Values, x: Coordinates) -> dict[str, Field]:
        equation, u = self.equation, self._state(scalars)
        if not isinstance(equation, Evolution):
            return flatten(equation.residual(u, p, x))
        return {**flatten(equation.rate(u, p, x)), **flatten(equation.constraint(u, p, x))}

    def _state(self, scalars: Mapping[str, Field]) -> State:
        equation = self.equation
        u = dict(assemble(equation.unknowns, scalars))
        for unknown in equation.evolving if isinstance(equation, Evolution) and equation.order == 2 else ():
            name = velocity_name(unknown.name)
            parts = {c: scalars[f"{name}_{c}"] for c in unknown.components}
            u[name] = Vector(parts) if parts else scalars[name]
        return u

    def _known(self, place: _Place, block: Block, y: Tensor) -> Tensor:
        """The value and the slopes of a scalar (cell, point, 1 + axis)."""
        local = y[self._numbers(place, block).to(y.device)]
        functions = place.table.functions[block.degree].to(y.device)
        return (functions.flatten(1, 2) @ local.unsqueeze(-1)).reshape(functions.shape[:-1])

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

    def _numbers(self, place: _Place, block: Block) -> Tensor:
        return block.start + self.elements.cell_nodes(block.degree)[place.table.cells]

    def _coordinates(self, table: Table) -> Coordinates:
        return Coordinates(table.quadrature, device=self.device)

    def _instant(self, x: Coordinates, time: float | None) -> Coordinates:
        return x if time is None else x.at_instant(time)

    def _block(self, name: str) -> Block:
        return next(block for block in self.blocks if block.name == name)

    def _held(self, part: str, name: str, condition: Dirichlet) -> tuple[Dirichlet, str | None, Tensor, Coordinates]:
        """A condition, the component it is taken of, the numbers of the nodes that it holds, and where these are."""
        block = self._block(name)
        nodes = self.elements.boundary_nodes(part, block.degree)
        cloud = PointCloud(self.problem.domain.axes, self.elements.nodes(block.degree)[nodes])
        x = Coordinates(cloud, device=self.device, gradients=False)
        return condition, block.component, block.start + nodes.to(self.device), x

    def _conditions(self) -> dict[tuple[str, str], BoundaryCondition | Traction]:
        """The condition of each scalar at each part of the boundary."""
        found: dict[tuple[str, str], BoundaryCondition | Traction] = {}
        for condition in self.problem.conditions:
            if isinstance(condition, (BoundaryCondition, Traction)):
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


def _derivatives(integrand: Tensor, entry: int, nodes: list[Tensor]) -> Any:
    if not integrand.requires_grad:
        return [None] * len(nodes)
    with torch.enable_grad():
        total = integrand[..., entry].sum()
    return torch.autograd.grad(total, nodes, retain_graph=True, allow_unused=True)
