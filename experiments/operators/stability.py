"""Rollouts of 4 times the training horizon by surrogates trained on single steps: solitons on a ring, 64 points.

python experiments/operators/stability.py [--seeds 0,1,2] [--folder runs/operators] [--methods fno,fno_increment,...]

Frames are 0.25 apart and the training horizon is the first 200 steps, t = 50. Of 64 samples of
`pdesolve generate korteweg_de_vries`, 0 to 10 are trained on, 11 and 12 choose the weights that are kept, 32 to 63 are
the test. All methods see the same 2200 windows 10 times, in batches of 16; fno_increment_longer sees them 20 times,
which takes the time of stable_fno.

one_step: relative L2 error over all single steps of the test. diverged: of 32 samples, those that exceed three times
the largest value of the truth within 800 steps. correlation_time: in steps, of the mean over samples, above 0.8.
octave_*: energy in the octave of wavenumbers 1, 2-3, 4-7, ... over that of the truth, mean over samples and the second
to the fourth horizon. spectrum: the largest departure of these from 1.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from seeds import options, trained

import pdesolve as ps
from pdesolve.data.dataset import Dataset
from pdesolve.data.task import Steps
from pdesolve.data.task_choice import TaskChoice
from pdesolve.data.windows import Windows
from pdesolve.method import Learner, Surrogate
from pdesolve.metrics import band_energy, correlation, correlation_time, octave_edges, sample_relative_l2
from pdesolve.operators.fno.method import FNO
from pdesolve.operators.stable_fno.method import StableFNO
from pdesolve.training.operator_training import Training

HORIZON, TIMES = 200, 4
TRAIN, VALID, TEST = np.arange(11), np.arange(11, 13), np.arange(32, 64)
LARGE = 3.0  # times the largest value of the truth
TRAINING = Training(epochs=10, batch=16)
METHODS: dict[str, Learner] = {
    "fno": FNO(modes=32, training=TRAINING),
    "fno_increment": FNO(modes=32, predicts="increment", training=TRAINING),
    "fno_increment_unplaced": FNO(modes=32, predicts="increment", positions="none", training=TRAINING),
    "fno_increment_longer": FNO(modes=32, predicts="increment", training=replace(TRAINING, epochs=20)),
    "stable_fno": StableFNO(
        modes=64, width=64, depth=6, positions="none", training=replace(TRAINING, learning_rate=1e-2)
    ),
}


def flows(folder: Path) -> Dataset:
    """64 flows over the long horizon, generated where they are not there yet."""
    path = folder / "korteweg_de_vries_fine.h5"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"interval": 0.25, "frames": HORIZON * TIMES}
    ps.generate(ps.make_family("korteweg_de_vries", settings), 64, path)
    return ps.open_dataset(path).isel({"x": slice(None, None, 2)})


def judged(surrogate: Surrogate, test: Dataset) -> dict[str, float]:
    """The scores of a surrogate: see above."""
    task = surrogate.signature.task
    single = Windows(test, task)
    errors = []
    for first in range(0, len(single), 200):
        batch = single.batch(range(first, min(first + 200, len(single))))
        errors.append(sample_relative_l2(surrogate.predict(batch)["u"], batch.targets["u"]))
    steps = HORIZON * TIMES
    whole = Windows(test, replace(task, frames=Steps(past=1, ahead=steps)))
    batch = whole.batch(range(len(whole)))
    truth = batch.targets["u"]
    found = surrogate.rollout(batch, steps, on_divergence="keep").states["u"]
    kept = (found.abs() <= LARGE * truth.abs().max()).flatten(1).all(1)
    times = torch.arange(1, steps + 1, dtype=truth.dtype)
    curve = correlation(found, truth).nan_to_num(0.0).mean((0, 2))
    grid = test.grid()
    energies = [
        band_energy(u[:, HORIZON:].double(), grid, edges=octave_edges(grid)[:-1]).mean((0, 1, 2))[1:]
        for u in (found, truth)
    ]
    ratios = energies[0] / energies[1]
    return {
        "one_step": float(torch.cat(errors).mean()),
        "diverged": float((~kept).sum()),
        "correlation_time": float(correlation_time(curve, times)),
        "spectrum": float((ratios - 1).abs().max()),
        **{f"octave_{2**i}": float(ratio) for i, ratio in enumerate(ratios)},
    }


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--methods", default=",".join(METHODS), help="with commas")
    given = parser.parse_args()
    data = flows(given.folder)
    learnt = replace(
        data.isel({"sample": np.concatenate([TRAIN, VALID]), "t": slice(0, HORIZON + 1)}),
        splits={"train": TRAIN, "valid": VALID},
    )
    test = data.isel({"sample": TEST})
    medians = {
        name: trained(
            METHODS[name], learnt, TaskChoice(), lambda surrogate: judged(surrogate, test), name=f"stability_{name}",
            seeds=given.seeds, folder=given.folder, budget="10min",
        )
        for name in given.methods.split(",")
    }  # fmt: skip
    columns = list(next(iter(medians.values())))
    print(" | ".join(["", *columns]))
    for name, row in medians.items():
        print(" | ".join([name, *(f"{row[column]:.3g}" for column in columns)]))


if __name__ == "__main__":
    main()
