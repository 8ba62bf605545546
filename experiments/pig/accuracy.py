"""How accurate physics-informed Gaussians are: `pdesolve solve NAME --method pig --budget N` beside the paper's errors.

python experiments/pig/accuracy.py [NAME ...] [--ablations] [--folder runs/pig] [--table]

Each run is a folder; a finished one is not run again, so that the table may be made in pieces. `--ablations` takes the
paper's: no perceptron, full covariances, and others. `--table` prints what there is and runs nothing. The
paper's errors are means of three seeds, the best seen on the test grid during training; ours are those at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A problem in so many CPU minutes: the error that is asked for and the paper's; of which unknowns, all if none."""

    problem: str
    minutes: float
    asked: float
    paper: str
    settings: tuple[str, ...] = ()
    judged: tuple[str, ...] = ()


HARD = ("--problem.x_waves", "10", "--problem.y_waves", "10")
# u falls like a root at the walls, where its residual hardly counts
WALLS = (
    "--method.conditions", "soft", "--method.condition_points", "1000", "--method.sampler", "chebyshev",
    "--method.exponent", "0.01", "--method.collocation", "6000",
)  # fmt: skip
# points towards the corners of the lid, more Gaussians for them
LID = (
    "--method.sampler", "chebyshev", "--method.exponent", "0.01", "--method.gaussians", "80", "--method.collocation",
    "5000",
)  # fmt: skip
ROWS = (
    Row("helmholtz_2d", 5, 2e-5, "4.1e-5"),
    Row("helmholtz_2d_sister", 5, 2e-4, "-"),
    Row("helmholtz_2d", 15, 1e-3, "7.1e-3", HARD),
    Row("allen_cahn", 15, 1e-4, "1.0e-4"),
    Row("klein_gordon_2d", 10, 1e-4, "2.8e-3 (without the initial rate)"),
    Row("flow_mixing", 20, 4.5e-4, "4.5e-4"),
    Row("nonlinear_diffusion_2d", 20, 8e-4, "2.7e-3"),
    Row("nonlinear_diffusion_2d", 20, 8e-4, "2.7e-3", WALLS),
    Row("poisson_nd_sister", 10, 8.4e-3, "8.4e-3 (100 axes)", ("--problem.dimension", "10")),
    Row("lid_cavity", 20, 2e-2, "4.0e-4", LID, ("velocity_x", "velocity_y")),
)
# helmholtz_2d is linear: without this its Gaussians would not be trained at all
TRAINED = ("--method.optimiser", "levenberg_marquardt")
ABLATED = (Row("helmholtz_2d", 0.75, 2e-5, "2.2e-5", TRAINED), Row("allen_cahn", 1.25, 1e-4, "7.3e-5"))
ABLATIONS = (
    (),
    ("--method.placement", "fixed"),
    ("--method.perceptron", "none"),
    ("--method.perceptron", "sine"),
    ("--method.covariance", "full"),
    ("--method.centres", "own"),
    ("--method.basis", "separable"),
)


def finished(folder: Path) -> dict | None:
    """The proof of a run that has ended."""
    try:
        content = json.loads((folder / "run.json").read_text())
    except (OSError, json.JSONDecodeError):
        return None
    return content.get("proof") if content.get("status") == "finished" else None


def line(row: Row, folder: Path, *, only_print: bool) -> str:
    """A row of the table, run first unless there is one or only what there is was asked for."""
    words = [word.split(".")[-1] if word.startswith("--") else word for word in row.settings]
    place = folder / "-".join([row.problem, *words, f"{row.minutes:g}min"])
    if finished(place) is None and not only_print:
        command = [sys.executable, "-m", "pdesolve", "solve", row.problem, "--method", "pig"]
        command += ["--budget", f"{row.minutes:g}min", "--out", str(place), *row.settings]
        print(" ".join(command[1:]), file=sys.stderr, flush=True)
        subprocess.run(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    proof = finished(place)
    label = " ".join([row.problem, *words])
    if proof is None:
        return f"| {label} | {row.minutes:g} | {row.asked:g} | {row.paper} | - | - | - |"
    error = max(figures["relative_l2"] for name, figures in proof["errors"].items() if name in (row.judged or [name]))
    verdict = "reached" if error <= row.asked else "missed"
    cost = f"{proof['parameters']} | {proof['cpu_seconds']:.0f} s"
    return f"| {label} | {row.minutes:g} | {row.asked:g} | {row.paper} | {error:.1e} {verdict} | {cost} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--ablations", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("runs/pig"))
    given = parser.parse_args()
    rows = ROWS
    if given.ablations:
        rows = tuple(replace(r, settings=(*r.settings, *some)) for r in ABLATED for some in ABLATIONS)
    print("| problem | CPU min | asked | paper | ours | parameters | CPU |\n|---|---|---|---|---|---|---|")
    for row in rows:
        if not given.names or row.problem in given.names:
            print(line(row, given.folder, only_print=given.table), flush=True)


if __name__ == "__main__":
    main()
