"""`pdesolve eval`: measure a surrogate again, on its own held-out samples or on other data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pdesolve.cli import MISSED
from pdesolve.command.arguments import Parser, number, numbers, only_json, print_json, print_table
from pdesolve.errors import InputError

_EPILOG = """examples:
  pdesolve eval runs/darcy-fno-1                     the score that is stored, measured again: exit 4 where it differs
  pdesolve eval runs/darcy-fno-1 --data other.h5     how good it is there, at any resolution
  pdesolve eval runs/flow-fno-1 --steps 20           also rollouts: error over lead time, a table and a picture

exit codes: 0 done, 2 bad input, 4 the stored score was not found again"""

_ROUNDING = 1e-4  # of the RMSE: a conserved quantity that is right is off by rounding alone
_ROWS = 8  # lead times in a table
_SAME = 1e-3  # relative: another machine, other threads or float32 on a GPU change the last digits


def parser() -> Parser:
    made = Parser("eval", "Measure a surrogate again, on its own held-out samples or on other data.", _EPILOG)
    made.add_argument("run", nargs="?", metavar="RUN", help="a run folder that `pdesolve train` wrote")
    made.add_argument("--data", metavar="FILE", help="other data; several files with commas (default: its own)")
    made.add_argument("--split", metavar="NAME", help="train, valid or test (default: the one it was judged by)")
    made.add_argument("--steps", metavar="N", help="also roll out N steps, and say the error at each lead time")
    made.add_argument("--device", metavar="VALUE", default="auto", help="auto, cpu, cuda or cuda:1")
    made.add_argument("--threads", metavar="VALUE", help="CPU threads (default: one)")
    made.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return made


def run(arguments: Sequence[str]) -> int:
    given = parser().read(arguments)
    if given.run is None:
        raise InputError("eval needs a run folder: pdesolve eval runs/darcy-fno-1 --data FILE")

    steps = number(given.steps, int, "--steps")
    if steps is not None and steps < 1:
        raise InputError(f"a rollout takes at least one step, got --steps {steps}")
    data = given.data and given.data.split(",")

    count = numbers(given.threads or "1", int, "--threads")[0]

    from pdesolve.datasets.evaluation import evaluate
    from pdesolve.training.devices import threads

    with only_json(given.json), threads(count):
        found = evaluate(given.run, data, split=given.split, steps=steps or 0, device=given.device)
    stored = found["stored"]
    differing = [] if stored is None else _differing(stored, found["metrics"])
    if given.json:
        print_json({**found, "same": None if stored is None else not differing})
    else:
        for variable, row in found["metrics"].items():
            for name, value in row.items():
                print(f"{variable} {name} {value:.4e}")
        print(f"on {found['samples']} samples of {', '.join(found['data'])} {found['split']}".rstrip())
        if "rollout" in found:
            _print_rollouts(found)
        if stored is not None and not differing:
            print("the stored score was found again")
        for picture in ("picture", "rollout_picture"):
            if found.get(picture):
                print(f"picture: {found[picture]}")
        print(f"next: pdesolve predict {Path(given.run)}")
    for line in differing:
        print(line)
    return MISSED if differing else 0


def _print_rollouts(found: Mapping[str, Any]) -> None:
    """A row for each of some lead times, from the first to the last."""
    from pdesolve.metrics import THRESHOLD

    print(f"\n{found['rollouts']} rollouts of {found['steps']} steps, {found['diverged']} diverged")
    curves = found["rollout"]
    times = next(iter(curves.values()))["lead_times"]
    count = min(len(times), _ROWS)
    chosen = sorted({round(i * (len(times) - 1) / max(1, count - 1)) for i in range(count)})
    kinds = ("nrmse", "correlation")
    head = ["lead time", *(f"{name} {kind}" for name in curves for kind in kinds)]
    rows = [
        [f"{times[i]:.4g}", *(_cell(curve[kind][i]) for curve in curves.values() for kind in kinds)] for i in chosen
    ]
    print_table([head, *rows])
    for name, curve in curves.items():
        lasting = curve["correlation_time"]
        if lasting is not None:
            more = "more than " if all((value or 0.0) >= THRESHOLD for value in curve["correlation"]) else ""
            print(f"{name} correlation_time {more}{lasting:.4g}")


def _cell(value: float | None) -> str:
    return "diverged" if value is None else f"{value:.4g}"


def _differing(stored: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """One line for each score that is not what was stored."""
    return [
        f"{variable} {name} is {found.get(variable, {}).get(name, math.nan):.6e}, stored was {value:.6e}: the data, "
        "the weights or the versions have changed"
        for variable, row in stored.items()
        for name, value in row.items()
        if value is not None  # what was not finite
        and not abs(found.get(variable, {}).get(name, math.nan) - value)
        <= _SAME * abs(value) + _ROUNDING * (row.get("rmse") or 0.0) + 1e-12
    ]
