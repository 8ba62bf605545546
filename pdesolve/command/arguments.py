"""Command-line arguments: options by argparse, settings with dots set apart, errors of one line."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, NoReturn

from pdesolve.cli import Helped
from pdesolve.errors import InputError, unknown_name
from pdesolve.settings import Setting, plain, settings_of

_MISSPELT = 0.8  # likeness of an option from which on it is meant, and no setting is looked for


class Parser(argparse.ArgumentParser):
    """An argument parser that refuses in one line, with the nearest known option, and never guesses abbreviations."""

    def __init__(self, verb: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=f"pdesolve {verb}",
            description=description,
            epilog=epilog,
            add_help=False,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_argument("-h", "--help", action="store_true", help="show this and exit")

    def read(
        self, arguments: Sequence[str], *, setting: Callable[[argparse.Namespace, str], str | None] | None = None,
        settings: Callable[[argparse.Namespace], Iterator[str]] | None = None,
    ) -> argparse.Namespace:  # fmt: skip
        """The options and positional arguments, all still text.

        setting: the option --method.NAME that an unknown --NAME may stand for, with what else was given.
        settings: what help says, beside the options, of the problem or the method that is given.

        Raises:
            Helped: help was asked for, and is printed.
            InputError: an unknown option, one without its value, more arguments than the verb takes.
        """
        given, extra = self.parse_known_args(_joined(arguments))
        for text in extra:
            if text.startswith("-"):
                known = [option for action in self._actions for option in action.option_strings]
                option = text.partition("=")[0]
                misspelt = difflib.get_close_matches(option, known, n=1, cutoff=_MISSPELT)
                if setting is None or misspelt:
                    raise unknown_name("option", option, known)
                meant = setting(given, option.removeprefix("--").replace("-", "_"))
                if meant is not None:
                    raise InputError(f"unknown option {option!r}, a setting here: write {meant} VALUE")
                raise unknown_name("option", option, known)
            raise InputError(f"unexpected argument {text!r}: {self.prog} --help shows what is expected")
        if given.help:
            self.print_help()
            for text in settings(given) if settings else ():
                print(f"\n{text}")
            raise Helped
        return given

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; {self.prog} --help shows what is expected")


def _joined(arguments: Sequence[str]) -> list[str]:
    """`--budget -3s` as `--budget=-3s`: argparse takes a value that begins with a minus for an option."""
    words: list[str] = []
    for word in arguments:
        if re.match(r"-[\d.]", word) and words and words[-1].startswith("--") and "=" not in words[-1]:
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def add_settings(
    parser: Parser, target: Callable[..., Any], title: str, *, without: Sequence[str] = ()
) -> argparse._ArgumentGroup:
    """One option of text for each setting of a dataclass; their group."""
    group = parser.add_argument_group(title)
    for setting in settings_of(target).values():
        if setting.name not in without:
            default = "" if setting.default in (None, ()) else f" (default: {setting.default})"
            group.add_argument(f"--{setting.name}", metavar="VALUE", help=setting.doc.replace("%", "%%") + default)
    return group


def split_settings(arguments: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """The arguments without settings, and the settings as nested text: `--method.width 64` is {method: {width: 64}}.

    Every setting takes one value, after a space or an equals sign.
    """
    rest: list[str] = []
    found: dict[str, Any] = {}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if not name.startswith("--") or "." not in name:
            rest.append(word)
            continue
        if not equals:
            value = next(words, "--")
            if value.startswith("--"):
                raise InputError(f"{name} needs a value: write {name} VALUE")
        place = found
        *path, last = name.removeprefix("--").split(".")
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise InputError(f"{name} sets a part of a setting that has a value already: give one of the two")
        if not last or not all(path):
            raise InputError(f"{name} is no setting: write --method.NAME VALUE or --problem.NAME VALUE")
        place[last] = value
    return rest, found


def numbers(text: str, kind: Callable[[str], Any], option: str) -> list[Any]:
    """The numbers of a list such as "200,200"."""
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{option} takes numbers with commas between them, got {text!r}") from None


def number(text: str | None, kind: Callable[[str], Any], option: str) -> Any:
    """The number of an option; None where it is left out."""
    try:
        return None if text is None else kind(text)
    except ValueError:
        raise InputError(f"{option} takes a number, got {text!r}") from None


def settings_text(settings: Mapping[str, Setting], prefix: str) -> str:
    """A table of settings for help texts: name, type, default, meaning."""
    lines = []
    for setting in settings.values():
        if is_dataclass(setting.default):
            lines.append(settings_text(settings_of(type(setting.default)), f"{prefix}.{setting.name}"))
            continue
        default = json.dumps(plain(setting.default), default=str)
        lines.append(f"  --{prefix}.{setting.name} ({setting.type}, default {default})")
        if setting.doc:
            lines.append(f"      {setting.doc}")
    return "\n".join(lines) or "  none"


@contextlib.contextmanager
def only_json(wanted: bool) -> Iterator[None]:
    """For `--json`: while the work goes on, what any library prints goes to stderr."""
    with contextlib.redirect_stdout(sys.stderr) if wanted else contextlib.nullcontext():
        yield


def print_json(content: Any) -> None:
    """Print JSON to stdout; figures that are not finite are errors here, null where they are made."""
    print(json.dumps(content, indent=2, allow_nan=False))


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
