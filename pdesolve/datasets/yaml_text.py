"""YAML in the attributes and beside the files of others: numbers and text, nothing that runs."""

from __future__ import annotations

from typing import Any

import yaml

_LARGEST = 2**20  # characters
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str) -> dict[str, Any] | None:
    """The mapping that a text holds; None where it is none, is too large or is no YAML."""
    if len(text) > _LARGEST:
        return None
    try:
        # what is written once and used often can grow without bounds
        if "*" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_LOADER)):
            return None
        found = yaml.load(text, Loader=_LOADER)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def numbers_of(mapping: dict[str, Any]) -> dict[str, float]:
    """The entries of a mapping that are numbers, written as 1e-3 too."""
    found = {}
    for name, value in mapping.items():
        try:
            if not isinstance(value, (bool, list, dict, type(None))):
                found[str(name)] = float(value)
        except ValueError:
            continue
    return found
