"""The same problem, or a problem and its sister, by several methods: one table, one figure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdesolve import catalogue
from pdesolve.errors import InputError
from pdesolve.method import Solution, Solver
from pdesolve.problem import Problem
from pdesolve.solving import check_target, solve
from pdesolve.training.run import read_history, write_aside, write_json

COMPARISON = "comparison.json"


@dataclass(frozen=True)
class Comparison:
    """Solutions of a problem (of several, or of a sweep) by several methods and seeds, each with its proof."""

    labels: tuple[str, ...]
    solutions: tuple[Solution, ...]
    folder: Path

    def json(self) -> list[dict[str, Any]]:
        """One object per run, as `solve --json` prints it."""
        return [s.proof.json() for s in self.solutions if s.proof is not None]

    def table(self) -> str:
        """One row per run: errors, residual, worst violation and cost."""
        head = ("run", "relative L2", "max", "final", "residual", "violation", "CPU s", "parameters")
        rows: list[Sequence[str]] = [head]
        for label, solution in zip(self.labels, self.solutions, strict=True):
            proof = solution.proof
            assert proof is not None
            worst = [
                _figure(
                    max((figure for e in proof.errors.values() if (figure := e.get(key)) is not None), default=None)
                )
                for key in ("relative_l2", "max", "final")
            ]
            violation = max(proof.violations.values(), default=None)
            cost = (f"{proof.cpu_seconds:.1f}", str(proof.parameters or "-"))
            upto = "" if proof.reached is None else f", to t = {proof.reached:.4g}"
            rows.append((label + upto, *worst, _figure(proof.residual), _figure(violation), *cost))
        return table(rows)


def compare(
    problem: Problem | str | Sequence[Problem | str],
    methods: Sequence[Solver | str],
    *,
    settings: Mapping[str, Any] | None = None,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    seeds: Sequence[int] = (0,),
    budget: str | float = "2min",
    target: float | None = None,
    steps: int | None = None,
    device: str = "auto",
    dtype: str = "float64",
    threads: int | None = None,
    out: str | Path | None = None,
) -> Comparison:
    """Solve a problem by each method with each seed, one run after the other, each with a budget of its own.

    problem: one, or several that are solved alike: a problem and its sister, whose solution is not made of sines.
    settings: of a problem that is a name or a YAML file. sweep: values for some of them, {"viscosity": (0.1, 0.01)};
    every combination is solved. A method without randomness (`reference`) runs once whatever the seeds.
    out: the folder of the comparison, with a run folder for each run, `comparison.png`, `comparison.txt` and
    `comparison.json`; a new one under `runs/` by default.

    Raises:
        InputError: what `solve` refuses, and a sweep over a problem that is no name of the catalogue.
    """
    if not methods:
        raise InputError("compare needs at least one method: write --methods pinn,reference")
    given = [problem] if isinstance(problem, (Problem, str)) else list(problem)
    if not given:
        raise InputError("compare needs at least one problem: write compare heat_1d,heat_1d_sister --methods pinn")
    if (sweep or settings) and (len(given) > 1 or isinstance(given[0], Problem)):
        raise InputError("settings and sweeps are those of one problem of the catalogue: give its name alone")
    made = [catalogue.make_method(m) if isinstance(m, str) else m for m in methods]
    for method in made:
        check_target(method, target)
    names = list(sweep or {})
    points = [dict(zip(names, values, strict=True)) for values in itertools.product(*(sweep or {}).values())]
    posed = [
        (one if isinstance(one, Problem) else catalogue.make_problem(one, {**(settings or {}), **point}), point)
        for one, point in itertools.product(given, points)
    ]
    folder = comparison_folder(out, posed[0][0].name)
    labels: list[str] = []
    solutions: list[Solution] = []
    for (one, point), method in itertools.product(posed, made):
        name = catalogue.method_name(method)
        for seed in seeds if name != "reference" else seeds[:1]:
            if solutions and solutions[-1].proof is not None and solutions[-1].proof.status == "interrupted":
                break  # an interrupt ends the comparison; what there is so far is shown
            parts = [name, *([one.name] if len(given) > 1 else []), *(f"{k}={v}" for k, v in point.items())]
            if len(seeds) > 1 and name != "reference":
                parts.append(f"seed {seed}")
            label = unique(" ".join(parts), labels)
            solution = solve(
                one, method, budget=budget, target=target, steps=steps, seed=seed, device=device, dtype=dtype,
                threads=threads, out=folder / label.replace(" ", "-"),
            )  # fmt: skip
            labels.append(label)
            solutions.append(solution)
    comparison = Comparison(tuple(labels), tuple(solutions), folder)
    _write(comparison)
    return comparison


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, the first one underlined."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def unique(label: str, taken: Sequence[str]) -> str:
    """The label, numbered where it is taken (two methods of one name with other settings)."""
    if label not in taken:
        return label
    return next(f"{label} {i}" for i in itertools.count(2) if f"{label} {i}" not in taken)


def comparison_folder(out: str | Path | None, name: str) -> Path:
    """A new folder for a comparison.

    Raises:
        InputError: one that is there and not empty.
    """
    if out is None:
        numbers = (Path("runs") / f"{name}-compare-{i}" for i in itertools.count(1))
        return next(path for path in numbers if not path.exists())
    folder = Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already and not empty: give a new folder as --out")
    return folder


def _write(comparison: Comparison) -> None:
    from pdesolve.plotting import comparison_figure, save_figure

    histories = {
        label: read_history(solution.run)
        for label, solution in zip(comparison.labels, comparison.solutions, strict=True)
        if solution.run is not None
    }
    datasets = {label: s.dataset() for label, s in zip(comparison.labels, comparison.solutions, strict=True)}
    save_figure(comparison_figure(histories, datasets), comparison.folder / "comparison.png")
    write_aside(comparison.folder / "comparison.txt", comparison.table() + "\n")
    write_json(comparison.folder / COMPARISON, {"runs": comparison.json()})


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2e}"
