"""Networks marched by natural gradient beside their floors.

python experiments/teng/accuracy.py [ROW ...]        rows: see ROWS below; without any, all of them

Each row is the plain command with the settings printed, and is kept in experiments/teng/rows.json as it ends; it is not
computed again: remove the file, or name the row. Beside the rows on the torus stand

    time floor   the same scheme and steps without error in space: at most 192 Fourier modes an axis
    features     linear least squares of the initial state on the last hidden units of the network as it is drawn
    modes        the exponential integrator of `reference` on a grid with as many points as the network has parameters
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pdesolve as ps
from pdesolve import catalogue
from pdesolve.fields import Coordinates
from pdesolve.geometry import sample
from pdesolve.marching.sizes import sizes
from pdesolve.physics.solvers.teng.embedding import instant_network
from pdesolve.physics.solvers.teng.method import Teng
from pdesolve.physics.solvers.teng.schemes import scheme
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

sys.path.append(str(Path(__file__).parents[1]))
from marched import Row, final, go, solve

FILE = Path(__file__).with_name("rows.json")
MODES = 192


TORUS: dict[str, Any] = {
    "scheme": "rk4", "width": 16, "depth": 2, "time_steps": 20, "repetitions": 40, "fit_share": 0.2,
}  # fmt: skip
HALF, FOUR = {"final_time": 0.5}, {"final_time": 4.0}
LONG = TORUS | {"time_steps": 160}
LINE: dict[str, Any] = {"scheme": "rk4", "repetitions": 20, "fit_share": 0.2}
SMOOTH = str(Path(__file__).with_name("allen_cahn_smooth.yaml"))
ROWS = {
    "heat": Row("teng_heat", TORUS, 30, HALF, 1e-5),
    "allen-cahn": Row("teng_allen_cahn", TORUS, 30, HALF, 2e-5),
    "burgers": Row("teng_burgers", TORUS, 30, HALF, 5e-5),
    "heat to t = 4": Row("teng_heat", LONG, 60, FOUR),
    "allen-cahn to t = 4": Row("teng_allen_cahn", LONG, 60, FOUR),
    "burgers to t = 4": Row("teng_burgers", LONG, 60, FOUR),
    "burgers in 1-D": Row(
        "burgers_shock", LINE | {"width": 60, "slope": 5.0, "time_steps": 400, "fit_goal": 1e-9}, 5,
        {"viscosity": 0.01}, 1e-6,
    ),
    "smooth allen-cahn in 1-D": Row(SMOOTH, LINE | {"width": 20, "time_steps": 100, "fit_goal": 1e-8}, 5, {}, 1e-6),
    "allen-cahn in 1-D": Row(
        "allen_cahn",
        LINE | {"scheme": "esdirk4", "width": 20, "time_steps": 90, "fit_share": 0.1, "tolerance": 0.15}, 5, {}, 1e-4,
    ),
    "heat between walls": Row(
        "heat_1d", LINE | {"width": 30, "slope": 1.0, "time_steps": 300, "fit_goal": 1e-9}, 5, {}, 1e-7
    ),
    "waves": Row(
        "wave_1d", LINE | {"width": 54, "slope": 3.0, "time_steps": 400, "repetitions": 8, "fit_goal": 1e-9}, 5, {},
        1e-6,
    ),
}  # fmt: skip


def time_floor(row: Row, final: float) -> float:
    """The relative L2 error of the row's scheme and steps by Fourier modes, against twenty times as many steps."""
    problem, steps = catalogue.make_problem(row.problem, row.settings), row.method["time_steps"]
    diffusivity = next(float(v) for v in problem.values.values() if isinstance(v, (int, float)))
    tableau = scheme(row.method.get("scheme", "rk4"))
    # explicit steps hold only so many waves: 2 D k^2 dt within the scheme's limit
    n = min(MODES, 2 * int(math.sqrt(tableau.limit * steps / (2 * diffusivity * final))))
    x = torch.arange(n, dtype=torch.float64) * (2 * math.pi / n)
    x, y = torch.meshgrid(x, x, indexing="ij")
    k = torch.fft.fftfreq(n, 1 / n, dtype=torch.float64)
    kx, ky = torch.meshgrid(k, k, indexing="ij")
    kept = (kx.abs() < n / 3) & (ky.abs() < n / 3)

    def rate(c: Tensor) -> Tensor:
        right = -diffusivity * (kx**2 + ky**2) * c
        u = torch.fft.ifft2(c).real
        if row.problem == "teng_allen_cahn":
            right = right + kept * torch.fft.fft2(u - u**3)
        if row.problem == "teng_burgers":
            right = right - kept * torch.fft.fft2(u * torch.fft.ifft2(1j * (kx + ky) * c).real)
        return right

    sines = (1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, -1)
    start = sum(0.01 * sign * torch.exp(3 * a * torch.sin(x) + b * torch.sin(y)) for a, b, sign in sines)
    ends = []
    for count in (steps, 20 * steps):
        c, dt = torch.fft.fft2(start), final / count
        for _ in range(count):
            held = c

            def reach(target: Tensor, at: float, ahead: float) -> None:
                nonlocal held
                held = target

            tableau.step(c, 0.0, dt, lambda at: rate(held), reach)  # noqa: B023
            c = held
        ends.append(c)
    return float((ends[0] - ends[1]).norm() / ends[1].norm())


def features(row: Row) -> float:
    """Relative L2, at unseen points, of least squares of the initial state on the last hidden units, untrained."""
    problem, method = catalogue.make_problem(row.problem, row.settings), Teng(**row.method)
    generator = torch.Generator().manual_seed(0)
    network = instant_network(
        problem.domain.axes, list(sizes(problem, {}).values()), units=method.units, width=method.width,
        depth=method.depth, slope=method.slope, generator=generator,
    )  # fmt: skip
    found = []
    for seed in (1, 2):
        cloud = sample(problem.domain, 4096, generator=torch.Generator().manual_seed(seed))
        u = problem.initial_state(Coordinates(cloud, gradients=False), {})["u"].values
        with torch.no_grad():
            hidden = network[:-2](cloud.x)  # less the output layer and its scale
        found.append((torch.cat([hidden, torch.ones_like(u)[:, None]], 1), u[:, None]))
    (a, b), (c, d) = found
    weights = torch.linalg.lstsq(a, b).solution
    return float((c @ weights - d).norm() / d.norm())


def modes(row: Row, parameters: int) -> float:
    """Relative L2 at the final time of as many Fourier modes as there are parameters."""
    problem = catalogue.make_problem(row.problem, row.settings)
    settings = {"scheme": "etdrk4", "resolution": 2 * round(math.sqrt(parameters) / 2), "cache": "none"}
    return final(ps.make_method("reference", settings).solve(problem, Run(budget=Budget.from_now(120.0))))["u"]


def make(row: Row) -> dict[str, Any]:
    """What a row comes to."""
    solution, found = solve("teng", row)
    found["beside"] = {}
    if row.problem.startswith("teng_"):
        time = solution.problem.time
        assert time is not None
        found["beside"] = {
            "time floor": time_floor(row, time.upper),
            "features": features(row),
            "modes": modes(row, solution.parameters),
        }
    return found


def beside(found: Mapping[str, Any]) -> str:
    """The floors of a row."""
    return "".join(f", {what} {value:.1e}" for what, value in found["beside"].items())


if __name__ == "__main__":
    go(FILE, ROWS, make, beside=beside)
