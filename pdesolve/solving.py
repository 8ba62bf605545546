"""Solve a problem, prove the solution, keep the run: what the command and notebooks call."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pdesolve import catalogue, proof
from pdesolve.errors import Diverged, InputError
from pdesolve.labelled import to_dataset
from pdesolve.method import Solution, Solver
from pdesolve.observations import read_observations
from pdesolve.problem import Problem, Value
from pdesolve.problem_file import COPY
from pdesolve.run_folder import (
    OBSERVATIONS,
    closing,
    owner,
    read_run,
    run_folder,
    take_back,
    write_end,
    write_start,
)
from pdesolve.training import devices
from pdesolve.training.budget import Budget, parse_duration
from pdesolve.training.checkpoint import Checkpoint
from pdesolve.training.interrupts import Terminated, terminable
from pdesolve.training.processes import joined, leads
from pdesolve.training.progress import Progress
from pdesolve.training.run import Run

if TYPE_CHECKING:
    import xarray as xr


_REFERENCE_SECONDS = 120.0  # of CPU time, after which a reference is refined no more
_QUIET_SECONDS = 5.0  # after which its progress is shown


def solve(
    problem: Problem | str,
    method: Solver | str = "pinn",
    *,
    values: Mapping[str, Value] | None = None,
    learn: Sequence[str] = (),
    observe: str | Path | None = None,
    budget: str | float = "2min",
    target: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "float64",
    threads: int | None = None,
    out: str | Path | None = None,
    began: float | None = None,
) -> Solution:
    """Solve a problem by a method and prove the solution.

    problem, method: objects, or names of the catalogue with their default settings. A problem may be a YAML file too,
    "my.yaml" (`pdesolve.problem_file` says how it is written).
    values: parameter values that take the place of the problem's. learn: parameters to fit to observations, "viscosity"
    or "viscosity=0.05" to start there. observe: a CSV file of observations (columns: the axes and the unknown).
    budget: CPU time such as "90s" or "2min", of this call, or since the CPU time `began` of this process; the reference
    solution, which may take some minutes once and is then kept on disk, is not counted. target: the relative L2 error
    at which to stop; methods that march in time take none. steps: stop after so many steps.
    out: the run folder; a new one under `runs/` by default.

    Under torchrun each process gets a share of the points, and the first alone measures, writes and speaks: the others'
    solutions have neither folder nor proof.

    The solution comes back with `.proof` (errors, residual, violations, conserved quantities, cost) and `.run`, the
    folder. An interrupt (Ctrl-C) or a divergence ends the run with the solution so far; the proof's status says which.
    SIGTERM stores the solution so far and its proof too, and then ends the process with 143.

    Raises:
        InputError: one line for what cannot work, before any time is spent and with nothing written.
    """
    problem = catalogue.make_problem(problem) if isinstance(problem, str) else problem
    method = catalogue.make_method(method) if isinstance(method, str) else method
    if not isinstance(problem, Problem):
        raise InputError(f"a problem is a Problem or a name of the catalogue, got {problem!r}")
    if not (isinstance(method, Solver) and dataclasses.is_dataclass(method)):
        raise InputError(f"a method is a Solver that is a dataclass, or a name of the catalogue, got {method!r}")
    cpu_seconds = parse_duration(budget)
    if steps is not None and steps < 1:
        raise InputError(f"at least one step is needed, got {steps}: leave out --steps to use the budget")
    if threads is not None and threads < 1:
        raise InputError(f"at least one thread is needed, got {threads}: leave threads out to choose by size")
    check_target(method, target)
    values, names = starts(values, learn)
    if observe is not None:
        observed = read_observations(Path(observe), problem)
        problem = dataclasses.replace(problem, conditions=(*problem.conditions, *observed))
    where, precision = devices.find_device(device), devices.find_dtype(dtype)
    clock = Budget.since(began, cpu_seconds)
    name = catalogue.method_name(method)
    # of several processes the first one alone has a folder
    folder, before = run_folder(out, f"{problem.name}-{name}") if leads() else (None, None)
    options = {
        "budget": f"{cpu_seconds!r}s", "target": target, "steps": steps, "seed": seed, "device": device,
        "dtype": dtype, "threads": threads, "learn": list(learn),
        "observe": None if observe is None else str(observe),
    }  # fmt: skip
    config = {
        "problem": {"name": COPY if problem.file is not None else problem.name, **problem.settings},
        "method": {"name": name, **dataclasses.asdict(method)},  # type: ignore[call-overload]
        **{key: value for key, value in options.items() if value not in (None, [])},
    }
    count = threads or devices.threads_for(method.operation_size(problem))
    work = Work(problem, method, values, names, config, folder, before, clock, where, precision, count)
    return carry_out(work, Checkpoint(folder, owner=owner(config)))


@dataclass(frozen=True)
class Work:
    """What is to be solved, by what, on what and where to; all of it checked.

    learned: the names in `values` that are starts of what is learned. config: the run's configuration, as text has it.
    folder: None in all processes but the first. before: what was there of the way
    to it (see `run_folder`), which is all that a refusal leaves.
    """

    problem: Problem
    method: Solver
    values: Mapping[str, Value]
    learned: Sequence[str]
    config: Mapping[str, Any]
    folder: Path | None
    before: Path | None
    clock: Budget
    device: torch.device
    dtype: torch.dtype
    threads: int


def carry_out(work: Work, checkpoint: Checkpoint) -> Solution:
    """Solve, prove and store, from where the checkpoint stands."""
    problem, method, clock, folder, config = work.problem, work.method, work.clock, work.folder, work.config
    values, names, target = work.values, work.learned, work.config.get("target")
    with ExitStack() as stack:
        stack.enter_context(joined(work.device))
        stack.enter_context(devices.threads(work.threads))
        stack.enter_context(terminable())
        if folder is None:
            return _follow(work, checkpoint)
        with clock.exclude():
            truth, about = _reference(problem, {k: v for k, v in values.items() if k not in names})
        if target is not None and truth is None:
            raise InputError(f"a target needs a reference, {problem.name} has none: {about['none']}")
        measure = None if truth is None else (lambda s: proof.measured(s, truth))
        name = catalogue.method_name(method)
        progress = stack.enter_context(Progress(f"{problem.name} by {name}", clock.cpu_seconds))
        run = _run(work, checkpoint, measure=measure, report=progress, say=progress.say)
        write_start(folder, config, run, values)
        with closing(run):
            if not checkpoint.resumed:
                _keep_inputs(work)
            status, solution = _attempt(method, problem, run, values, names, work.before)
            settings = dataclasses.asdict(method)  # type: ignore[call-overload]
            solution.run = folder
            solution.proof = _prove(solution, run, name, settings, truth, about, names, status)
            write_end(folder, solution, run, config, values, reference_dataset(solution))
        if status == "terminated":
            run.say(f"terminated, what there is is stored; next: pdesolve resume {folder}")
            raise Terminated
    return solution


def _run(work: Work, checkpoint: Checkpoint, **shown: Any) -> Run:
    return Run(
        seed=work.config.get("seed", 0), device=work.device, dtype=work.dtype, budget=work.clock,
        steps=work.config.get("steps"), target=work.config.get("target"), folder=work.folder,
        choices={**checkpoint.choices, "threads": work.threads}, checkpoint=checkpoint, **shown,
    )  # fmt: skip


def _follow(work: Work, checkpoint: Checkpoint) -> Solution:
    """A process's share of the work beside the first, which alone measures, proves, speaks and writes."""
    return _attempt(work.method, work.problem, _run(work, checkpoint), work.values, work.learned, work.before)[1]


def _keep_inputs(work: Work) -> None:
    """Copy the files that the run needs, so that nothing else is needed to go on with it."""
    assert work.folder is not None
    if work.problem.file is not None:
        work.problem.file.keep(work.folder)
    if "observe" in work.config:
        shutil.copyfile(work.config["observe"], work.folder / OBSERVATIONS)


def load(
    run: str | Path, *, problem: Problem | None = None, method: Solver | None = None, device: str = "auto"
) -> Solution:
    """The solution of a run folder. A problem or a method that is in no catalogue must be given again.

    Raises:
        InputError: no run folder, one of another format, or a problem that cannot be found.
    """
    folder = Path(run)
    content = read_run(folder)
    config = content["config"]
    problem, method = rebuilt(folder, config, problem, method)
    found = {k: v["value"] for k, v in (content.get("proof") or {}).get("learned", {}).items()}
    values = {k: torch.tensor(v, dtype=torch.float64) for k, v in {**content.get("values", {}), **found}.items()}
    solution = method.restore(problem, folder, values=values, device=str(devices.find_device(device)))
    solution.run = folder
    solution.proof = proof.Proof(**content["proof"]) if content.get("proof") else None
    return solution


def rebuilt(
    folder: Path, config: Mapping[str, Any], problem: Problem | None, method: Solver | None
) -> tuple[Problem, Solver]:
    """The problem and the method of a run folder, unless they are given.

    Raises:
        InputError: a run of a training; they are in no catalogue, or have other settings there now.
    """
    if "data" in config:
        raise InputError(
            f"{folder} holds a surrogate, no solution: read it by ps.load_surrogate, go on by ps.resume_training"
        )
    if problem is None:
        settings = {k: v for k, v in config["problem"].items() if k != "name"}
        name = config["problem"]["name"]
        problem = catalogue.make_problem(str(folder / name) if catalogue.is_problem_file(name) else name, settings)
    if method is None:
        own = {k: v for k, v in config["method"].items() if k != "name"}
        method = catalogue.make_method(config["method"]["name"], own)
    return problem, method


def check_target(method: Solver, target: float | None) -> None:
    """Refuse a target that is no error, or that the method cannot stop at.

    Raises:
        InputError: with what to write instead.
    """
    if target is None:
        return
    if not target > 0:
        raise InputError(f"a target is a positive relative L2 error such as 1e-4, got {target}")
    if why := method.no_target():
        raise InputError(f"{catalogue.method_name(method)} cannot stop at a target of {target:g}: {why}")


def starts(values: Mapping[str, Value] | None, learn: Sequence[str]) -> tuple[dict[str, Value], tuple[str, ...]]:
    """Values and names of what is learned, from "viscosity" or "viscosity=0.05"."""
    merged, names = dict(values or {}), []
    for text in learn:
        name, equals, start = text.partition("=")
        if equals:
            try:
                merged[name] = float(start)
            except ValueError:
                raise InputError(f"learning starts at a number, as in viscosity=0.05, got {text!r}") from None
        names.append(name)
    return merged, tuple(names)


def _reference(problem: Problem, values: Mapping[str, Value]) -> tuple[proof.Truth | None, dict[str, Any]]:
    """The reference and what it is; None and the reason where there is none."""
    progress = Progress(f"reference of {problem.name}", _REFERENCE_SECONDS)

    def report(row: dict[str, Any]) -> None:
        if row["cpu_seconds"] > _QUIET_SECONDS:
            progress(row)

    try:
        run = Run(budget=Budget.from_now(_REFERENCE_SECONDS), every=float("inf"), report=report)
        solution = catalogue.make_method("reference").solve(problem, run, values=values)
        return proof.Truth.of(solution), dict(solution.notes)
    except (InputError, Diverged) as error:
        return None, {"none": str(error)}


def reference_dataset(solution: Solution) -> xr.Dataset | None:
    """The reference on the evaluation set as a labelled data set; None where there is none.

    It has the solution's parameter values, but for those that were learned: there it has the problem's. What a problem
    determines up to a constant only has the solution's mean at each time.
    """
    problem = solution.problem
    learned = solution.proof.learned if solution.proof is not None else {}
    truth, _ = _reference(problem, {k: v for k, v in solution.values.items() if k not in learned})
    if truth is None:
        return None
    solved = proof.as_far_as_solved(solution)
    shown = truth.as_far_as(solution)
    if problem.up_to_constant:
        found = solved.on()
        level = {name: found[name] - values for name, values in solved.problem.judged(found).items()}
        shown = {name: values + level[name].to(values) for name, values in solved.problem.judged(shown).items()}
    return to_dataset(problem, solved.problem.evaluation_set, shown)


def _attempt(
    method: Solver,
    problem: Problem,
    run: Run,
    values: Mapping[str, Value],
    learn: Sequence[str],
    before: Path | None,
) -> tuple[str, Solution]:
    """Solve; an interrupt, a SIGTERM or a divergence leaves the solution so far. Bad input leaves nothing behind."""
    try:
        return "finished", method.solve(problem, run, values=values, learn=learn)
    except InputError:
        if run.folder is not None:
            take_back(run.folder, before)
        raise
    except (KeyboardInterrupt, Terminated) as error:
        if run.solution is None:
            raise
        return "terminated" if isinstance(error, Terminated) else "interrupted", run.solution
    except Diverged as error:
        if run.solution is None:
            raise
        run.solution.notes["diverged"] = str(error)
        return "diverged", run.solution


def _prove(
    solution: Solution, run: Run, method: str, settings: Mapping[str, Any], truth: proof.Truth | None,
    about: Mapping[str, Any], learn: Sequence[str], status: str,
) -> proof.Proof:  # fmt: skip
    problem, ended = solution.problem, proof.as_far_as_solved(solution)
    # a reference or a fit that a cache held costs what it once did
    spent = run.budget.spent + (solution.notes.get("cpu_seconds", 0.0) if solution.notes.get("cached") else 0.0)
    spent += solution.notes.get("initial fit seconds", 0.0) if solution.notes.get("initial fit cached") else 0.0
    found = {} if truth is None else proof.measured(solution, truth)
    learned = {
        # without a dtype torch would make a number float32
        name: {"value": torch.as_tensor(solution.values[name], dtype=torch.float64).item(), "standard_deviation": None}
        for name in learn
    }
    last = {"stage": "end", "step": None, "seconds": run.seconds, "cpu_seconds": spent}
    run.history.append(last | {f"relative_l2 {name}": e["relative_l2"] for name, e in found.items()})
    return proof.Proof(
        run=None if run.folder is None else str(run.folder),
        problem=problem.name,
        method=method,
        settings=settings,
        parameters=solution.parameters,
        errors=found or {name: {"relative_l2": None, "max": None, "final": None} for name in problem.equation.scalars},
        learned=learned,
        residual=proof.residual(ended),
        violations=proof.violations(ended),
        conserved=proof.conserved(ended),
        seconds=run.seconds,
        cpu_seconds=spent,
        peak_bytes=devices.peak_bytes(run.device),
        device=str(run.device),
        dtype=str(run.dtype).removeprefix("torch."),
        seed=run.seed,
        converged=solution.converged and status == "finished",
        status=status,
        reference=about,
        notes=solution.notes,
        reached=solution.reached,
    )
