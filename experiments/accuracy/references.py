"""How far the reference solver is from files made by others, as a Markdown table with the bounds that tests hold.

PDESOLVE_DATA=folder python experiments/accuracy/references.py [FILE ...]
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch
from torch import Tensor

import pdesolve as ps
from pdesolve.condition import Dirichlet, InitialValue
from pdesolve.equation import Evolution
from pdesolve.fields import GridField, Quantity, cos, sin
from pdesolve.geometry import Axis, Grid, GridAxis, Interval
from pdesolve.metrics import relative_l2
from pdesolve.physics.equations.allen_cahn import AllenCahn
from pdesolve.physics.equations.burgers import Burgers
from pdesolve.physics.equations.korteweg_de_vries import KortewegDeVries
from pdesolve.physics.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from pdesolve.physics.equations.two_species_reaction import TwoSpeciesReaction
from pdesolve.problem import Condition, Evaluation, Problem
from pdesolve.training.budget import Budget
from pdesolve.training.run import Run

PI = math.pi


@dataclass(frozen=True)
class Content:
    """A file's times, places and values (scalar, time, place)."""

    times: np.ndarray
    places: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Row:
    """A file, how to read it, the problem it solves, settings of the reference, and the bound from a time on."""

    path: str
    read: Callable[[Path], Content]
    problem: Callable[[Content], Problem]
    bound: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    start: float = 0.0


def mat(t: str = "t", u: str = "usol", *, place_first: bool = True, scalars: int = 1) -> Callable[[Path], Content]:
    """A reader of MATLAB files; of complex values the real part, or both for two scalars."""

    def read(path: Path) -> Content:
        content = scipy.io.loadmat(path)
        values: Any = content[u]
        values = values.T if place_first else values
        parts = (values.real, values.imag)[:scalars]
        return Content(content[t].ravel(), content["x"].ravel(), np.stack(parts).astype(float))

    return read


def comsol(path: Path) -> Content:
    """One column of x, one of u at each of the times 0, 0.1, ..., 1."""
    columns = np.loadtxt(path, comments="%", encoding="utf-8")
    return Content(np.linspace(0, 1, 11), columns[:, 0], columns[:, 1:].T[None])


def two_species(path: Path) -> Content:
    content = np.load(path, allow_pickle=False)
    return Content(content["t"].ravel(), content["x"].ravel(), np.stack([content["Ca"], content["Cb"]]))


def catalogue(name: str) -> Callable[[Content], Problem]:
    return lambda content: ps.make_problem(name)


def interval(
    equation: Evolution, lower: float, upper: float, final: float, *conditions: Condition, periodic: bool, **values: Any
) -> Problem:
    span = Axis("t", 0.0, final)
    return Problem(
        name="file", equation=equation, domain=Interval("x", lower, upper, periodic=periodic), time=span,
        conditions=conditions, values=values, evaluation=Evaluation.uniform(256 if periodic else 201, span, 50),
    )  # fmt: skip


def sine(equation: Evolution, half: float, final: float, **values: float) -> Callable[[Content], Problem]:
    """u0 = -sin(pi x / half) on a period of 2 half: the runs of deephpms."""
    start = InitialValue("u", lambda p, x: -sin(PI / half * x["x"]))
    return lambda content: interval(equation, -half, half, final, start, periodic=True, **values)


def first_frame(
    equation: Evolution, lower: float, upper: float, final: float, **values: float
) -> Callable[[Content], Problem]:
    """A periodic problem whose initial state is the file's first frame."""

    def make(content: Content) -> Problem:
        axis = Axis("x", lower, upper, periodic=True)
        order = np.argsort(np.mod(content.places - lower + 1e-9, upper - lower))  # one file ends where its period does
        frame = torch.from_numpy(content.values[0, 0, order].copy())
        start = GridField(frame, Grid((GridAxis(axis, "periodic", len(frame)),)), Quantity("u"))
        return interval(equation, lower, upper, final, InitialValue("u", start), periodic=True, **values)

    return make


def cold_ends(content: Content) -> Problem:
    """DeepXDE's Allen-Cahn problem."""
    start = InitialValue("u", lambda p, x: x["x"] ** 2 * cos(PI * x["x"]))
    walls = Dirichlet("u", "all", -1.0)
    return interval(AllenCahn(), -1.0, 1.0, 1.0, start, walls, periodic=False, diffusivity=1e-3, reaction=5.0)


def reaction(content: Content) -> Problem:
    """DeepXDE's two species: first frame and values at both ends are the file's, which says nothing of its walls."""
    space, span = Axis("x", 0.0, 1.0), Axis("t", 0.0, 10.0)
    times = Grid((GridAxis.at(span, content.times.tolist()),))
    nodes = Grid((GridAxis(space, "nodes", len(content.places)),))
    conditions: list[Condition] = []
    for name, values in zip("ab", torch.from_numpy(content.values.astype(float)), strict=True):
        conditions.append(InitialValue(name, GridField(values[0].clone(), nodes, Quantity(name))))
        for side, column in (("x_min", values[:, 0]), ("x_max", values[:, -1])):
            conditions.append(Dirichlet(name, side, GridField(column.clone(), times, Quantity(name))))
    return interval(TwoSpeciesReaction(), 0.0, 1.0, 10.0, *conditions, periodic=False, diffusivity=2e-3, reaction=0.1)


PINN, HPMS = "raissi-pinns/main/Data/", "raissi-deephpms/Data/"
SINDY, DEEPXDE = "pysindy/examples/data/", "deepxde/examples/dataset/"
AC = (PINN + "AC.mat", mat("tt", "uu"), catalogue("allen_cahn"))
ROWS = (
    Row("raissi-pinns/appendix/Data/burgers_shock.mat", mat(), catalogue("burgers_shock"), 1e-10),
    Row("jaxpi/examples/burgers/data/burgers.mat", mat(place_first=False), catalogue("burgers_shock"), 1e-4),
    Row("pinnacle/ref/burgers1d.dat", comsol, catalogue("burgers_shock"), 2e-2),
    Row(PINN + "KdV.mat", mat("tt", "uu"), catalogue("kdv"), 1e-9),
    Row(
        PINN + "NLS.mat", mat("tt", "uu", scalars=2), catalogue("schroedinger"), 5e-5,
        {"resolution": 512, "steps": 800},
    ),
    Row(*AC, 5e-6, {}, 0.25),
    Row(*AC, 5e-6, {"resolution": 8192, "steps": 1600}, 0.25),
    # its own grid, on which it was computed without dealiasing
    Row(*AC, 1e-9, {"resolution": 512, "steps": 800, "dealiasing": "none"}),
    Row(HPMS + "burgers_sine.mat", mat(), catalogue("burgers_sine"), 1e-6),
    Row(
        HPMS + "KdV_sine.mat", mat(), sine(KortewegDeVries(), 20.0, 40.0, advection=1.0, dispersion=1.0), 1e-6,
        {"resolution": 256, "steps": 1600},
    ),
    Row("jaxpi/examples/ks/data/ks.mat", mat(place_first=False), catalogue("kuramoto_sivashinsky"), 1e-7),
    Row(SINDY + "burgers.mat", mat(), first_frame(Burgers(), -8.0, 8.0, 10.0, viscosity=0.1), 1e-6),
    Row(SINDY + "kdv.mat", mat(), catalogue("kdv_two_solitons"), 4e-5, {"resolution": 512, "steps": 1000}),
    Row(
        SINDY + "kuramoto_sivishinky.mat", mat("tt", "uu"),
        # chaos multiplies every difference: the bound is that of t <= 50, the whole file is far above it
        first_frame(KuramotoSivashinsky(), 0.0, 32 * PI, 50.0, advection=1.0, antidiffusion=1.0, hyperdiffusion=1.0),
        1e-5, {"resolution": 1024, "steps": 5000},
    ),
    Row(DEEPXDE + "Allen_Cahn.mat", mat(u="u", place_first=False), cold_ends, 1e-3),
    Row(DEEPXDE + "reaction.npz", two_species, reaction, 5e-3, {"resolution": 100, "tolerance": 1e-4}),
)  # fmt: skip


def measure(row: Row, folder: Path) -> tuple[float, float, float]:
    """The relative L2 difference over the whole file, that from `row.start` on, and CPU seconds without the cache."""
    content = row.read(folder / row.path)
    problem = row.problem(content)
    assert problem.time is not None
    begin = time.process_time()
    method = ps.make_method("reference", {"cache": "none", **row.settings})
    solution = method.solve(problem, Run(budget=Budget.from_now(600.0)))
    axis = problem.domain.axes["x"]
    places = np.clip(content.places, axis.lower, axis.upper)
    kept = content.times <= problem.time.upper * (1 + 1e-9)
    grid = Grid((GridAxis.at(problem.time, content.times[kept].tolist()), GridAxis.at(axis, places.tolist())))
    found = solution.on(grid)
    parts: list[Tensor] = [found[name] for name in problem.equation.scalars]
    seconds = time.process_time() - begin
    ours, truth = torch.stack(parts), torch.from_numpy(content.values[:, kept].copy())
    assert ours.shape == truth.shape  # one that broadcasts would be compared too
    late = torch.from_numpy(content.times[kept] >= row.start - 1e-9)
    return relative_l2(ours, truth), relative_l2(ours[:, late], truth[:, late]), seconds


def main(folder: Path, names: list[str]) -> None:
    torch.set_num_threads(1)
    print("| file | settings | whole file | held part | bound | CPU s |")
    print("|---|---|---|---|---|---|")
    for row in ROWS:
        if names and Path(row.path).name not in names:
            continue
        words = ", ".join(f"{k} {v}" for k, v in row.settings.items()) or "default"
        whole, late, seconds = measure(row, folder)
        part = f"{late:.1e} from t = {row.start:g} on" if row.start else f"{late:.1e}"
        print(f"| {row.path} | {words} | {whole:.1e} | {part} | {row.bound:.0e} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    if "PDESOLVE_DATA" not in os.environ:
        sys.exit("PDESOLVE_DATA is not set: it names the folder of the files")
    main(Path(os.environ["PDESOLVE_DATA"]), sys.argv[1:])
