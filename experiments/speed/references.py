"""What the reference solution of each problem of the catalogue costs, as a Markdown table: no cache, one thread.

The estimated error is the difference to half the resolution, plus that to half the steps. Where there is an exact
formula the reference is that formula; `grids` takes such problems by the scheme that would fit otherwise, and its error
against the formula stands in the last column.

python experiments/speed/references.py [grids] [NAME ...]
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence

import torch

import pdesolve as ps
from pdesolve import catalogue
from pdesolve.errors import Diverged, InputError
from pdesolve.metrics import relative_l2
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run


def row(name: str, *, on_grids: bool) -> str:
    """The row of a problem; on grids that of the same problem without its formula."""
    problem = ps.make_problem(name)
    posed = dataclasses.replace(problem, exact=None) if on_grids else problem
    start = time.process_time()
    method = ps.make_method("reference", {"cache": "none"})
    try:
        solution = method.solve(posed, Run(budget=Budget.from_now(600.0)))
    except (InputError, Diverged) as error:
        return f"| {name} | - | - | - | - | - | - | {error} |"
    found = solution.on()
    seconds = time.process_time() - start
    notes = solution.notes
    resolution = ", ".join(f"{k} {v}" for k, v in (notes.get("resolution") or {}).items()) or "-"
    estimate = notes["estimated_error"]
    cells = [
        name, str(notes["scheme"]), resolution, str(notes.get("steps") or "-"),
        "-" if estimate is None else f"{estimate:.1e}", "yes" if solution.converged else "no", f"{seconds:.2f}",
    ]  # fmt: skip
    if on_grids:
        truth = method.solve(problem, Run(budget=Budget.from_now(600.0))).on()
        cells.append(f"{max(relative_l2(found[scalar], truth[scalar]) for scalar in found):.1e}")
    return f"| {' | '.join(cells)} |"


def main(words: Sequence[str]) -> None:
    torch.set_num_threads(1)
    on_grids = "grids" in words
    names = [word for word in words if word != "grids"] or [entry.name for entry in catalogue.entries("problem")]
    heads = ["problem", "scheme", "resolution", "steps", "estimated error", "converged", "CPU s"]
    heads += ["error"] if on_grids else []
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name in names:
        if not on_grids or ps.make_problem(name).exact is not None:
            print(row(name, on_grids=on_grids), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
