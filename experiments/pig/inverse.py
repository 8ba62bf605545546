"""Both coefficients of the Allen-Cahn equation from 200 values of its solution, without noise.

python experiments/pig/inverse.py [--minutes 10] [--points 200] [--noise 0] [--seed 0] [--folder runs/pig-inverse]

The observations are drawn evenly from the reference solution. The run begins with ten times the diffusivity and a fifth
of the reaction rate, and knows the initial state and that x is periodic.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import torch

import pdesolve as ps
from pdesolve.geometry import PointCloud

TRUE = {"diffusivity": 1e-4, "reaction": 5.0}
START = {"diffusivity": 1e-3, "reaction": 1.0}


def observe(path: Path, count: int, noise: float, seed: int) -> None:
    """Values of the reference at points spread at random, with noise of that part of their size."""
    solution = ps.solve("allen_cahn", "reference", out=path.parent / "reference")
    generator = torch.Generator().manual_seed(seed)
    cloud = solution.problem.sample(count, "uniform", generator)
    values = solution.on(PointCloud(cloud.axes, cloud.x))["u"].flatten()
    values = values + noise * values.std() * torch.randn(values.shape, generator=generator, dtype=values.dtype)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*cloud.axes.names, "u"])
        writer.writerows([*x, u] for x, u in zip(cloud.x.tolist(), values.tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("runs/pig-inverse"))
    for name, default in (("minutes", 10.0), ("noise", 0.0), ("points", 200), ("seed", 0)):
        parser.add_argument(f"--{name}", type=type(default), default=default)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    data = given.folder / f"{given.points}-{given.noise:g}-{given.seed}.csv"
    if not data.exists():
        observe(data, given.points, given.noise, given.seed)
    out = given.folder / f"{data.stem}-{given.minutes:g}min"
    if not (out / "run.json").exists():
        command = [sys.executable, "-m", "pdesolve", "solve", "allen_cahn", "--method", "pig", "--observe", str(data)]
        command += [
            "--learn",
            ",".join(f"{name}={value}" for name, value in START.items()),
            "--budget",
            f"{given.minutes:g}min",
            "--seed",
            str(given.seed),
        ]
        subprocess.run([*command, "--out", str(out)], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    learned = json.loads((out / "run.json").read_text())["proof"]["learned"]
    print("| coefficient | true | started from | found | off by (asked 1 %) |\n|---|---|---|---|---|")
    for name, true in TRUE.items():
        found = learned[name]["value"]
        print(f"| {name} | {true:g} | {START[name]:g} | {found:.6g} | {abs(found / true - 1):.2%} |")


if __name__ == "__main__":
    main()
