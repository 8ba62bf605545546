"""Partial derivatives of values at points: where they come from, and the sum, product and chain rules on them."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.fields.multi_index import Index, below, binomial, minus, plus, shares, unit, zero
from pdesolve.fields.smooth import Seed, Smooth, generic, power
from pdesolve.geometry import Axes

Part = Tensor | float  # a partial at the points (*sample, point); a number where it is the same at all of them


class Partials(ABC):
    """Where the partials of a field come from; each is computed when it is asked for, once.

    `free` ones depend on coordinates alone: their graph leads to the columns of the points, so that values which a
    formula computes from them by torch can be differentiated.
    """

    def __init__(self, free: bool) -> None:
        self.free = free
        self._made: dict[Index, Part] = {}

    def __getitem__(self, index: Index) -> Part:
        if index not in self._made:
            with torch.set_grad_enabled(self.free or torch.is_grad_enabled()):
                self._made[index] = self.make(index)
        return self._made[index]

    @abstractmethod
    def make(self, index: Index) -> Part:
        """D^α at the points (*sample, point)."""


@dataclass(frozen=True)
class View:
    """The partial derivative D^index of a function, as a function."""

    partials: Partials
    index: Index

    def part(self, index: Index) -> Part:
        """D^α of it."""
        return self.partials[plus(self.index, index)]

    def along(self, axis: int, order: int) -> View:
        return View(self.partials, plus(self.index, unit(len(self.index), axis, order)))


Operand = View | Tensor | float  # the latter two: the same at all points, (sample, 1) or a number


def _part(operand: Operand, index: Index) -> Part:
    if isinstance(operand, View):
        return operand.part(index)
    return 0.0 if any(index) else operand


def _together(*operands: Operand) -> tuple[bool, list[Operand]]:
    """Whether all depend on coordinates alone; where not all do, the others without their graph."""
    free = all(o.partials.free if isinstance(o, View) else not _trained(o) for o in operands)
    if free:
        return True, list(operands)
    return False, [
        View(Detached(o.partials), o.index) if isinstance(o, View) and o.partials.free else o for o in operands
    ]


def _trained(operand: Tensor | float) -> bool:
    return isinstance(operand, Tensor) and operand.requires_grad


def _is_zero(part: Part) -> bool:
    return isinstance(part, float) and part == 0.0


def _plus(a: Part, b: Part) -> Part:
    return b if _is_zero(a) else a if _is_zero(b) else a + b


def _times(a: Part, b: Part) -> Part:
    if _is_zero(a) or _is_zero(b):
        return 0.0
    if isinstance(a, float) and a == 1.0:
        return b
    return a if isinstance(b, float) and b == 1.0 else a * b


class Given(Partials):
    """Partials of one output of a network: those that were carried."""

    def __init__(self, name: str, parts: Mapping[Index, Part], carried: Iterable[Index], axes: Axes) -> None:
        super().__init__(free=False)
        self.name, self.parts, self.carried, self.axes = name, parts, set(carried), axes

    def make(self, index: Index) -> Part:
        if index not in self.carried:
            asked = " ".join(f"d{axis}^{n}" for axis, n in zip(self.axes.names, index, strict=True) if n)
            raise InputError(
                f"the derivative {asked} of {self.name} was not carried through the network: give what the formula "
                "wants, Coordinates.wanted_by(formula, cloud), to Coordinates.of_jets"
            )
        return self.parts.get(index, 0.0)


class Asked(Partials):
    """Arbitrary values in the place of an output of a network, with a note of each partial that is asked for."""

    def __init__(self, name: str, asked: set[Index], like: Tensor) -> None:
        super().__init__(free=False)
        self.name, self.asked, self.like = name, asked, like

    def make(self, index: Index) -> Part:
        self.asked.add(index)
        return torch.linspace(0.5, 1.0, len(self.like)).to(self.like) / len(self.asked)


class Column(Partials):
    """A coordinate: one along its own axis, zero beyond."""

    def __init__(self, values: Tensor, axis: Index) -> None:
        super().__init__(free=True)
        self.values, self.axis = values, axis

    def make(self, index: Index) -> Part:
        return self.values if not any(index) else float(index == self.axis)


class Known(Partials):
    """Values at the points themselves: of observations and normals, which no derivative can be taken of, or computed
    from columns of the points by torch, which autograd differentiates.
    """

    def __init__(self, values: Tensor, name: str, columns: Sequence[Tensor]) -> None:
        # what depends on a network hides how it depends on the points
        super().__init__(free=_leaves(values) <= {id(column) for column in columns})
        self.values, self.name, self.columns = values, name, columns

    def make(self, index: Index) -> Part:
        if not any(index):
            return self.values
        if not self.free or not self.values.requires_grad:
            raise InputError(
                f"{self.name} is known by its values at points, not as a function: it cannot be differentiated; write "
                "it as a formula of the coordinates"
            )
        axis = next(i for i, order in enumerate(index) if order)
        lower = self[minus(index, unit(len(index), axis))]
        assert isinstance(lower, Tensor)
        return _slope(lower, self.columns[axis])


def _leaves(values: Tensor) -> set[int]:
    """The tensors that a value depends on by its graph."""
    if not values.requires_grad:
        return set()
    if values.grad_fn is None:
        return {id(values)}
    found: set[int] = set()
    left, seen = [values.grad_fn], {values.grad_fn}
    while left:
        node = left.pop()
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            found.add(id(leaf))
        for below_it, _ in node.next_functions:
            if below_it is not None and below_it not in seen:
                seen.add(below_it)
                left.append(below_it)
    return found


class Detached(Partials):
    """Partials without their graph: what depends on coordinates alone, in a formula with a network."""

    def __init__(self, partials: Partials) -> None:
        super().__init__(free=False)
        self.partials = partials

    def make(self, index: Index) -> Part:
        part = self.partials[index]
        return part.detach() if isinstance(part, Tensor) else part


class Uniform(Partials):
    """One value at all points."""

    def __init__(self, value: float) -> None:
        super().__init__(free=True)
        self.value = value

    def make(self, index: Index) -> Part:
        return 0.0 if any(index) else self.value


class Function(Partials):
    """A function of columns (point,) of the coordinates alone, differentiated through autograd once for these points.

    `names` are all axes; along those without a column it is constant.
    """

    def __init__(
        self,
        function: Callable[[Mapping[str, Tensor]], Tensor],
        columns: Mapping[str, Tensor],
        names: Sequence[str],
    ) -> None:
        # of something trained it keeps the graph
        super().__init__(free=not function({name: column.detach() for name, column in columns.items()}).requires_grad)
        self.function, self.names, self.columns = function, names, columns

    def make(self, index: Index) -> Part:
        if not any(index):
            return self.function(self.columns)
        axis = next(i for i, order in enumerate(index) if order)
        lower = self[minus(index, unit(len(index), axis))]
        assert isinstance(lower, Tensor)
        return _slope(lower, self.columns.get(self.names[axis]))


def _slope(values: Tensor, column: Tensor | None) -> Tensor:
    if column is None or not values.requires_grad:
        return torch.zeros_like(values)
    rows = values.reshape(-1, values.shape[-1])
    found = [torch.autograd.grad(r.sum(), column, create_graph=True, materialize_grads=True)[0] for r in rows]
    return torch.stack(found).reshape(values.shape)


class Sum(Partials):
    """a + sign b."""

    def __init__(self, a: Operand, b: Operand, sign: float) -> None:
        free, (a, b) = _together(a, b)
        super().__init__(free)
        self.a, self.b, self.sign = a, b, sign

    def make(self, index: Index) -> Part:
        a, b = _part(self.a, index), _part(self.b, index)
        if self.sign > 0 or _is_zero(b):
            return _plus(a, b)
        return -b if _is_zero(a) else a - b


class Product(Partials):
    """a b."""

    def __init__(self, a: Operand, b: Operand) -> None:
        free, (a, b) = _together(a, b)
        super().__init__(free)
        self.a, self.b = a, b

    def make(self, index: Index) -> Part:
        if not isinstance(self.a, View):
            return _times(self.a, _part(self.b, index))
        if not isinstance(self.b, View):
            return _times(_part(self.a, index), self.b)
        total: Part = 0.0
        for beta in below(index):
            term = _times(self.a.part(beta), self.b.part(minus(index, beta)))
            total = _plus(total, _times(float(binomial(index, beta)), term))
        return total


class Composite(Partials):
    """f(u)."""

    def __init__(self, function: Smooth, u: View) -> None:
        super().__init__(u.partials.free)
        self.function, self.u = function, u
        self.seed: Seed | None = None
        self.slopes: Sequence[Tensor] = ()

    def make(self, index: Index) -> Part:
        order = sum(index)
        if self.seed is None:
            value = self.u.part(zero(len(index)))
            self.seed = self.function.seed(torch.as_tensor(value))
        if len(self.slopes) <= order:
            self.slopes = self.function.derivatives(self.seed, order)
        total: Part = 0.0
        for count, parts in shares(index):
            term: Part = float(count)
            for beta in parts:
                term = _times(term, self.u.part(beta))
            total = _plus(total, _times(term, self.slopes[len(parts)]))
        return total


class Quotient(Partials):
    """q = a / b, from a = q b by the product rule."""

    def __init__(self, a: Operand, b: Operand) -> None:
        free, (a, b) = _together(a, b)
        super().__init__(free)
        self.a, self.b = a, b

    def make(self, index: Index) -> Part:
        total = _part(self.a, index)
        for beta in below(index)[1:]:
            term = _times(_part(self.b, beta), self[minus(index, beta)]) if isinstance(self.b, View) else 0.0
            total = _plus(total, _times(-float(binomial(index, beta)), term))
        return 0.0 if _is_zero(total) else total / _part(self.b, zero(len(index)))


class Chosen(Partials):
    """The larger or the smaller of a and b, with the derivatives of the one it is; where they are equal, their mean."""

    def __init__(self, a: Operand, b: Operand, operation: Callable[..., Tensor]) -> None:
        free, (a, b) = _together(a, b)
        super().__init__(free)
        self.a, self.b, self.operation = a, b, operation

    def make(self, index: Index) -> Part:
        a, b = self._tensors(zero(len(index)))
        if not any(index):
            return self.operation(a, b)
        of_a, of_b = self._tensors(index)
        first = (a > b) if self.operation is torch.maximum else (a < b)
        return torch.where(a == b, (of_a + of_b) / 2, torch.where(first, of_a, of_b))

    def _tensors(self, index: Index) -> list[Tensor]:
        parts = [_part(x, index) for x in (self.a, self.b)]
        like = next((part for part in parts if isinstance(part, Tensor)), None)
        kind = {} if like is None else {"dtype": like.dtype, "device": like.device}
        return [torch.as_tensor(part, **kind) for part in parts]


def rule(operation: Callable[..., Tensor], operands: Sequence[Operand]) -> Partials:
    """The partials of an operation of fields, numbers and constants."""
    a, b = (*operands, 0.0)[:2]
    if operation is operator.neg:
        return Sum(0.0, a, -1.0)
    if operation is operator.add:
        return Sum(a, b, 1.0)
    if operation is operator.sub:
        return Sum(a, b, -1.0)
    if operation is operator.mul:
        return Product(a, b)
    if operation is operator.truediv:
        return Quotient(a, b)
    if operation is operator.pow and isinstance(a, View) and isinstance(b, float):
        return Composite(power(b), a)
    if operation is torch.maximum or operation is torch.minimum:
        return Chosen(a, b, operation)
    if len(operands) == 1 and isinstance(a, View):
        return Composite(generic(operation), a)
    name = getattr(operation, "__name__", str(operation))
    raise InputError(f"{name} of fields at points has no rule for derivatives: write it with pdesolve.fields")
