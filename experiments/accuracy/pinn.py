"""How accurate the plain command is: `pdesolve solve NAME --method pinn --budget N`, no other setting, as a table.

python experiments/accuracy/pinn.py [NAME ...] [--aim] [--folder runs/accuracy] [--table]

Each run is a folder; a finished one is not run again, an interrupted one is resumed: the table may be made in pieces.
`--aim` takes the longer budgets and lower bounds, `--table` prints what there is and runs nothing. The first rows are
judged by the median of three seeds. A problem whose solution is made of sines is followed by its sister, which may be
ten times worse at most, or than the aim where the error is below it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SEEDS = (0, 1, 2)
SISTER = 10.0  # how many times worse a sister problem may be


@dataclass(frozen=True)
class Row:
    """A problem with the error it must reach and the error aimed at, each in some CPU minutes."""

    problem: str
    must: float
    minutes: float
    aim: float
    aim_minutes: float
    seeds: Sequence[int] = (0,)
    sister: str = ""
    settings: Sequence[str] = ()

    @property
    def label(self) -> str:
        """The problem with what its settings say: "poisson_nd dimension 5"."""
        return " ".join(
            [self.problem, *(s.removeprefix("--problem.").removeprefix("--method.") for s in self.settings)]
        )


ROWS = (
    Row("burgers_shock", 1e-5, 5, 1e-6, 10, SEEDS),
    Row("allen_cahn", 1e-4, 10, 1e-6, 30, SEEDS),
    Row("helmholtz_2d", 1e-5, 5, 1e-7, 10, SEEDS, "helmholtz_2d_sister"),
    Row("klein_gordon_2d", 1e-4, 10, 1e-6, 20, SEEDS),
    Row("poisson_2d", 1e-9, 1, 1e-11, 2, SEEDS, "poisson_2d_sister"),
    Row(
        "poisson_2d",
        1e-9,
        1,
        1e-11,
        2,
        SEEDS,
        "poisson_2d_sister",
        ("--method.width", "64", "--method.depth", "1"),
    ),  # fmt: skip
    Row("heat_1d", 1e-8, 1, 1e-10, 2, sister="heat_1d_sister"),
    Row("wave_1d", 1e-4, 5, 1e-7, 10, sister="wave_1d_sister"),
    Row("heat_multiscale_2d", 1e-3, 5, 1e-6, 10, sister="heat_multiscale_2d_sister"),
    Row("kdv", 1e-3, 10, 1e-5, 20),
    Row("poisson_nd", 1e-5, 10, 1e-7, 20, sister="poisson_nd_sister", settings=("--problem.dimension", "5")),
    Row("poisson_nd", 1e-3, 10, 1e-5, 20, sister="poisson_nd_sister", settings=("--problem.dimension", "10")),
)


@dataclass(frozen=True)
class Plan:
    """One run: its folder and the command's arguments."""

    problem: str
    settings: Sequence[str]
    minutes: float
    seed: int
    folder: Path

    def finished(self) -> dict | None:
        """The proof of the run where it has ended."""
        try:
            content = json.loads((self.folder / "run.json").read_text())
        except (OSError, json.JSONDecodeError):
            return None
        return content.get("proof") if content.get("status") == "finished" else None

    def make(self) -> None:
        """Run the command, or go on where it was interrupted."""
        command = [sys.executable, "-m", "pdesolve"]
        if (self.folder / "run.json").exists():
            command += ["resume", str(self.folder)]
        else:
            command += ["solve", self.problem, "--method", "pinn", "--budget", f"{self.minutes:g}min"]
            command += ["--seed", str(self.seed), "--out", str(self.folder), *self.settings]
        print(" ".join(command[1:]), file=sys.stderr, flush=True)
        ended = subprocess.run(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
        if ended.returncode == 130:
            raise KeyboardInterrupt


def plans(row: Row, folder: Path, *, aim: bool) -> Iterator[Plan]:
    """The runs of a row, those of its sister last."""
    minutes = row.aim_minutes if aim else row.minutes
    for problem in filter(None, (row.problem, row.sister)):
        for seed in row.seeds:
            words = [word.split(".")[-1] for word in row.settings]
            stem = "-".join([problem, *words, f"{minutes:g}min", f"seed{seed}"])
            yield Plan(problem, row.settings, minutes, seed, folder / stem)


def error(proof: dict | None) -> float | None:
    """The worst final relative L2 error of a proof's unknowns."""
    if proof is None:
        return None
    found = [figures["relative_l2"] for figures in proof["errors"].values()]
    return None if None in found else max(found)


def line(row: Row, folder: Path, *, aim: bool) -> str:
    """A row of the table, from the runs that have ended."""
    figures: dict[str, list[float]] = {row.problem: [], row.sister: []}
    for plan in plans(row, folder, aim=aim):
        found = error(plan.finished())
        if found is not None:
            figures[plan.problem].append(found)
    bound, minutes = (row.aim, row.aim_minutes) if aim else (row.must, row.minutes)
    ours, sister = figures[row.problem], figures[row.sister] if row.sister else []
    verdict = "-"
    if len(ours) == len(row.seeds):
        verdict = "reached" if statistics.median(ours) <= bound else "missed"
    if sister and ours:
        # a ratio of two roundings says nothing: errors below the aim count as the aim
        ratio, theirs = statistics.median(sister) / statistics.median(ours), statistics.median(sister)
        fair = theirs <= SISTER * max(statistics.median(ours), row.aim)
        verdict += f"; sister {ratio:.2g}x" + (
            "" if ratio <= SISTER else ", below 10x the aim" if fair else ", too much"
        )
    cells = [row.label, f"{minutes:g}", f"{bound:.0e}", numbers(ours), numbers(sister), verdict]
    return "| " + " | ".join(cells) + " |"


def numbers(values: Sequence[float]) -> str:
    """Figures in the order of their seeds, their median in front where there are several."""
    if not values:
        return "-"
    each = ", ".join(f"{value:.1e}" for value in values)
    return each if len(values) == 1 else f"{statistics.median(values):.1e} ({each})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="problems (default: all)")
    parser.add_argument("--aim", action="store_true", help="the longer budgets and the lower bounds")
    parser.add_argument("--folder", type=Path, default=Path("runs/accuracy"), help="where the runs are kept")
    parser.add_argument("--table", action="store_true", help="print what there is, run nothing")
    given = parser.parse_args()
    known = {row.problem for row in ROWS}
    if unknown := set(given.names) - known:
        parser.error(f"no row is called {', '.join(sorted(unknown))}: there are {', '.join(sorted(known))}")
    rows = [row for row in ROWS if not given.names or row.problem in given.names]
    for row in rows:
        for plan in plans(row, given.folder, aim=given.aim):
            if not given.table and plan.finished() is None:
                plan.make()
    print("| problem | CPU min | bound | relative L2 | its sister | |\n|---|---|---|---|---|---|")
    for row in rows:
        print(line(row, given.folder, aim=given.aim))


if __name__ == "__main__":
    main()
