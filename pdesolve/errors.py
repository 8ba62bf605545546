"""What a user gets to read when something cannot work: one line, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

BAD_INPUT = 2  # the exit code of the command


class InputError(ValueError):
    """Something given cannot work: what was expected, what came, what to write. The command exits with 2."""


class Stopped(InputError):
    """A run of several processes that one of them has ended, said by the one process that says so. Exits with 2."""


class UnitError(InputError):
    """Units that do not go together, or where there should be none."""


class Diverged(RuntimeError):
    """A solver met a value that is not finite: the term, the place and the step. The command exits with 3."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a `name` that is not one of the `known` names of its `kind`, with the nearest known one."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return InputError(f"unknown {kind} {name!r}: {hint}known: {', '.join(known) or 'none'}")
