"""Networks marched by classical steps against their floors: the same step without error in space, and Adam's fits.

python experiments/insr/accuracy.py [ROW ...]        rows: see ROWS below; without any, all of them

Each row is kept in experiments/insr/rows.json as it ends, and not computed again: remove the file, or name the row.
The rows of Adam have the paper's recipe with smaller caps (150 iterations a fit, 2000 for the first; of flows 3000 and
10 000, 1000 points for 20 000 and 5000 to 16 384, a rate of 1e-3 for 1e-4) and walls held by the output; they say what
that recipe does in minutes, not in hours.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pdesolve.geometry import Grid
from pdesolve.method import Solution

sys.path.append(str(Path(__file__).parents[1]))
from marched import Row, go, solve

FILE = Path(__file__).with_name("rows.json")


ADAM: dict[str, Any] = {
    "fit": "adam", "iterations": 150, "fit_steps": 2000, "learning_rate": 1e-3, "points": 1000, "fit_tolerance": 1.0,
}  # fmt: skip
PAPER_1D = {**ADAM, "width": 20, "depth": 3}
PAPER_2D = {**ADAM, "width": 32, "depth": 4, "iterations": 3000, "fit_steps": 10_000}
MIDPOINT: dict[str, Any] = {"time_steps": 40, "scheme": "midpoint", "depth": 3, "fit_goal": 1e-9}
FLOW: dict[str, Any] = {"depth": 3, "fit_goal": 1e-7, "fit_share": 0.4}
ROWS = {
    "advection, midpoint": Row("advection_1d", MIDPOINT, 1, {"final_time": 2.0}),
    "advection, midpoint, Adam": Row("advection_1d", {**MIDPOINT, **PAPER_1D}, 10, {"final_time": 2.0}),
    "advection, semi-Lagrangian": Row("advection_1d", {"time_steps": 240, "depth": 3, "fit_goal": 1e-9}, 5),
    "rotation, semi-Lagrangian": Row("advection_2d", {}, 2),
    "vortices between walls": Row("taylor_green_walls_2d", FLOW | {"time_steps": 100}, 7),
    "vortices between walls, Adam, 2 steps": Row(
        "taylor_green_walls_2d", {"time_steps": 2, "scheme": "splitting", **PAPER_2D}, 20, {"final_time": 0.1}
    ),
    "one vortex between walls": Row("taylor_green_walls_2d_sister", FLOW, 5),
    "vortices, viscous": Row("taylor_green_2d", FLOW | {"time_steps": 10}, 2, {"final_time": 1.0}),
    "vortices, viscous, Adam, 2 steps": Row(
        "taylor_green_2d", {"time_steps": 2, "scheme": "splitting", **PAPER_2D}, 20, {"final_time": 0.2}
    ),
    "vortices of two scales": Row("vortices_2d", FLOW, 10),
    "shear layers": Row("shear_layers_2d", FLOW | {"time_steps": 10}, 7, {"final_time": 1.0}),
    "elastic square": Row("elastic_square_2d", {"time_steps": 20}, 2, {"final_time": 0.2}),
}


def midpoint_floor(final: float, steps: int, speed: float = 0.25, width: float = 0.1) -> float:
    """The relative L2 error of the midpoint rule on the bump, without error in space: by Fourier on a long circle."""
    n, length = 4096, 16.0
    x = (np.arange(n) / n - 0.5) * length
    waves = np.fft.fftfreq(n, length / n) * 2j * math.pi
    z = -speed * waves * final / steps
    start = np.exp(-0.5 * ((x + 1.5) / width) ** 2)
    marched = np.fft.ifft(np.fft.fft(start) * ((1 + z / 2) / (1 - z / 2)) ** steps).real
    exact = np.exp(-0.5 * ((x + 1.5 - speed * final) / width) ** 2)
    return float(np.linalg.norm(marched - exact) / np.linalg.norm(exact))


def energy_drift(solution: Solution) -> float | None:
    """The largest change of the kinetic energy of a flow, as a part of it."""
    grid, found = solution.problem.evaluation_set, solution.on()
    if "velocity_x" not in found or not isinstance(grid, Grid):
        return None
    weights = torch.as_tensor(np.outer(grid["x"].weights, grid["y"].weights))
    energy = ((found["velocity_x"] ** 2 + found["velocity_y"] ** 2) * weights).sum((-2, -1))
    return float(((energy - energy[0]) / energy[0]).abs().max())


def make(row: Row) -> dict[str, Any]:
    """What a row comes to."""
    solution, found = solve("insr", row)
    return found | {"energy drift": energy_drift(solution)}


def beside(found: Mapping[str, Any]) -> str:
    """The drift of a flow's energy."""
    return "" if found["energy drift"] is None else f", energy drift {found['energy drift']:.1e}"


if __name__ == "__main__":
    print(f"midpoint rule alone, dt 0.05, t = 2: {midpoint_floor(2.0, 40):.2e}")
    go(FILE, ROWS, make, beside=beside)
