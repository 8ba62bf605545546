"""`pdesolve data check`: what is wrong with simulation data."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pdesolve.cli import BAD_INPUT
from pdesolve.command.arguments import Parser, only_json, print_json
from pdesolve.errors import InputError

_EPILOG = """exit codes: 0 no error was found (warnings may be), 2 errors, or a file that cannot be opened

examples:
  pdesolve data check burgers.h5
  pdesolve data check 'data/train/*.hdf5' --json"""


def parser() -> Parser:
    made = Parser("data check", "Look through all of a data set for what is wrong, or odd, with it.", _EPILOG)
    made.add_argument("file", nargs="?", metavar="FILE", help="a file, a folder, or a pattern such as 'runs/*.h5'")
    made.add_argument("--layout", metavar="NAME", help="read it as this layout (default: the one that fits)")
    made.add_argument("--json", action="store_true", help="print an array of the findings and nothing else")
    return made


def run(arguments: Sequence[str]) -> int:
    given = parser().read(arguments)
    if given.file is None:
        raise InputError("data check needs a file: pdesolve data check burgers.h5")

    from pdesolve.datasets.checking import check
    from pdesolve.datasets.opening import open_dataset

    with only_json(given.json):
        dataset = open_dataset(given.file, layout=given.layout)
        found = check(dataset, lambda line: print(line, file=sys.stderr))
    errors = [finding for finding in found if finding.kind == "error"]
    if given.json:
        print_json([finding.json() for finding in found])
    else:
        for finding in found:
            print(f"{finding.kind}: {finding.message}")
        warnings = len(found) - len(errors)
        counts = f"{len(errors)} error{'s' * (len(errors) != 1)}, {warnings} warning{'s' * (warnings != 1)}"
        print(f"{counts} in {dataset.samples} sample{'s' * (dataset.samples != 1)} of {given.file}")
    return BAD_INPUT if errors else 0
