"""Tables of numbers in text, with or without a header, read whole: text has no parts that could be found alone."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pdesolve.data.arrays import Array, Part
from pdesolve.datasets.stored import Whole, check_size, dropped, kept
from pdesolve.errors import InputError

_LINE = 2**22  # characters of a line, at most
_HEAD = 100  # lines among which the first numbers must be
_COMMENT = "%#"


@dataclass(frozen=True)
class Table:
    """comments: the lines before the numbers, without their marks. header: names of the columns, where there are."""

    path: str
    comments: tuple[str, ...]
    header: tuple[str, ...]
    rows: int
    columns: int

    def all(self) -> np.ndarray:
        """The numbers (row, column)."""
        return _numbers(self.path, "table")

    def column(self, i: int) -> Array:
        """The numbers of one column (row,)."""
        part = Part(self._whole(), (slice(0, self.rows), slice(i, i + 1)))
        return dropped(part, frozenset({1}))

    def array(self) -> Array:
        """All numbers, as they are asked for."""
        return self._whole()

    def _whole(self) -> Whole:
        return Whole(self.path, "table", (self.rows, self.columns), np.dtype(float), _numbers)


def read_table(path: Path) -> Table | None:
    """The table in a text file; None where there are no numbers in its first lines.

    Raises:
        InputError: rows of other lengths, or that are no numbers.
    """
    comments: list[str] = []
    plain = 0
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = [file.readline(_LINE).strip() for _ in range(_HEAD)]
    for text in filter(None, lines):
        if _is_numbers(text):
            values = _numbers(str(path.absolute()), "table")
            header = _names(comments[-1] if comments else "", values.shape[1])
            if plain > 1 or (plain and not header):
                return None  # prose
            return Table(str(path.absolute()), tuple(comments), header, *values.shape)
        plain += text[0] not in _COMMENT
        comments.append(text.lstrip(_COMMENT).strip())
    return None


def _numbers(path: str, name: str) -> np.ndarray:
    size = Path(path).stat().st_size  # a number takes two characters at least, so that it may become four times this
    check_size(path, "the table", 4 * size, size)
    return kept(path, name, 4 * size, lambda: _load(Path(path)))


def _load(path: Path) -> np.ndarray:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        found = next((i, line) for i, line in enumerate(file) if line.strip() and _is_numbers(line.strip()))
    skip, commas = found[0], "," in found[1]
    try:
        return np.loadtxt(
            path, delimiter="," if commas else None, comments=tuple(_COMMENT), skiprows=skip, ndmin=2, encoding="utf-8"
        )
    except (ValueError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split()).partition("; use `")[0]
        raise InputError(f"{path} is no table of numbers: {reason}; was it cut off, or edited?") from None


def _is_numbers(text: str) -> bool:
    words = [word for word in (text.split(",") if "," in text else text.split()) if word.strip()]
    try:
        return bool([float(word) for word in words])
    except ValueError:
        return False


def _names(text: str, columns: int) -> tuple[str, ...]:
    """The words of a header where there are as many as columns: by commas, by two blanks or more, or by any."""
    for words in (next(csv.reader(io.StringIO(text)), []), re.split(r"\s{2,}|\t", text), text.split()):
        words = [word.strip() for word in words]
        if len(words) == columns and all(words) and len(set(words)) == columns:
            return tuple(words)
    return ()
