"""Fits of initial states on disk, under a key of the numbers that they follow from."""

from __future__ import annotations

import os
from contextlib import suppress
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from pickle import UnpicklingError  # what weights_only raises; nothing here is unpickled
from typing import TYPE_CHECKING

import torch

from pdesolve import __version__
from pdesolve.cache import PACKAGE, add, folder, sources

if TYPE_CHECKING:
    from pdesolve.marching.initial_fit import InitialFit

_COMPUTING = (PACKAGE / "marching", PACKAGE / "least_squares", PACKAGE / "nn", PACKAGE / "fields")


def key(fit: InitialFit) -> str:
    """A SHA-256 of what a fit follows from: initial state, points, network and its start (and so the seed), versions.

    Of what lifts and conditions on walls give enters what they make of the network's start.
    """
    instant, digest = fit.instant, sha256()
    words = [__version__, torch.__version__, sources(_COMPUTING), instant.module, fit.adam_steps, fit.steps, fit.goal]
    digest.update("\n".join(map(repr, words)).encode())
    add(digest, "points", instant.cloud.x)
    add(digest, "initial", instant.initial)
    for name, tensor in instant.module.state_dict().items():
        add(digest, name, tensor)
    with torch.no_grad():
        for name, rows in instant.terms(instant.initial, instant.start).items():
            add(digest, f"rows {name}", rows)
    return digest.hexdigest()


def load(name: str, fit: InitialFit) -> None:
    """Stand where the fit of a key ended; where none is stored, or a damaged one, nothing changes."""
    path = _path(name)
    if not path.exists():
        return
    before = deepcopy(fit.state_dict())
    try:
        device = next(fit.instant.module.parameters()).device
        content = torch.load(path, weights_only=True, map_location=device)
        if content["key"] != name:
            return
        fit.load_state_dict(content["fit"])
        fit.cached = True
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, TypeError, AttributeError, UnpicklingError):
        fit.load_state_dict(before)


def save(name: str, fit: InitialFit) -> None:
    """Keep a fit. A folder that cannot be written to is no error: the next run fits again."""
    path = _path(name)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError, RuntimeError):  # torch's writer raises RuntimeError on a full disk
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"key": name, "fit": fit.state_dict()}, aside)
        aside.replace(path)
    aside.unlink(missing_ok=True)


def _path(name: str) -> Path:
    return folder() / f"fit-{name}.pt"
