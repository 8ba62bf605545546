"""How far the reference solver is from files made by others, over each whole file and from t = 0.25 on.

PDESOLVE_DATA=folder python experiments/accuracy/references.py
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import scipy.io
import torch

import pdesolve as ps
from pdesolve.geometry import Grid, GridAxis
from pdesolve.metrics import relative_l2
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

# file, keys of times and values, whether values are stored (x, t), problem, settings of the reference
FILES = (
    ("raissi-pinns/appendix/Data/burgers_shock.mat", "t", "usol", True, "burgers_shock", {}),
    ("jaxpi/examples/burgers/data/burgers.mat", "t", "usol", False, "burgers_shock", {}),
    ("raissi-pinns/main/Data/KdV.mat", "tt", "uu", True, "kdv", {}),
    ("jaxpi/examples/ks/data/ks.mat", "t", "usol", False, "kuramoto_sivashinsky", {}),
    ("raissi-pinns/main/Data/AC.mat", "tt", "uu", True, "allen_cahn", {}),
    ("raissi-pinns/main/Data/AC.mat", "tt", "uu", True, "allen_cahn", {"resolution": 8192, "steps": 1600}),
    (
        "raissi-pinns/main/Data/AC.mat", "tt", "uu", True, "allen_cahn",
        {"resolution": 512, "steps": 800, "dealiasing": "none"},
    ),
)  # fmt: skip


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    print(f"{'file':<20} {'settings':<58} {'whole file':>10} {'t >= 0.25':>10} {'CPU s':>6}")
    for name, t_key, u_key, space_first, problem_name, settings in FILES:
        content = scipy.io.loadmat(folder / name)
        times, places, values = content[t_key].ravel(), content["x"].ravel(), np.asarray(content[u_key])
        truth = torch.from_numpy(np.ascontiguousarray(values.T if space_first else values))
        problem = ps.make_problem(problem_name)
        start = time.process_time()
        method = ps.make_method("reference", {"cache": "none", **settings})
        solution = method.solve(problem, Run(budget=Budget.from_now(600.0)))
        axis = problem.domain.axes["x"]
        places = np.clip(places, axis.lower, axis.upper)
        assert problem.time is not None
        found = solution.on(Grid((GridAxis.at(problem.time, times), GridAxis.at(axis, places))))["u"]
        seconds = time.process_time() - start
        late = torch.from_numpy(times >= 0.25 - 1e-9)
        words = ", ".join(f"{k} {v}" for k, v in settings.items()) or "default"
        errors = relative_l2(found, truth), relative_l2(found[late], truth[late])
        print(f"{Path(name).name:<20} {words:<58} {errors[0]:>10.1e} {errors[1]:>10.1e} {seconds:>6.1f}", flush=True)


if __name__ == "__main__":
    if "PDESOLVE_DATA" not in os.environ:
        sys.exit("PDESOLVE_DATA is not set: it names the folder of the files")
    main(Path(os.environ["PDESOLVE_DATA"]))
