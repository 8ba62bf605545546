"""Runs: the seed, the device, the budget and the folder that a solver works under and reports to."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from pdesolve.errors import InputError
from pdesolve.training.budget import Budget
from pdesolve.training.checkpoint import Checkpoint
from pdesolve.training.processes import agreed

FORMAT = 1
_PAUSE = 19  # times what watching took, before it is done again: about a twentieth of the run
_LONGEST = 12  # times the usual pause: people wait for a line


class Watched(Protocol):
    """What a run measures and stores as it goes: a solution, or a surrogate in the making."""

    def write(self, folder: Path) -> None:
        """Store what is worth keeping in the run's folder, aside and renamed."""


class Run:
    """What one solve works under. `folder` None keeps everything in memory.

    `record` adds a row to the history, `choose` makes a measured choice once and remembers it in `run.json`, `watch`
    is called by solvers now and then with the solution so far. `measure`, where a reference is known, gives the errors
    of a solution; `target` is the relative L2 error at which to stop. `checkpoint` knows where the run stands, and how
    to go on from there. `say` takes lines worth reading once.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float64,
        budget: Budget | None = None,
        steps: int | None = None,
        target: float | None = None,
        folder: Path | None = None,
        choices: Mapping[str, Any] | None = None,
        measure: Callable[[Any], dict[str, dict[str, float]]] | None = None,
        report: Callable[[dict[str, Any]], None] | None = None,
        say: Callable[[str], None] | None = None,
        every: float = 5.0,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.seed, self.device, self.dtype = seed, torch.device(device), dtype
        self.budget = budget or Budget.from_now(120.0)
        self.steps, self.target, self.folder = steps, target, folder
        self.choices: dict[str, Any] = dict(choices or {})
        self.measure, self.report, self.say, self.every = measure, report, say or (lambda line: None), every
        self.checkpoint = checkpoint or Checkpoint(folder)
        self.generator = torch.Generator().manual_seed(seed)
        self.history: list[dict[str, Any]] = list(self.checkpoint.history)
        self.solution: Any = None
        self.reached = False
        self._start = time.perf_counter() - self.checkpoint.seconds
        self._next = self.budget.spent + every / 5

    @property
    def seconds(self) -> float:
        """Wall time of the run, with that before it was resumed."""
        return time.perf_counter() - self._start

    def choose(self, name: str, decide: Callable[[], Any]) -> Any:
        """A measured choice (a number of steps, a chunk, threads): made once, written down, obeyed by a replay."""
        if name not in self.choices:
            self.choices[name] = agreed(decide())
        return self.choices[name]

    def due(self) -> bool:
        """Whether it is time to watch again. Asking costs nothing."""
        return self.budget.spent >= self._next

    def watch(
        self, solution: Watched, *, stage: str, step: int, losses: Mapping[str, float], rate: float | None = None
    ) -> bool:
        """Record where the solver is, store the solution so far, and say whether the target is reached.

        rate: the learning rate, of optimisers that have one.
        """
        began = self.budget.spent
        errors = self.measure(solution) if self.measure else {}
        worst = max((e["relative_l2"] for e in errors.values()), default=math.nan)
        figures = {f"relative_l2 {name}": e["relative_l2"] for name, e in errors.items()}
        if rate is not None:
            figures["learning_rate"] = rate
        row = self._add_row(stage, step, losses, figures)
        self.solution = solution
        if self.folder is not None:
            solution.write(self.folder)
            self.write_history()
        if self.report:
            self.report(row)
        self.reached = self.target is not None and worst <= self.target
        now = self.budget.spent
        self._next = now + max(self.every, min(_PAUSE * (now - began), _LONGEST * self.every))
        return self.reached

    def record(self, *, stage: str, step: int, losses: Mapping[str, float]) -> None:
        """Add a row to the history for a stage that has no solution yet to be measured."""
        row = self._add_row(stage, step, losses, {})
        self.write_history()
        if self.report:
            self.report(row)
        self._next = self.budget.spent + self.every

    def advance(self, t: float, *, step: int, residual: float) -> None:
        """Add a row to the history for a step of a march that ends at t, with what its fits have left."""
        self._add_row("march", step, {"residual": residual}, {"t": t})

    def _add_row(
        self, stage: str, step: int, losses: Mapping[str, float], figures: Mapping[str, float]
    ) -> dict[str, Any]:
        row = {
            "stage": stage,
            "step": step,
            "seconds": self.seconds,
            "cpu_seconds": self.budget.spent,
            "loss": sum(losses.values()),
            **{f"loss {name}": value for name, value in losses.items()},
            **figures,
        }
        self.history.append(row)
        return row

    def write_history(self) -> None:
        """history.csv: one row per watch, columns in the order they first appeared."""
        if self.folder is None or not self.history:
            return
        columns = list(dict.fromkeys(name for row in self.history for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(self.history)
        write_aside(self.folder / "history.csv", text.getvalue())


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The rows of a folder's history.csv, figures as numbers, empty cells left out."""
    path = folder / "history.csv"
    if not path.exists():
        return []
    rows = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            rows.append({k: v if k == "stage" else float(v) for k, v in row.items() if v})
    return rows


def write_aside(path: Path, text: str) -> None:
    """Write a text file aside and rename it, so that nobody ever reads half of it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error.strerror}; give another folder with --out") from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON aside and rename it; figures that are not finite become null."""
    write_aside(path, json.dumps(finite(content), indent=2) + "\n")


def finite(value: Any) -> Any:
    """The same JSON value with null for every figure that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return value
