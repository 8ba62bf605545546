"""Vectors of fields: gradients, velocities, fluxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pdesolve.errors import InputError, unknown_name
from pdesolve.fields.field import Field


class Vector:
    """One scalar field per component, components named by axes ("x", "y") and in their order.

    Sums need the same components; a number or a scalar field multiplies each. Components are joined to a tensor
    (sample, time, component, *space) at the edges only.
    """

    __array_ufunc__ = None  # numpy's numbers leave products with vectors to the vectors

    def __init__(self, components: Mapping[str, Field]) -> None:
        self.components = dict(components)

    def __getitem__(self, name: str) -> Field:
        if name not in self.components:
            raise unknown_name("component", name, self.components)
        return self.components[name]

    def __iter__(self) -> Iterator[Field]:
        return iter(self.components.values())

    def __len__(self) -> int:
        return len(self.components)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.components)

    def map(self, function: Callable[[Field], Field]) -> Vector:
        """The function applied to each component."""
        return Vector({name: function(field) for name, field in self.components.items()})

    def _zip(self, other: Any, operation: Callable[[Any, Any], Field]) -> Vector:
        if not isinstance(other, Vector):
            raise InputError(f"a vector of {', '.join(self.names)} combines with a vector, got {type(other).__name__}")
        if other.names != self.names:
            raise InputError(f"vectors of different components: {', '.join(self.names)} and {', '.join(other.names)}")
        return Vector({name: operation(field, other[name]) for name, field in self.components.items()})

    def __add__(self, other: Any) -> Vector:
        return self._zip(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> Vector:
        return self._zip(other, lambda a, b: a - b)

    def __mul__(self, factor: Any) -> Vector:
        if isinstance(factor, Vector):
            raise InputError("the product of two vectors is no vector: write dot(a, b) for the scalar product")
        return self.map(lambda field: field * factor)

    __rmul__ = __mul__

    def __truediv__(self, factor: Any) -> Vector:
        if isinstance(factor, Vector):
            raise InputError("a vector cannot be divided by a vector: divide its components")
        return self.map(lambda field: field / factor)

    def __neg__(self) -> Vector:
        return self.map(lambda field: -field)
