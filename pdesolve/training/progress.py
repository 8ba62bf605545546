"""Progress on stderr: a live bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import math
import sys
from types import TracebackType
from typing import Any, TextIO


class Progress:
    """Shows the rows that `Run.watch` reports, against a budget of CPU seconds. A context manager."""

    def __init__(self, title: str, cpu_seconds: float, stream: TextIO | None = None) -> None:
        self.title, self.cpu_seconds = title, cpu_seconds
        self.stream = stream or sys.stderr
        self.bar: Any = None
        self.task: Any = None

    def __enter__(self) -> Progress:
        if self.stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self.bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[figures]}"),
                console=Console(file=self.stream),
                transient=True,
            )
            self.task = self.bar.add_task(self.title, total=self.cpu_seconds, figures="starting")
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, row: dict[str, Any]) -> None:
        """Show one row of the history."""
        figures = f"{row['stage']} step {row['step']}, loss {row['loss']:.2e}"
        worst = max((v for k, v in row.items() if k.startswith("relative_l2")), default=math.nan)
        if math.isfinite(worst):
            figures += f", relative L2 {worst:.2e}"
        if self.bar is not None:
            self.bar.update(self.task, completed=row["cpu_seconds"], figures=figures)
        else:
            spent = f"{row['cpu_seconds']:.0f} of {self.cpu_seconds:.0f} CPU s"
            print(f"{self.title}: {figures}, {spent}", file=self.stream, flush=True)

    def say(self, line: str) -> None:
        """Show a line that stays."""
        if self.bar is not None:
            self.bar.console.print(f"{self.title}: {line}", highlight=False, markup=False)
        else:
            print(f"{self.title}: {line}", file=self.stream, flush=True)
