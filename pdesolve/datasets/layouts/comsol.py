"""Tables that COMSOL exports, which the references of PINNacle are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pdesolve.data.arrays import Array, Stacked
from pdesolve.data.dataset import SAMPLE, Coordinate, Dataset, Variable
from pdesolve.datasets.dimensions import arranged, parameter, told
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.datasets.layouts.points import point_cloud
from pdesolve.datasets.placement import coordinate, unit_text
from pdesolve.datasets.text_files import Table, read_table
from pdesolve.errors import InputError

_COLUMN = re.compile(r"(?P<expression>.+?)(?:\s*\((?P<unit>[^()]*)\))?(?:\s*@\s*(?P<at>.+))?")
_VALUE = re.compile(r"\s*(\w+)\s*=\s*([-+.\deE]+)\s*")


@dataclass(frozen=True)
class _Column:
    number: int
    expression: str
    unit: str
    at: tuple[tuple[str, float], ...]


class Comsol(Layout):
    """Lines that begin with % say Model, Dimension, Nodes, the last of them names the columns: coordinates, then an
    expression (unit) @ t=0, ... each.

    Columns of one expression at several times are one variable over `t`; those at several values of another parameter
    are samples. Rows are over `point`, or over the axis where there is one and it ascends.
    """

    name = "comsol"
    containers = ("text",)

    def refusal(self, path: Path) -> str | None:
        with path.open("rb") as file:
            head = file.read(2048).decode("utf-8", errors="replace")
        if not re.search(r"^% ?(Model|Version|Dimension|Nodes):", head, re.MULTILINE):
            return "no lines '% Model:', '% Dimension:' or '% Nodes:' at its begin"
        return None

    def open(self, path: Path, opening: Opening) -> Dataset:
        told(self.name, opening)
        table = read_table(path)
        if table is None or not table.header:
            raise InputError(
                f"{path}: its last line with % does not name its columns, by two blanks or more between them"
            )
        about = dict(line.split(":", 1) for line in table.comments if ":" in line)
        about = {key.strip(): value.strip() for key, value in about.items()}
        rows = about.get("Nodes", "")
        if rows.isdecimal() and int(rows) != table.rows:
            raise InputError(
                f"{path} says Nodes: {rows} and has {table.rows} rows of numbers: it is truncated or was edited; copy "
                "or download it again, or correct that line"
            )
        columns = [_parsed(i, text) for i, text in enumerate(table.header)]
        dimension = int(about.get("Dimension", "0")) if about.get("Dimension", "0").isdigit() else 0
        axes = columns[:dimension] if dimension else [c for c in columns if c.expression.lower() in "xyz" and not c.at]
        if not axes or any(c.expression.lower() not in ("x", "y", "z", "r") for c in axes):
            raise InputError(f"{path}: its first columns are no coordinates x, y, z, got {', '.join(table.header[:3])}")
        where = {c.expression.lower(): table.all()[:, c.number] for c in axes}
        length = about.get("Length unit", "").replace("null", "")
        coordinates: dict[str, Coordinate] = {}
        clouds: tuple = ()
        place = "point"
        points = next(iter(where.values()))
        if len(where) == 1 and (np.diff(points) > 0).all():
            (place,) = where
            coordinates[place] = coordinate(place, points, label=length)
        else:
            clouds = (point_cloud(where),)
        variables, parameters = _variables(table, columns[len(axes) :], place, coordinates)
        return Dataset(
            variables, dict(sorted(coordinates.items(), key=lambda item: item[0] != "t")), parameters, clouds,
            attributes=about, layout=self.name, paths=(path.absolute(),),
        )  # fmt: skip


def _parsed(number: int, text: str) -> _Column:
    match = _COLUMN.fullmatch(text)
    assert match is not None
    at = tuple((name, float(value)) for name, value in _VALUE.findall(match["at"] or ""))
    unit = (match["unit"] or "").strip()
    return _Column(number, match["expression"].strip(), "" if unit == "1" else unit_text(unit), at)


def _variables(
    table: Table, columns: list[_Column], place: str, coordinates: dict[str, Coordinate]
) -> tuple[dict[str, Variable], dict[str, Variable]]:
    grouped: dict[str, list[_Column]] = {}
    for column in columns:
        grouped.setdefault(column.expression, []).append(column)
    times = sorted({value for c in columns for name, value in c.at if name == "t"})
    others = list(dict.fromkeys(tuple(p for p in c.at if p[0] != "t") for c in columns))
    if len(times) > 1:
        coordinates["t"] = coordinate("t", np.array(times))
    variables = {}
    for name, members in grouped.items():
        by_place = {(tuple(p for p in c.at if p[0] != "t"), dict(c.at).get("t")): c for c in members}
        if len(by_place) != len(members):
            raise InputError(f"{table.path}: two columns are of {name} at the same place")
        rows = []
        for other in others if len(others) > 1 else [members[0].at and others[0]]:
            found = [by_place.get((tuple(other), t)) for t in (times or [None])]
            if any(column is None for column in found):
                raise InputError(f"{table.path}: {name} is not given at all of the same times and parameters")
            parts = tuple(table.column(column.number) for column in found if column is not None)
            rows.append(Stacked(parts) if len(times) > 1 else parts[0])
        array: Array = Stacked(tuple(rows)) if len(others) > 1 else rows[0]
        dims = (*([SAMPLE] if len(others) > 1 else []), *(["t"] if len(times) > 1 else []), place)
        variables[name] = arranged(name, array, dims, unit=members[0].unit)
    names = dict.fromkeys(name for other in others for name, _ in other)
    dims = (SAMPLE,) if len(others) > 1 else ()
    values = {name: [dict(other).get(name, np.nan) for other in others] for name in names}
    return variables, {k: parameter(k, np.array(v) if dims else v[0], dims) for k, v in values.items()}
