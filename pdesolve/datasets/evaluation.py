"""How good a stored surrogate is, on its own held-out samples or on other data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pdesolve.data.dataset import Dataset
from pdesolve.data.splits import divided
from pdesolve.data.task_choice import TaskChoice
from pdesolve.data.windows import Windows
from pdesolve.datasets.opening import open_dataset
from pdesolve.datasets.training import opened, stored_config
from pdesolve.datasets.training_data import reference_samples
from pdesolve.errors import InputError
from pdesolve.family import Family
from pdesolve.learning import load_surrogate
from pdesolve.run_folder import read_run
from pdesolve.settings import build
from pdesolve.surrogates.compatibility import check_data
from pdesolve.surrogates.examples import examples
from pdesolve.surrogates.judging import scored
from pdesolve.surrogates.pictures import FIGURES, draw_examples, draw_rollouts
from pdesolve.surrogates.rollout import rollout_errors, rollout_windows
from pdesolve.training.devices import find_dtype


def evaluate(
    run: str | Path,
    data: Dataset | str | Path | Sequence[str] | None = None,
    *,
    split: str | None = None,
    steps: int = 0,
    device: str = "auto",
) -> dict[str, Any]:
    """The metrics of a run's surrogate, {variable: {metric: value}} under `metrics`; `stored` is what it was judged to
    be where the samples are the same, else None. `picture` is the path of its median and its worst sample.

    data: other data than those it was trained on. split: of these; by default the one it was judged by, of other data
    `test` where there is one, else all samples.
    steps: also of rollouts, over windows of which no two have a target in common: under `rollout` {variable: errors by
    lead time}, the frames that are given excluded, under `diverged` how many of the `rollouts` did, under
    `rollout_picture` the path of the curves.

    Raises:
        InputError: no run, data that do not fit or are not there any more, no such split, a surrogate that does not go
            on from what it predicts, trajectories that are too short for so many steps.
    """
    folder = Path(run)
    surrogate = load_surrogate(folder, device=device)
    config, score = stored_config(folder), read_run(folder).get("report") or {}
    judged_by = score.get("split")
    if data is None:
        part, split, paths = held_out(folder, split)
    else:
        dataset = data if isinstance(data, Dataset) else open_dataset(data)
        paths = [str(path) for path in dataset.paths]
        split = "test" if split is None and "test" in dataset.splits else split
        part = dataset.split(split) if split else dataset
    signature = surrogate.signature
    check_data(signature, part, (*signature.inputs, *signature.targets))
    dtype = find_dtype(config["dtype"])
    rollouts = rollout_windows(signature, part, steps, dtype=dtype) if steps else None
    windows = Windows(part, signature.task, dtype=dtype)
    scores = scored(surrogate, windows)
    own = data is None and split == judged_by
    stem = "" if own else "-".join(["", *([Path(paths[0]).stem if paths else "data"] if data else []), split or "all"])
    name = f"{folder.name}: {config['method']['name']}" + (f", split {split}" if split else "")
    drawn = draw_examples(folder / FIGURES / f"prediction{stem}.png", examples(surrogate, windows, scores.each()), name)
    found = {
        "run": str(folder), "data": paths, "split": split or "", "samples": part.samples, "metrics": scores.table(),
        "stored": score.get("metrics") if own else None,
        "picture": None if drawn is None else str(drawn),
    }  # fmt: skip
    if rollouts is None:
        return found
    curves = rollout_errors(scored(surrogate, rollouts, steps=steps))
    axis = part.coordinates.get("t")
    unit = "" if axis is None else axis.label or axis.axis.unit or ""
    drawn = draw_rollouts(folder / FIGURES / f"rollout{stem}.png", curves, f"{name}, {steps} steps", unit)
    return {**found, "steps": steps, **curves, "rollout_picture": None if drawn is None else str(drawn)}


def held_out(run: str | Path, split: str | None = None) -> tuple[Dataset, str, list[str]]:
    """The samples of a run's own data that it was judged by or those of another split, its name, and their paths.

    Raises:
        InputError: data that are not there any more or were in memory, no such split.
    """
    folder = Path(run)
    config, score = stored_config(folder), read_run(folder).get("report") or {}
    paths = list(config["data"])
    if not paths and not config.get("family"):
        raise InputError(f"{folder} was trained on data in memory: write --data FILE")
    dataset = opened(config)
    if isinstance(dataset, Family):
        dataset, paths = reference_samples(dataset), [f"the family {config['family']['name']}"]
    task: TaskChoice = build("task", TaskChoice, config["task"])[0]
    dataset = divided(dataset, **({} if dataset.splits else task.parts), seed=config["seed"])
    chosen = split or str(score.get("split", "test"))
    if not chosen:
        raise InputError(f"{folder} held out no samples to judge it by: write --data FILE, or --split train")
    return dataset.split(chosen), chosen, paths
