"""Stirred flows on a torus (viscosity 1e-3, 64 by 64 points): frame 10 in, frames 11 to 20 rolled out.

python experiments/operators/navier_stokes.py [--seeds 0,1,2] [--folder runs/operators]

Of 240 trajectories of `pdesolve generate navier_stokes`, numbers 0 to 179 are trained on, 180 to 199 choose the weights
that are kept, 200 to 239 are the test. The operator learns single steps between frames 10 and 20, as what is added to
the last frame; the force is one of its inputs, so that it needs no coordinates and commutes with translations.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from seeds import options, trained

import pdesolve as ps
from pdesolve.data.dataset import Dataset
from pdesolve.data.task import Steps, Task
from pdesolve.data.task_choice import TaskChoice
from pdesolve.data.windows import Windows
from pdesolve.method import Surrogate
from pdesolve.metrics import sample_relative_l2
from pdesolve.operators.fno.method import FNO
from pdesolve.training.operator_training import Training

ASKED = 3e-2
FIRST, STEPS = 10, 10
FLOW = FNO(
    modes=12,
    width=20,
    positions="none",
    predicts="increment",
    training=Training(epochs=2, batch=8, learning_rate=4e-3, schedule="cosine", warm_up=0.1, average=0.99),
)


def flows(folder: Path) -> Dataset:
    """Frames 10 to 20 of 240 flows, generated where they are not there yet."""
    path = folder / "navier_stokes.h5"
    folder.mkdir(parents=True, exist_ok=True)
    ps.generate(ps.make_family("navier_stokes", {"frames": FIRST + STEPS}), 240, path)
    frames = ps.open_dataset(path).isel({"t": slice(FIRST, FIRST + STEPS + 1)})
    splits = {"train": np.arange(180), "valid": np.arange(180, 200), "test": np.arange(200, 240)}
    return replace(frames, splits=splits)


def rolled(surrogate: Surrogate, data: Dataset) -> dict[str, float]:
    """Relative L2 errors on the test trajectories: of one step, of all ten frames, of the last."""
    task = Task(("vorticity", "forcing"), ("vorticity",), Steps(ahead=STEPS))
    windows = Windows(data.split("test"), task)
    batch = windows.batch(range(len(windows)))
    predicted = surrogate.rollout(batch, STEPS).states["vorticity"]
    truth = batch.targets["vorticity"]
    kept = torch.cat([batch.inputs["vorticity"]] * STEPS, 1)
    return {
        "one step": float(sample_relative_l2(predicted[:, :1], truth[:, :1]).mean()),
        "rollout": float(sample_relative_l2(predicted, truth).mean()),
        "last": float(sample_relative_l2(predicted[:, -1:], truth[:, -1:]).mean()),
        "no change": float(sample_relative_l2(kept, truth).mean()),
    }


def main() -> None:
    given = options(__doc__).parse_args()
    data = flows(given.folder)
    median = trained(
        FLOW, data, TaskChoice(inputs=("vorticity", "forcing"), targets=("vorticity",)), lambda s: rolled(s, data),
        name="navier_stokes", seeds=given.seeds, folder=given.folder, budget="30min",
    )  # fmt: skip
    print(f"asked: {ASKED:g} in 30 CPU minutes; {'reached' if median['rollout'] <= ASKED else 'missed'}")


if __name__ == "__main__":
    main()
