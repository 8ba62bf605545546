"""How good a stored surrogate is, on its own held-out samples or on other data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pdesolve.data import Dataset
from pdesolve.datasets.opening import open_dataset
from pdesolve.datasets.training import opened
from pdesolve.datasets.training_data import reference_samples
from pdesolve.errors import InputError
from pdesolve.family import Family
from pdesolve.learning import load_surrogate
from pdesolve.run_folder import CONFIG, read_run
from pdesolve.settings import build, read_config
from pdesolve.splits import divided
from pdesolve.surrogates.judging import measured
from pdesolve.task_choice import TaskChoice
from pdesolve.training.devices import find_dtype
from pdesolve.windows import Windows


def evaluate(
    run: str | Path, *, data: Sequence[str] | None = None, split: str | None = None, device: str = "auto"
) -> dict[str, Any]:
    """The metrics of a run's surrogate, {variable: {metric: value}} under `metrics`; `stored` is what it was judged to
    be where the samples are the same, else None.

    data: other data than those it was trained on. split: of these; by default the one it was judged by, of other data
    `test` where there is one, else all samples.

    Raises:
        InputError: no run, data that do not fit or are not there any more, no such split.
    """
    folder = Path(run)
    surrogate = load_surrogate(folder, device=device)
    config, score = read_config(folder / CONFIG), read_run(folder).get("report") or {}
    own = data is None
    if data is None:
        part, split, paths = held_out(folder, split)
    else:
        dataset, paths = open_dataset(list(data)), list(data)
        split = "test" if split is None and "test" in dataset.splits else split
        part = dataset.split(split) if split else dataset
    windows = Windows(part, surrogate.signature.task, dtype=find_dtype(config["dtype"]))
    metrics = measured(surrogate, windows)
    known = own and split == score.get("split")
    return {
        "run": str(folder), "data": [str(path) for path in paths], "split": split or "", "samples": part.samples,
        "metrics": metrics, "stored": score.get("metrics") if known else None, "picture": None,
    }  # fmt: skip


def held_out(run: str | Path, split: str | None = None) -> tuple[Dataset, str, list[str]]:
    """The samples of a run's own data that it was judged by or those of another split, its name, and their paths.

    Raises:
        InputError: data that are not there any more or were in memory, no such split.
    """
    folder = Path(run)
    config, score = read_config(folder / CONFIG), read_run(folder).get("report") or {}
    paths = list(config["data"])
    if not paths and not config.get("family"):
        raise InputError(f"{folder} was trained on data in memory: write --data FILE")
    dataset = opened(config)
    if isinstance(dataset, Family):
        dataset, paths = reference_samples(dataset), [f"the family {config['family']['name']}"]
    task: TaskChoice = build("task", TaskChoice, config["task"])[0]
    dataset = divided(dataset, **({} if dataset.splits else task.parts), seed=config["seed"])
    chosen = split or str(score.get("split") or "test")
    return dataset.split(chosen), chosen, paths
