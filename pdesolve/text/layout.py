"""The layout of YAML: short mappings in one line, long ones an entry a line."""

from __future__ import annotations

from collections.abc import Mapping

from pdesolve.fields.formula import number_text


def block(key: str, content: str) -> str:
    return "\n".join([f"{key}: |", *(f"  {line}".rstrip() for line in content.strip().splitlines())])


def mapping(key: str, content: Mapping[str, object]) -> str:
    """A mapping in one line where it is short, else an entry a line."""
    line = f"{key}: {flow(content)}"
    if len(line) <= 60:
        return line
    return "\n".join([f"{key}:", *(f"  {name}: {flow(value)}" for name, value in content.items())])


def flow(value: object) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {flow(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(entry) for entry in value) + "]"
    if isinstance(value, float):
        return number_text(value)
    return scalar(str(value))


def scalar(value: str) -> str:
    """A text as YAML reads it back: in quotes where it holds what YAML has a meaning for."""
    plain_text = not any(mark in value for mark in (": ", " #", "{", "}", "[", "]", ",", "'", '"', "\n"))
    if (
        plain_text
        and value
        and value[0] not in "&*!|>%@`#"
        and not value.startswith(("- ", "? "))
        and value == value.strip()
    ):
        return value
    return "'" + value.replace("'", "''").replace("\n", " ") + "'"
