"""What solutions are judged on, as text: the evaluation set and exact solutions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pdesolve.equation import Equation, Unknown
from pdesolve.errors import unknown_name
from pdesolve.fields.formula import substitute
from pdesolve.geometry import Axis, Domain, Placement
from pdesolve.problem import Evaluation, Exact
from pdesolve.text.document import Item
from pdesolve.text.formula import Formula
from pdesolve.text.values import FormulaValue, Reader

# points along an axis for one, two and three dimensions; beyond, about 20000 in all
_POINTS = (201, 101, 33)
_STEPS = 20


def read_exact(item: Item, equation: Equation, reader: Reader) -> Exact:
    """`{u: formula}`, with `source` for where it is from."""
    content = item.mapping("exact: {u: sin(pi*x)}")
    known = [name for unknown in equation.unknowns for name in unknown.scalars]
    formulas: dict[str, Formula] = {}
    for name, entry in content.items():
        if name == "source":
            continue
        if name not in known:
            raise entry.error(str(unknown_name("unknown", name, known)))
        with entry.place():
            node = reader.scope.read(entry.text("sin(pi*x)"))
            formulas[name] = Formula(substitute(node, reader.fixed), reader.scope.components)
    missing = [name for name in known if name not in formulas]
    if missing:
        raise item.error(f"the exact solution of {', '.join(missing)} is missing: give all or none")
    source = content["source"].text("source: ...") if "source" in content else ""
    return Exact(ExactFormula(equation.unknowns, tuple(formulas.items())), source)


@dataclass(frozen=True)
class ExactFormula:
    """A state from a formula for each scalar, as `Exact` calls it."""

    unknowns: tuple[Unknown, ...]
    formulas: tuple[tuple[str, Formula], ...]

    def __call__(self, p: Any, x: Any) -> dict[str, Any]:
        from pdesolve.equation import assemble

        return dict(assemble(self.unknowns, {name: FormulaValue(f)(p, x) for name, f in self.formulas}))


def read_evaluation(item: Item | None, domain: Domain, time: Axis | None) -> Evaluation:
    """`{points: 101, times: 20}`: points along every axis of space (or {x: 201, y: 41}); equal steps, or a list.

    `placement: cells` keeps the points off walls and corners.
    """
    known = ("points", "times", "placement")
    content = item.mapping("evaluation: {points: 101, times: 20}", known) if item else {}
    bounded: Placement = "nodes"
    if "placement" in content:
        written = content["placement"].text("placement: cells")
        if written not in ("nodes", "cells"):
            raise content["placement"].error(f"points are placed on nodes or in cells, off the walls, got {written!r}")
        bounded = "cells" if written == "cells" else "nodes"
    d = domain.dimension
    points: int | dict[str, int] = _POINTS[d - 1] if d <= 3 else max(3, round(20000 ** (1 / d)))
    if "points" in content:
        entry = content["points"]
        if entry.is_mapping:
            for name, size in entry.mapping("{x: 101}").items():
                with size.place():
                    domain.axes.index(name)
            points = {name: size.integer("points: {x: 101}", 2) for name, size in entry.mapping("{x: 101}").items()}
        else:
            points = entry.integer("points: 101", 2)
    if time is None:
        if "times" in content:
            raise content["times"].error("the problem has no time axis: leave the times out")
        return Evaluation(points, bounded=bounded)
    if "times" in content and isinstance(content["times"].content, list):
        return Evaluation(points, content["times"].numbers("times: [0, 0.5, 1]"), bounded)
    steps = content["times"].integer("times: 20", 1) if "times" in content else _STEPS
    return replace(Evaluation.uniform(points, time, steps), bounded=bounded)
