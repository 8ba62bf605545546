"""Where the links of an HDF5 file lead: external links and virtual data sets to its own folder, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextvars import ContextVar
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import h5py
from h5py import h5d, h5g, h5i, h5l, h5o  # pyright: ignore[reportAttributeAccessIssue]

from pdesolve.datasets.handles import explained, file_at
from pdesolve.errors import InputError

_SOFT_LINKS = 64  # one after another


class GuardedGroup(h5py.Group):
    """A group as h5py shows it, whose links are looked at before anything that they name is opened.

    Raises:
        InputError: a link or a virtual data set that leads out of the folder or to nothing, raw storage in other files.
    """

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        yield from map(str, super().__iter__())

    def __getitem__(self, name: Any) -> Any:
        if isinstance(name, (str, bytes)):
            _follow(self.id, os.fsdecode(name), _SOFT_LINKS)
        return _guarded(super().__getitem__(name))

    def get(self, name: Any, default: Any = None, getclass: bool = False, getlink: bool = False) -> Any:  # type: ignore[override]
        if getclass or getlink:
            return super().get(name, default, getclass=getclass, getlink=getlink)
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: Any) -> bool:
        try:
            _follow(self.id, os.fsdecode(name), _SOFT_LINKS)
        except KeyError:
            return False
        return True


def guarded_root(path: str) -> GuardedGroup:
    """The root group of the file at an absolute path."""
    return GuardedGroup(h5g.open(file_at(path).id, b"/"))


def _guarded(found: Any) -> Any:
    if isinstance(found, h5py.Group):
        return GuardedGroup(found.id)
    if isinstance(found, h5py.Dataset):
        _check_storage(found)
    return found


def _follow(group: Any, name: str, left: int) -> None:
    """Walk from a group to a member of it, link by link.

    Raises:
        KeyError: nothing of this name, soft links in a circle.
        InputError: a link that leads elsewhere.
    """
    if name.startswith("/"):
        group = h5o.open(group, b"/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    for i, part in enumerate(parts):
        if left < 0 or not isinstance(group, h5g.GroupID) or not group.links.exists(os.fsencode(part)):
            raise KeyError(f"there is no {name!r}")
        about = group.links.get_info(os.fsencode(part))
        rest = "/".join(parts[i + 1 :])
        if about.type == h5l.TYPE_SOFT:
            target = os.fsdecode(group.links.get_val(os.fsencode(part)))
            _follow(group, f"{target}/{rest}".rstrip("/"), left - 1)
            return
        if about.type == h5l.TYPE_EXTERNAL:
            file, target = map(os.fsdecode, group.links.get_val(os.fsencode(part)))
            elsewhere = _inside(_file_of(group), file, f"the link {part!r}")
            if left < 1:
                raise KeyError(f"there is no {name!r}")
            with explained(elsewhere):
                _follow(h5o.open(file_at(str(elsewhere)).id, b"/"), f"{target}/{rest}".rstrip("/"), left - 8)
            return
        if about.type != h5l.TYPE_HARD:
            raise InputError(f"{_file_of(group)}: {part!r} is a link of a kind that is not known: h5repack the file")
        if rest:
            group = h5o.open(group, os.fsencode(part))


def _file_of(group: Any) -> Path:
    return Path(os.fsdecode(h5i.get_file_id(group).name))


def _inside(origin: Path, name: str, what: str) -> Path:
    """The path of a file that another one names, which must lie in the same folder or below it."""
    folder = os.path.realpath(origin.parent)
    target = os.path.realpath(os.path.join(folder, name))
    if os.path.commonpath([folder, target]) != folder:
        raise InputError(
            f"{origin}: {what} leads to {name!r} outside of the folder of the file, which is refused: put that file "
            "beside it, or copy its data in by h5py"
        )
    if not os.path.isfile(target):
        raise InputError(f"{origin}: {what} names {name!r}, which is not there: put that file beside it")
    return Path(target)


def _check_storage(dataset: h5py.Dataset) -> None:
    properties = dataset.id.get_create_plist()
    if properties.get_external_count():
        raw = os.fsdecode(properties.get_external(0)[0])
        raise InputError(
            f"{_file_of(dataset.id)}: the numbers of {dataset.name} lie in the raw file {raw!r}, refused: copy "
            "into the file by h5repack"
        )
    if properties.get_layout() == h5d.VIRTUAL:
        origin, name = _file_of(dataset.id), str(dataset.name)
        sources = {
            (properties.get_virtual_filename(i), properties.get_virtual_dsetname(i))
            for i in range(properties.get_virtual_count())
        }
        if (origin, name) in (above := _being_checked.get()):
            raise InputError(f"{origin}: the virtual data set {name} is made of itself")
        token = _being_checked.set((*above, (origin, name)))
        try:
            _check_sources(origin, name, _age(origin), frozenset(sources))
        finally:
            _being_checked.reset(token)


_being_checked: ContextVar[tuple[tuple[Path, str], ...]] = ContextVar("_being_checked", default=())


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns


@lru_cache(maxsize=256)
def _check_sources(origin: Path, name: str, age: int, sources: frozenset[tuple[str, str]]) -> None:
    for file, source in sorted(sources):
        for number in count() if "%b" in file + source else (0,):
            file_now, source_now = (text.replace("%b", str(number)).replace("%%", "%") for text in (file, source))
            what = f"the virtual data set {name}"
            if number and file != "." and not (origin.parent / file_now).exists():
                break
            path = origin if file == "." else _inside(origin, file_now, what)
            with explained(path):
                root = guarded_root(str(path))
                if number and source_now not in root:
                    break
                if not isinstance(root.get(source_now), h5py.Dataset):
                    raise InputError(f"{origin}: {what} is made of {source_now!r} in {path.name}, which is not there")
