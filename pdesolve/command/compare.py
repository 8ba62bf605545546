"""`pdesolve compare`: the same problem, or the same data, by several methods, one table and one figure."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from pdesolve.cli import DIVERGED, INTERRUPTED
from pdesolve.command.arguments import Parser, add_settings, numbers, only_json, print_json, split_settings
from pdesolve.command.options import Options, make_options
from pdesolve.command.train import Options as Training
from pdesolve.data.task_choice import TaskChoice
from pdesolve.errors import InputError, unknown_name
from pdesolve.settings import build, check_names

_TASK = tuple(field.name for field in fields(TaskChoice))
_OPTIONS = ("budget", "target", "steps", "device", "dtype", "threads")

_EPILOG = """settings:
  --METHOD.NAME VALUE   a setting of one of the methods   --problem.NAME VALUE   a setting of the problem

examples:
  pdesolve compare burgers_shock --methods pinn,reference
  pdesolve compare burgers_shock --methods pinn,reference --pinn.width 64 --seeds 0,1,2
  pdesolve compare burgers_shock --methods pinn --sweep problem.viscosity=0.1,0.01
  pdesolve compare heat_1d,heat_1d_sister --methods pinn
  pdesolve compare --data darcy.h5 --methods fno,unet,deeponet --budget 1min --fno.modes 8"""


def parser() -> Parser:
    made = Parser("compare", "The same problem or data by several methods, each within a budget of its own.", _EPILOG)
    made.add_argument(
        "problem", nargs="?", metavar="PROBLEM", help="a name of pdesolve list or a .yaml file; several with commas"
    )
    made.add_argument("--data", metavar="FILE", help="for methods that learn: a file; several with commas")
    made.add_argument("--methods", metavar="A,B,C", help="names with commas between; `reference` is one")
    made.add_argument("--seeds", metavar="0,1,2", help="run each method once with each of these seeds")
    made.add_argument("--seed", metavar="VALUE", help="one seed for all (default: 0)")
    made.add_argument(
        "--sweep", metavar="problem.NAME=A,B", action="append", default=[],
        help="solve for each of these values of a setting of the problem; may be repeated",
    )  # fmt: skip
    made.add_argument("--out", metavar="FOLDER", help="a new folder for all runs (default: a new one under runs/)")
    made.add_argument("--json", action="store_true", help="print a JSON list with the proof of each run")
    group = add_settings(made, Options, "how to solve or train", without=("seed", "dtype", "learn", "observe"))
    group.add_argument(
        "--dtype", metavar="VALUE",
        help=f"float64 or float32 (default: {Options().dtype} of problems, {Training().dtype} of --data)",
    )  # fmt: skip
    add_settings(made, TaskChoice, "what to learn of --data")
    return made


def run(arguments: Sequence[str]) -> int:
    rest, settings = split_settings(arguments)
    given = parser().read(rest)
    if given.data is not None and given.problem is not None:
        raise InputError(
            f"compare takes a problem or --data, got {given.problem} and {given.data}: give one of the two"
        )
    if (given.problem is None and given.data is None) or given.methods is None:
        raise InputError(
            "compare needs methods and a problem or data: pdesolve compare burgers_shock --methods pinn,reference, or "
            "pdesolve compare --data darcy.h5 --methods fno,unet"
        )
    if given.seed is not None and given.seeds is not None:
        raise InputError("--seed and --seeds say the same: give one of the two")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("compare works in one process: leave out torchrun, or solve by it with each of the methods")
    methods = [name.strip() for name in given.methods.split(",") if name.strip()]
    check_names(settings, dict.fromkeys(("problem", *methods)), "")
    seeds = numbers(given.seeds or given.seed or "0", int, "--seeds")
    if min(seeds) < 0 or max(seeds) >= 2**63:
        raise InputError(f"a seed is a number from 0 to 2^63 - 1, got {given.seeds or given.seed}")
    if given.data is not None:
        return _learners(given, given.data.split(","), methods, settings, seeds)
    for name in _TASK:
        if getattr(given, name) is not None:
            raise InputError(f"--{name} is of --data, {given.problem} is a problem: leave it out")
    sweep = dict(_sweep(text) for text in given.sweep)
    told = make_options({name: getattr(given, name) for name in _OPTIONS if getattr(given, name) is not None})

    from pdesolve.catalogue import make_method
    from pdesolve.comparing import compare

    with only_json(given.json):
        comparison = compare(
            [name.strip() for name in str(given.problem).split(",") if name.strip()],
            [make_method(name, settings.get(name)) for name in methods],
            settings=settings.get("problem"),
            sweep=sweep,
            seeds=seeds,
            budget=told.budget,
            target=told.target,
            steps=told.steps,
            device=told.device,
            dtype=told.dtype,
            threads=told.threads,
            out=given.out,
        )
    if given.json:
        print_json(comparison.json())
    else:
        print(comparison.table())
        print(f"picture: {comparison.folder / 'comparison.png'}")
        print(f"next: pdesolve plot {comparison.solutions[0].run} --animate")
    ended = {solution.proof.status for solution in comparison.solutions if solution.proof is not None}
    return INTERRUPTED if "interrupted" in ended else DIVERGED if "diverged" in ended else 0


def _learners(
    given: argparse.Namespace,
    data: list[str],
    methods: Sequence[str],
    settings: Mapping[str, Any],
    seeds: Sequence[int],
) -> int:
    """Surrogates of the same data."""
    if given.sweep or "problem" in settings:
        raise InputError("sweeps and settings of a problem are of problems, --data has none: leave them out")
    stated = {n: getattr(given, n) for n in _OPTIONS if getattr(given, n) is not None}
    told = build("", Training, {"budget": Options().budget, **stated})[0]
    task = build("", TaskChoice, {name: getattr(given, name) for name in _TASK if getattr(given, name) is not None})[0]

    from pdesolve.catalogue import make_learner
    from pdesolve.datasets.comparison import compare_learners

    with only_json(given.json):
        found = compare_learners(
            data,
            [make_learner(name, settings.get(name)) for name in methods],
            task=task,
            seeds=seeds,
            budget=told.budget,
            target=told.target,
            steps=told.steps,
            device=told.device,
            dtype=told.dtype,
            threads=told.threads,
            out=given.out,
        )
    if given.json:
        print_json(found.json())
    else:
        print(found.table())
        print(f"picture: {found.folder / 'comparison.png'}")
        print(f"next: pdesolve eval {found.surrogates[0].run}")
    ended = {surrogate.report.status for surrogate in found.surrogates if surrogate.report is not None}
    return INTERRUPTED if "interrupted" in ended else DIVERGED if "diverged" in ended else 0


def _sweep(text: str) -> tuple[str, list[str]]:
    """The setting and the values of "problem.viscosity=0.1,0.01"; the problem reads the values by their type."""
    name, equals, values = text.partition("=")
    group, _, setting = name.partition(".")
    if not equals or not setting or not values:
        raise InputError(f"a sweep reads problem.viscosity=0.1,0.01, got {text!r}")
    if group != "problem":
        raise unknown_name("sweep", name, (f"problem.{setting}",))
    return setting, [value.strip() for value in values.split(",")]
