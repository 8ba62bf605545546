"""Memory that has run out: how it shows, and work that then goes on with fewer samples at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeVar

from pdesolve.errors import InputError

T = TypeVar("T")
# of torch on a CPU, of the driver, and of the libraries that take memory beside torch's own
_SAID = re.compile(r"(?i)can't allocate memory|not enough memory|out of memory|ALLOC_FAILED")


def exhausted(error: BaseException) -> bool:
    """Whether an error says that memory has run out."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _SAID.search(str(error)) is not None)


def in_parts(count: int, work: Callable[[range], T], *, size: int) -> Iterator[T]:
    """The outcomes of work on so many samples, `size` at once, or half as many each time that memory runs out.

    Raises:
        InputError: one sample that does not fit.
    """
    first = 0
    while first < count:
        part = range(first, min(first + size, count))
        try:
            found = work(part)
        except (MemoryError, RuntimeError) as error:
            if not exhausted(error):
                raise
            size, why = len(part) // 2, " ".join(str(error).split())[:120]
            if not size:
                raise InputError(
                    f"sample {first} alone does not fit the memory ({why}): give fewer points, or another --device"
                ) from None
            continue
        yield found
        first = part.stop
