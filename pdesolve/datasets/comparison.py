"""The same data and task by several methods that learn: one table, one figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdesolve import catalogue
from pdesolve.comparing import COMPARISON, comparison_folder, table, unique
from pdesolve.data.dataset import Dataset
from pdesolve.data.task_choice import TaskChoice
from pdesolve.datasets.opening import open_dataset
from pdesolve.datasets.training import train
from pdesolve.errors import InputError
from pdesolve.method import Learner, Surrogate
from pdesolve.training.run import read_history, write_aside, write_json

_METRICS = {"relative L2": "relative_l2", "RMSE": "rmse", "max": "max", "relative H1": "relative_h1"}
_DEFAULT = TaskChoice()


@dataclass(frozen=True)
class Lessons:
    """Surrogates of the same data by several methods and seeds, each with its report."""

    labels: tuple[str, ...]
    surrogates: tuple[Surrogate, ...]
    folder: Path

    def json(self) -> list[dict[str, Any]]:
        """One object per run, as `train --json` prints it."""
        return [s.report.json() for s in self.surrogates if s.report is not None]

    def table(self) -> str:
        """One row per run: errors on held-out samples, the worst of all variables, parameters and cost."""
        rows = []
        for label, surrogate in zip(self.labels, self.surrogates, strict=True):
            report = surrogate.report
            assert report is not None
            worst = [
                max((row[name] for row in report.metrics.values() if name in row), default=None)
                for name in _METRICS.values()
            ]
            cells = ["-" if value is None else f"{value:.2e}" for value in worst]
            rows.append((label, *cells, str(report.parameters), str(report.steps), f"{report.cpu_seconds:.1f}"))
        return table([("run", *_METRICS, "parameters", "steps", "CPU s"), *rows])


def compare_learners(
    data: Dataset | str | Path | Sequence[str],
    methods: Sequence[Learner | str],
    *,
    task: TaskChoice = _DEFAULT,
    seeds: Sequence[int] = (0,),
    budget: str | float = "2min",
    target: float | None = None,
    steps: int | None = None,
    device: str = "auto",
    dtype: str = "float32",
    threads: int | None = None,
    out: str | Path | None = None,
) -> Lessons:
    """Train each method with each seed on the same samples, one run after the other, each with a budget of its own.

    Where the data have no splits of their own each seed draws its own, the same for all methods. out: as of `compare`.

    Raises:
        InputError: what `train` refuses.
    """
    if not methods:
        raise InputError("compare needs at least one method: write --methods fno,unet")
    made = [catalogue.make_learner(m) if isinstance(m, str) else m for m in methods]
    dataset = data if isinstance(data, Dataset) else open_dataset(data)
    folder = comparison_folder(out, dataset.paths[0].stem if dataset.paths else "data")
    labels: list[str] = []
    surrogates: list[Surrogate] = []
    for method in made:
        for seed in seeds:
            if surrogates and surrogates[-1].report is not None and surrogates[-1].report.status == "interrupted":
                break  # an interrupt ends the comparison; what there is so far is shown
            name = catalogue.method_name(method)
            label = unique(name if len(seeds) == 1 else f"{name} seed {seed}", labels)
            surrogate = train(
                method, data, task, budget=budget, target=target, steps=steps, seed=seed, device=device, dtype=dtype,
                threads=threads, out=folder / label.replace(" ", "-"),
            )  # fmt: skip
            labels.append(label)
            surrogates.append(surrogate)
    found = Lessons(tuple(labels), tuple(surrogates), folder)
    _write(found)
    return found


def _write(found: Lessons) -> None:
    from pdesolve.plotting import save_figure, work_figure

    histories = {
        label: read_history(surrogate.run)
        for label, surrogate in zip(found.labels, found.surrogates, strict=True)
        if surrogate.run is not None
    }
    save_figure(work_figure(histories), found.folder / "comparison.png")
    write_aside(found.folder / "comparison.txt", found.table() + "\n")
    write_json(found.folder / COMPARISON, {"runs": found.json()})
