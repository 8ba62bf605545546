"""Domains as text: boxes by their axes, shapes by their names, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path

from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry import TIME, Axis, Ball, Box, Difference, Disk, Domain, Intersection, Polygon, Renamed, Union
from pdesolve.text.document import Item

_BOX = "x: [0, 1]"
_SHAPES = ("disk", "ball", "polygon", "box", "union", "difference", "intersection", "mesh")
_BESIDE = ("periodic", "unit", "rename", "axes")  # what stands beside a shape or axes


def read_domain(item: Item, folder: Path) -> Domain:
    """The domain that an item says.

        {x: [-1, 1], y: [0, 2], periodic: y, unit: m}            a box; sides x_min, x_max
        disk: {centre: [0, 0], radius: 1, boundary: rim}         one part, called circle unless named
        ball: {centre: [0, 0, 0], radius: 1}                     one part, called sphere unless named
        polygon: {corners: [[0, 0], [1, 0], [0, 1]], edges: [wall, wall, outlet]}     or the list of corners alone
        union: [...]   intersection: [...]   difference: [the first, less this, and this, ...]
        mesh: plate.msh                                          parts as they are named in the file

    `rename: {circle: rim}` beside a shape gives other names to parts of its boundary. In a union, difference or
    intersection a name that an earlier domain has gets the domain's number: x_min of the second becomes x_min_2.

    Raises:
        InputError: what is no domain.
    """
    content = item.mapping(_BOX)
    shapes = [name for name in content if name in _SHAPES]
    if len(shapes) > 1:
        raise item.error(f"a domain is one shape, got {' and '.join(shapes)}: write union: [{{...}}, {{...}}]")
    with item.place():
        domain = _shape(shapes[0], content, item, folder) if shapes else _box(content, item)
        if "rename" in content:
            names = content["rename"].mapping("{x_min: inlet}")
            new = {name: entry.text("a name") for name, entry in names.items()}
            domain = Renamed(domain, new)
        return domain


def _box(content: dict[str, Item], item: Item) -> Box:
    axes = {name: entry for name, entry in content.items() if name not in _BESIDE}
    if not axes:
        raise item.error(f"a domain has axes, or is one of {', '.join(_SHAPES)}: write {_BOX}")
    for name, entry in axes.items():
        if not isinstance(entry.content, list):
            raise entry.error(str(unknown_name("domain", name, _SHAPES)) + f"; an axis is written {name}: [0, 1]")
    periodic: tuple[str, ...] = ()
    if "periodic" in content:
        periodic = content["periodic"].words("periodic: [x, y], or all")
        periodic = tuple(axes) if periodic == ("all",) else periodic
        for name in periodic:
            if name not in axes:
                raise content["periodic"].error(str(unknown_name("axis", name, axes)))
    if "axes" in content:
        raise content["axes"].error("the axes of a box are named by their bounds: leave this out")
    found = []
    for name, entry in axes.items():
        if name == TIME:
            raise entry.error("time is no axis of the domain: write it beside, time: [0, 1]")
        lower, upper = entry.numbers(f"{name}: [0, 1]", 2)
        with entry.place():
            found.append(Axis(name, lower, upper, unit=_unit(content, name), periodic=name in periodic))
    return Box(*found)


def _unit(content: dict[str, Item], axis: str) -> str | None:
    """The unit of an axis: `unit: m` holds for all, {x: m, y: s} for each."""
    if "unit" not in content:
        return None
    unit = content["unit"]
    if not unit.is_mapping:
        return unit.text("unit: m")
    entries = unit.mapping("{x: m}")
    return entries[axis].text("unit: m") if axis in entries else None


def _shape(kind: str, content: dict[str, Item], item: Item, folder: Path) -> Domain:
    for name, entry in content.items():
        if name not in (kind, *_BESIDE) or (name == "periodic" and kind != "box"):
            raise entry.error(f"{name} does not stand beside {kind}: put it into the {kind}, or leave it out")
    part = content[kind]
    unit = content["unit"].text("unit: m") if "unit" in content and kind not in ("box",) else None
    names = content["axes"].words("axes: [x, y]") if "axes" in content else ()
    match kind:
        case "disk" | "ball":
            known = part.mapping(f"{kind}: {{centre: [0, 0], radius: 1}}", ("centre", "center", "radius", "boundary"))
            centre = known.get("centre") or known.get("center")
            if centre is None or "radius" not in known:
                raise part.error(f"a {kind} has a centre and a radius: write {kind}: {{centre: [0, 0], radius: 1}}")
            place, radius = centre.numbers("centre: [0, 0]"), known["radius"].number("radius: 1")
            boundary = known["boundary"].text("boundary: rim") if "boundary" in known else None
            if kind == "disk":
                _two(names, content)
                axes = (names[0], names[1]) if names else ("x", "y")
                return Disk(place, radius, axis_names=axes, unit=unit, boundary=boundary or "circle")
            return Ball(place, radius, axis_names=names, unit=unit, boundary=boundary or "sphere")
        case "polygon":
            hint = "polygon: [[0, 0], [1, 0], [0, 1]]"
            known = part.mapping(hint, ("corners", "edges")) if part.is_mapping else {"corners": part}
            if "corners" not in known:
                raise part.error(f"a polygon has corners: write {hint}")
            corners = [entry.numbers("a corner [0, 0]", 2) for entry in known["corners"].list(hint)]
            edges = known["edges"].words("edges: [wall, inlet, wall]") if "edges" in known else ()
            _two(names, content)
            axes = (names[0], names[1]) if names else ("x", "y")
            return Polygon(tuple((a, b) for a, b in corners), edges, axis_names=axes, unit=unit)
        case "box":
            inner = {name: entry for name, entry in content.items() if name in ("periodic", "unit")}
            return _box({**part.mapping(_BOX), **inner}, part)
        case "mesh":
            from pdesolve.geometry import MeshDomain, read_mesh  # type: ignore[attr-defined]

            path = folder / part.text("mesh: plate.msh")
            return MeshDomain(read_mesh(path))
    entries = part.list(f"{kind}: [{{x: [0, 1], y: [0, 1]}}, {{disk: ...}}]")
    if len(entries) < 2:
        raise part.error(f"a {kind} is made of two domains or more: write them as a list")
    make = {"union": Union, "difference": Difference, "intersection": Intersection}[kind]
    return combine(make, [read_domain(entry, folder) for entry in entries])


def combine(make: type[Union] | type[Difference] | type[Intersection], domains: Sequence[Domain]) -> Domain:
    """The domains made into one, names of parts that were taken being numbered."""
    numbered = [domains[0]]
    taken = set(domains[0].boundaries)
    for i, domain in enumerate(domains[1:], 2):
        names = {name: f"{name}_{i}" for name in domain.boundaries if name in taken}
        renamed = Renamed(domain, names) if names else domain
        taken |= set(renamed.boundaries)
        numbered.append(renamed)
    return reduce(make, numbered)


def _two(names: Sequence[str], content: dict[str, Item]) -> None:
    if names and len(names) != 2:
        raise content["axes"].error(f"a plane domain has two axes, got {', '.join(names)}: write axes: [x, y]")


def domain_content(domain: Domain) -> dict[str, object]:
    """A domain as `read_domain` reads it: names, numbers and lists.

    Raises:
        InputError: a domain of another kind.
    """
    match domain:
        case Box():
            content: dict[str, object] = {axis.name: [axis.lower, axis.upper] for axis in domain.axes}
            periodic = [axis.name for axis in domain.axes if axis.periodic]
            units = {axis.name: axis.unit for axis in domain.axes if axis.unit is not None}
            if periodic:
                content["periodic"] = periodic
            if units:
                same = len(set(units.values())) == 1 and len(units) == len(domain.axes)
                content["unit"] = next(iter(units.values())) if same else units
            return content
        case Ball():
            shape: dict[str, object] = {"centre": list(domain.centre), "radius": domain.radius}
            shape["boundary"] = domain.boundary
            return _beside({"disk" if len(domain.centre) == 2 else "ball": shape}, domain.axis_names, domain.unit)
        case Polygon():
            corners = {"corners": [list(corner) for corner in domain.vertices], "edges": list(domain.edges)}
            return _beside({"polygon": corners}, domain.axis_names, domain.unit)
        case Renamed():
            content = domain_content(domain.domain)
            if "rename" in content:
                raise InputError("the domain renames parts of its boundary twice: rename them once to write it as text")
            return {**content, "rename": dict(domain.names)}
        case Union() | Difference() | Intersection():
            kind = type(domain).__name__.lower()
            return {kind: [domain_content(domain.first), domain_content(domain.second)]}
    raise InputError(f"a domain of the kind {type(domain).__name__} cannot be written as text")


def _beside(content: dict[str, object], names: Sequence[str], unit: str | None) -> dict[str, object]:
    standard = ("x", "y", "z")[: len(names)] if len(names) <= 3 else tuple(f"x{i + 1}" for i in range(len(names)))
    if tuple(names) != standard:
        content["axes"] = list(names)
    return content if unit is None else {**content, "unit": unit}
