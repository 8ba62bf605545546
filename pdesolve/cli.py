"""The command `pdesolve`: finds the verb, runs it, turns errors into one line and an exit code.

Exit codes: 0 done, 2 bad input, 3 diverged, 4 a requirement was missed, 130 interrupted, 143 terminated. Nothing heavy
is imported before a verb needs it, so that `pdesolve --help` answers at once.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from pdesolve import __version__
from pdesolve.errors import BAD_INPUT, Diverged, InputError, Stopped, unknown_name
from pdesolve.exhaustion import exhausted

DIVERGED, MISSED, INTERRUPTED = 3, 4, 130

VERBS = {
    "list": "what problems, families, methods and equations there are",
    "show": "what one of them is: settings, paper, what it needs",
    "solve": "solve a problem by a method and prove the solution",
    "resume": "go on with a run, bit for bit, or with more time",
    "compare": "the same problem by several methods: one table, one figure",
    "generate": "simulation data of a family of problems",
    "train": "a surrogate of simulation data, judged on samples it has not seen",
    "eval": "measure a surrogate again, or on other data",
    "export": "a surrogate as one file that runs without pdesolve",
    "predict": "a stored solution at other points and times",
    "plot": "a picture or an animation of a stored solution",
    "data": "simulation data: info, check, convert",
    "doctor": "what this installation has and what it lacks",
}

# CPU time of this process when the command began: none of it in a process of its own, whose imports count too
began = 0.0

_HELP = f"""usage: pdesolve VERB ... [--json] [--help]

One PDE definition, every method.

verbs:
{chr(10).join(f"  {verb:<9} {text}" for verb, text in VERBS.items())}

first steps:
  pdesolve list
  pdesolve solve burgers_shock --method pinn --budget 40s

`pdesolve VERB --help` says more, `pdesolve --version` prints {__version__}."""


class Helped(Exception):
    """Help was printed: there is nothing else to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    global began
    began = 0.0 if argv is None else sum(os.times()[:4])
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with warnings.catch_warnings():
            # where a warning was raised helps developers, not users; a problem that is made twice warns once
            told: set[str] = set()
            warnings.showwarning = lambda message, *where, **more: _warn(str(message), told)
            code = _run(arguments)
        sys.stdout.flush()
        return code
    except Stopped as error:  # by the only process that says so, whichever that is
        print(_line(error), file=sys.stderr)
        return BAD_INPUT
    except InputError as error:
        return _fail(error, BAD_INPUT)
    except Diverged as error:
        return _fail(error, DIVERGED)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except MemoryError as error:
        return _fail(f"out of memory: {error or 'fewer points or a smaller network need less'}", BAD_INPUT)
    except RuntimeError as error:
        if not exhausted(error):
            raise
        why = " ".join(str(error).split())[:160]
        return _fail(f"out of memory: {why}; fewer points, samples at once or a smaller network need less", BAD_INPUT)
    except BrokenPipeError:
        # whoever read our output (head, less) has gone; Python would complain once more when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a folder that may not be read
        return _fail(f"{error.strerror or error}: {error.filename or 'writing failed'}", BAD_INPUT)


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_HELP)
        return 0
    if arguments[0] == "--version":
        print(f"pdesolve {__version__}")
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        raise unknown_name("verb", verb, VERBS)
    try:
        return import_module(f"pdesolve.command.{verb}").run(rest)
    except Helped:
        return 0


def _follows() -> bool:
    """Whether torchrun started this process beside a first one, which says the same."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and int(os.environ.get("RANK", "0")) > 0


def _fail(error: Exception | str, code: int) -> int:
    if not _follows():
        print(_line(error), file=sys.stderr)
    return code


def _line(error: Exception | str) -> str:
    return f"pdesolve: {' '.join(str(error).split())}"


def _warn(message: str, told: set[str]) -> None:
    if message not in told and not _follows():
        told.add(message)
        print(f"pdesolve: warning: {' '.join(message.split())}", file=sys.stderr)
