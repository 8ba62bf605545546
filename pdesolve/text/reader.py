"""From a document to a Problem."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pdesolve import catalogue
from pdesolve.condition import Condition
from pdesolve.equation import Equation, Parameter, Unknown
from pdesolve.errors import InputError, UnitError, unknown_name
from pdesolve.fields.formula import CONSTANTS, Name, Node, Number, substitute
from pdesolve.geometry import TIME, Axes, Axis, Domain
from pdesolve.observations import read_observations
from pdesolve.problem import Problem
from pdesolve.settings import build
from pdesolve.text.conditions import read_boundary, read_factors, read_initial
from pdesolve.text.document import Item
from pdesolve.text.domains import read_domain
from pdesolve.text.files import path_of
from pdesolve.text.judgement import read_evaluation, read_exact
from pdesolve.text.parameters import Stated, fixed_formulas, parameter_values, read_parameters, resolved
from pdesolve.text.rows import make_equation, read_rows
from pdesolve.text.scope import FUNCTIONS, Kind, Scope
from pdesolve.text.values import Reader

KEYS = (
    "name", "description", "paper", "domain", "time", "unknowns", "parameters", "equation", "initial", "boundary",
    "observations", "exact", "evaluation", "conserved", "up_to_constant",
)  # fmt: skip


def make_problem(document: Item, folder: Path, name: str, settings: Mapping[str, Any]) -> Problem:
    """The Problem of a document. `settings` take the place of its number parameters; `folder` is where files are.

    Raises:
        InputError: naming the line, what was expected, what came and what to write.
    """
    content = document.mapping("equation: ...", KEYS)
    for key in ("domain", "equation"):
        if key not in content:
            raise InputError(f"{document.file}: the key {key!r} is missing; a problem has {', '.join(KEYS)}")
    domain = read_domain(content["domain"], folder)
    time = _time(content["time"]) if "time" in content else None
    axes = Axes(((time,) if time else ()) + domain.axes.members)
    named = _named_equation(content["equation"])
    unknowns = named.unknowns if named else _unknowns(content, document)
    stated = read_parameters(content.get("parameters"), named, settings)
    taken: dict[str, str] = {}
    for kind, group in (("axis", axes.names), ("unknown", [n for u in unknowns for n in (u.name, *u.scalars)])):
        for entry in dict.fromkeys(group):
            _check_name(document, entry, kind, taken)
    for entry, parameter in stated.items():
        _check_name(parameter.item, entry, "parameter", taken)

    kinds: dict[str, Kind] = dict.fromkeys((*axes.names, *stated), "scalar")
    scope = Scope(kinds, axes.names, domain.axes.names)
    stated = resolved(stated, scope)
    numbers: dict[Node, Node] = {Name(k): Number(v.number) for k, v in stated.items() if v.number is not None}
    declared = {p.name for p in named.parameters} if named else set(stated)
    fixed = {k for k in stated if k not in declared}
    if "boundary" in content:
        factors = read_factors(content["boundary"], unknowns, Reader(scope, folder, numbers), axes)
        if named and factors & declared:
            raise content["boundary"].error(f"{', '.join(factors & declared)} belongs to the equation: write a number")
        fixed |= factors
    reader = Reader(scope, folder, fixed_formulas(stated, fixed))
    if named:
        equation = named
        used = {
            n for key in ("initial", "boundary", "exact", "parameters") if key in content for n in _used(content[key])
        }
        for entry in fixed - used:
            raise stated[entry].item.error(str(unknown_name("parameter", entry, declared)))
    else:
        equation = _written_equation(content["equation"], unknowns, stated, fixed, reader, domain, time)
    values = parameter_values(stated, fixed, equation, reader, axes)
    conditions: list[Condition] = []
    if "initial" in content:
        conditions += read_initial(content["initial"], equation, reader, domain.axes)
    elif time is not None:
        raise InputError(f"{document.file}: an evolution in time starts somewhere: write initial: {{u: 0}}")
    if "boundary" in content:
        conditions += read_boundary(content["boundary"], equation.unknowns, reader, domain, axes)
    try:
        problem = Problem(
            name=_name(content, name),
            equation=equation,
            domain=domain,
            conditions=tuple(conditions),
            time=time,
            values=values,
            exact=read_exact(content["exact"], equation, reader) if "exact" in content else None,
            evaluation=read_evaluation(content.get("evaluation"), domain, time),
            conserved=_words(content, "conserved", "momentum"),
            up_to_constant=_words(content, "up_to_constant", "pressure"),
            description=content["description"].text("description: |") if "description" in content else "",
            source=content["paper"].text("paper: ...") if "paper" in content else "",
            settings={k: v.number for k, v in stated.items() if v.number is not None},
        )
    except UnitError as error:  # of a row: that is where units come together
        raise content["equation"].error(str(error)) from None
    if "observations" in content:
        problem = replace(problem, conditions=(*conditions, *_observations(content["observations"], folder, problem)))
    return problem


def _words(content: Mapping[str, Item], key: str, example: str) -> tuple[str, ...]:
    return content[key].words(f"{key}: {example}") if key in content else ()


def _observations(item: Item, folder: Path, problem: Problem) -> list[Condition]:
    hint = "observations: data.csv, or {file: data.csv, noise: 0.01}"
    found: list[Condition] = []
    entries = item.content if isinstance(item.content, list) else [item]
    for entry in entries:
        content = entry.mapping(hint, ("file", "noise")) if entry.is_mapping else {"file": entry}
        if "file" not in content:
            raise entry.error(f"observations are in a file: write {hint}")
        with entry.place():
            observed = read_observations(path_of(content["file"], folder), problem)
            noise = content["noise"].number("noise: 0.01") if "noise" in content else 1.0
            found += [replace(condition, noise=noise) for condition in observed]
    return found


def _check_name(item: Item, name: str, kind: str, taken: dict[str, str]) -> None:
    if not name.isidentifier():
        raise item.error(
            f"the name of an {kind} is a word of letters, digits and _, got {name!r}".replace("an p", "a p")
        )
    if name in FUNCTIONS or name in CONSTANTS or name in ("d", "vector", "dn"):
        raise item.error(f"{name!r} has a meaning in formulas already: give the {kind} another name")
    if name in taken:
        raise item.error(f"{name!r} names an {taken[name]} already: give the {kind} another name")
    taken[name] = kind


def _name(content: Mapping[str, Item], default: str) -> str:
    name = content["name"].text("name: my_problem") if "name" in content else re.sub(r"[^\w.-]", "_", default)
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise content["name"].error(f"a name has letters, digits, _, . and -, got {name[:40]!r}: it names run folders")
    return name


def _time(item: Item) -> Axis:
    entry, unit = item, None
    if item.is_mapping:
        content = item.mapping("time: [0, 1]", (TIME, "unit"))
        if TIME not in content:
            raise item.error("the time axis has bounds: write time: {t: [0, 1], unit: s}")
        entry, unit = content[TIME], content["unit"].text("unit: s") if "unit" in content else None
    lower, upper = entry.numbers("time: [0, 1]", 2)
    with item.place():
        return Axis(TIME, lower, upper, unit=unit)


def _named_equation(item: Item) -> Equation | None:
    """The equation of the catalogue that is named; None where one is written out."""
    if item.is_text and re.fullmatch(r"\w+", item.text("an equation")):
        written, settings = item.text("an equation"), {}
    elif item.is_mapping:
        content = item.mapping("equation: Burgers")
        if "name" not in content:
            raise item.error("an equation is a text, a list of them, or a name: write dt(u) = 0.1*laplacian(u)")
        written = content["name"].text("a name")
        settings = {key: entry.text("a value") for key, entry in content.items() if key != "name"}
    else:
        return None
    known = {entry.name for entry in catalogue.entries("equation")}
    plain = {name.lower(): name for name in known}
    with item.place():
        found = plain.get(written.replace("_", "").lower())
        if found is None:
            raise InputError(
                f"{unknown_name('equation', written, known)}; or write it out, as dt(u) = 0.1*laplacian(u)"
            )
        equation, _ = build("equation", catalogue.find_equation(found), settings)
    return equation


def _unknowns(content: Mapping[str, Item], document: Item) -> tuple[Unknown, ...]:
    """`u`, `[u, v]`, or `{u: {unit: K}, velocity: {components: [x, y]}}`."""
    if "unknowns" not in content:
        raise InputError(f"{document.file}: an equation that is written out needs its unknowns: write unknowns: u")
    item = content["unknowns"]
    if not item.is_mapping:
        return tuple(Unknown(word) for word in item.words("unknowns: [u, v]"))
    found = []
    for name, entry in item.mapping("unknowns: u").items():
        if not entry.is_mapping and entry.content in ("", "~", "null"):
            found.append(Unknown(name))
            continue
        about = entry.mapping("{unit: K}", ("unit", "components", "long_name"))
        with entry.place():
            found.append(
                Unknown(
                    name,
                    unit=about["unit"].text("unit: K") if "unit" in about else None,
                    long_name=about["long_name"].text("long_name: temperature") if "long_name" in about else "",
                    components=about["components"].words("components: [x, y]") if "components" in about else (),
                )
            )
    return tuple(found)


def _used(item: Item) -> set[str]:
    """Every word in the texts of an item."""
    if isinstance(item.content, str):
        return set(re.findall(r"\w+", item.content))
    entries = item.content.values() if isinstance(item.content, dict) else item.content
    return {word for entry in entries for word in _used(entry)}


def _written_equation(
    item: Item, unknowns: Sequence[Unknown], stated: Mapping[str, Stated], fixed: set[str], reader: Reader,
    domain: Domain, time: Axis | None,
) -> Equation:  # fmt: skip
    kinds: dict[str, Kind] = {scalar: "scalar" for unknown in unknowns for scalar in unknown.scalars}
    kinds |= {unknown.name: "vector" for unknown in unknowns if unknown.components}
    scope = reader.scope.known(kinds)
    vectors = [unknown.components for unknown in unknowns if unknown.components]
    if vectors and len(set(vectors)) == 1:
        scope = replace(scope, components=vectors[0])
    rows = tuple(
        replace(row, left=substitute(row.left, reader.fixed), right=substitute(row.right, reader.fixed))
        for row in read_rows(item, scope)
    )
    parameters = [
        Parameter(name, unit=p.unit, default=p.number, bounds=p.bounds)
        for name, p in stated.items()
        if name not in fixed
    ]
    same_everywhere = frozenset({p.name for p in parameters if p.default is not None} | {TIME})
    return make_equation(
        item, rows, unknowns, parameters, scope, space=domain.axes.names, constants=same_everywhere,
        evolves=time is not None,
    )  # fmt: skip
