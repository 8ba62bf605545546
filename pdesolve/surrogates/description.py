"""JSON descriptions that lie beside the tensors of what is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pdesolve.errors import InputError


def read_description(path: Path, form: int, hint: str) -> dict[str, Any]:
    """The JSON object of a file of one format.

    Raises:
        InputError: no such file, a damaged one, one of another format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no {path}: {hint}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged: {str(error).splitlines()[0][:120]}; {hint}") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != form:
        raise InputError(f"{path} has format {found}, this version reads {form}: {hint}")
    return content
