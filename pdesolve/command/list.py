"""`pdesolve list`: the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from pdesolve.catalogue import Kind, entries
from pdesolve.command.arguments import Parser, print_json, print_table
from pdesolve.errors import unknown_name

_KINDS: dict[str, Kind] = {"problems": "problem", "methods": "method", "equations": "equation"}


def parser() -> Parser:
    made = Parser("list", "What problems, methods and equations there are. `pdesolve show NAME` says more of one.")
    made.add_argument("kind", nargs="?", metavar="problems|methods|equations", help="only these (default: all)")
    made.add_argument("--json", action="store_true", help="print an array of objects with name, kind and summary")
    return made


def run(arguments: Sequence[str]) -> int:
    given = parser().read(arguments)
    if given.help:
        parser().print_help()
        return 0
    if given.kind is not None and given.kind not in _KINDS:
        raise unknown_name("part of the catalogue", given.kind, _KINDS)
    found = entries(_KINDS[given.kind] if given.kind else None)
    if given.json:
        print_json([entry.json() for entry in found])
        return 0
    for plural, kind in _KINDS.items():
        rows = [(f"  {entry.name}", entry.summary) for entry in found if entry.kind == kind]
        if rows:
            print(plural)
            print_table(rows)
    return 0
