"""What a sample of Darcy flow costs on n by n intervals: coefficients given, a batch of draws, one thread.

python experiments/speed/darcy.py [N ...]
"""

from __future__ import annotations

import sys
import time

import torch

import pdesolve as ps
from pdesolve.fields import Coordinates, GridField
from pdesolve.physics.solvers.reference.task import Task
from pdesolve.physics.solvers.reference.two_point_flux import TwoPointFlux

SAMPLES = 8


def main(sizes: list[int]) -> None:
    torch.set_num_threads(1)
    problem = ps.make_problem("darcy_2d")
    print(f"{'intervals':>9} {'CPU s a sample':>15}")
    for n in sizes:
        grid = problem.grid(n, bounded="cells")
        draws = [ps.make_problem("darcy_2d", {"seed": seed}).bind(Coordinates(grid)) for seed in range(SAMPLES)]
        fields = torch.stack([p["permeability"].values for p in draws])
        values = {"permeability": GridField(fields, grid, draws[0]["permeability"].quantity)}
        task = Task(problem, values, (), torch.device("cpu"), "two_thirds", 4, 1e-6)
        start = time.process_time()
        TwoPointFlux().compute(task, {"x": n, "y": n}, 0)
        print(f"{n:>9} {(time.process_time() - start) / SAMPLES:>15.3f}", flush=True)


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [64, 128, 256, 420])
