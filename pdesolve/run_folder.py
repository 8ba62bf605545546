"""Run folders: what a solve leaves behind, and how it is read again."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pdesolve.errors import Diverged, InputError
from pdesolve.labelled import write_dataset
from pdesolve.method import Solution
from pdesolve.problem import Value
from pdesolve.settings import plain
from pdesolve.training.interrupts import Terminated
from pdesolve.training.run import FORMAT, Run, write_aside, write_json

if TYPE_CHECKING:
    import xarray as xr

RUN, CONFIG, SOLUTION, OBSERVATIONS = "run.json", "config.yaml", "solution.nc", "observations.csv"
# what makes a run another one
_OWN = ("problem", "data", "family", "task", "method", "learn", "observe", "seed", "dtype")


def read_run(folder: Path) -> dict[str, Any]:
    """The content of a folder's run.json.

    Raises:
        InputError: there is none, or it is of another format.
    """
    try:
        content = json.loads((folder / RUN).read_text())
    except OSError:
        raise InputError(
            f"{folder} is no run folder: it holds no {RUN}; runs are written by pdesolve solve and train"
        ) from None
    except json.JSONDecodeError as error:
        raise InputError(f"{folder / RUN} is damaged: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise InputError(f"{folder / RUN} has format {found}, this version reads {FORMAT}: solve again to make one")
    if not isinstance(content.get("config"), dict) or "method" not in content["config"]:
        raise InputError(f"{folder / RUN} is damaged: it says of no method; solve or train again")
    return content


def run_folder(out: str | Path | None, stem: str) -> tuple[Path, Path | None]:
    """The run folder, not yet made, and the last folder on the way to it that was there before, for `take_back`.

    That is itself where it is empty, and None where it holds a run to go on with. `stem` names it where nothing else
    does.

    Raises:
        InputError: it holds a finished run, or things that are no run.
    """
    if out is None:
        numbers = (Path("runs") / f"{stem}-{i}" for i in range(1, 1_000_000))
        folder = next(path for path in numbers if not path.exists())
        return folder, _nearest(folder)
    folder = Path(out)
    if not folder.exists():
        return folder, _nearest(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is a file, a run needs a folder: give another --out")
    if (folder / RUN).exists():
        status = read_run(folder).get("status")
        if status != "running":
            raise InputError(f"{folder} holds a run already ({status}): give another --out, or remove it first")
    elif any(folder.iterdir()):
        raise InputError(f"{folder} holds files that are no run: give a new folder as --out")
    return folder, None if any(folder.iterdir()) else folder


def take_back(folder: Path, before: Path | None) -> None:
    """Leave no folder that was not there before a run that was refused, and nothing in one that was."""
    if before is None:
        return
    if before == folder:
        for path in folder.iterdir():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        return
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # others may have put something there in the meantime
        while (folder := folder.parent) != before:
            folder.rmdir()


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def owner(config: Mapping[str, Any]) -> str:
    """What a run is of, as text: its checkpoint belongs to no other."""
    import yaml

    return yaml.safe_dump(plain({name: config[name] for name in _OWN if name in config}), sort_keys=False)


def write_start(folder: Path, config: Mapping[str, Any], run: Run, values: Mapping[str, Value]) -> None:
    """Make the folder, with what repeats the run and the word that it is running. values: the parameters given."""
    import yaml

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the run folder {folder}: {error.strerror}; give another --out") from error
    write_aside(folder / CONFIG, yaml.safe_dump(plain(config), sort_keys=False))
    write_json(folder / RUN, record(config, run, "running") | _given(values))


def write_end(
    folder: Path, solution: Solution, run: Run, config: Mapping[str, Any], values: Mapping[str, Value],
    reference: xr.Dataset | None,
) -> None:  # fmt: skip
    """Store the solution, its proof, its history and its figures."""
    from pdesolve.nn import NetworkSolution
    from pdesolve.plotting import (
        ellipses_figure,
        history_figure,
        march_figure,
        save_figure,
        solution_figure,
        times_figure,
    )
    from pdesolve.proof import as_far_as_solved, drifts

    assert solution.proof is not None
    solution.write(folder)
    run.write_history()
    dataset = solution.dataset()
    write_dataset(dataset, folder / SOLUTION)
    (folder / "figures").mkdir(exist_ok=True)
    save_figure(solution_figure(dataset, reference), folder / "figures" / "solution.png")
    marched = None
    if solution.problem.time is not None:
        along = (dataset, reference, drifts(as_far_as_solved(solution)), solution.problem.up_to_constant)
        over_time, marched = times_figure(*along), march_figure(run.history, *along)
        if over_time is not None:
            save_figure(over_time, folder / "figures" / "times.png")
    places = ellipses_figure(solution) if isinstance(solution, NetworkSolution) else None
    if places is not None:
        save_figure(places, folder / "figures" / "gaussians.png")
    if marched is not None or len(run.history) > 2:
        history = marched or history_figure({solution.proof.method: run.history})
        save_figure(history, folder / "figures" / "history.png")
    about = record(config, run, solution.proof.status) | _given(values)
    write_json(folder / RUN, about | {"values": _numbers(solution.values), "proof": solution.proof.json()})


@contextmanager
def closing(run: Run) -> Iterator[None]:
    """Mark a run that ends without a proof, whatever ends it: an interrupt, a divergence, an error."""
    try:
        yield
    except InputError:
        raise
    except BaseException as error:
        ends = {KeyboardInterrupt: "interrupted", Terminated: "terminated", Diverged: "diverged"}
        status = ends.get(type(error), "failed")
        why = f"{status} before its proof was made" if status in ("interrupted", "terminated") else str(error)
        if run.folder is not None and (run.folder / RUN).exists():
            write_json(run.folder / RUN, {**read_run(run.folder), "status": status, "why": why})
        raise


def record(config: Mapping[str, Any], run: Run, status: str) -> dict[str, Any]:
    """What run.json says of every run: its configuration, choices, versions, machine and how it ended."""
    return {
        "format": FORMAT,
        "status": status,
        "config": plain(config),
        "choices": run.choices,
        "versions": {
            name: _version(name)
            for name in ("pdesolve-suite", "torch", "numpy", "scipy", "torchdiffeq", "neuraloperator")
        },
        "python": platform.python_version(),
        "platform": platform.platform(),
        "seed": run.seed,
        "dtype": str(run.dtype).removeprefix("torch."),
        "device": str(run.device),
        "git": _git_revision(),
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _given(values: Mapping[str, Value]) -> dict[str, Any]:
    """The values that the run was given, and the names of those that no text holds: they must be given again."""
    numbers = _numbers(values)
    return {"given": numbers, "beside": [name for name in values if name not in numbers]}


def _numbers(values: Mapping[str, Value]) -> dict[str, Any]:
    known = {k: v for k, v in values.items() if isinstance(v, (int, float, Tensor))}
    return {k: v.detach().tolist() if isinstance(v, Tensor) else v for k, v in known.items()}


@cache
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    """The revision of the working directory, where it is a git checkout."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
