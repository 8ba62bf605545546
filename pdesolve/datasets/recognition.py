"""Which layout a file has: asked of the layouts, whose modules are imported only where the kind of file is theirs."""

from __future__ import annotations

import ast
import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from pdesolve.data.dataset import Dataset
from pdesolve.datasets.containers import container_of
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.errors import InputError, unknown_name

_FOLDER = Path(__file__).parent / "layouts"


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
    for module in pkgutil.iter_modules([str(_FOLDER)]):
        source = (_FOLDER / f"{module.name}.py").read_text(encoding="utf-8") if not module.ispkg else ""
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
        reason = refusal_of(found, path) if container in chosen.containers else f"it is {container}"
        if reason is not None:
            raise InputError(f"{path} is not laid out as {layout}: {reason}")
        return found
    possible = [entry for entry in layouts() if container in entry.containers]
    reasons: dict[str, str] = {}
    for entries in ([e for e in possible if not e.fallback], [e for e in possible if e.fallback]):
        fitting = []
        for entry in entries:
            made = entry.load()
            reason = refusal_of(made, path)
            if reason is None:
                fitting.append(made)
            else:
                reasons[entry.name] = reason
        if len(fitting) > 1:
            names = " and ".join(made.name for made in fitting)
            raise InputError(f"{path} fits the layouts {names}: choose one by layout={fitting[0].name!r}")
        if fitting:
            return fitting[0]
    hint = ". Or say what its arrays are: dims={'NAME': ('sample', 't', 'x')}" if container == "hdf5" else ""
    looked = "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or "no layout lies in such files"
    raise InputError(
        f"{path} ({container}) has no layout that is known. Found: {_contents(path, container)}. {looked}{hint}"
    )


# what layouts run into where a file is damaged or made to confuse them
_CONFUSED = (TypeError, AttributeError, LookupError, ArithmeticError, UnicodeError, RecursionError)


def refusal_of(layout: Layout, path: Path) -> str | None:
    """Why a file does not have a layout; None where it does."""
    try:
        return layout.refusal(path)
    except _CONFUSED as error:
        return f"it cannot be looked into ({_about(error)})"


def opened_as(layout: Layout, path: Path, opening: Opening) -> Dataset:
    """The file as the data set of a layout.

    Raises:
        InputError: whatever is wrong with the file.
    """
    try:
        return layout.open(path, opening)
    except _CONFUSED as error:
        raise InputError(
            f"{path} cannot be opened as {layout.name} ({_about(error)}): it is damaged, or has another layout, which "
            "layout= may name"
        ) from error


def _about(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _contents(path: Path, container: str) -> str:
    if container in ("hdf5", "mat73"):
        from pdesolve.datasets.hdf5 import contents

        return contents(path)
    return "a folder" if path.is_dir() else f"{path.stat().st_size} bytes"
