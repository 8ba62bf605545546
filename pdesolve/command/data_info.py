"""`pdesolve data info`: what is in simulation data."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pdesolve.command.arguments import Parser, only_json, print_json
from pdesolve.errors import InputError

_EPILOG = """examples:
  pdesolve data info burgers.h5
  pdesolve data info burgers.h5 --out burgers.png"""


def parser() -> Parser:
    made = Parser(
        "data info", "What is in a file, a folder or files of simulation data, whatever their layout.", _EPILOG
    )
    made.add_argument("file", nargs="?", metavar="FILE", help="a file, a folder, or a pattern such as 'runs/*.h5'")
    made.add_argument("-o", "--out", metavar="PICTURE", help="draw the first sample: .png, .pdf or .svg")
    made.add_argument("--layout", metavar="NAME", help="read it as this layout (default: the one that fits)")
    made.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return made


def run(arguments: Sequence[str]) -> int:
    given = parser().read(arguments)
    if given.file is None:
        raise InputError("data info needs a file: pdesolve data info burgers.h5")
    if given.out is not None and Path(given.out).suffix not in (".png", ".pdf", ".svg"):
        raise InputError(f"a picture is written as .png, .pdf or .svg, got {given.out!r}")

    from pdesolve.datasets.inspection import first_sample, information, text, thumbnail
    from pdesolve.datasets.opening import open_dataset

    with only_json(given.json):
        dataset = open_dataset(given.file, layout=given.layout)
        about = information(dataset)
        if given.out is not None:
            from pdesolve.plotting import save_figure, solution_figure

            save_figure(solution_figure(first_sample(dataset), None), Path(given.out))
    if given.json:
        print_json(about)
        return 0
    print(text(about))
    if sys.stdout.isatty() and (picture := thumbnail(dataset)):
        print(f"\n{picture}")
    if given.out is not None:
        print(f"\npicture: {given.out}")
    print(f"\nnext: pdesolve data check {given.file}")
    return 0
