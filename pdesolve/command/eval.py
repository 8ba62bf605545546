"""`pdesolve eval`: measure a surrogate again, on its own held-out samples or on other data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pdesolve.cli import MISSED
from pdesolve.command.arguments import Parser, only_json, print_json
from pdesolve.errors import InputError

_EPILOG = """examples:
  pdesolve eval runs/darcy-fno-1                     the score that is stored, measured again: exit 4 where it differs
  pdesolve eval runs/darcy-fno-1 --data other.h5     how good it is there, at any resolution

exit codes: 0 done, 2 bad input, 4 the stored score was not found again"""

_ROUNDING = 1e-4  # of the RMSE: a conserved quantity that is right is off by rounding alone
_SAME = 1e-3  # relative: another machine, other threads or float32 on a GPU change the last digits


def parser() -> Parser:
    made = Parser("eval", "Measure a surrogate again, on its own held-out samples or on other data.", _EPILOG)
    made.add_argument("run", nargs="?", metavar="RUN", help="a run folder that `pdesolve train` wrote")
    made.add_argument("--data", metavar="FILE", help="other data; several files with commas (default: its own)")
    made.add_argument("--split", metavar="NAME", help="train, valid or test (default: the one it was judged by)")
    made.add_argument("--device", metavar="VALUE", default="auto", help="auto, cpu, cuda or cuda:1")
    made.add_argument("--threads", metavar="VALUE", help="CPU threads (default: all)")
    made.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return made


def run(arguments: Sequence[str]) -> int:
    given = parser().read(arguments)
    if given.help:
        parser().print_help()
        return 0
    if given.run is None:
        raise InputError("eval needs a run folder: pdesolve eval runs/darcy-fno-1 --data FILE")

    from pdesolve.datasets.evaluation import evaluate

    with only_json(given.json):
        found = evaluate(given.run, data=given.data and given.data.split(","), split=given.split, device=given.device)
    stored = found["stored"]
    differing = [] if stored is None else _differing(stored, found["metrics"])
    if given.json:
        print_json({**found, "same": None if stored is None else not differing})
    else:
        for variable, row in found["metrics"].items():
            for name, value in row.items():
                print(f"{variable} {name} {value:.4e}")
        print(f"on {found['samples']} samples of {', '.join(found['data'])} {found['split']}".rstrip())
        if stored is not None and not differing:
            print("the stored score was found again")
        print(f"picture: {found['picture']}" if found["picture"] else f"next: pdesolve predict {Path(given.run)}")
    for line in differing:
        print(line)
    return MISSED if differing else 0


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
