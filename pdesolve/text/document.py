"""A YAML document as items that know their line. Every scalar stays the text that was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pdesolve.errors import InputError, unknown_name
from pdesolve.fields.formula import constant
from pdesolve.text.syntax import parse

_LARGEST = 2**18  # characters of a problem file
_DEEPEST = 30  # mappings and lists within one another
_PLAIN_TAGS = {"str", "int", "float", "bool", "null", "map", "seq", "timestamp", "value"}


@dataclass(frozen=True)
class Item:
    """A mapping of items by name, a list of items, or a text, with its place for messages.

    `span` is where its characters are in the file.
    """

    content: dict[str, Item] | list[Item] | str
    file: str
    where: str
    line: int
    span: tuple[int, int]

    def error(self, message: str) -> InputError:
        """The error that names the place."""
        return InputError(f"{self._place}: {message}")

    @cached_property
    def _place(self) -> str:
        return f"{self.file}, line {self.line}" + (f", {self.where}" if self.where else "")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Errors from within name this place, unless they name one already."""
        try:
            yield
        except InputError as error:
            if str(error).startswith(f"{self.file}, line"):
                raise
            raise self.error(str(error)) from None

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.content, dict)

    @property
    def is_text(self) -> bool:
        return isinstance(self.content, str)

    def mapping(self, hint: str, known: Iterable[str] | None = None) -> dict[str, Item]:
        """The entries of a mapping, all of them with known names; `hint` is what to write."""
        if not isinstance(self.content, dict):
            raise self.error(f"expected names and values, got {self._short}: write {hint}")
        if known is not None:
            known = list(known)
            for name, entry in self.content.items():
                if name not in known:
                    raise entry.error(str(unknown_name("key", name, known)))
        return self.content

    def list(self, hint: str) -> list[Item]:
        """The entries of a list; a text is a list of one."""
        if isinstance(self.content, dict):
            raise self.error(f"expected a list, got {self._short}: write {hint}")
        return [self] if isinstance(self.content, str) else self.content

    def text(self, hint: str) -> str:
        """The text of a scalar."""
        if not isinstance(self.content, str) or not self.content.strip():
            raise self.error(f"expected a value, got {self._short}: write {hint}")
        return self.content.strip()

    def words(self, hint: str) -> tuple[str, ...]:
        """Words of a list, or with commas between."""
        return tuple(w.strip() for item in self.list(hint) for w in item.text(hint).split(",") if w.strip())

    def number(self, hint: str) -> float:
        """A number, which may be written as a formula of numbers such as 2*pi."""
        with self.place():
            value = constant(parse(self.text(hint)))
        if value is None:
            raise self.error(f"expected a number, got {self._short}: write {hint}")
        return value

    def integer(self, hint: str, least: int) -> int:
        """A whole number of at least `least`."""
        value = self.number(hint)
        if value != int(value) or value < least:
            raise self.error(f"expected a whole number of at least {least}, got {self._short}: write {hint}")
        return int(value)

    def numbers(self, hint: str, count: int | None = None) -> tuple[float, ...]:
        """A list of numbers."""
        entries = self.list(hint)
        if count is not None and len(entries) != count:
            raise self.error(f"expected {count} numbers, got {self._short}: write {hint}")
        return tuple(entry.number(hint) for entry in entries)

    @property
    def _short(self) -> str:
        if isinstance(self.content, str):
            return repr(self.content[:40]) if self.content.strip() else "nothing"
        kind = "names" if self.is_mapping else "a list"
        return f"{kind} ({', '.join(self.content)[:40]})" if isinstance(self.content, dict) else kind


def read_document(text: str, file: str) -> Item:
    """The items of a YAML document. Tags, aliases and names given twice are refused, and nothing is constructed.

    Raises:
        InputError: no YAML, or more than a problem needs.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                # a few aliases of aliases are billions of values
                raise yaml.MarkedYAMLError(None, None, "it holds an alias", self.peek_event().start_mark)
            return super().compose_node(parent, index)

    if len(text) > _LARGEST:
        raise InputError(f"{file} has {len(text)} characters, a problem has {_LARGEST} at most: store fields in files")
    try:
        loader = Loader(text)
        node = loader.get_single_node()
    except RecursionError:
        raise InputError(f"{file} is nested too deeply to be a problem") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}, line {mark.line + 1}" if mark else file
        reason = " ".join(str(getattr(error, "problem", None) or error).split())[:120]
        raise InputError(f"{place}: cannot be read as YAML: {reason}; quote texts that hold ': ' or ' #'") from None
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{file} must hold names and values, such as 'equation: dt(u) = dxx(u)'")
    return _item(node, file, "", 0)


def _item(node: Any, file: str, where: str, depth: int) -> Item:
    import yaml

    line, span = node.start_mark.line + 1, (node.start_mark.index, node.end_mark.index)
    here = Item("", file, where, line, span)
    if depth > _DEEPEST:
        raise here.error("it is nested too deeply to be a problem")
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind not in _PLAIN_TAGS:
        raise here.error(f"the tag {node.tag[:60]!r} means nothing here: write plain values")
    if isinstance(node, yaml.ScalarNode):
        return Item(node.value, file, where, line, span)
    if isinstance(node, yaml.SequenceNode):
        entries = [_item(entry, file, f"{where}[{i}]", depth + 1) for i, entry in enumerate(node.value)]
        return Item(entries, file, where, line, span)
    content: dict[str, Item] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise here.error("a name must be a word")
        name = key.value.strip()
        if name in content:
            raise Item("", file, where, key.start_mark.line + 1, span).error(f"{name!r} is given twice: drop one")
        content[name] = _item(value, file, f"{where}.{name}" if where else name, depth + 1)
    return Item(content, file, where, line, span)


def read_text(path: Path) -> str:
    """The text of a problem file.

    Raises:
        InputError: a file that is missing, or is no text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return file.read(_LARGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the problem {path}: {getattr(error, 'strerror', None) or 'no text'}") from None
