"""Initial and boundary conditions as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pdesolve.condition import BoundaryCondition, Condition, Dirichlet, InitialRate, InitialValue, Neumann, Robin
from pdesolve.equation import Equation, Evolution, Unknown
from pdesolve.errors import InputError, unknown_name
from pdesolve.fields.formula import Call, Name, Node, Number, combined, constant, names, negated, substitute, text, walk
from pdesolve.geometry import Axes, Domain
from pdesolve.text.document import Item
from pdesolve.text.linear import ZERO, contains, split
from pdesolve.text.rows import sides
from pdesolve.text.scope import FUNCTIONS, Function, Kind, Scope
from pdesolve.text.values import Components, Reader

_INITIAL = "initial: {u: sin(pi*x)}"
_BOUNDARY = "boundary: {all: u = 0}"


def read_initial(item: Item, equation: Equation, reader: Reader, axes: Axes) -> list[Condition]:
    """`{u: value, dt(u): rate}`; of a vector its components, or the vector at once.

    Raises:
        InputError: names that are no unknowns, a vector of which components are missing.
    """
    entries = item.mapping(_INITIAL)
    if not isinstance(equation, Evolution):
        raise item.error("a stationary problem has no initial state: leave this out, or give 'time: [0, 1]'")
    known = {name: (unknown, name, False) for unknown in equation.evolving for name in (unknown.name, *unknown.scalars)}
    if equation.order == 2:
        known |= {f"dt({name})": (unknown, name, True) for name, (unknown, *_) in list(known.items())}
    given: dict[tuple[str, bool], dict[str, Any]] = {}
    unknowns: dict[str, Unknown] = {}
    for key, entry in entries.items():
        if key.replace(" ", "") not in known:
            raise entry.error(str(unknown_name("name", key, known)))
        unknown, name, is_rate = known[key.replace(" ", "")]
        components = unknown.components if name == unknown.name else ()
        value = reader.read(entry, axes, name, unknown.unit if not is_rate else None, components=components)
        given.setdefault((unknown.name, is_rate), {})[name] = value
        unknowns[unknown.name] = unknown
    for unknown in equation.evolving:
        for is_rate in (False, True)[: equation.order]:
            if (unknown.name, is_rate) not in given:
                key, what = (f"dt({unknown.name})", "rate") if is_rate else (unknown.name, "value")
                raise item.error(f"{unknown.name} has no initial {what}: write {key}: 0")
    found: list[Condition] = []
    for (name, is_rate), values in given.items():
        value = _joined(item, unknowns[name], values)
        found.append(InitialRate(name, value) if is_rate else InitialValue(name, value))
    return found


def _joined(item: Item, unknown: Unknown, values: Mapping[str, Any]) -> Any:
    """One value of an unknown from those of its components."""
    if unknown.name in values:
        if len(values) > 1:
            raise item.error(f"{unknown.name} is given whole and by components: give one of the two")
        return values[unknown.name]
    missing = [name for name in unknown.scalars if name not in values]
    if missing:
        raise item.error(f"{', '.join(missing)} is missing: give every component of {unknown.name}")
    return Components({c: values[name] for c, name in zip(unknown.components, unknown.scalars, strict=True)})


@dataclass(frozen=True)
class Side:
    """A condition of one unknown, or of one component, before components are joined."""

    unknown: Unknown
    name: str
    alpha: float
    beta: float
    value: Any
    factors: frozenset[str]


def read_factors(item: Item, unknowns: Sequence[Unknown], reader: Reader, axes: Axes) -> set[str]:
    """The names in the factors of u and dn(u), all of which `reader` must take for fixed numbers.

    A factor is a number for every solver, so that such a parameter is none of the equation and cannot be learned.
    """
    return {
        name
        for entry in item.mapping(_BOUNDARY).values()
        for side in _sides(entry, unknowns, reader, axes)
        for name in side.factors
    }


def read_boundary(
    item: Item, unknowns: Sequence[Unknown], reader: Reader, domain: Domain, axes: Axes
) -> list[Condition]:
    """Conditions for parts of the boundary: `{all: u = 0}`, `{hole: dn(u) = 1, elsewhere: 2*u + dn(u) = sin(x)}`.

    A key is a part, parts with commas between, `all`, or `elsewhere` for the parts that no other key names. A value is
    an equation that is linear in u and dn(u), a list of them, or a mapping {u: value} where the value may be a file.

    Raises:
        InputError: a part that there is not, conditions that are no such equations.
    """
    entries = item.mapping(_BOUNDARY)
    known = tuple(domain.boundaries)
    if not known and entries:
        raise item.error("the domain has no boundary, every axis is periodic: leave this out")
    named: dict[str, tuple[str, ...]] = {}
    for key, entry in entries.items():
        if key in ("all", "elsewhere"):
            continue
        named[key] = tuple(part.strip() for part in key.split(",") if part.strip())
        for part in named[key]:
            if part not in known:
                raise entry.error(str(unknown_name("boundary", part, (*known, "all", "elsewhere"))))
    taken = {part for parts in named.values() for part in parts}
    conditions: list[Condition] = []
    for key, entry in entries.items():
        where: str | tuple[str, ...] = named.get(key, "all")
        if key == "elsewhere":
            where = tuple(part for part in known if part not in taken)
            if not where:
                raise entry.error("every part of the boundary has its condition already: leave elsewhere out")
            where = where if taken else "all"
        elif key == "all" and taken:
            raise entry.error(f"'all' includes {', '.join(sorted(taken))}: write 'elsewhere' for the other parts")
        where = where[0] if isinstance(where, tuple) and len(where) == 1 else where
        conditions += _conditions(entry, where, unknowns, reader, axes)
    return conditions


def _sides(entry: Item, unknowns: Sequence[Unknown], reader: Reader, axes: Axes) -> list[Side]:
    owners = {name: unknown for unknown in unknowns for name in (unknown.name, *unknown.scalars)}
    if entry.is_mapping:
        pairs: list[tuple[str, str | Item, Item]] = [(key, part, part) for key, part in entry.mapping("{u: 0}").items()]
    else:
        pairs = [(*sides(part, "u = 0, or dn(u) = 0"), part) for part in entry.list("u = 0")]
    found: list[Side] = []
    for left, right, part in pairs:
        with part.place():
            found.append(_side(left, right, part, owners, reader, axes))
    return found


def _conditions(
    entry: Item, where: str | tuple[str, ...], unknowns: Sequence[Unknown], reader: Reader, axes: Axes
) -> list[BoundaryCondition]:
    found = _sides(entry, unknowns, reader, axes)
    conditions: list[BoundaryCondition] = []
    for unknown in unknowns:
        own = [side for side in found if side.unknown is unknown]
        if not own:
            continue
        groups: dict[tuple[float, float], list[Side]] = {}
        for side in own:
            groups.setdefault((side.alpha, side.beta), []).append(side)
        for (alpha, beta), group in groups.items():
            stated = [side.name for side in group]
            if len(set(stated)) < len(stated):
                raise entry.error(f"{stated[0]} has {len(stated)} conditions here: expected one")
            if len(groups) > 1 and unknown.name not in stated and len(stated) < len(unknown.scalars):
                raise entry.error(
                    f"the components of {unknown.name} need conditions of one kind on a part of the boundary"
                )
            value = _joined(entry, unknown, {side.name: side.value for side in group})
            conditions.append(_condition(unknown.name, where, alpha, beta, value))
    return conditions


def _condition(name: str, where: str | tuple[str, ...], alpha: float, beta: float, value: Any) -> BoundaryCondition:
    if (alpha, beta) == (1.0, 0.0):
        return Dirichlet(name, where, value)
    if (alpha, beta) == (0.0, 1.0):
        return Neumann(name, where, value)
    return Robin(name, alpha, beta, where, value)


def _side(left: str, right: str | Item, part: Item, owners: Mapping[str, Unknown], reader: Reader, axes: Axes) -> Side:
    """One condition alpha u + beta dn(u) = value, where one of alpha and beta is zero the other is 1."""
    scope = boundary_scope(reader.scope, owners)
    node = scope.read(left, None)
    if isinstance(right, Item) and right.is_mapping:  # a file
        other: Node = ZERO
    else:
        other = scope.read(right if isinstance(right, str) else right.text("a value"), None)
    node = combined("-", node, other)
    slopes = [part for part in walk(node) if isinstance(part, Call) and part.function == "dn"]
    present = [name for name in owners if contains(node, [Name(name), Call("dn", (Name(name),))])]
    if len(present) != 1 or any(slope.arguments[0] != Name(present[0]) for slope in slopes):
        what = " and ".join(present) or "no unknown"
        raise InputError(f"a condition is about one unknown, u or dn(u), got {what}: write u = 0, or dn(u) = 0")
    name = present[0]
    slope = Name(f"dn {name}")
    alpha, rest = split(substitute(node, dict.fromkeys(slopes, slope)), Name(name))
    beta, rest = split(rest, slope)
    factors = frozenset(names(alpha) | names(beta))
    a, b = constant(substitute(alpha, reader.fixed)), constant(substitute(beta, reader.fixed))
    if a is None or b is None or (a, b) == (0.0, 0.0):
        given = [text(substitute(factor, {slope: Call("dn", (Name(name),))})) for factor in (alpha, beta)]
        raise InputError(f"u and dn(u) have numbers as factors here, got {given[0]} and {given[1]}")
    components = owners[name].components if name == owners[name].name else ()
    if isinstance(right, Item) and right.is_mapping:
        return Side(owners[name], name, a, b, reader.read(right, axes, name, None, components=components), factors)
    value = negated(rest)
    if not a or not b:
        scale = a or b
        value, a, b = combined("/", value, Number(scale)), a / scale, b / scale
    return Side(owners[name], name, a, b, reader.given(part, value, components), factors)


def boundary_scope(scope: Scope, unknowns: Mapping[str, Unknown]) -> Scope:
    """The scope of boundary conditions: with the unknowns, and their derivative dn along the outward normal."""
    dn = Function(_nothing, ("any",), "same as the last")
    kinds: dict[str, Kind] = {
        name: "vector" if unknown.components and name == unknown.name else "scalar"
        for name, unknown in unknowns.items()
    }
    return replace(scope.known(kinds), functions={**FUNCTIONS, "dn": dn})


def _nothing(value: Any) -> Any:
    raise InputError("dn(u) stands alone in a condition: write dn(u) = 0")
