"""The neuraloperator package, used without what it says and stores beside.

Its import sets a filter of warnings for the whole process, and its constructors print. Import it only through `quiet`,
and only where a model is made: it takes seconds.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from torch import nn


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing printed and nothing warned of inside; the process's filters of warnings are afterwards as before."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def without_metadata(module: nn.Module) -> None:
    """Leave out of the state of a module what the package adds for models inside: functions, which no file holds."""

    def forget(_: nn.Module, state: dict[str, Any], prefix: str, local: Any) -> None:
        state.pop("_metadata", None)

    module.register_state_dict_post_hook(forget)
