"""Opening simulation data, whatever their layout: files, folders of files, many files as one, members of archives."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from glob import glob, has_magic
from os import PathLike
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np

from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Dataset, Variable
from pdesolve.datasets.containers import container_of
from pdesolve.datasets.handles import close_files
from pdesolve.datasets.joining import joined
from pdesolve.datasets.layout import Container, Layout, Opening
from pdesolve.datasets.recognition import opened_as, recognised, refusal_of
from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry import Axis

MICRO = Path(__file__).parent / "micro"
_SPLITS = {"train": "train", "valid": "valid", "validation": "valid", "val": "valid", "test": "test"}
# files that lie beside data and are none
_BESIDE = {
    ".md", ".txt", ".rst", ".yaml", ".yml", ".json", ".toml", ".py", ".ipynb", ".sh", ".log", ".png", ".jpg", ".gif",
    ".pdf", ".sha256", ".md5",
}  # fmt: skip
Place = str | PathLike[str]


def open_dataset(
    path: Place | Sequence[Place],
    *,
    layout: str | None = None,
    split: str | None = None,
    names: Mapping[str, str] | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
    parameters: Mapping[str, float] | None = None,
) -> Dataset:
    """Simulation data as one labelled data set, of which no field is read yet.

    path: a file of any layout that is known, recognised by its contents; a folder, a pattern (`runs/*.h5`) or a list of
    such files, whose samples follow one another; `archive.zip!member`; `micro:burgers`, the small data of this package.
    layout: its name, where a file fits several or none by itself. split: only these samples, such as "train"; in a
    folder with `train`, `valid` and `test` only these files. names, dims, parameters: what the file does not say (see
    `Opening`).

    Files that were read stay open, a few at a time, and cannot be written to before
    `pdesolve.datasets.handles.close_files()`.

    Raises:
        InputError: nothing there, a layout that is not known, what is contradictory in a file, files that do not fit
            together, a split that the data do not have.
    """
    opening = Opening(dict(names or {}), {k: tuple(v) for k, v in (dims or {}).items()}, dict(parameters or {}))
    places = [path] if isinstance(path, (str, PathLike)) else list(path)
    if not places:
        raise InputError("expected a path or a list of them, got an empty list")
    known = _Known(layout, opening, split)
    try:
        dataset = joined([known.open(file) for place in places for file in _paths(place)])
    finally:
        close_files()  # what is open cannot be written to: only reading opens files
    dataset = _with_said(dataset, opening)
    return dataset if split is None else dataset.split(split)


class _Known:
    """Opens files one after another; those of one data set have the layout of the first."""

    def __init__(self, layout: str | None, opening: Opening, split: str | None) -> None:
        self.layout, self.opening, self.split = layout, opening, split
        self.found: Layout | None = None

    def open(self, path: Path) -> Dataset:
        container = container_of(path)
        if container in ("zip", "tar"):
            from pdesolve.datasets.archives import unpacked

            return self.open(unpacked(path))
        if container == "folder" and not self._is_one(path):
            return self._folder(path)
        if self.found is None or container not in self.found.containers:
            self.found = self._recognised(path, container)
        else:
            reason = refusal_of(self.found, path)
            if reason is not None:
                raise InputError(f"{path} has another layout than the files before it ({self.found.name}): {reason}")
        return opened_as(self.found, path, self.opening)

    def _recognised(self, path: Path, container: Container) -> Layout:
        try:
            return recognised(path, self.layout)
        except InputError:
            if container != "hdf5" or self.layout is not None or not self.opening.dims:
                raise
            from pdesolve.datasets.layouts.arrays import Arrays

            return Arrays()

    def _is_one(self, path: Path) -> bool:
        """Whether a layout takes the folder as a whole."""
        try:
            recognised(path, self.layout)
        except InputError:
            return False
        return True

    def _folder(self, path: Path) -> Dataset:
        try:
            inside = sorted((entry for entry in path.iterdir() if not entry.name.startswith((".", "_"))), key=_natural)
        except OSError as error:
            raise InputError(f"the folder {path} cannot be read: {error.strerror}") from None
        files = [entry for entry in inside if entry.suffix.lower() not in _BESIDE and not _is_folder(entry)]
        if files:
            return joined([self.open(file) for file in files])
        folders = {entry.name: entry for entry in inside if entry.is_dir()}
        splits = {_SPLITS[name.lower()]: entry for name, entry in folders.items() if name.lower() in _SPLITS}
        if splits:
            chosen = {name: entry for name, entry in splits.items() if self.split in (None, name)}
            if not chosen:
                raise unknown_name("split", str(self.split), splits)
            return joined([_as_split(name, self.open(entry)) for name, entry in chosen.items()])
        data = [entry for entry in inside if entry.is_dir() and (entry.name == "data" or len(folders) == 1)]
        if data:
            return joined([self.open(entry) for entry in data])
        found = f"{len(folders)} folders, such as {next(iter(folders))}: name one" if folders else "none"
        raise InputError(f"the folder {path} should hold files of data, found {found}")


def _is_folder(path: Path) -> bool:
    """Whether it is a folder of several things, and no data set that is a folder."""
    return path.is_dir() and container_of(path) == "folder"


def _as_split(name: str, dataset: Dataset) -> Dataset:
    return replace(dataset, splits={name: np.arange(dataset.samples)})


def _paths(place: Place) -> list[Path]:
    """The files and folders that are meant."""
    text = os.fspath(place)
    if text.startswith("micro:"):
        return [_micro(text.removeprefix("micro:"))]
    if os.path.exists(text):
        return [Path(text)]
    if text.startswith("file:"):
        return [Path(unquote(urlsplit(text).path))]
    if "://" in text:
        raise InputError(f"{text} is elsewhere, expected a file here: download it first, then open the copy")
    archive, mark, member = text.partition("!")
    if mark and os.path.isfile(archive):
        from pdesolve.datasets.archives import unpacked

        if container_of(Path(archive)) not in ("zip", "tar"):
            raise InputError(f"{archive} is no zip or tar archive: write its name without !{member}")
        return [unpacked(Path(archive), member)]
    if has_magic(text):
        found = sorted(map(Path, glob(text, recursive=True)), key=_natural)
        if not found:
            raise InputError(f"no file is called like {text}: is the folder right?")
        return found
    return [Path(text)]


def _natural(path: Path) -> list[tuple[int, str]]:
    """The order of names with numbers: part_2 before part_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def _micro(name: str) -> Path:
    files = {path.stem: path for path in sorted(MICRO.glob("*.h5"))}
    if name not in files:
        raise unknown_name("small data set micro:", name, files)
    return files[name]


def _with_said(dataset: Dataset, opening: Opening) -> Dataset:
    """New names, and values that stand nowhere in the files; layouts may have used both already."""
    for old, new in opening.names.items():
        known = {*dataset.variables, *dataset.parameters, *dataset.sizes, *dataset.coordinates}
        known |= {name for mesh in dataset.meshes[:1] for name in mesh.axes.names}
        if old in known:
            dataset = _renamed(dataset, old, new)
        elif new not in known:
            raise unknown_name("variable, parameter or axis", old, known)
    given = {
        name: Variable(name, Memory(np.asarray(float(value))))
        for name, value in opening.parameters.items()
        if name not in dataset.parameters
    }
    return replace(dataset, parameters={**dataset.parameters, **given}) if given else dataset


def _renamed(dataset: Dataset, old: str, new: str) -> Dataset:
    def name(text: str) -> str:
        return new if text == old else text

    def variables(found: Mapping[str, Variable]) -> dict[str, Variable]:
        return {name(k): replace(v, name=name(v.name), dims=tuple(map(name, v.dims))) for k, v in found.items()}

    coordinates = {}
    for axis, coordinate in dataset.coordinates.items():
        made = coordinate
        if axis == old:
            about = coordinate.axis
            periodic = about.periodic and new != "t"
            made = replace(coordinate, axis=Axis(new, about.lower, about.upper, about.unit, periodic=periodic))
        coordinates[name(axis)] = made
    offsets = {name(dim): bounds for dim, bounds in dataset.offsets.items()}
    return replace(
        dataset, variables=variables(dataset.variables), parameters=variables(dataset.parameters),
        coordinates=coordinates, offsets=offsets,
    )  # fmt: skip
