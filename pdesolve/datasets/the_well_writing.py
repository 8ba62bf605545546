"""Data sets written for the Well's own tools: its layout in single precision, its folders, its statistics.

Ohana, McCabe, Meyer, Morel, Agocs, Beneitez, ... (2024), arXiv:2412.00568.
"""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pdesolve.data.arrays import Array, Part, Slices
from pdesolve.data.dataset import SCATTERED, Dataset, Variable
from pdesolve.datasets.arrangement import DIMENSIONS, FIELDS, SPLITS, Arrangement, Item, arranged
from pdesolve.datasets.inspection import statistics
from pdesolve.datasets.writing import Compression, fill, store
from pdesolve.errors import InputError

SUFFIXES = (".h5", ".hdf5")
_OURS = ("pdesolve_format", "pdesolve_version", "variables")
_SPLITS = {"validation": "valid", "val": "valid"}


def write_the_well(
    dataset: Dataset, path: Path, *, dtype: str = "float32", compression: Compression | None = None
) -> tuple[str, ...]:
    """Write one file, or where `path` is no name of an HDF5 file its folders `data/train`, ..., and `stats.yaml`.

    What it left out is returned, a line each.

    Raises:
        InputError: meshes or points, splits of other names, a folder that is there; a disk that is full.
    """
    if set(dataset.space) & set(SCATTERED) or not dataset.space:
        what = "lie on points or meshes" if dataset.space else "have no axis of space"
        raise InputError(f"the Well has grids only, these data {what}: write --to native")
    if path.suffix in SUFFIXES:
        _write_file(dataset, path, path.stem, dtype, compression)
        return (f"the splits {', '.join(dataset.splits)}: give a folder as --out",) if dataset.splits else ()
    if path.exists():
        raise InputError(f"{path} is there already: give another --out")
    splits = {name: dataset.split(name) for name in dataset.splits} or {"train": dataset}
    named = {_SPLITS.get(name, name): part for name, part in splits.items()}
    unknown = [name for name in named if name not in ("train", "valid", "test")]
    if unknown:
        raise InputError(f"the splits of the Well are train, valid and test, these data have {', '.join(unknown)}")
    title = str(dataset.attributes.get("dataset_name", dataset.attributes.get("problem", path.name)))
    beside = path.with_name(f".{path.name}.aside")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        for name, part in named.items():
            folder = beside / "data" / name
            folder.mkdir(parents=True)
            _write_file(part, folder / f"{path.name}.hdf5", title, dtype, compression)
        told = statistics_of(named.get("train", dataset), title)
        (beside / "stats.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
        beside.rename(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; give another --out") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return ()


def statistics_of(dataset: Dataset, name: str) -> dict[str, dict[str, Any]]:
    """Mean, standard deviation and root mean square of each field, and of its change from frame to frame: a number, for
    vectors a list and for tensors a list of lists."""
    found: dict[str, dict[str, Any]] = {
        f"{key}{delta}": {} for delta in ("", "_delta") for key in ("mean", "std", "rms")
    }
    for item in arranged(dataset, name).items:
        group, _, field = item.path.partition("/")
        if group not in FIELDS:
            continue
        order = FIELDS.index(group)
        inner = item.array.shape[len(item.array.shape) - order :]
        for delta in ("", "_delta") if "t" in item.dims else ("",):
            table = np.zeros((3, *inner))
            for entry in np.ndindex(*inner):
                table[(slice(None), *entry)] = _moments(item, entry, of_changes=bool(delta))
            for key, values in zip(("mean", "std", "rms"), table, strict=True):
                found[f"{key}{delta}"][field] = values.tolist()
    return found


def _moments(item: Item, entry: tuple[int, ...], *, of_changes: bool) -> tuple[float, float, float]:
    """Mean, standard deviation and root mean square of one entry of a field, or of its changes."""
    count = len(item.array.shape) - len(entry)
    index = (*(slice(0, n) for n in item.array.shape[:count]), *(slice(i, i + 1) for i in entry))
    array: Array = Part(item.array, index, frozenset(range(count, len(index))))
    dims = item.dims[:count]
    if of_changes:
        array = Changes(array, dims.index("t"))
    told = statistics(Variable(item.path, array, dims), budget=sys.maxsize)
    mean, spread = told.mean or 0.0, told.standard_deviation or 0.0
    return mean, spread, math.hypot(mean, spread)


@dataclass(frozen=True, eq=False)
class Changes(Array):
    """The differences of neighbours along one dimension, which is shorter by one."""

    array: Array
    position: int

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(n - (i == self.position) for i, n in enumerate(self.array.shape))

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        return self.array.chunks

    def read(self, index: Slices) -> np.ndarray:
        here = index[self.position]
        longer = slice(here.start, here.stop + 1 if here.stop > here.start else here.stop)
        values = self.array.read((*index[: self.position], longer, *index[self.position + 1 :]))
        step = tuple(slice(None, None, here.step) if i == self.position else slice(None) for i in range(values.ndim))
        return np.diff(values, axis=self.position)[step] if here.stop > here.start else values


def _write_file(dataset: Dataset, path: Path, title: str, dtype: str, compression: Compression | None) -> None:
    contents = arranged(replace(dataset, splits={}), title)
    contents = _without_ours(contents)

    def make(file: Any, item: Item) -> Any:
        group = item.path.partition("/")[0]
        kind = item.array.dtype
        if kind.kind == "f" or group in FIELDS:
            kind = np.dtype("float32" if group == DIMENSIONS else dtype)
        return fill(file, item.path, item.array, kind, outer=item.outer, compression=compression)

    store(contents, path, make)


def _without_ours(contents: Arrangement) -> Arrangement:
    """Nothing that readers of the Well do not know is said to be ours."""
    attributes: Mapping[str, Any] = {k: v for k, v in contents.attributes.items() if k not in _OURS}
    groups = {name: about for name, about in contents.groups.items() if name != SPLITS}
    return replace(contents, attributes=attributes, groups=groups)
