"""Trained on one resolution, judged on others: vorticity to that two units of time later, at 32, 64 and 128 points.

python experiments/operators/resolutions.py [--budget 2min] [--seed 0] [--folder runs/operators]

Stirred flows of `pdesolve generate navier_stokes` on 128 by 128 points, initial fields as high as in the paper's files;
every second point of them is trained on, every fourth is the coarse test. Of 100 trajectories of 9 frames 80 are
trained on, 10 choose the weights that are kept, 10 are the test. `grid u-net` is the foil: the weights of a U-Net
whose kernels and scales are counted in points of whatever grid they meet, as those of usual convolutions are.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

import pdesolve as ps
from pdesolve.data.dataset import Dataset
from pdesolve.data.signature import Signature
from pdesolve.data.task_choice import TaskChoice
from pdesolve.data.windows import Windows
from pdesolve.method import Learner, Surrogate
from pdesolve.metrics import sample_relative_l2
from pdesolve.nn.convolution import LocalConvolution
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.nn.filters import Lattice
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import Places
from pdesolve.nn.unet_network import UNetNetwork
from pdesolve.operators.fno.method import FNO
from pdesolve.operators.transformer.method import Transformer
from pdesolve.operators.unet.method import UNet
from pdesolve.training.operator_training import Training

FINE, TRAINED, SIZES = 128, 64, (32, 64, 128)
TASK = TaskChoice(inputs=("vorticity",), targets=("vorticity",), frames="steps", past=1, ahead=1, stride=2)
WIDTH = 16


class GridUNetNetwork(OperatorNetwork):
    """A U-Net with the same weights on every grid, whose kernels have three points an axis and scales halve points."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = UNetNetwork(1, 1, 0, base=(TRAINED,) * 2, kinds=("periodic",) * 2, width=width, depth=5)
        self._others: dict[int, UNetNetwork] = {}  # for their scales, not their weights

    def _at(self, size: int) -> UNetNetwork:
        """The network with all lengths in points as they are on the grid of training."""
        made = copy.deepcopy(self.inner)
        made.base = (size, size)
        made.scales = tuple(tuple(n * size // TRAINED for n in shape) for shape in made.scales)
        for layer in made.modules():
            if isinstance(layer, LocalConvolution) and isinstance(layer.filters, Lattice):
                layer.filters = Lattice(tuple(s * TRAINED / size for s in layer.filters.spacing))
        return made

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        size = given.shape[0]
        if size == TRAINED:
            return self.inner(x, parameters, given, wanted)
        if size not in self._others:
            self._others[size] = self._at(size)
        network = self._others[size]
        weights: dict[str, Tensor] = dict(self.inner.named_parameters())
        return functional_call(network, weights, (x, parameters, given, wanted))


@dataclass(frozen=True)
class GridUNet(UNet):
    """The U-Net of grid-point kernels, for this comparison alone."""

    def module(self, signature: Signature) -> FieldOperator:
        return FieldOperator(GridUNetNetwork(self.width), signature, conditioning="apart")


def flows(folder: Path) -> Dataset:
    """The data on all points, generated where they are not there yet."""
    path = folder / "resolutions.h5"
    folder.mkdir(parents=True, exist_ok=True)
    family = ps.make_family("navier_stokes", {"points": FINE, "frames": 8, "amplitude": 6.086, "step": 0.125})
    ps.generate(family, 100, path)
    splits = {"train": np.arange(80), "valid": np.arange(80, 90), "test": np.arange(90, 100)}
    return replace(ps.open_dataset(path).select(["vorticity"]), splits=splits, parameters={})


def at(data: Dataset, size: int) -> Dataset:
    """The data on fewer points."""
    step = FINE // size
    return replace(data.isel({"x": slice(None, None, step), "y": slice(None, None, step)}), splits=data.splits)


def error(surrogate: Surrogate, data: Dataset) -> float:
    windows = Windows(data.split("test"), surrogate.signature.task)
    found = []
    for first in range(0, len(windows), 10):
        batch = windows.batch(range(first, min(first + 10, len(windows))))
        outcome = surrogate.predict(batch)["vorticity"]
        found.append(sample_relative_l2(outcome, batch.targets["vorticity"]).flatten())
    return float(torch.cat(found).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="2min", help="CPU time of each training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("runs/operators"), help="of the runs and the data")
    given = parser.parse_args()
    data = flows(given.folder)
    training = Training(batch=8, learning_rate=2e-3)
    learners: dict[str, Learner] = {
        "fno": FNO(modes=16, width=24, training=training),
        "unet": UNet(width=WIDTH, training=training),
        "transformer": Transformer(training=training),
        "grid u-net": GridUNet(width=WIDTH, training=training),
    }
    print(f"{'relative L2':12} {'parameters':>10} {'CPU s':>6} " + " ".join(f"{size:>9}" for size in SIZES), flush=True)
    for name, learner in learners.items():
        out = given.folder / f"resolutions-{name.replace(' ', '-')}-{given.seed}"
        stored = out / "scores.json"
        if stored.exists():
            row = json.loads(stored.read_text(encoding="utf-8"))
        else:
            began = time.process_time()
            surrogate = ps.train(
                learner, at(data, TRAINED), TASK, seed=given.seed, budget=given.budget, threads=1, out=out
            )
            row = {"parameters": surrogate.parameters, "cpu_seconds": time.process_time() - began}
            row |= {str(size): error(surrogate, at(data, size)) for size in SIZES}
            stored.write_text(json.dumps(row), encoding="utf-8")
        errors = " ".join(f"{row[str(size)]:9.2e}" for size in SIZES)
        print(f"{name:12} {row['parameters']:10d} {row['cpu_seconds']:6.0f} {errors}", flush=True)


if __name__ == "__main__":
    main()
