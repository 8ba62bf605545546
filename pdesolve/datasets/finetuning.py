"""`predict --finetune`: what the surrogate of a run says of data, made to obey the equation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pdesolve.data.dataset import Dataset
from pdesolve.datasets.prediction import chosen, described
from pdesolve.finetuning import Finetuned, finetune
from pdesolve.learning import load_surrogate
from pdesolve.problem import Problem
from pdesolve.surrogates.predictions import plain_attributes


def finetuned(
    run: str | Path,
    data: Dataset | str | Path | Sequence[str] | None = None,
    *,
    split: str | None = None,
    samples: Sequence[int] | None = None,
    steps: int = 0,
    problem: Problem | str | None = None,
    iterations: int = 20,
    tolerance: float = 1e-6,
    device: str = "auto",
) -> Finetuned:
    """Predictions of a run's surrogate as in `predict`, fine-tuned by the residual as in `pdesolve.finetuning`.

    Raises:
        InputError: what `predict` and `finetune` refuse.
    """
    surrogate = load_surrogate(run, device=device)
    dataset, split, paths = chosen(run, data, split=split, samples=samples)
    found = finetune(surrogate, dataset, problem=problem, steps=steps, iterations=iterations, tolerance=tolerance)
    about = described(run, surrogate, paths, split=split, steps=steps, what="prediction and fine-tuning")
    return replace(found, dataset=found.dataset.assign_attrs(plain_attributes({**about, "finetuned": found.json()})))
