"""What a step of the finite volumes costs for each cell, beside the least that memory allows, on one thread.

The floor of a stage of SSP-RK3: every average is read twice (the state and the rate's state) and written once, at the
speed at which this machine copies the same number of bytes.

python experiments/speed/finite_volume.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

import pdesolve as ps
from pdesolve.integration.finite_volume import FiniteVolumes
from pdesolve.integration.tracing import traced


def seconds(function: Callable[..., Any], *arguments: Any) -> float:
    """The best of five runs of at least 0.1 s each."""
    function(*arguments)
    best = float("inf")
    for _ in range(5):
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < 0.1:
            function(*arguments)
            count += 1
        best = min(best, (time.perf_counter() - start) / count)
    return best


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'problem':<22} {'cells':>9} {'ns/cell-stage':>14} {'ns/cell-step':>13} {'floor':>7} {'ratio':>6}")
    with torch.no_grad():
        for name, sizes in {"sod": (512, 4096, 65536), "shallow_water_radial": (64, 256, 512)}.items():
            problem = ps.make_problem(name)
            for n in sizes:
                f = FiniteVolumes(problem, problem.grid(n, bounded="cells"))
                y, t = f.start(), torch.zeros((), dtype=torch.float64)
                cells = y[0].numel()
                stage = seconds(traced(f, t, y), t, y)
                step = 3 * stage + seconds(traced(f.step_size, t, y), t, y)
                other = y.clone()
                floor = 1.5 * seconds(other.copy_, y)  # a copy is one read and one write
                figures = f"{stage / cells * 1e9:>14.0f} {step / cells * 1e9:>13.0f} {floor / cells * 1e9:>7.1f}"
                print(f"{name:<22} {cells:>9} {figures} {stage / floor:>6.0f}")


if __name__ == "__main__":
    main()
