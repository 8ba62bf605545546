"""The folder for what is dear to compute and may be computed again: references, fits of initial states."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import Tensor

PACKAGE = Path(__file__).parent


def folder() -> Path:
    """PDESOLVE_CACHE, or `pdesolve` in the platform's folder for caches."""
    given = os.environ.get("PDESOLVE_CACHE")
    if given:
        return Path(given)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pdesolve"
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "pdesolve" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pdesolve"


@cache
def sources(folders: Iterable[Path]) -> str:
    """A checksum of the modules in some folders: what is corrected must not find its old results. folders: a tuple."""
    digest = sha256()
    for part in folders:
        for path in sorted(part.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def add(digest: Any, name: str, values: Tensor) -> None:
    """Put a tensor under a name into a digest of hashlib."""
    array = values.detach().cpu().contiguous().numpy()
    digest.update(f"{name} {array.shape} {array.dtype}".encode())
    digest.update(array.tobytes())
