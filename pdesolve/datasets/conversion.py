"""Data sets from one layout to another: `pdesolve data convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pdesolve.data.dataset import Dataset
from pdesolve.datasets.pdebench_writing import write_pdebench
from pdesolve.datasets.the_well_writing import write_the_well
from pdesolve.datasets.writing import Compression, write
from pdesolve.errors import InputError, unknown_name

Target = Literal["native", "pdebench", "the_well"]


def convert(
    dataset: Dataset, path: str | Path, to: Target, *, dtype: str | None = None, compression: Compression | None = None
) -> tuple[str, ...]:
    """Write a data set in another layout: `native`, ours, which holds all of it; `pdebench`; `the_well`.

    dtype: of the fields, by default as they are in ours and "float32" in the others. Returns what the layout has no
    place for and was left out, a line each.

    Raises:
        InputError: data that the layout cannot hold, a file that is there already, a disk that is full.
    """
    path = Path(path)
    if to not in get_args(Target):
        raise unknown_name("layout to write", to, get_args(Target))
    if path.exists():
        raise InputError(f"{path} is there already: give another --out, or remove it first")
    if dtype not in (None, "float32", "float64"):
        raise InputError(f"fields are stored as 'float32' or 'float64', got {dtype!r}")
    if to == "native":
        write(dataset, path, compression=compression, dtype=dtype)
        return ()
    made = write_pdebench if to == "pdebench" else write_the_well
    return made(dataset, path, dtype=dtype or "float32", compression=compression)
