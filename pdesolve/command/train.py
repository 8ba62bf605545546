"""`pdesolve train`: a surrogate of simulation data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pdesolve import cli
from pdesolve.cli import DIVERGED, INTERRUPTED
from pdesolve.command.arguments import Parser, add_settings, only_json, print_json, settings_text, split_settings
from pdesolve.data.task_choice import TaskChoice
from pdesolve.errors import InputError
from pdesolve.settings import build, check_names, read_config

if TYPE_CHECKING:
    from pdesolve.method import Surrogate

_EPILOG = """settings:
  --method.NAME VALUE   a setting of the method; --method.training.NAME one of its training
  pdesolve train METHOD --help names them, with types, defaults and meaning

examples:
  pdesolve train fno --data darcy.h5 --budget 10min
  pdesolve train fno --data flow.h5 --past 10 --ahead 1 --method.modes 24 --method.training.unroll 4
  pdesolve train fno --data a.h5,b.h5 --inputs permeability --targets pressure --steps 2000
  pdesolve train fno --family burgers --family.viscosity 0.01 --budget 5min
  torchrun --nproc-per-node 4 -m pdesolve train fno --data flow.h5
  pdesolve train --config runs/darcy-fno-1/config.yaml --seed 1

exit codes: 0 done, 2 bad input, 3 diverged, 130 interrupted, 143 terminated"""


@dataclass(frozen=True)
class Options:
    """How to train, whatever the data and the method.

    Attributes:
        budget: CPU time of the whole process, all threads: 90s, 2min, 1h.
        target: relative L2 error on the validation split at which to stop.
        steps: of the optimiser, in place of what fits the budget.
        seed: of every random choice.
        device: auto, cpu, cuda or cuda:1.
        dtype: float32 or float64.
        threads: CPU threads; chosen by the size of the work when left out.
    """

    budget: float | str = "10min"
    target: float | None = None
    steps: int | None = None
    seed: int = 0
    device: str = "auto"
    dtype: Literal["float32", "float64"] = "float32"
    threads: int | None = None


@dataclass(frozen=True)
class Request:
    """What to train on what and how: names, their settings, options."""

    method: str
    settings: Mapping[str, Any]
    data: list[str]
    family: Mapping[str, Any]
    task: TaskChoice
    options: Options


def parser() -> Parser:
    made = Parser("train", "Train a surrogate on simulation data, judge it and keep it in a run folder.", _EPILOG)
    made.add_argument("method", nargs="?", metavar="METHOD", help="a name; pdesolve list methods names them")
    made.add_argument("--data", metavar="FILE", help="a file, folder or pattern; several with commas")
    made.add_argument("--family", metavar="NAME", help="in their place a family, simulated as training goes on")
    made.add_argument("--config", metavar="FILE", help="YAML file of the same names; the command line wins")
    made.add_argument("--out", metavar="FOLDER", help="the run folder (default: a new one under runs/)")
    made.add_argument("--json", action="store_true", help="print the report as one JSON object and nothing else")
    add_settings(made, TaskChoice, "what to learn")
    add_settings(made, Options, "how to train")
    return made


def run(arguments: Sequence[str]) -> int:
    rest, settings = split_settings(arguments)
    given = parser().read(rest, setting=_setting, settings=_settings)
    request = _request(vars(given), settings)

    from pdesolve.catalogue import make_family, make_learner
    from pdesolve.datasets.training import train

    told = request.options
    family = {name: value for name, value in request.family.items() if name != "name"}
    with only_json(given.json):
        surrogate = train(
            make_learner(request.method, request.settings),
            make_family(request.family["name"], family) if request.family else request.data,
            request.task,
            budget=told.budget,
            target=told.target,
            steps=told.steps,
            seed=told.seed,
            device=told.device,
            dtype=told.dtype,
            threads=told.threads,
            out=given.out,
            began=cli.began,
        )
    return conclude(surrogate, given.json)


def conclude(surrogate: Surrogate, as_json: bool) -> int:
    """Print the report of a surrogate, as one JSON object or for people, and say how the command ends."""
    report = surrogate.report
    if report is None or surrogate.run is None:  # in a process beside the first, which says it all
        return 0
    from pdesolve.surrogates.pictures import FIGURES, PREDICTION

    if as_json:
        print_json(report.json())
    else:
        print(report.table())
        picture = surrogate.run / FIGURES / PREDICTION
        if picture.exists():
            print(f"picture: {picture}")
        if report.status == "finished":
            print(f"next: pdesolve eval {surrogate.run}{'' if report.samples else ' --data FILE'}")
        else:
            print(f"next: pdesolve resume {surrogate.run}")
    if "diverged" in surrogate.notes:
        print(f"pdesolve: {surrogate.notes['diverged']}", file=sys.stderr)
    return {"interrupted": INTERRUPTED, "diverged": DIVERGED}.get(report.status, 0)


def _request(given: Mapping[str, Any], settings: Mapping[str, Any]) -> Request:
    """Put together a configuration file and the command line, which wins."""
    content = {} if given["config"] is None else read_config(Path(given["config"]))
    options = {field.name for field in fields(Options)}
    check_names(content, dict.fromkeys(("data", "family", "task", "method", *options)), "")
    check_names(settings, {"method": None, "family": None}, "")
    filed = content.get("method", {})
    filed = {"name": filed} if isinstance(filed, str) else dict(filed)
    stated = filed.pop("name", None)
    name = given["method"] or stated
    if name is None:
        raise InputError("which method? write pdesolve train fno --data FILE; pdesolve list methods names them all")
    if stated is not None and name != stated and filed:
        raise InputError(f"the configuration has settings of {stated}, the command line asks for {name}: leave one out")
    data = given["data"].split(",") if given["data"] else [] if given["family"] else content.get("data", [])
    family = {} if given["data"] else _family(content.get("family", {}), given["family"], settings.get("family", {}))
    if (data and family) or (given["data"] and (given["family"] or settings.get("family"))):
        raise InputError("data come from files or from a family: give one of --data and --family")
    if not data and not family:
        raise InputError(f"which data? write pdesolve train {name} --data FILE or --family NAME")
    typed = {field.name: given[field.name] for field in fields(TaskChoice) if given[field.name] is not None}
    told = {key: given[key] for key in options if given[key] is not None}
    return Request(
        name,
        _merged(filed, settings.get("method", {})),
        [data] if isinstance(data, str) else list(data),
        family,
        build("", TaskChoice, {**content.get("task", {}), **typed})[0],
        build("", Options, {**{k: v for k, v in content.items() if k in options}, **told})[0],
    )


def _family(filed: Any, name: str | None, typed: Mapping[str, Any]) -> dict[str, Any]:
    """The name and the settings of a family; typed settings win, those of another family in a file do not count."""
    known = {"name": filed} if isinstance(filed, str) else dict(filed)
    if name is not None and name != known.get("name"):
        known = {"name": name}
    if typed and not known:
        raise InputError("settings of a family need its name: write --family NAME")
    return _merged(known, typed)


def _merged(filed: Mapping[str, Any], typed: Mapping[str, Any]) -> dict[str, Any]:
    """The typed settings over those of a file, parts of parts too."""
    found = dict(filed)
    for name, value in typed.items():
        inner = found.get(name)
        found[name] = _merged(inner, value) if isinstance(value, Mapping) and isinstance(inner, Mapping) else value
    return found


def _setting(given: argparse.Namespace, name: str) -> str | None:
    """The option that sets NAME of the method that is given, or of its training."""
    from pdesolve.catalogue import find_method
    from pdesolve.settings import settings_of

    with suppress(InputError):
        known = settings_of(find_method(given.method or ""))
        if name in known:
            return f"--method.{name}"
        if "training" in known and name in settings_of(type(known["training"].default)):
            return f"--method.training.{name}"
    return None


def _settings(given: argparse.Namespace) -> Iterator[str]:
    if given.method:
        from pdesolve.catalogue import find_method
        from pdesolve.settings import settings_of

        table = settings_text(settings_of(find_method(given.method)), "method")
        yield f"settings of the method {given.method}:\n{table}"
