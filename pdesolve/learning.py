"""Train a surrogate, judge it, keep the run: what `pdesolve train` and notebooks call."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pdesolve import catalogue
from pdesolve.data.training_data import TrainingData
from pdesolve.errors import Diverged, InputError
from pdesolve.method import Learner, Surrogate
from pdesolve.run_folder import RUN, closing, read_run, record, take_back, write_start
from pdesolve.surrogates.card import CARD, card
from pdesolve.surrogates.judging import judged
from pdesolve.surrogates.pictures import FIGURES, PREDICTION, draw_examples, draw_training
from pdesolve.training import devices
from pdesolve.training.budget import Budget
from pdesolve.training.checkpoint import Checkpoint
from pdesolve.training.interrupts import Terminated, terminable
from pdesolve.training.processes import joined
from pdesolve.training.progress import Progress
from pdesolve.training.run import Run, write_aside, write_json


@dataclass(frozen=True)
class Lesson:
    """What is to be learnt, by what, on what and where to; all of it checked.

    config: the run's configuration, as text has it. folder: None in all processes but the first. before: what was there
    of the way to it (see `run_folder`), which is all that a refusal leaves.
    """

    learner: Learner
    data: TrainingData
    config: Mapping[str, Any]
    folder: Path | None
    before: Path | None
    clock: Budget
    device: torch.device
    dtype: torch.dtype
    threads: int | None = None


def learn(lesson: Lesson, checkpoint: Checkpoint) -> Surrogate:
    """Train, judge and store, from where the checkpoint stands.

    Raises:
        InputError: what cannot work; nothing is left behind.
        Diverged: a loss that is not finite; the run folder has the best weights and says where.
    """
    learner, data, clock, folder, config = lesson.learner, lesson.data, lesson.clock, lesson.folder, lesson.config
    name = catalogue.method_name(learner)
    count = lesson.threads or devices.threads_for(learner.operation_size(data.signature))
    with ExitStack() as stack:
        stack.enter_context(joined(lesson.device))
        stack.enter_context(devices.threads(count))
        stack.enter_context(terminable())
        progress = None if folder is None else stack.enter_context(Progress(name, clock.cpu_seconds))
        run = Run(
            seed=config.get("seed", 0), device=lesson.device, dtype=lesson.dtype, budget=clock,
            steps=config.get("steps"), target=config.get("target"), folder=folder,
            choices={**checkpoint.choices, "threads": count}, checkpoint=checkpoint,
            measure=lambda candidate: candidate.validate(), report=progress,
            say=None if progress is None else progress.say,
        )  # fmt: skip
        if folder is not None:
            write_start(folder, config, run, {})
        with closing(run):
            status, surrogate = _attempt(lesson, run)
            settings = dataclasses.asdict(learner)  # type: ignore[call-overload]
            report, shown = judged(surrogate, data, run, name=name, settings=settings, status=status)
            surrogate.report = report
            if folder is not None:
                surrogate.run = folder
                surrogate.notes["score"] = report.score()
                surrogate.write(folder)
                run.write_history()
                kept = record(config, run, status) | {"report": report.json()}
                write_json(folder / RUN, kept)
                write_aside(folder / CARD, card(surrogate, lesson.learner, report, kept["versions"]))
        if folder is not None:
            draw_training(folder / FIGURES / "history.png", run.history)
            draw_examples(folder / FIGURES / PREDICTION, shown, f"{folder.name}: {name}, split {report.split}")
        if status == "terminated":
            run.say(f"terminated, what there is is stored; next: pdesolve resume {folder}")
            raise Terminated
    return surrogate


def _attempt(lesson: Lesson, run: Run) -> tuple[str, Surrogate]:
    """Learn; an interrupt or a SIGTERM leaves the best surrogate so far. Bad input leaves nothing behind; what shows
    later (a full disk, memory that has run out) leaves the checkpoint."""
    try:
        return "finished", lesson.learner.learn(lesson.data, run)
    except InputError:
        if run.folder is not None and not run.checkpoint.begun:
            take_back(run.folder, lesson.before)
        raise
    except (KeyboardInterrupt, Terminated) as error:
        if run.solution is None:
            raise
        return "terminated" if isinstance(error, Terminated) else "interrupted", run.solution.take_best()
    except Diverged as error:
        if run.solution is None:
            raise
        surrogate = run.solution.take_best()
        surrogate.notes["diverged"] = str(error)
        return "diverged", surrogate


def load_surrogate(run: str | Path, *, device: str = "auto") -> Surrogate:
    """The surrogate of a run folder that `train` wrote.

    Raises:
        InputError: no run folder, one of a solve, one of another format or method.
    """
    folder = Path(run)
    content = read_run(folder)
    config = content["config"]
    if "data" not in config:
        raise InputError(f"{folder} holds a solution, no surrogate: read it by ps.load")
    given = {k: v for k, v in config["method"].items() if k != "name"}
    learner = catalogue.make_learner(config["method"]["name"], given)
    surrogate = learner.restore(folder, device=str(devices.find_device(device)))
    surrogate.run = folder
    return surrogate
