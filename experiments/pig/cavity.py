"""A run of the lid-driven cavity beside a file of velocities made by others.

python experiments/pig/cavity.py RUN ldc_Re100.mat        the file of JAX-PI: x, y (256), u, v (256, 256) in (x, y)

The run of the table: pdesolve solve lid_cavity --method pig --budget 20min with the settings of `accuracy.py`.
"""

from __future__ import annotations

import sys

import numpy as np
import scipy.io
import torch

import pdesolve as ps
from pdesolve.geometry import PointCloud
from pdesolve.metrics import relative_l2


def main(run: str, file: str) -> None:
    solution, content = ps.load(run), scipy.io.loadmat(file)
    x, y = np.meshgrid(content["x"].ravel(), content["y"].ravel(), indexing="ij")
    cloud = PointCloud(solution.problem.axes, torch.as_tensor(np.stack([x.ravel(), y.ravel()], 1)).double())
    found = solution.on(cloud)
    ours = torch.stack([found["velocity_x"], found["velocity_y"]])
    theirs = torch.stack([torch.as_tensor(content[name]).double().ravel() for name in ("u", "v")])
    for name, a, b in (
        ("u", ours[0], theirs[0]), ("v", ours[1], theirs[1]), ("speed", ours.norm(dim=0), theirs.norm(dim=0)),
        ("velocity", ours, theirs),
    ):  # fmt: skip
        print(f"{name}: relative L2 {relative_l2(a, b):.2e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
