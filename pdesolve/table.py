"""Tables of numbers in CSV files: a header of names, then a row of numbers for each place."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pdesolve.errors import InputError


def read_table(path: Path, what: str) -> tuple[list[str], np.ndarray]:
    """The header of a CSV file of `what` ("points"), and its rows (row, column); empty lines do not count.

    Raises:
        InputError: no such file, one that is no text, a name twice, rows of other lengths, cells that are no numbers.
    """
    if not path.is_file():
        raise InputError(f"there is no file of {what} {path}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark before the first name
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"cannot read the {what} in {path}: {reason}; write CSV with a header of names") from None
    header = [name.strip() for name in rows[0]] if rows else []
    for name in header:
        if header.count(name) > 1:
            raise InputError(f"{path} has {header.count(name)} columns called {name!r}, expected one: drop the others")
    table = np.empty((max(len(rows) - 1, 0), len(header)))
    for i, row in enumerate(rows[1:]):
        table[i] = _numbers(row, header, f"{path}, row {i + 1} below the header")
    return header, table


def _numbers(row: Sequence[str], header: Sequence[str], place: str) -> list[float]:
    if len(row) != len(header):
        raise InputError(f"{place}: expected {len(header)} cells, {', '.join(header)}, got {len(row)}")
    numbers = []
    for name, cell in zip(header, row, strict=True):
        try:
            numbers.append(float(cell))
        except ValueError:
            raise InputError(f"{place}: {name} is no number, got {cell!r}") from None
    return numbers
