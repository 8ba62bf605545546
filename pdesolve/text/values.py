"""Values as text: numbers, formulas and files, for initial states, boundaries and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pdesolve.condition import Given, evaluate
from pdesolve.equation import Values
from pdesolve.fields import Constant, Coordinates, Quantity, Vector
from pdesolve.fields.formula import Node, constant, substitute
from pdesolve.text.document import Item
from pdesolve.text.formula import Formula
from pdesolve.text.scope import Scope


@dataclass(frozen=True)
class FormulaValue:
    """A formula of coordinates and parameters, as problems take them: a function of (p, x)."""

    formula: Formula

    def __call__(self, p: Values, x: Coordinates) -> Any:
        value = self.formula(x, p)
        if isinstance(value, (float, int)):
            return Constant(torch.as_tensor(float(value), dtype=x.dtype, device=x.device), Quantity(f"{value:.4g}"))
        return value


@dataclass(frozen=True, eq=False)
class Components:
    """A vector of values, each given by itself."""

    given: Mapping[str, Given]

    def __call__(self, p: Values, x: Coordinates) -> Vector:
        return Vector({name: evaluate(given, p, x) for name, given in self.given.items()})


@dataclass(frozen=True)
class Reader:
    """Reads values: `folder` is that of the problem file, `fixed` the formulas of names that are no parameters."""

    scope: Scope
    folder: Path
    fixed: Mapping[Node, Node]

    def read(self, item: Item, axes: Any, name: str, unit: str | None, *, components: tuple[str, ...] = ()) -> Given:
        """A number, a formula, or {file: u0.nc, variable: u}."""
        if item.is_mapping:
            from pdesolve.text.files import read_field

            if components:
                raise item.error(f"{name} is a vector: give a file for each of its components")
            return read_field(item, self.folder, axes, name, unit)
        with item.place():
            node = self.scope.read(item.text("a number, a formula or {file: u0.nc}"), None)
            return self.given(item, node, components)

    def given(self, item: Item, node: Node, components: tuple[str, ...]) -> Given:
        """What a formula stands for, numbers being numbers."""
        node = substitute(node, self.fixed)
        number = constant(node)
        if number is not None:
            return number
        if self.scope.kind(node) == "vector" and not components:
            raise item.error("a scalar was expected, this is a vector: take a component, or dot(a, b)")
        return FormulaValue(Formula(node, components or self.scope.components))
