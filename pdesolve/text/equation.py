"""Equations written as text: ordinary equations, whose rows are formulas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from pdesolve.equation import (
    Equation,
    Evolution,
    FieldKind,
    FluxForm,
    Parameter,
    State,
    Unknown,
    Values,
    assemble,
    flatten,
    velocity_name,
)
from pdesolve.errors import InputError
from pdesolve.fields import Coordinates, Field, Vector
from pdesolve.fields.formula import Name
from pdesolve.text.formula import Formula

Rows = tuple[tuple[str, Formula], ...]


@dataclass(frozen=True)
class TextEquation(Equation):
    """A stationary equation; `rows` vanish for a solution, each under the name of an unknown or of one component."""

    unknowns: tuple[Unknown, ...]  # type: ignore[misc]
    parameters: tuple[Parameter, ...] = field()  # type: ignore[misc]
    rows: Rows
    written: tuple[str, ...]

    def residual(self, u: State, p: Values, x: Coordinates) -> State:
        return _evaluated(self.rows, self.unknowns, u, p, x)


@dataclass(frozen=True)
class TextBalance(FluxForm):
    """A stationary equation of second order, div F = source, whose flux F is diffusive: a combination of gradients.

    fluxes: for each unknown the formula of its flux, a vector. sources: the rest, free of derivatives.
    """

    unknowns: tuple[Unknown, ...]  # type: ignore[misc]
    parameters: tuple[Parameter, ...] = field()  # type: ignore[misc]
    rows: Rows
    written: tuple[str, ...]
    fluxes: Rows
    sources: Rows

    def residual(self, u: State, p: Values, x: Coordinates) -> State:
        return _evaluated(self.rows, self.unknowns, u, p, x)

    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        return {name: formula(x, u, p) for name, formula in self.fluxes}

    def source(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {name: _source(formula, u[name], x, u, p) for name, formula in self.sources}


@dataclass(frozen=True)
class TextEvolution(Evolution):
    """An evolution; `rows` are the rates. `constraints` vanish at every instant, one for each algebraic unknown."""

    unknowns: tuple[Unknown, ...]  # type: ignore[misc]
    parameters: tuple[Parameter, ...] = field()  # type: ignore[misc]
    rows: Rows
    written: tuple[str, ...]
    order: Literal[1, 2] = 1  # type: ignore[misc]
    constraints: Rows = ()
    kinds: tuple[FieldKind, ...] = ("point", "grid")  # type: ignore[misc]

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        return _evaluated(self.rows, self.evolving, u, p, x)

    def constraint(self, u: State, p: Values, x: Coordinates) -> State:
        algebraic = [unknown for unknown in self.unknowns if unknown.algebraic]
        return _evaluated(self.constraints, algebraic, u, p, x)


@dataclass(frozen=True)
class TextBalanceEvolution(FluxForm, Evolution):
    """An evolution of first order, u_t + div F = source, whose flux F is diffusive (see `TextBalance`)."""

    unknowns: tuple[Unknown, ...]  # type: ignore[misc]
    parameters: tuple[Parameter, ...] = field()  # type: ignore[misc]
    rows: Rows
    written: tuple[str, ...]
    fluxes: Rows
    sources: Rows

    def rate(self, u: State, p: Values, x: Coordinates) -> State:
        return _evaluated(self.rows, self.unknowns, u, p, x)

    def flux(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Vector]:
        return {name: formula(x, u, p) for name, formula in self.fluxes}

    def source(self, u: State, p: Values, x: Coordinates) -> Mapping[str, Field]:
        return {name: _source(formula, u[name], x, u, p) for name, formula in self.sources}


def rate_name(unknown: str) -> Name:
    """The name, in formulas of order 2, of the time derivative of an unknown or of one of its components."""
    return Name(f"dt({unknown})")


def _evaluated(rows: Rows, unknowns: Any, u: State, p: Values, x: Coordinates) -> State:
    """The rows at x, components joined to vectors."""
    known = {**flatten(u), **u}
    for name, value in u.items():
        for unknown in unknowns:
            if name == velocity_name(unknown.name):
                scalars = [value] if isinstance(value, Field) else list(value)
                known[rate_name(unknown.name).name] = value
                pairs = zip(unknown.scalars, scalars, strict=True)
                known.update({rate_name(scalar).name: part for scalar, part in pairs})
    found: dict[str, Any] = {}
    for name, formula in rows:
        value = formula(x, known, p)
        if isinstance(value, Vector):
            expected = next((unknown.components for unknown in unknowns if unknown.name == name), value.names)
            if value.names != expected:
                raise InputError(
                    f"the row of {name} has the components {', '.join(value.names)}, {name} has {', '.join(expected)}: "
                    "write a row for each component"
                )
        elif not formula.names & set(known):
            value = _field(value, known[name])
        found[name] = value
    return assemble(unknowns, flatten(found))


def _source(formula: Formula, like: Field, x: Coordinates, u: State, p: Values) -> Field:
    value = formula(x, u, p)
    return value if formula.names & set(u) else _field(value, like)


def _field(value: Any, like: Field) -> Any:
    """A value that depends on no unknown, as a field of the kind of the unknown."""
    return like.apply(torch.zeros_like, "zero", None) + value


def rows_of(equation: Equation) -> tuple[str, ...]:
    """The rows of an equation that was written as text; none for others."""
    known = (TextEquation, TextBalance, TextEvolution, TextBalanceEvolution)
    return equation.written if isinstance(equation, known) else ()
