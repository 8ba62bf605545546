"""`predict`: what the surrogate of a run says of data, in files or in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pdesolve.data.dataset import Dataset
from pdesolve.datasets.evaluation import held_out
from pdesolve.datasets.opening import open_dataset
from pdesolve.errors import InputError
from pdesolve.learning import load_surrogate
from pdesolve.method import Surrogate
from pdesolve.run_folder import read_run
from pdesolve.surrogates.predictions import Predictions, predicted, told
from pdesolve.surrogates.rollout import OnDivergence


def predict(
    run: str | Path,
    data: Dataset | str | Path | Sequence[str] | None = None,
    *,
    split: str | None = None,
    samples: Sequence[int] | None = None,
    steps: int = 0,
    on_divergence: OnDivergence = "stop",
    grid: tuple[int, ...] | None = None,
    points: np.ndarray | None = None,
    device: str = "auto",
) -> Predictions:
    """The predictions of a run's surrogate on data, by default on the samples it was judged by.

    data: only what the surrogate is given is read of it, the first frames of each sample. split: of the data; all by
    default. samples: numbers within these. steps: of a rollout, 0 for one prediction. grid: sizes of another grid of
    space. points: (point, axis) to read at.

    Raises:
        InputError: no run, data that do not fit, no such split or sample.
        Diverged: with on_divergence="raise".
    """
    surrogate = load_surrogate(run, device=device)
    dataset, split, paths = chosen(run, data, split=split, samples=samples)
    found = predicted(
        surrogate, dataset, steps=steps, on_divergence=on_divergence, sizes=grid, points=points, dtype=surrogate.dtype
    )
    return told(found, described(run, surrogate, paths, split=split, steps=steps, what="prediction"))


def chosen(
    run: str | Path, data: Dataset | str | Path | Sequence[str] | None, *, split: str | None,
    samples: Sequence[int] | None,
) -> tuple[Dataset, str, list[str]]:  # fmt: skip
    """The samples that are asked for, by default those that the run was judged by, their split and their paths.

    Raises:
        InputError: no such data, split or sample.
    """
    if data is None:
        dataset, split, paths = held_out(run, split)
    else:
        dataset = data if isinstance(data, Dataset) else open_dataset(data)
        paths = [str(path) for path in dataset.paths]
        dataset = dataset.split(split) if split else dataset
    if samples is not None:
        if min(samples) < 0 or max(samples) >= dataset.samples:
            raise InputError(
                f"there are {dataset.samples} samples, from 0 on, got --samples {','.join(map(str, samples))}"
            )
        dataset = dataset.isel({"sample": list(samples)})
    return dataset, split or "", paths


def described(
    run: str | Path, surrogate: Surrogate, paths: Sequence[str], *, split: str, steps: int, what: str
) -> dict[str, Any]:
    """What the attributes of a prediction say of it."""
    name = read_run(Path(run))["config"]["method"]["name"]
    given, wanted = ([s.name for s in slots] for slots in (surrogate.signature.inputs, surrogate.signature.targets))
    return {
        "title": f"{Path(run).name}: {what} by {name}", "method": name, "run": str(run), "data": ", ".join(paths),
        "split": split, "steps": steps,
        "task": {"inputs": given, "targets": wanted, "frames": str(surrogate.signature.frames or "")},
    }  # fmt: skip
