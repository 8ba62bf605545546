"""`pdesolve data`: simulation data looked at, checked and converted."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from pdesolve.errors import InputError, unknown_name

ACTIONS = {
    "info": "what is in a file: layout, shapes, axes, parameters, statistics, a picture",
    "check": "what is wrong with it: numbers that are not finite, twins, gaps, attributes",
    "convert": "the same in another layout: native, pdebench or the_well",
}

_HELP = f"""usage: pdesolve data ACTION FILE ... [--json] [--help]

Simulation data of every usual layout.

actions:
{chr(10).join(f"  {action:<8} {text}" for action, text in ACTIONS.items())}

`pdesolve data ACTION --help` says more."""


def run(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        if not arguments:
            raise InputError(f"data needs an action, {', '.join(ACTIONS)}: pdesolve data info FILE")
        print(_HELP)
        return 0
    action, *rest = arguments
    if action not in ACTIONS:
        raise unknown_name("action", action, ACTIONS)
    return import_module(f"pdesolve.command.data_{action}").run(rest)
