"""How good a surrogate is: measured on samples that training has not seen, in a form that can be measured again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from pdesolve.data.batch import Batch
from pdesolve.data.signature import places_of
from pdesolve.data.training_data import TrainingData
from pdesolve.data.windows import Windows
from pdesolve.exhaustion import in_parts
from pdesolve.geometry import Grid
from pdesolve.method import Surrogate
from pdesolve.metrics import Scores
from pdesolve.surrogates.compatibility import check_finite
from pdesolve.surrogates.envelopes import truth_of
from pdesolve.surrogates.examples import Example, examples
from pdesolve.training import devices
from pdesolve.training.run import Run, finite

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
        """A row for each metric, a column for each variable."""
        names = list(dict.fromkeys(name for row in self.metrics.values() for name in row))
        if not self.metrics:
            return f"no samples were held out to judge it by\n{self._cost()}"
        rows = [[f"on {self.samples} {self.split} samples", *self.metrics]]
        for name in names:
            rows.append([name, *(f"{row[name]:.3e}" if name in row else "" for row in self.metrics.values())])
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, self._cost()])

    def _cost(self) -> str:
        return f"{self.parameters} parameters, {self.steps} steps, {self.cpu_seconds:.1f} CPU s, {self.status}"


def judged(
    surrogate: Surrogate, data: TrainingData, run: Run, *, name: str, settings: Mapping[str, Any], status: str
) -> tuple[Report, tuple[Example, ...]]:
    """The report of a training, by the test split, or the validation split where there is none; and its median and its
    worst sample."""
    split = next((split for split in ("test", "valid") if data.held_out(split) is not None), "")
    held = data.held_out(split) if split else None
    metrics, shown = {}, ()
    if held is not None:
        windows = Windows(held, surrogate.signature.task)
        scores = scored(surrogate, windows)
        metrics, shown = scores.table(), examples(surrogate, windows, scores.each())
    report = Report(
        run=None if run.folder is None else str(run.folder), method=name, data=data.about, settings=settings,
        parameters=surrogate.parameters, split=split, samples=0 if held is None else held.samples, metrics=metrics,
        steps=run.checkpoint.steps, seconds=run.seconds, cpu_seconds=run.budget.spent,
        peak_bytes=devices.peak_bytes(run.device), device=str(run.device),
        dtype=str(surrogate.dtype).removeprefix("torch."), seed=run.seed, status=status,
    )  # fmt: skip
    return report, shown


def measured(surrogate: Surrogate, windows: Windows, *, batch: int = _BATCH) -> dict[str, dict[str, float]]:
    """The metrics of each target over all windows."""
    return scored(surrogate, windows, batch=batch).table()


def scored(surrogate: Surrogate, windows: Windows, *, steps: int = 0, batch: int = _BATCH) -> Scores:
    """The errors of each target over all windows: a table, curves over lead time, spectra.

    steps: of a rollout, of which the windows have the targets; 0 for single predictions.
    """
    data, task = windows.dataset, windows.task
    _, members = places_of(data)
    known = [frame for frame in windows.wanted if frame in windows.given]
    given = len(known) if task.frames is not None and set(task.targets) <= set(task.inputs) else 0
    scores = None

    def guessed(part: range) -> tuple[Batch, Mapping[str, Tensor]]:
        rows = windows.batch(part).to(surrogate.device)
        for fields in (rows.inputs, rows.targets):
            check_finite(fields, rows.numbers)
        return rows, surrogate.rollout(rows, steps).states if steps else surrogate.predict(rows)

    for rows, found in in_parts(len(windows), guessed, size=batch):
        if scores is None:
            scores = Scores(
                grid=Grid(members) if members else None, given=given, leads=_leads(rows, given),
                axes={name: windows.sources[name].space for name in task.targets},
            )  # fmt: skip
        for name, values in found.items():
            scores.add({name: values}, {name: truth_of(rows, name, values)}, weights=_weights(rows, name))
    assert scores is not None  # windows are never none
    return scores


def _leads(batch: Batch, given: int) -> list[float] | None:
    """The times of the wanted frames behind the last one that is given."""
    if not batch.target_times.numel() or not batch.times.numel():
        return None
    return (batch.target_times[0, given:] - batch.times[0, -1]).tolist()


def _weights(batch: Batch, name: str) -> Tensor | None:
    """0 at the padding of samples that differ in size."""
    for dim in batch.dims.get(name, ()):
        if dim in batch.mask:
            return batch.mask[dim][:, None, None].to(batch.targets[name])
    return None
