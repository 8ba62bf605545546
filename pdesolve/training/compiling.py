"""What a compiler cannot do ends in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pdesolve.errors import InputError

_COMPILER = ("torch._dynamo", "torch._inductor")


@contextmanager
def compilable() -> Iterator[None]:
    """Inside the block what torch.compile raises is told with what to write instead; nothing else is touched.

    Raises:
        InputError: no C++ compiler, operations that cannot be compiled, a compiler that fails.
    """
    try:
        yield
    except RuntimeError as error:
        # by name: who compiles nothing need not import the compiler
        if not any(kind.__module__.startswith(_COMPILER) for kind in type(error).__mro__):
            raise
        why = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(
            f"the network cannot be compiled here ({why.strip()[:160]}): train with --method.training.compiled no"
        ) from error
