"""Go on with a run: what `pdesolve resume` and notebooks call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pdesolve.errors import InputError
from pdesolve.method import Solution, Solver
from pdesolve.observations import read_observations
from pdesolve.problem import Problem, Value
from pdesolve.run_folder import CONFIG, OBSERVATIONS, RUN, owner, read_run
from pdesolve.settings import read_config
from pdesolve.solving import Work, carry_out, check_target, rebuilt, starts
from pdesolve.training import devices
from pdesolve.training.budget import Budget, parse_duration
from pdesolve.training.checkpoint import CHECKPOINT, Checkpoint, read_checkpoint, reopened
from pdesolve.training.processes import leads
from pdesolve.training.run import write_aside


def resume(
    run: str | Path,
    *,
    budget: str | float | None = None,
    steps: int | None = None,
    target: float | None = None,
    device: str | None = None,
    threads: int | None = None,
    problem: Problem | None = None,
    method: Solver | None = None,
    values: Mapping[str, Value] | None = None,
    began: float | None = None,
) -> Solution:
    """Go on with a run from its last checkpoint, in the same folder, as if it had never stopped.

    A run that was interrupted, killed or lost its machine ends as it would have: bit for bit on the same processor,
    threads and torch, where steps are counted. One that diverged goes on from its best parameters with a tenth of the
    learning rate. A finished one goes on with more budget, more steps or a smaller target.

    budget, steps, target: in place of the run's own, both counted from the beginning of the run: what was spent is
    spent. device, threads: where the run goes on on another machine. problem, method: where they are in no catalogue.
    values: parameter values that the run was given and no file holds (fields, functions).

    Raises:
        InputError: one line for no run, no checkpoint, a damaged or foreign one, a run with nothing left to do.
    """
    folder = Path(run)
    record, config = read_run(folder), read_config(folder / CONFIG)
    for name, number in (("steps", steps), ("threads", threads)):
        if number is not None and number < 1:
            raise InputError(f"{name} must be at least 1, got {number}: leave it out to keep the run's own")
    told = None if budget is None else f"{parse_duration(budget)!r}s"
    changes = {"budget": told, "steps": steps, "target": target}
    if record.get("status") == "finished" and not (folder / CHECKPOINT).exists():
        raise InputError(
            f"{folder} is finished, without a checkpoint that more time could go on from: solve again with more time, "
            f"pdesolve solve --config {folder / CONFIG} --budget {2 * parse_duration(config['budget']):.0f}s"
        )
    content = read_checkpoint(folder, owner(config))
    wanted = {**config, **{name: value for name, value in changes.items() if value is not None}}
    cpu_seconds = parse_duration(wanted["budget"])
    problem, method = rebuilt(folder, config, problem, method)
    check_target(method, target)
    _check(folder, record, content, wanted)

    given = {
        k: torch.tensor(v, dtype=torch.float64) if isinstance(v, list) else v
        for k, v in record.get("given", {}).items()
    }
    missing = [name for name in record.get("beside", ()) if name not in (values or {})]
    if missing:
        raise InputError(
            f"{folder} was given {', '.join(missing)}, which no file holds: give it again, as in "
            f"ps.resume({str(folder)!r}, values={{{missing[0]!r}: ...}})"
        )
    merged, learned = starts({**given, **(values or {})}, config.get("learn", ()))
    if "observe" in config:
        observed = read_observations(folder / OBSERVATIONS, problem)
        problem = replace(problem, conditions=(*problem.conditions, *observed))
    before = content["cpu_seconds"]
    clock = Budget.since(began, cpu_seconds, before=before)
    work = Work(
        problem, method, merged, learned, wanted, folder if leads() else None, None, clock,
        devices.find_device(device or record["device"]), devices.find_dtype(config["dtype"]),
        threads or content["choices"]["threads"],
    )  # fmt: skip
    kept = {name: (folder / name).read_text() for name in (RUN, CONFIG)}
    try:
        known = reopened(content) if record["status"] == "finished" else content
        return carry_out(work, Checkpoint(work.folder, known, owner(config)))
    except InputError:  # what was there stays as it was
        for name, text in kept.items() if leads() else ():
            write_aside(folder / name, text)
        raise


def _check(folder: Path, record: Mapping[str, Any], content: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse to go on where nothing is left to do."""
    spent, cpu_seconds = content["cpu_seconds"], parse_duration(wanted["budget"])
    if spent >= cpu_seconds:
        raise InputError(
            f"{folder} has spent {spent:.0f} of {cpu_seconds:.0f} CPU s: give it more in all, --budget {2 * spent:.0f}s"
        )
    if record.get("status") != "finished":
        return
    config, why = record["config"], record["proof"]["notes"].get("stopped by")
    if why == "steps" and wanted.get("steps", 0) <= config.get("steps", 0):
        raise InputError(
            f"{folder} has taken its {config['steps']} steps: give it more in all, --steps {2 * config['steps']}"
        )
    if why == "target" and not wanted.get("target", 0.0) < config["target"]:
        raise InputError(
            f"{folder} has reached its target {config['target']:g}: give a smaller one, --target "
            f"{config['target'] / 10:g}"
        )
    unchanged = all(wanted.get(name) == config.get(name) for name in ("budget", "steps", "target"))
    if why in ("converged", "stalled") and unchanged:
        raise InputError(f"{folder} has {why}: to try nevertheless give it more time, --budget {2 * spent:.0f}s")
