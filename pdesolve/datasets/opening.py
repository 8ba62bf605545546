"""Opening simulation data, whatever their layout: files, folders of files, many files as one, members of archives."""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from os import PathLike
from pathlib import Path

from pdesolve.data import Dataset
from pdesolve.datasets.containers import container_of
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.errors import InputError, unknown_name

LAYOUTS = Path(__file__).parent / "layouts"
_HDF5 = ("hdf5", "mat73")


def open_dataset(
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    layout: str | None = None,
    split: str | None = None,
    names: Mapping[str, str] | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
    parameters: Mapping[str, float] | None = None,
) -> Dataset:
    """Simulation data as one labelled data set, of which no field is read yet.

    path: a file of any layout that is known, recognised by its contents; a folder, a pattern (`runs/*.h5`) or a list of
    such files, which become one data set; `archive.zip!member`; `micro:burgers`, the small data of this package.
    layout: its name, where a file fits several or none by itself. split: only these samples, such as "train".
    names, dims, parameters: what the file does not say (see `Opening`).

    Raises:
        InputError: nothing there, a layout that is not known, what is contradictory in a file, files that do not fit
            together, a split that the data do not have.
    """
    opening = Opening(dict(names or {}), {k: tuple(v) for k, v in (dims or {}).items()}, dict(parameters or {}))
    if not isinstance(path, (str, PathLike)):
        raise InputError("not yet")
    dataset = _opened(Path(path), layout, opening)
    return dataset if split is None else dataset.split(split)


@dataclass(frozen=True)
class Entry:
    """A layout, before its module is imported."""

    name: str
    containers: tuple[str, ...]
    fallback: bool
    module: str
    kind: str

    def load(self) -> Layout:
        return getattr(import_module(self.module), self.kind)()


@cache
def layouts() -> tuple[Entry, ...]:
    """All layouts: the classes of the modules in `layouts/` that say their `name` and `containers`."""
    found = []
    for module in pkgutil.iter_modules([str(LAYOUTS)]):
        source = (LAYOUTS / f"{module.name}.py").read_text(encoding="utf-8") if not module.ispkg else ""
        for node in ast.parse(source).body:
            said = _said(node) if isinstance(node, ast.ClassDef) else {}
            if {"name", "containers"} <= set(said):
                where = f"pdesolve.datasets.layouts.{module.name}"
                kind = node.name  # type: ignore[union-attr]
                found.append(Entry(said["name"], said["containers"], said.get("fallback", False), where, kind))
    return tuple(sorted(found, key=lambda entry: entry.name))


def _said(node: ast.ClassDef) -> dict:
    """The literals that a class assigns to its names."""
    found = {}
    for line in node.body:
        targets = (
            line.targets if isinstance(line, ast.Assign) else [line.target] if isinstance(line, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(line.value, (ast.Constant, ast.Tuple)):  # type: ignore[union-attr]
                found[target.id] = ast.literal_eval(line.value)  # type: ignore[union-attr]
    return found


def _opened(path: Path, layout: str | None, opening: Opening) -> Dataset:
    return recognised(path, layout).open(path, opening)


def recognised(path: Path, layout: str | None = None) -> Layout:
    """The layout of a file or folder; a `layout` that is asked for is taken where nothing speaks against it.

    Raises:
        InputError: a layout that is not known, does not fit, or several that fit.
    """
    container = container_of(path)
    if layout is not None:
        chosen = next((entry for entry in layouts() if entry.name == layout), None)
        if chosen is None:
            raise unknown_name("layout", layout, (entry.name for entry in layouts()))
        found = chosen.load()
        reason = found.refusal(path) if container in chosen.containers else f"it is {container}"
        if reason is not None:
            raise InputError(f"{path} is not laid out as {layout}: {reason}")
        return found
    possible = [entry for entry in layouts() if container in entry.containers]
    reasons: dict[str, str] = {}
    for entries in ([e for e in possible if not e.fallback], [e for e in possible if e.fallback]):
        fitting = []
        for entry in entries:
            made = entry.load()
            reason = made.refusal(path)
            if reason is None:
                fitting.append(made)
            else:
                reasons[entry.name] = reason
        if len(fitting) > 1:
            names = " and ".join(made.name for made in fitting)
            raise InputError(f"{path} fits the layouts {names}: choose one by layout={fitting[0].name!r}")
        if fitting:
            return fitting[0]
    looked = "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or "no layout lies in such files"
    raise InputError(f"{path} ({container}) has no layout that is known. Found: {_contents(path, container)}. {looked}")


def _contents(path: Path, container: str) -> str:
    if container in _HDF5:
        from pdesolve.datasets.hdf5 import contents

        return contents(path)
    return f"{path.stat().st_size} bytes"
