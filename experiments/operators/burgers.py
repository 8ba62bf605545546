"""Burgers flows (viscosity 0.1) from random initial states, u(0) to u(1) on 256 points.

python experiments/operators/burgers.py [--seeds 0,1,2] [--folder runs/operators]

Of 1200 samples of `pdesolve generate burgers`, 0 to 899 are trained on, 900 to 999 chose the settings and choose the
weights that are kept, 1000 to 1199 are the test. Without coordinates the operator commutes with translations.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from seeds import options, trained

import pdesolve as ps
from pdesolve.data.dataset import Dataset
from pdesolve.data.task_choice import TaskChoice
from pdesolve.data.windows import Windows
from pdesolve.method import Surrogate
from pdesolve.metrics import sample_relative_l2
from pdesolve.operators.fno.method import FNO
from pdesolve.training.operator_training import Training

ASKED = 5e-3
FLOW = FNO(
    modes=32,
    width=32,
    positions="none",
    training=Training(epochs=60, batch=20, learning_rate=2e-3, schedule="cosine", warm_up=0.05, average=0.99),
)


def flows(folder: Path) -> Dataset:
    """The first and the last frame of 1200 flows, generated where they are not there yet."""
    path = folder / "burgers.h5"
    folder.mkdir(parents=True, exist_ok=True)
    ps.generate(ps.make_family("burgers", {"frames": 1}), 1200, path)
    splits = {"train": np.arange(900), "valid": np.arange(900, 1000), "test": np.arange(1000, 1200)}
    return replace(ps.open_dataset(path), splits=splits)


def main() -> None:
    given = options(__doc__).parse_args()
    data = flows(given.folder)

    def score(surrogate: Surrogate) -> dict[str, float]:
        test = Windows(data.split("test"), surrogate.signature.task)
        batch = test.batch(range(len(test)))
        return {"relative_l2": float(sample_relative_l2(surrogate.predict(batch)["u"], batch.targets["u"]).mean())}

    median = trained(
        FLOW, data, TaskChoice(inputs=("u",), targets=("u",), frames="final"), score,
        name="burgers", seeds=given.seeds, folder=given.folder, budget="10min",
    )  # fmt: skip
    print(f"asked: {ASKED:g} in 10 CPU minutes; {'reached' if median['relative_l2'] <= ASKED else 'missed'}")


if __name__ == "__main__":
    main()
