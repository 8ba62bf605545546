"""Settings: values that users write, read into the typed arguments of methods and problems.

The settings of a method are the fields of its dataclass, those of a problem the keyword arguments of its function.
jsonargparse checks values against their types. The types are numbers, words, lists and dataclasses of them, never
classes or callables: no text, in a file or on the command line, can name something to be imported.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pdesolve.errors import InputError, unknown_name

_REQUIRED = (dataclasses.MISSING, inspect.Parameter.empty)  # in place of a default
_SCALARS = (bool, int, float, str, types.NoneType)
_CLASS_KEYS = ("class_path", "init_args")
_KEY = "given"


@dataclass(frozen=True)
class Setting:
    """One setting: its name, its type as people write it, its default and what it means."""

    name: str
    type: str
    default: Any
    doc: str = ""

    def json(self) -> dict[str, Any]:
        return {"name": self.name, "type": self.type, "default": plain(self.default), "doc": self.doc}


def settings_of(target: Callable[..., Any]) -> dict[str, Setting]:
    """The settings of a method's class or a problem's function, in the order they are declared."""
    hints, docs = _hints(target), {}
    # what a class inherits is documented where it is declared
    for part in reversed(inspect.getmro(target)) if inspect.isclass(target) else (target,):
        docs |= _documented(inspect.getdoc(part) or "")
    defaults = _defaults(target)
    return {name: Setting(name, type_text(hint), defaults[name], docs.get(name, "")) for name, hint in hints.items()}


def build(kind: str, target: Callable[..., Any], given: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What `target` makes of the given settings, and all its settings as plain values that YAML can hold.

    Text is read by the type of its setting. `kind` ("method", "problem" or nothing) goes before the names in errors.

    Raises:
        InputError: an unknown setting, with the nearest known one; a value that does not fit; a class's name.
    """
    return _build(kind, target, given, _defaults(target))


def _build(
    kind: str, target: Callable[..., Any], given: Mapping[str, Any], defaults: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    hints = _hints(target)
    for name, hint in hints.items():
        if not _settable(hint):
            raise InputError(
                f"{_path(kind, name)} has the type {type_text(hint)}, which no text may give: settings are numbers, "
                "words, lists and dataclasses of them"
            )
    check_names(given, hints, kind)
    made: dict[str, Any] = {}
    values: dict[str, Any] = {}
    flat: dict[str, Any] = {}
    for name, hint in hints.items():
        if inspect.isclass(hint) and dataclasses.is_dataclass(hint):
            # taken apart here: given text for a dataclass, jsonargparse would import what the text names
            part, path = given.get(name, {}), _path(kind, name)
            if not isinstance(part, Mapping):
                raise InputError(f"{path} has settings of its own, {', '.join(_hints(hint))}, got {part!r}")
            if part or defaults[name] in _REQUIRED:
                made[name], values[name] = _build(path, hint, part, _fields(defaults[name]))
        elif name in given or defaults[name] in _REQUIRED:
            flat[name] = hint
    if flat:
        stated = {name: _listed(_none(given[name], hint), hint) for name, hint in flat.items() if name in given}
        read = _read(kind, target, flat, stated, {name for name in hints if name not in flat})
        made |= read
        values |= plain(read)
    kept = {name: defaults[name] for name in hints if name not in made}
    return target(**kept, **made), {name: values[name] if name in values else plain(kept[name]) for name in hints}


def _read(
    kind: str, target: Callable[..., Any], hints: Mapping[str, Any], given: Mapping[str, Any], skip: set[str | int]
) -> dict[str, Any]:
    """The values of settings without parts of their own, read by their types; what is not given is skipped."""
    from jsonargparse import ArgumentError, ArgumentParser

    parser = ArgumentParser(exit_on_error=False, add_help=False, default_env=False)
    if inspect.isclass(target):
        parser.add_class_arguments(target, _KEY, skip=skip)
    else:
        parser.add_function_arguments(target, _KEY, skip=skip)
    try:
        values = parser.parse_object({_KEY: dict(given)})[_KEY].as_dict()
    except ArgumentError as error:
        raise _misfit(kind, hints, given, str(error)) from None
    for name, value in values.items():
        _check(value, hints[name], _path(kind, name))
    return values


def _none(value: Any, hint: Any) -> Any:
    """None for the word "none", where the type has None and no words."""
    words = any(a is str or get_origin(a) is Literal for a in get_args(hint))
    return None if value == "none" and types.NoneType in get_args(hint) and not words else value


def _listed(value: Any, hint: Any) -> Any:
    """A list for words with commas between, where a tuple is meant."""
    if isinstance(value, str) and get_origin(hint) is tuple and not value.lstrip().startswith("["):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


def _path(*names: str) -> str:
    return ".".join(name for name in names if name)


def check_names(given: Mapping[str, Any], known: Mapping[str, Any], path: str) -> None:
    """Refuse names that are not `known`, and mappings that name a class at any depth."""
    for name in given:
        if name not in known and name not in _CLASS_KEYS:
            raise unknown_name(f"{path} setting".strip(), str(name), known)
    _refuse_classes(given, path)


def _refuse_classes(value: Any, path: str) -> None:
    if isinstance(value, Mapping):
        for name, entry in value.items():
            if name in _CLASS_KEYS:
                raise InputError(
                    f"{_path(path, name)} names a class: settings hold values only and import nothing; "
                    "write the name of a method or a problem and its settings"
                )
            _refuse_classes(entry, _path(path, str(name)))
    elif isinstance(value, (list, tuple)):
        for entry in value:
            _refuse_classes(entry, path)


def read_config(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds. It is read as plain values; tags and aliases are refused.

    Raises:
        InputError: a file that is missing, is no YAML or holds no mapping.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                # a few aliases of aliases are billions of values
                raise yaml.constructor.ConstructorError(None, None, "it holds an alias", self.peek_event().start_mark)
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            for name in names:
                if names.count(name) > 1:
                    raise yaml.constructor.ConstructorError(None, None, f"{name!r} is given twice", node.start_mark)
            return super().construct_mapping(node, deep)

    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the configuration {path}: {getattr(error, 'strerror', error)}") from None
    except RecursionError:
        raise InputError(f"cannot read the configuration {path}: it is nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or "it is no YAML").split())
        raise InputError(f"cannot read the configuration {path}: {place}{problem}; write plain YAML values") from None
    if not isinstance(content, dict):
        raise InputError(f"the configuration {path} must hold names and values such as 'seed: 0'")
    if not all(isinstance(key, str) for key in content):
        raise InputError(f"the configuration {path} must have words for names")
    return content


def plain(value: Any) -> Any:
    """The same value of dicts, lists, numbers and words, as YAML and JSON write it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return float(value) if isinstance(value, float) else value  # numpy's floats are floats, and unknown to YAML


def type_text(hint: Any) -> str:
    """A type as people write values of it: `int`, `tanh | silu`, `[int, ...]`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " | ".join(str(word) for word in arguments)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(type_text(argument) for argument in arguments)
    if origin in (tuple, list):
        return f"[{', '.join('...' if a is Ellipsis else type_text(a) for a in arguments)}]"
    if origin is dict:
        return "{name: " + type_text(arguments[1]) + "}"
    if hint is types.NoneType:
        return "none"
    return getattr(hint, "__name__", str(hint))


def check_values(made: Any) -> None:
    """Refuse values of a dataclass's fields that do not fit their types, for objects that no text made.

    Raises:
        InputError: the first of them, with the nearest word where words are meant.
    """
    try:
        hints = _hints(type(made))
    except NameError:  # a type that only type checkers see: nothing is known of its values
        return
    for name, hint in hints.items():
        value = getattr(made, name)
        words = _words(hint)
        if words and isinstance(value, str) and value not in words:
            raise unknown_name(name, value, words)
        if not _fits(value, hint):
            raise InputError(f"{name} must be {type_text(hint)}, got {value!r}")
        _check(value, hint, name)


def _words(hint: Any) -> list[str]:
    """The words that a type has, where it has some and not all."""
    parts = get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return [] if str in parts else [str(word) for p in parts if get_origin(p) is Literal for word in get_args(p)]


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type; true for types that are no plain ones."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return any(value == word and type(value) is type(word) for word in arguments)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin in (tuple, list):
        if not isinstance(value, (tuple, list)):
            return False
        each = [arguments[0]] * len(value) if origin is list or Ellipsis in arguments else arguments
        return len(each) == len(value) and all(map(_fits, value, each))
    if origin is dict:
        return isinstance(value, Mapping) and all(_fits(entry, arguments[1]) for entry in value.values())
    if hint in (int, float):  # True is 1 to Python, and a mistake here
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    if inspect.isclass(hint) and (hint in _SCALARS or dataclasses.is_dataclass(hint)):
        return isinstance(value, hint)
    return True


def _settable(hint: Any) -> bool:
    """Whether text may give values of this type: plain ones, and dataclasses of them."""
    if inspect.isclass(hint) and dataclasses.is_dataclass(hint):
        return all(_settable(inner) for inner in _hints(hint).values())
    return _plain_type(hint)


def _plain_type(hint: Any) -> bool:
    """Whether a type has plain values only, so that jsonargparse imports nothing for it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _SCALARS or origin is Literal:
        return True
    if origin in (typing.Union, types.UnionType, tuple, list):
        return bool(arguments) and all(a is Ellipsis or _plain_type(a) for a in arguments)
    return origin is dict and arguments[0] is str and _plain_type(arguments[1])


def _hints(target: Any) -> dict[str, Any]:
    """The resolved types of a dataclass's fields or of a function's arguments."""
    known = typing.get_type_hints(target)
    if dataclasses.is_dataclass(target):
        return {field.name: known[field.name] for field in dataclasses.fields(target) if field.init}
    return {name: known.get(name, Any) for name in inspect.signature(target).parameters}


def _defaults(target: Any) -> dict[str, Any]:
    if not dataclasses.is_dataclass(target):
        return {name: p.default for name, p in inspect.signature(target).parameters.items()}
    return {
        f.name: f.default_factory() if f.default_factory is not dataclasses.MISSING else f.default
        for f in dataclasses.fields(target)
    }


def _fields(made: Any) -> dict[str, Any]:
    """What another object of a dataclass is made of to be the same."""
    return {field.name: getattr(made, field.name) for field in dataclasses.fields(made) if field.init}


def _documented(text: str) -> dict[str, str]:
    """The entries of the sections `Attributes:` and `Args:` of a docstring."""
    docs: dict[str, str] = {}
    name, inside = "", False
    for line in text.splitlines():
        if re.fullmatch(r"\w[\w ]*:", line):
            inside = line in ("Attributes:", "Args:")
        elif inside and (match := re.fullmatch(r" {4}(\w+): (.*)", line)):
            name = match[1]
            docs[name] = match[2].strip()
        elif inside and name and line.startswith(" " * 8):
            docs[name] += " " + line.strip()
        elif line and not line.startswith(" "):
            inside = False
    return docs


def _misfit(kind: str, hints: Mapping[str, Any], given: Mapping[str, Any], message: str) -> InputError:
    """One line for a value that does not fit its type."""
    match = re.search(r'key "([\w.]+)"', message)
    name = match[1].split(".")[1] if match and "." in match[1] else ""
    if name not in hints:
        return InputError(f"{kind or 'a setting'} does not fit: {' '.join(message.split())}")
    return InputError(f"{_path(kind, name)} must be {type_text(hints[name])}, got {given.get(name)!r}")


def _check(value: Any, hint: Any, path: str) -> None:
    """Refuse what jsonargparse lets through: null for any type, numbers that are not finite."""
    if value is None and hint is not Any and types.NoneType not in (hint, *get_args(hint)):
        raise InputError(f"{path} must be {type_text(hint)}, got none")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{path} must be a finite number, got {value}")
    if isinstance(value, Mapping):
        for name, entry in value.items():
            _check(entry, Any, f"{path}.{name}")
    elif isinstance(value, (list, tuple)):
        for entry in value:
            _check(entry, Any, path)
