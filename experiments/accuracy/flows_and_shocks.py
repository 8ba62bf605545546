"""The reference solver against files made by others where `references.py` ends: steady, in the plane, with shocks.

PDESOLVE_DATA=folder python experiments/accuracy/flows_and_shocks.py [FILE ...]
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import torch
import yaml
from torch import Tensor

import pdesolve as ps
from pdesolve.condition import Dirichlet
from pdesolve.equation import Equation, State, Unknown, Values
from pdesolve.fields import Coordinates, Vector, laplacian
from pdesolve.geometry import Axis, Box, Disk, Grid, GridAxis, Interval, PointCloud, Polygon
from pdesolve.method import Solution
from pdesolve.metrics import relative_l2
from pdesolve.physics.equations.poisson import Poisson
from pdesolve.physics.equations.steady_navier_stokes import SteadyNavierStokes
from pdesolve.problem import Evaluation, Problem
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

SQUARE = Box(Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
THREE_WALLS = ("x_min", "x_max", "y_min")


@dataclass(frozen=True)
class Line:
    """A quantity of a file, how far we are from it, in which measure, and the bound."""

    quantity: str
    error: float
    bound: float | None
    measure: str = "relative L2"


Lines = Iterator[Line]


@dataclass(frozen=True)
class Screened(Equation):
    """-lap u + u = 1: what DeepXDE's L-shape solves, as its own numbers show."""

    unknowns = (Unknown("u"),)

    def residual(self, u: State, p: Values, x: Coordinates) -> State:
        return {"u": -laplacian(u["u"]) + u["u"] - 1.0}  # type: ignore[arg-type]


def solve(problem: Problem, **settings: Any) -> Solution:
    method = ps.make_method("reference", {"cache": "none", **settings})
    return method.solve(problem, Run(budget=Budget.from_now(600.0)))


def double(values: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=float))


def at(solution: Solution, x: Any, y: Any) -> dict[str, Tensor]:
    axes = solution.problem.domain.axes
    return dict(solution.on(Grid((GridAxis.at(axes["x"], x), GridAxis.at(axes["y"], y)))))


def cavity(path: Path, *, viscosity: float, resolution: int, bound: float | None) -> Lines:
    solution = solve(ps.make_problem("lid_cavity", {"viscosity": viscosity}), resolution=resolution)
    content = scipy.io.loadmat(path)
    found = at(solution, content["x"].ravel(), content["y"].ravel())
    u, v = double(content["u"]), double(content["v"])
    speed = torch.hypot(found["velocity_x"], found["velocity_y"])
    yield Line("speed", relative_l2(speed, torch.hypot(u, v)), bound)
    yield Line("u", relative_l2(found["velocity_x"], u), bound)
    yield Line("v", relative_l2(found["velocity_y"], v), bound)


def ghia(path: Path, *, viscosity: float, resolution: int, column: int, bound: float | None) -> Lines:
    solution = solve(ps.make_problem("lid_cavity", {"viscosity": viscosity}), resolution=resolution)
    table = np.loadtxt(path)
    u = at(solution, [0.5], table[:, 0])["velocity_x"][0].numpy() - table[:, column]
    v = at(solution, table[:, 6], [0.5])["velocity_y"][:, 0].numpy() - table[:, 6 + column]
    words = f"Re {1 / viscosity:.0f}"
    yield Line(f"{words}, u(0.5, y)", float(np.abs(u).max()), bound, "largest")
    yield Line(f"{words}, v(x, 0.5)", float(np.abs(v).max()), bound, "largest")


def smooth_lid(path: Path, *, resolution: int) -> Lines:
    """Less the two points at the corners of the lid, where the file has no smooth values."""

    def lid(p: Values, x: Coordinates) -> Vector:
        return Vector({"x": x.expand(2 * x["x"] * (1 - x["x"])), "y": x.constant(0.0)})

    problem = Problem(
        "smooth_lid", SteadyNavierStokes(), SQUARE,
        (Dirichlet("velocity", THREE_WALLS, 0.0), Dirichlet("velocity", "y_max", lid)),
        values={"viscosity": 0.01}, evaluation=Evaluation(25), up_to_constant=("pressure",),
    )  # fmt: skip
    content = double(np.loadtxt(path, comments="%", encoding="utf-8"))
    corners = torch.tensor([[0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    content = content[(torch.cdist(content[:, :2].contiguous(), corners) > 0.01).all(1)]
    found = solve(problem, resolution=resolution).on(PointCloud(SQUARE.axes, content[:, :2].clamp(0, 1)))
    for i, (name, bound) in enumerate((("velocity_x", 1e-3), ("velocity_y", 1e-3))):
        yield Line(name, relative_l2(found[name], content[:, 2 + i]), bound)
    pressure, truth = found["pressure"], content[:, 4]
    yield Line("pressure less its mean", relative_l2(pressure - pressure.mean(), truth - truth.mean()), 5e-3)


def four_holes(path: Path, *, resolution: int) -> Lines:
    domain = Box(Axis("x", -0.5, 0.5), Axis("y", -0.5, 0.5))
    holes = tuple(f"hole_{i}" for i in range(4))
    for hole, centre in zip(holes, ((a, b) for a in (-0.3, 0.3) for b in (-0.3, 0.3)), strict=True):
        domain = domain - Disk(centre, 0.1, boundary=hole)
    sides = tuple(name for name in domain.boundaries if name not in holes)
    conditions = (Dirichlet("u", sides, 1.0), Dirichlet("u", holes, 0.0))
    problem = Problem("holes", Poisson(), domain, conditions, evaluation=Evaluation(41))
    table = double(np.loadtxt(path, comments="%", encoding="utf-8"))
    found = solve(problem, resolution=resolution).on(PointCloud(domain.axes, table[:, :2].contiguous()))
    yield Line("u", relative_l2(found["u"], table[:, 2]), 5e-4)


def screened_corner(path: Path, *, resolution: int) -> Lines:
    domain = Polygon(((-1.0, -1.0), (1.0, -1.0), (1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (-1.0, 1.0)))
    problem = Problem("screened", Screened(), domain, (Dirichlet("u"),), evaluation=Evaluation(41))
    with np.load(path, allow_pickle=False) as file:
        points, values = file["X_test"], file["y_ref"][:, 0]
    inside = np.isfinite(values)
    found = solve(problem, resolution=resolution).on(PointCloud(domain.axes, double(points[inside])))
    yield Line("u, -lap u + u = 1", relative_l2(found["u"], double(values[inside])), 5e-4)


def shock(path: Path, *, problem: str, names: dict[str, str], cells: int, bound: float) -> Lines:
    """The mean difference at the final time on the file's own cells, and, beside it, both to the exact solution."""
    posed = ps.make_problem(problem)
    assert posed.time is not None
    grid = posed.grid(cells, bounded="cells").with_times(posed.time, [posed.time.upper])
    found, exact = solve(posed, scheme="finite_volume", resolution=cells).on(grid), solve(posed).on(grid)
    with h5py.File(path) as file:
        for ours, theirs in names.items():
            truth = double(file["state"][theirs]["data"][:, 0])  # type: ignore[index]
            own, other = (float((u - exact[ours]).abs().mean()) for u in (found[ours], truth))
            words = f"{ours} (to the exact solution: ours {own:.1e}, the file {other:.1e})"
            yield Line(words, float((found[ours][0] - truth).abs().mean()), bound, "L1")


def pond(path: Path, *, cells: int, bound: float) -> Lines:
    times = tuple(0.04 * i for i in range(26))
    with h5py.File(path) as file:
        for group in sorted(file):
            radius = yaml.safe_load(file[group].attrs["config"])["sim"]["dam_radius"]  # type: ignore[arg-type]
            truth = double(file[group]["data"][..., 0])  # type: ignore[index]
            problem = ps.make_problem("shallow_water_radial", {"radius": float(radius)})
            problem = dataclasses.replace(problem, evaluation=Evaluation(cells, times, bounded="cells"))
            found = solve(problem, scheme="finite_volume", resolution=cells).on()["depth"]
            yield Line(f"depth, sample {group}", relative_l2(found, truth), bound)


def sorption(path: Path, *, points: int, bound: float) -> Lines:
    """To t = 100, with the walls where the file has them: half a cell outside."""
    times = tuple(5.0 * i for i in range(1, 21))
    with h5py.File(path) as file:
        group: Any = file["0000"]
        truth, places = double(group["data"][:21, :, 0]), group["grid"]["x"][:].astype(float)
    half = 0.5 / len(places)
    problem = ps.make_problem("diffusion_sorption", {"initial": float(truth[0, 0]), "final_time": 100.0})
    problem = dataclasses.replace(problem, domain=Interval("x", -half, 1 + half), evaluation=Evaluation(9, times))
    assert problem.time is not None
    solution = solve(problem, resolution=points, accuracy=2, tolerance=1e-4)
    grid = Grid((GridAxis.at(problem.time, times), GridAxis.at(problem.domain.axes["x"], places)))
    yield Line("u, t <= 100", relative_l2(solution.on(grid)["u"], truth[1:]), bound)


JAXPI, PYRO, PDEBENCH = "jaxpi/examples/ldc/data/", "pyro2/pyro/", "pdebench-generated/"
GHIA = "petibm/examples/data/ghia_et_al_1982_lid_driven_cavity.dat"
SOD = {"density": "density", "momentum": "x-momentum", "energy": "energy"}
DAM = {"depth": "height", "momentum": "x-momentum"}
# file, our settings in words, and what is measured
ROWS: tuple[tuple[str, str, Callable[[Path], Lines]], ...] = (
    (JAXPI + "ldc_Re100.mat", "48 points", partial(cavity, viscosity=1e-2, resolution=48, bound=2e-2)),
    (GHIA, "48 points", partial(ghia, viscosity=1e-2, resolution=48, column=1, bound=2e-2)),
    (JAXPI + "ldc_Re1000.mat", "64 points", partial(cavity, viscosity=1e-3, resolution=64, bound=None)),
    (GHIA, "64 points", partial(ghia, viscosity=1e-3, resolution=64, column=2, bound=None)),
    ("pinnacle/ref/lid_driven_a2.dat", "32 points", partial(smooth_lid, resolution=32)),
    ("pinnacle/ref/poisson1_cg_data.dat", "elements, 16", partial(four_holes, resolution=16)),
    ("deepxde/examples/dataset/Poisson_Lshape.npz", "elements, 64", partial(screened_corner, resolution=64)),
    (
        PYRO + "compressible/tests/sod_x_0076.h5", "finite volumes, 128",
        partial(shock, problem="sod", names=SOD, cells=128, bound=1.5e-3),
    ),
    (
        PYRO + "swe/tests/dam_x_0081.h5", "finite volumes, 128",
        partial(shock, problem="shallow_water_dam", names=DAM, cells=128, bound=1.5e-3),
    ),
    (PDEBENCH + "2D_rdb_NA_NA_48x48.h5", "finite volumes, 48 x 48", partial(pond, cells=48, bound=1e-2)),
    (PDEBENCH + "1D_diff-sorp_NA_NA_128.h5", "129 points, order 2", partial(sorption, points=129, bound=3e-3)),
)  # fmt: skip


def main(folder: Path, names: list[str]) -> None:
    torch.set_num_threads(1)
    print("| file | settings | quantity | difference | measure | bound | CPU s |\n|---|---|---|---|---|---|---|")
    for path, words, lines in ROWS:
        if names and Path(path).name not in names:
            continue
        begin = time.process_time()
        for line in lines(folder / path):
            seconds = f"{time.process_time() - begin:.1f}"
            bound = "-" if line.bound is None else f"{line.bound:.1e}"
            print(
                f"| {path} | {words} | {line.quantity} | {line.error:.1e} | {line.measure} | {bound} | {seconds} |",
                flush=True,
            )


if __name__ == "__main__":
    if "PDESOLVE_DATA" not in os.environ:
        sys.exit("PDESOLVE_DATA is not set: it names the folder of the files")
    main(Path(os.environ["PDESOLVE_DATA"]), sys.argv[1:])
