"""Rows of marches: each solved once, kept in a file beside its script, and printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pdesolve import catalogue, proof
from pdesolve.method import Solution
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

_REFERENCE_SECONDS = 600.0


@dataclass(frozen=True)
class Row:
    """A problem, the method's settings, CPU minutes, the problem's, and the final error asked, where one is."""

    problem: str
    method: dict[str, Any]
    minutes: float
    settings: dict[str, Any] = field(default_factory=dict)
    asked: float | None = None


def solve(method: str, row: Row) -> tuple[Solution, dict[str, Any]]:
    """The solution of a row by a method, and what it comes to; no final errors where it has not come there."""
    problem = catalogue.make_problem(row.problem, row.settings)
    run = Run(budget=Budget.from_now(60 * row.minutes), say=lambda line: print(" ", line, file=sys.stderr))
    solution = catalogue.make_method(method, row.method).solve(problem, run)
    notes, spent = solution.notes, run.budget.spent
    return solution, {
        "final": final(solution) if solution.converged else None,
        "initial fit": notes["initial fit"],
        "fit seconds": notes["initial fit seconds"],
        "march seconds": spent - (0 if notes["initial fit cached"] else notes["initial fit seconds"]),
        "reached": notes["time reached"],
        "worst projection": notes["worst projection"],
        "parameters": solution.parameters,
    }


def final(solution: Solution) -> dict[str, float]:
    """Relative L2 errors at the final time."""
    run = Run(budget=Budget.from_now(_REFERENCE_SECONDS))
    truth = catalogue.make_method("reference").solve(solution.problem, run).on()
    return {n: e["final"] for n, e in proof.errors(solution.problem, solution.on(), truth).items()}


def go(
    file: Path, rows: Mapping[str, Row], make: Callable[[Row], dict[str, Any]], *, beside: Callable[[Any], str]
) -> None:
    """Make the rows named on the command line, or those that the file does not hold yet; print them all.

    beside: what is printed after a row's figures.
    """
    torch.set_num_threads(1)
    kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    named = sys.argv[1:]
    unknown = [name for name in named if name not in rows]
    if unknown:
        sys.exit(f"no row {unknown[0]!r}: known are {', '.join(rows)}")
    for name in named or rows:
        if name not in kept or named:
            kept[name] = make(rows[name])
            file.write_text(json.dumps(kept, indent=1))
        found, asked = kept[name], rows[name].asked
        errors = (
            "not reached" if found["final"] is None else ", ".join(f"{n} {v:.1e}" for n, v in found["final"].items())
        )
        print(
            f"{name}: {'' if asked is None else f'asked {asked:g}, '}final relative L2 {errors} at "
            f"t = {found['reached']:.4g}; initial fit {found['initial fit']:.1e} in {found['fit seconds']:.0f} CPU s, "
            f"march {found['march seconds']:.0f}, {found['parameters']} parameters{beside(found)}",
            flush=True,
        )
