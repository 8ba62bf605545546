"""`train`: a surrogate of the data of a file, a data set or a family."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pdesolve import catalogue
from pdesolve.data.dataset import Dataset
from pdesolve.data.splits import divided
from pdesolve.data.task_choice import TaskChoice
from pdesolve.data.training_data import TrainingData
from pdesolve.datasets.opening import open_dataset
from pdesolve.datasets.training_data import FromDataset, FromFamily
from pdesolve.errors import InputError
from pdesolve.family import Family
from pdesolve.learning import Lesson, learn
from pdesolve.method import Learner, Surrogate
from pdesolve.run_folder import CONFIG, owner, read_run, run_folder
from pdesolve.settings import build, plain, read_config
from pdesolve.training import devices
from pdesolve.training.budget import Budget, parse_duration
from pdesolve.training.checkpoint import CHECKPOINT, Checkpoint, read_checkpoint, reopened
from pdesolve.training.processes import leads

_DEFAULT = TaskChoice()
_STORED = ("data", "task", "method", "budget", "seed", "device", "dtype")  # of each run, in its configuration


def train(
    method: Learner | str,
    data: Dataset | Family | str | Path | Sequence[str],
    task: TaskChoice = _DEFAULT,
    *,
    budget: str | float = "10min",
    target: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "float32",
    threads: int | None = None,
    out: str | Path | None = None,
    began: float | None = None,
) -> Surrogate:
    """Train a surrogate and judge it on samples that training has not seen.

    method, data: objects, or a name of the catalogue with its default settings and paths that `open_dataset` takes.
    A family is simulated as training goes on (see `FromFamily`).
    task: which variables and frames are given and wanted, and how samples are split; what is not said follows from the
    data set.
    budget: CPU time of this call, or since the CPU time `began` of this process. target: the relative L2 error on the
    validation split at which to stop. steps: of the optimiser, in place of what fits the budget.
    out: the run folder; a new one under `runs/` by default.

    The surrogate comes back with `.run`, the folder, and `.report`, its errors and cost. An interrupt ends the run with
    the best surrogate so far.

    Raises:
        InputError: one line for what cannot work, before any time is spent and with nothing written.
        Diverged: a loss that is not finite, where nothing was learnt before.
    """
    learner = catalogue.make_learner(method) if isinstance(method, str) else method
    if not (isinstance(learner, Learner) and dataclasses.is_dataclass(learner)):
        raise InputError(f"a method that learns is a Learner that is a dataclass, or a name, got {method!r}")
    cpu_seconds = parse_duration(budget)
    for what, number in (("step", steps), ("thread", threads)):
        if number is not None and number < 1:
            raise InputError(f"at least one {what} is needed, got {number}: leave it out to choose by the budget")
    if target is not None and not target > 0:
        raise InputError(f"a target is a positive relative L2 error such as 1e-2, got {target}")
    options = {
        "budget": f"{cpu_seconds!r}s", "target": target, "steps": steps, "seed": seed, "device": device,
        "dtype": dtype, "threads": threads,
    }  # fmt: skip
    dataset = data if isinstance(data, (Dataset, Family)) else open_dataset(data)
    name = catalogue.method_name(learner)
    config = {
        **_told(data),
        "task": dataclasses.asdict(task),
        "method": {"name": name, **dataclasses.asdict(learner)},  # type: ignore[call-overload]
        **{key: value for key, value in options.items() if value is not None},
    }
    source = _source(dataset, task, config)
    clock = Budget.since(began, cpu_seconds)
    if isinstance(dataset, Family):
        stem = catalogue.family_name(dataset)
    else:
        stem = dataset.paths[0].stem if dataset.paths else "data"
    folder, before = run_folder(out, f"{stem}-{name}") if leads() else (None, None)
    lesson = Lesson(
        learner, source, config, folder, before, clock, devices.find_device(device), devices.find_dtype(dtype), threads
    )
    return learn(lesson, Checkpoint(folder, owner=owner(config)))


def resume_training(
    run: str | Path,
    *,
    budget: str | float | None = None,
    steps: int | None = None,
    target: float | None = None,
    device: str | None = None,
    threads: int | None = None,
    began: float | None = None,
) -> Surrogate:
    """Go on with a training from its last checkpoint, in the same folder, as if it had never stopped.

    budget, steps, target: in place of the run's own, both counted from the beginning of the run.

    Raises:
        InputError: one line for no run, no checkpoint, data that are not there any more, nothing left to do.
    """
    folder = Path(run)
    record, config = read_run(folder), stored_config(folder)
    if not config.get("data") and not config.get("family"):
        raise InputError(f"{folder} was trained on data in memory, which no file holds: train again")
    if not (folder / CHECKPOINT).exists():
        raise InputError(f"{folder} holds no {CHECKPOINT}: train again, pdesolve train --config {folder / CONFIG}")
    content = read_checkpoint(folder, owner(config))
    told = None if budget is None else f"{parse_duration(budget)!r}s"
    changes = {k: v for k, v in {"budget": told, "steps": steps, "target": target}.items() if v is not None}
    wanted = {**config, **changes}
    cpu_seconds, before = parse_duration(wanted["budget"]), content["cpu_seconds"]
    if before >= cpu_seconds:
        raise InputError(
            f"{folder} has spent {before:.0f} of {cpu_seconds:.0f} CPU s: give it more in all, "
            f"--budget {2 * before:.0f}s"
        )
    finished = record.get("status") == "finished"
    if finished and not changes:
        raise InputError(f"{folder} is finished: give it more in all, --steps or --budget")
    # the steps of stages before the training, such as a warm-up, are reported and not asked for
    taken = min(record.get("report", {}).get("steps", 0), config.get("steps") or math.inf)
    if steps is not None and steps <= taken:
        raise InputError(f"{folder} has taken {taken} steps: give it more in all, --steps {2 * taken}")
    given = {k: v for k, v in config["method"].items() if k != "name"}
    learner = catalogue.make_learner(config["method"]["name"], given)
    task: TaskChoice = build("task", TaskChoice, config["task"])[0]
    source = _source(opened(config), task, config)
    clock = Budget.since(began, cpu_seconds, before=before)
    lesson = Lesson(
        learner, source, wanted, folder if leads() else None, None, clock,
        devices.find_device(device or config["device"]), devices.find_dtype(config["dtype"]),
        threads or content["choices"]["threads"],
    )  # fmt: skip
    known = reopened(content) if finished else content
    return learn(lesson, Checkpoint(lesson.folder, known, owner(config)))


def _told(data: Dataset | Family | str | Path | Sequence[str]) -> dict[str, Any]:
    """The paths that open the data again, wherever the run is gone on with, none for data in memory; or the family."""
    if isinstance(data, Family):
        settings = plain(dataclasses.asdict(data))  # type: ignore[call-overload]
        return {"data": [], "family": {"name": catalogue.family_name(data), **settings}}
    if isinstance(data, Dataset):
        return {"data": [str(path.resolve()) for path in data.paths]}
    given = [data] if isinstance(data, (str, Path)) else list(data)
    return {"data": [str(Path(path).resolve()) if Path(path).exists() else str(path) for path in given]}


def _source(data: Dataset | Family, task: TaskChoice, config: Mapping[str, Any]) -> TrainingData:
    """The training data of a family or a data set: divided where it is not, by the seed of the run."""
    if isinstance(data, Family):
        return FromFamily(data, task, dtype=devices.find_dtype(config["dtype"]))
    parts = {} if data.splits else task.parts
    whole = divided(data, **parts, seed=config["seed"])
    return FromDataset(whole, task.task(whole), dtype=devices.find_dtype(config["dtype"]))


def stored_config(folder: Path) -> dict[str, Any]:
    """The configuration of a run that trained.

    Raises:
        InputError: none, or one that is not whole.
    """
    config = read_config(folder / CONFIG)
    missing = [name for name in _STORED if name not in config]
    if missing:
        raise InputError(f"{folder / CONFIG} is damaged: it does not say {', '.join(missing)}; train again")
    return config


def opened(config: Mapping[str, Any]) -> Dataset | Family:
    """The data or the family that the configuration of a run names."""
    if config.get("family"):
        given = dict(config["family"])
        return catalogue.make_family(given.pop("name"), given)
    moved = [path for path in config["data"] if Path(path).is_absolute() and not Path(path).exists()]
    if moved:
        raise InputError(
            f"{moved[0]}, which the run was trained on, is not there any more: move it back; eval and predict take "
            "--data FILE in its place"
        )
    return open_dataset(config["data"])
