"""The neuraloperator package, imported and called without what it says beside.

Its import sets a filter of warnings for the whole process, and its constructors print. Import it only through `quiet`,
and only where a model is made: it takes seconds.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing printed and nothing warned of inside; the process's filters of warnings are afterwards as before."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
