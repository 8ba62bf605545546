"""One method trained with several seeds: what the tables of this folder are made of."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pdesolve as ps
from pdesolve.data.dataset import Dataset
from pdesolve.data.task_choice import TaskChoice
from pdesolve.method import Learner, Surrogate


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that all experiments of this folder have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--seeds", default="0,1,2", help="of the trainings, with commas")
    made.add_argument("--folder", type=Path, default=Path("runs/operators"), help="of the runs and of generated data")
    return made


def trained(
    learner: Learner, data: Dataset, task: TaskChoice, score: Callable[[Surrogate], dict[str, float]], *, name: str,
    seeds: str, folder: Path, budget: str,
) -> dict[str, float]:  # fmt: skip
    """The medians over seeds of the scores of a learner, which are printed as they come.

    A run whose folder has its `scores.json` is not trained again. CPU seconds are those of the training, with its
    validation; scoring is not counted.
    """
    rows = []
    for seed in map(int, seeds.split(",")):
        out = folder / f"{name}-{seed}"
        stored = out / "scores.json"
        if stored.exists():
            row = json.loads(stored.read_text(encoding="utf-8"))
        else:
            began = time.process_time()
            surrogate = ps.train(learner, data, task, seed=seed, budget=budget, device="cpu", threads=1, out=out)
            row = {"seed": seed, "cpu_seconds": time.process_time() - began, "parameters": surrogate.parameters}
            row |= score(surrogate)
            stored.write_text(json.dumps(row), encoding="utf-8")
        print(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in row.items()), flush=True)
        rows.append(row)
    median = {key: statistics.median(row[key] for row in rows) for key in rows[0] if key != "seed"}
    print(f"{name}, median: " + ", ".join(f"{key} {value:.4g}" for key, value in median.items()), flush=True)
    return median
