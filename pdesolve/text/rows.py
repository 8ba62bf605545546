"""The rows of an equation as they are written: which unknown each belongs to, and what it says of its rate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pdesolve.equation import Equation, Parameter, Unknown
from pdesolve.fields.formula import Call, Name, Node, Partial, combined, names, negated, substitute, text, walk
from pdesolve.text.document import Item
from pdesolve.text.equation import (
    Rows,
    TextBalance,
    TextBalanceEvolution,
    TextEquation,
    TextEvolution,
    rate_name,
)
from pdesolve.text.formula import Formula
from pdesolve.text.linear import ZERO, Divergence, split
from pdesolve.text.scope import NONLOCAL, Kind, Scope

_EXAMPLE = "dt(u) = 0.1*laplacian(u)"


@dataclass(frozen=True)
class Row:
    """left = right, both scalars or both vectors."""

    item: Item
    left: Node
    right: Node
    kind: Kind

    @property
    def text(self) -> str:
        return f"{text(self.left)} = {text(self.right)}"


def sides(item: Item, hint: str) -> tuple[str, str]:
    """The two sides of an equation."""
    written = item.text(hint)
    parts = re.split(r"(?<![<>=!])=(?!=)", written)
    if len(parts) != 2 or not all(part.strip() for part in parts):
        raise item.error(f"an equation has one = sign and two sides, got {written[:50]!r}: write {hint}")
    return parts[0].strip(), parts[1].strip()


def read_rows(item: Item, scope: Scope) -> tuple[Row, ...]:
    """The rows of an equation: one text, or a list of them."""
    rows = []
    for entry in item.list(_EXAMPLE):
        with entry.place():
            left, right = sides(entry, _EXAMPLE)
            node = scope.read(left, None)
            kind = scope.kind(node)
            # a row such as div(grad(v)) = 0 of vectors has a zero of either kind on the right
            rows.append(Row(entry, node, ZERO if right == "0" else scope.read(right, kind), kind))
    return tuple(rows)


def make_equation(
    item: Item, rows: Sequence[Row], unknowns: Sequence[Unknown], parameters: Sequence[Parameter], scope: Scope,
    *, space: tuple[str, ...], constants: frozenset[str], evolves: bool,
) -> Equation:  # fmt: skip
    """The equation that the rows make. `constants` are the parameters that are the same everywhere in space.

    Raises:
        InputError: rows that are too few or too many, time derivatives that do not stand alone.
    """
    written = tuple(row.text for row in rows)
    scalars = frozenset(name for unknown in unknowns for name in (unknown.name, *unknown.scalars))
    divergence = Divergence(space, scalars, constants)
    if not evolves:
        for row in rows:
            _refuse_time(row, (row.left, row.right), "give the time axis as 'time: [0, 1]'")
        owned = _assigned(item, rows, unknowns)
        residuals = [(name, combined("-", row.left, row.right)) for name, row in owned]
        made = _rows(residuals, unknowns, space)
        balance = _balance(residuals, unknowns, divergence, space)
        if balance:
            return TextBalance(tuple(unknowns), tuple(parameters), made, written, *balance)
        return TextEquation(tuple(unknowns), tuple(parameters), made, written)
    rates, rest, order = _rates(rows, unknowns)
    if not rates:
        raise item.error(f"the problem has a time axis, but no row has a time derivative: write {_EXAMPLE}")
    evolving = {name for name, _ in rates}
    whole = []
    for unknown in unknowns:
        given = {unknown.name, *unknown.scalars} & evolving
        if given and not ({unknown.name} <= given or set(unknown.scalars) <= given):
            raise item.error(f"{', '.join(given)} evolves: give rows for all of {', '.join(unknown.scalars)}")
        whole.append(replace(unknown, algebraic=not given))
    algebraic = [unknown for unknown in whole if unknown.algebraic]
    constraints = [(name, combined("-", row.left, row.right)) for name, row in _assigned(item, rest, algebraic)]
    if not algebraic and order == 1:
        balance = _balance([(name, negated(node)) for name, node in rates], unknowns, divergence, space)
        if balance:
            made = _rows(rates, unknowns, space)
            return TextBalanceEvolution(tuple(whole), tuple(parameters), made, written, *balance)
    everything = [node for _, node in (*rates, *constraints)]
    nonlocally = any(isinstance(p, Call) and p.function in NONLOCAL for node in everything for p in walk(node))
    return TextEvolution(
        tuple(whole), tuple(parameters), _rows(rates, whole, space), written, order,
        _rows(constraints, whole, space), ("grid",) if nonlocally else ("point", "grid"),
    )  # fmt: skip


def _rows(nodes: Sequence[tuple[str, Node]], unknowns: Sequence[Unknown], space: tuple[str, ...]) -> Rows:
    components = {unknown.name: unknown.components or space for unknown in unknowns}
    return tuple((name, Formula(node, components.get(name, space))) for name, node in nodes)


def _rates(rows: Sequence[Row], unknowns: Sequence[Unknown]) -> tuple[list[tuple[str, Node]], list[Row], Literal[1, 2]]:
    """The rate of each evolving unknown (or component), the rows without time derivatives, and the order in time."""
    kinds = {name for unknown in unknowns for name in (unknown.name, *unknown.scalars)}
    second = any(isinstance(p, Partial) and p.axis == "t" and p.order == 2 for row in rows for p in _parts(row))
    order: Literal[1, 2] = 2 if second else 1
    rates: dict[str, Node] = {}
    rest = []
    for row in rows:
        found = {
            part.operand.name
            for part in _parts(row)
            if isinstance(part, Partial) and part.axis == "t" and isinstance(part.operand, Name)
            and part.operand.name in kinds and part.order == order
        }  # fmt: skip
        if len(found) > 1:
            raise row.item.error(f"a row has one time derivative, got {len(found)}: solve for one of them")
        if not found:
            _refuse_time(row, (row.left, row.right), _systems_hint(order))
            rest.append(row)
            continue
        (name,) = found
        if name in rates:
            raise row.item.error(f"{name} has two rows: each unknown has one")
        target = Partial(Name(name), "t", order)
        with row.item.place():
            if row.left == target and target not in walk(row.right):
                rate = row.right
            else:
                coefficient, remainder = split(combined("-", row.left, row.right), target)
                if coefficient == ZERO:
                    raise row.item.error(f"{text(target)} cancels: write {text(target)} = ...")
                if names(coefficient) & kinds:
                    raise row.item.error(f"{text(target)} has the factor {text(coefficient)}: divide by it")
                rate = combined("/", negated(remainder), coefficient)
        if order == 2:
            rate = substitute(rate, {Partial(Name(other), "t"): rate_name(other) for other in kinds})
        _refuse_time(row, (rate,), _systems_hint(order))
        rates[name] = rate
    return list(rates.items()), rest, order


def _parts(row: Row) -> list[Node]:
    return [*walk(row.left), *walk(row.right)]


def _systems_hint(order: int) -> str:
    if order == 2:
        return "write every row with dtt(...), or dt(u) = v and dt(v) = ... with the rate v as an unknown"
    return "write dt(u) alone on the left, as in dt(u) = ..."


def _refuse_time(row: Row, nodes: Sequence[Node], hint: str) -> None:
    for node in nodes:
        for part in walk(node):
            if isinstance(part, Partial) and part.axis == "t":
                raise row.item.error(f"{text(part)[:40]} is no rate that this row can be solved for: {hint}")


def _assigned(item: Item, rows: Sequence[Row], unknowns: Sequence[Unknown]) -> list[tuple[str, Row]]:
    """Rows in the order of the unknowns: a vector row for a vector, or a row for each component."""
    owned: list[tuple[str, Row]] = []
    left = list(rows)
    for unknown in unknowns:
        if unknown.components and left and left[0].kind == "vector":
            owned.append((unknown.name, left.pop(0)))
            continue
        for scalar in unknown.scalars:
            if not left:
                raise item.error(f"there is no row for {scalar}: a system has as many equations as unknowns")
            owned.append((scalar, left.pop(0)))
    if left:
        known = ", ".join(u.name for u in unknowns) or "none without a rate"
        raise left[0].item.error(f"one row too many: the unknowns left are {known}; is an unknown missing?")
    return owned


def _balance(
    nodes: Sequence[tuple[str, Node]], unknowns: Sequence[Unknown], divergence: Divergence, space: tuple[str, ...]
) -> tuple[Rows, Rows] | None:
    """Fluxes and sources of rows div F - source = 0 (or u_t + div F - source = 0); None where some is no such row."""
    if any(unknown.components for unknown in unknowns):
        return None
    fluxes, sources = [], []
    for name, node in nodes:
        parts = divergence.of(node)
        if parts is None:
            return None
        fluxes.append((name, Formula(parts[0], space)))
        if parts[1] != ZERO:
            sources.append((name, Formula(negated(parts[1]), space)))
    return tuple(fluxes), tuple(sources)
