"""Interrupts that wait for the end of a step, so that what is stored is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

TERMINATED = 143  # what a shell sees of a process that SIGTERM has ended


class Terminated(SystemExit):
    """SIGTERM, which clusters send before they kill: store what there is and end, with the exit code 143."""

    def __init__(self) -> None:
        super().__init__(TERMINATED)

    def __reduce__(self) -> tuple[Any, ...]:
        """It goes from process to process, of which one heard the signal."""
        return Terminated, ()


class Interrupts:
    """Inside the block Ctrl-C and SIGTERM only set `came`; a second one of them interrupts at once.

    came: the exception to end with, None as long as there is no reason to. Where somebody else handles a signal, and in
    other threads than the main one, nothing changes.
    """

    def __init__(self) -> None:
        self.came: BaseException | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if _in_main_thread():
            free = {signal.SIGINT: (signal.default_int_handler,), signal.SIGTERM: (signal.SIG_DFL, _end)}
            for number, handlers in free.items():
                if signal.getsignal(number) in handlers:
                    self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.came is not None and kind is None:
            raise self.came

    def _hear(self, number: int, frame: FrameType | None) -> None:
        before, self.came = self.came, Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
        if before is not None:
            raise self.came


@contextmanager
def terminable() -> Iterator[None]:
    """Inside the block SIGTERM raises `Terminated`, so that what must be written down still is."""
    if not _in_main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
