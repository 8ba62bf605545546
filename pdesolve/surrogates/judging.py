"""How good a surrogate is: measured on samples that training has not seen, in a form that can be measured again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from pdesolve.method import Surrogate
from pdesolve.metrics import max_error, relative_l2
from pdesolve.training import devices
from pdesolve.training.run import Run, finite
from pdesolve.training_data import TrainingData
from pdesolve.windows import Windows

_BATCH = 32


@dataclass(frozen=True)
class Report:
    """What a training came to.

    metrics: {variable: {metric: value}} on the split `split` ("test", "valid", or "" where nothing was held out).
    """

    run: str | None
    method: str
    data: Mapping[str, Any]
    settings: Mapping[str, Any]
    parameters: int
    split: str
    samples: int
    metrics: Mapping[str, Mapping[str, float]]
    steps: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    device: str
    dtype: str
    seed: int
    status: str

    def json(self) -> dict[str, Any]:
        """The report as JSON values; figures that are not finite are null."""
        return finite(asdict(self))

    def score(self) -> dict[str, Any]:
        """What a surrogate keeps of it: the score, and of what it is."""
        return {"split": self.split, "samples": self.samples, "metrics": self.metrics, "data": self.data}

    def table(self) -> str:
        """A row for each variable."""
        names = list(dict.fromkeys(name for row in self.metrics.values() for name in row))
        head = [f"on {self.samples} {self.split or 'no'} samples", *names]
        rows = [head, *([name, *(f"{row[key]:.3e}" for key in names)] for name, row in self.metrics.items())]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        cost = f"{self.parameters} parameters, {self.steps} steps, {self.cpu_seconds:.1f} CPU s, {self.status}"
        return "\n".join([*lines, cost])


def judged(
    surrogate: Surrogate, data: TrainingData, run: Run, *, name: str, settings: Mapping[str, Any], status: str
) -> Report:
    """The report of a training: by the test split, or the validation split where there is none."""
    split = next((split for split in ("test", "valid") if data.held_out(split) is not None), "")
    held = data.held_out(split) if split else None
    metrics = {} if held is None else measured(surrogate, Windows(held, surrogate.signature.task))
    return Report(
        run=None if run.folder is None else str(run.folder), method=name, data=data.about, settings=settings,
        parameters=surrogate.parameters, split=split, samples=0 if held is None else held.samples, metrics=metrics,
        steps=run.checkpoint.position.step, seconds=run.seconds, cpu_seconds=run.budget.spent,
        peak_bytes=devices.peak_bytes(run.device), device=str(run.device),
        dtype=str(surrogate.dtype).removeprefix("torch."), seed=run.seed, status=status,
    )  # fmt: skip


def measured(surrogate: Surrogate, windows: Windows, *, batch: int = _BATCH) -> dict[str, dict[str, float]]:
    """The metrics of each target over all windows."""
    found: dict[str, tuple[list[torch.Tensor], list[torch.Tensor]]] = {}
    for first in range(0, len(windows), batch):
        rows = windows.batch(range(first, min(first + batch, len(windows))))
        for name, values in surrogate.predict(rows).items():
            predicted, truth = found.setdefault(name, ([], []))
            predicted.append(values.cpu())
            truth.append(rows.targets[name])
    return {
        name: {"relative_l2": relative_l2(torch.cat(u), torch.cat(v)), "max": max_error(torch.cat(u), torch.cat(v))}
        for name, (u, v) in found.items()
    }
