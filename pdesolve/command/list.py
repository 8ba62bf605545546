"""`pdesolve list`: the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from pdesolve.catalogue import PLURALS, entries
from pdesolve.command.arguments import Parser, print_json, print_table
from pdesolve.errors import unknown_name


def parser() -> Parser:
    made = Parser(
        "list", "The problems, families, methods and equations there are; `pdesolve show NAME` says more of one."
    )
    made.add_argument("kind", nargs="?", metavar="|".join(PLURALS), help="only these (default: all)")
    made.add_argument("--json", action="store_true", help="print an array of objects with name, kind and summary")
    return made


def run(arguments: Sequence[str]) -> int:
    given = parser().read(arguments)
    if given.kind is not None and given.kind not in PLURALS:
        raise unknown_name("part of the catalogue", given.kind, PLURALS)
    found = entries(PLURALS[given.kind] if given.kind else None)
    if given.json:
        print_json([entry.json() for entry in found])
        return 0
    for plural, kind in PLURALS.items():
        rows = [(f"  {entry.name}", entry.summary) for entry in found if entry.kind == kind]
        if rows:
            print(plural)
            print_table(rows)
    return 0
