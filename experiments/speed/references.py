"""What the reference solution of each problem of the catalogue costs, without the cache, on one thread.

python experiments/speed/references.py [NAME ...]
"""

from __future__ import annotations

import sys
import time

import torch

import pdesolve as ps
from pdesolve import catalogue
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    print(f"{'problem':<22} {'scheme':<11} {'resolution':<22} {'steps':>6} {'estimated error':>15} {'CPU s':>7}")
    for name in names or [entry.name for entry in catalogue.entries("problem")]:
        problem = ps.make_problem(name)
        start = time.process_time()
        method = ps.make_method("reference", {"cache": "none"})
        solution = method.solve(problem, Run(budget=Budget.from_now(600.0)))
        solution.on()
        seconds = time.process_time() - start
        notes = solution.notes
        resolution = ", ".join(f"{k} {v}" for k, v in (notes.get("resolution") or {}).items()) or "-"
        steps, estimate = notes.get("steps") or "-", notes["estimated_error"]
        print(f"{name:<22} {notes['scheme']:<11} {resolution:<22} {steps!s:>6} {estimate:>15.1e} {seconds:>7.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
