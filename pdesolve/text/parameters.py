"""Parameters as text: numbers, formulas and fields, their units and bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pdesolve.equation import Equation, Parameter
from pdesolve.errors import InputError, unknown_name
from pdesolve.fields.formula import Name, Node, Number, constant, names, substitute
from pdesolve.geometry import Axes
from pdesolve.problem import Problem
from pdesolve.settings import Setting
from pdesolve.text.document import Item
from pdesolve.text.files import read_field
from pdesolve.text.formula import Formula
from pdesolve.text.scope import Scope
from pdesolve.text.syntax import parse
from pdesolve.text.values import FormulaValue, Reader
from pdesolve.unit import Unit

_PARAMETER = "parameters: {viscosity: 0.01}"


@dataclass(frozen=True)
class Stated:
    """A parameter as it is written: its value, unit and bounds."""

    item: Item
    unit: str | None
    bounds: tuple[float, float]
    number: float | None
    node: Node | None = None


def read_parameters(item: Item | None, named: Equation | None, settings: Mapping[str, Any]) -> dict[str, Stated]:
    """The parameters as they are written; numbers that `settings` give take the place of those in the file."""
    stated: dict[str, Stated] = {}
    known = {p.name: p for p in named.parameters} if named else {}
    for name, entry in (item.mapping(_PARAMETER) if item else {}).items():
        unit, bounds, value = None, (-math.inf, math.inf), entry
        if name in known:
            unit, bounds = known[name].unit, known[name].bounds
        if entry.is_mapping and "value" in entry.mapping(_PARAMETER):
            about = entry.mapping("{value: 0.01, unit: m2 s-1, bounds: [0, 1]}", ("value", "unit", "bounds"))
            value = about["value"]
            unit = _unit(about["unit"], name, known.get(name)) if "unit" in about else unit
            bounds = _bounds(about["bounds"]) if "bounds" in about else bounds
        number = None
        if value.is_text:
            number = settings.get(name, _number(value))
        elif not value.is_mapping:
            raise value.error("a parameter is a number, a formula or a file: write 0.01, or {file: a.nc}")
        stated[name] = Stated(value, unit, bounds, number)
    settable = {k for k, v in stated.items() if v.number is not None}
    settable |= {k for k, p in known.items() if p.default is not None and k not in stated}
    for name in settings:
        if name not in settable:
            raise unknown_name("problem setting", name, settable)
    for name, parameter in known.items():
        if name in settings and name not in stated:
            about = Item(str(settings[name]), "the settings", name, 0, (0, 0))
            stated[name] = Stated(about, parameter.unit, parameter.bounds, settings[name])
    return stated


def _number(item: Item) -> float | None:
    with item.place():
        return constant(parse(item.text("0.01")))


def _unit(item: Item, name: str, declared: Parameter | None) -> str:
    """The unit that is written; one that agrees with the equation's where that declares one."""
    written = item.text("unit: m2 s-1")
    with item.place():
        unit, expected = Unit.parse(written), Unit.parse(declared.unit if declared else None)
    if expected is not None and unit != expected:
        raise item.error(f"{name} has the unit {str(expected)!r} in the equation, got {written!r}: leave the unit out")
    return written


def _bounds(item: Item) -> tuple[float, float]:
    """Two numbers, where .inf and -.inf are none."""
    entries = item.list("bounds: [0, .inf]")
    if len(entries) != 2:
        raise item.error("bounds are two numbers: write bounds: [0, .inf]")
    infinite = {".inf": math.inf, "-.inf": -math.inf, "inf": math.inf, "-inf": -math.inf}
    lower, upper = (infinite.get(str(e.content).strip().lower()) for e in entries)
    return (
        entries[0].number("bounds: [0, .inf]") if lower is None else lower,
        entries[1].number("bounds: [0, .inf]") if upper is None else upper,
    )


def resolved(stated: Mapping[str, Stated], scope: Scope) -> dict[str, Stated]:
    """The parameters with their formulas read: of coordinates and of parameters before them."""
    done: dict[str, Stated] = {}
    for name, parameter in stated.items():
        if parameter.number is None and parameter.item.is_text:
            with parameter.item.place():
                node = scope.read(parameter.item.text("a formula"))
                for used in names(node) & set(stated):
                    if used not in done and stated[used].number is None:
                        raise InputError(f"{name} uses {used}, which comes after it: write {used} first")
            done[name] = replace(parameter, node=node)
        else:
            done[name] = parameter
    return done


def fixed_formulas(stated: Mapping[str, Stated], fixed: set[str]) -> dict[Node, Node]:
    """What stands for names that are no parameters of the equation."""
    found: dict[Node, Node] = {}
    for name, parameter in stated.items():
        if name not in fixed:
            continue
        if parameter.number is not None:
            found[Name(name)] = Number(parameter.number)
        elif parameter.node is not None:
            found[Name(name)] = substitute(parameter.node, found)
        else:
            raise parameter.item.error(f"{name} is no parameter of the equation, so that it cannot be a file")
    return found


def parameter_values(
    stated: Mapping[str, Stated], fixed: set[str], equation: Equation, reader: Reader, axes: Axes
) -> dict[str, Any]:
    """The values of the parameters of the equation."""
    declared = {parameter.name: parameter for parameter in equation.parameters}
    values: dict[str, Any] = {}
    for name, parameter in stated.items():
        if name in fixed:
            continue
        if parameter.number is not None:
            with parameter.item.place():
                declared[name].check(parameter.number)
            values[name] = parameter.number
        elif parameter.node is not None:
            values[name] = FormulaValue(Formula(substitute(parameter.node, reader.fixed), reader.scope.components))
        else:
            values[name] = read_field(parameter.item, reader.folder, axes, name, declared[name].unit)
    return values


def settings_of(problem: Problem) -> dict[str, Setting]:
    """The settings of a problem that was read: its number parameters, and those of its equation that have defaults."""
    declared = {parameter.name: parameter for parameter in problem.equation.parameters}
    found: dict[str, Setting] = {}
    defaults = {name: p.default for name, p in declared.items() if p.default is not None and name not in problem.values}
    for name, value in {**defaults, **problem.settings}.items():
        parameter = declared.get(name)
        meaning = parameter.long_name if parameter is not None else ""
        unit = f" [{parameter.unit}]" if parameter is not None and parameter.unit else ""
        found[name] = Setting(name, "float", value, f"{meaning}{unit}".strip())
    return found
