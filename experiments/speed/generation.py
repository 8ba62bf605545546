"""Samples per CPU second beside exponax and py-pde: the same problems, initial states, grids and frames, in float64.

Burgers (256 points, t to 1, 101 frames), Kuramoto-Sivashinsky (256 points, t to 20, 41 frames) and Navier-Stokes (64 by
64, t to 20, 21 frames) from the initial states of the families of the same names. Each code takes the largest step,
whole in the frames, with which the worst of 64 samples is within 1e-4 (relative L2 over all frames) of a solution by
steps eight times finer than ours; py-pde, which is of second order in space, cannot and takes the largest of its steps
that is stable. Every run is a process of its own; seconds are those of CPU, of all threads, without imports: `first`
with everything that is compiled, traced or computed beforehand, `again` a second run. The least of three runs.

PYTHONPATH=. python experiments/speed/generation.py --peers PYTHON [--threads default] [PROBLEM ...]

PYTHON is that of an environment with exponax 0.2.0 and py-pde 0.59. --threads default lets every code use all cores;
otherwise each has one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

GOAL = 1e-4
BATCH = 64
PARTS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20)  # steps in each interval between frames
PEERS = Path(__file__).with_name("generation_peers.py")


@dataclass(frozen=True)
class Case:
    """Time until the last frame, intervals between frames, steps of py-pde, and our scheme."""

    span: float
    frames: int
    explicit: float
    scheme: str


CASES = {
    "burgers": Case(1.0, 100, 1e-4, "etdrk4"),
    "kuramoto_sivashinsky": Case(20.0, 40, 6.25e-4, "etdab4"),
    "navier_stokes": Case(20.0, 20, 0.05, "etdrk4"),
}


def ours(name: str, step: float, batch: int, scheme: str) -> tuple[float, float, np.ndarray]:
    """Seconds with everything prepared beforehand, seconds of a second run, and all frames."""
    from pdesolve.catalogue import make_family
    from pdesolve.integration.spectral_simulator import SpectralSimulator
    from pdesolve.problem import Evaluation

    case = CASES[name]
    begin = time.process_time()
    (problem,) = make_family(name).sample(batch)
    assert problem.time is not None
    time_axis = replace(problem.time, upper=case.span)
    evaluation = Evaluation.uniform(problem.evaluation.points, time_axis, case.frames)
    problem = replace(problem, time=time_axis, evaluation=evaluation)
    simulator = SpectralSimulator(step * (1 + 1e-9), scheme=scheme)  # type: ignore[arg-type]
    data = simulator.simulate(problem)
    first = time.process_time() - begin
    begin = time.process_time()
    simulator.simulate(problem)
    return first, time.process_time() - begin, data.read(next(iter(data.variables)))


class Bench:
    """Runs of codes in processes of their own."""

    def __init__(self, folder: Path, peers: str | None, *, threads: str) -> None:
        self.folder, self.peers, self.threads = folder, peers, threads

    def run(self, code: str, name: str, step: float, batch: int) -> tuple[float, float, np.ndarray]:
        file = self.folder / f"{name}.npz"
        environment = dict(os.environ)
        one = self.threads != "default"
        if one:
            environment |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
            environment |= {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
        else:
            environment.pop("OMP_NUM_THREADS", None)
        program = [self.peers, str(PEERS)] if code in ("exponax", "py-pde") else [sys.executable, __file__, "--child"]
        done = subprocess.run(
            [*map(str, program), code, name, repr(step), str(file), str(batch)], env=environment, capture_output=True,
            text=True, check=False, preexec_fn=_one_core if one else None,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{code} on {name}: {done.stderr[-1500:]}")
        seconds = json.loads(done.stdout.strip().splitlines()[-1])
        return seconds["first"], seconds["again"], np.load(file.with_suffix(".out.npy"))

    def best(self, code: str, name: str, step: float, batch: int, runs: int = 3) -> tuple[float, float]:
        found = [self.run(code, name, step, batch)[:2] for _ in range(runs)]
        return min(first for first, _ in found), min(again for _, again in found)

    def largest(self, code: str, name: str, truth: np.ndarray) -> tuple[float, float]:
        """The largest step that meets the goal, and its error."""
        case = CASES[name]
        for parts in PARTS:
            step = case.span / case.frames / parts
            worst = error(self.run(code, name, step, BATCH)[2], truth)
            if worst <= GOAL:
                return step, worst
        raise RuntimeError(f"{code} misses {GOAL:g} on {name} with the smallest step")


def _one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def error(found: np.ndarray, truth: np.ndarray) -> float:
    """The relative L2 difference over all frames of the worst sample."""
    if not np.isfinite(found).all() or np.abs(found).max() > 1e9:
        return np.inf
    gap, size = (np.square(v).reshape(len(v), -1).sum(1) for v in (found - truth, truth))
    return float(np.sqrt(gap / size).max())


def starts(folder: Path, name: str) -> None:
    from pdesolve.catalogue import make_family
    from pdesolve.fields import Coordinates
    from pdesolve.geometry import Grid
    from pdesolve.integration.initial import initial_values

    (problem,) = make_family(name).sample(BATCH)
    assert isinstance(problem.evaluation_set, Grid)
    values = initial_values(problem, Coordinates(problem.evaluation_set.without("t")))[:, 0].numpy()
    np.savez(folder / f"{name}.npz", start=values, span=CASES[name].span, frames=CASES[name].frames)


def row(*cells: object) -> None:
    print(f"| {' | '.join(str(cell) for cell in cells)} |", flush=True)


def measure(bench: Bench, name: str) -> None:
    """The rows of a problem."""
    case = CASES[name]
    starts(bench.folder, name)
    finest = case.span / case.frames / (PARTS[-1] if name == "kuramoto_sivashinsky" else 8)
    truth = bench.run("etdrk4", name, finest / 4, BATCH)[2]
    for code in ["ours", *(["exponax"] if bench.peers else [])]:
        step, worst = bench.largest(case.scheme if code == "ours" else code, name, truth)
        for batch in (BATCH, 1):
            first, again = bench.best(case.scheme if code == "ours" else code, name, step, batch)
            rates = f"{batch / first:.3g}", f"{batch / again:.3g}"
            row(
                name,
                f"{code} ({case.scheme})" if code == "ours" else code,
                batch,
                f"{step:.4g}",
                f"{worst:.1e}",
                *rates,
            )
    if not bench.peers:
        return
    samples = 2
    first, again, found = bench.run("py-pde", name, case.explicit, samples)
    off = error(found, truth[:samples, : found.shape[1]])
    times = case.frames if name == "navier_stokes" else 1  # one frame was run
    one, whole = times * again / samples, times * again / samples * (BATCH - samples) + first
    row(name, "py-pde", BATCH, f"{case.explicit:.4g}", f"{off:.1e}", f"{BATCH / whole:.3g}", f"{1 / one:.3g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="the Python of an environment with exponax and py-pde")
    parser.add_argument("--threads", choices=("one", "default"), default="one")
    parser.add_argument("problems", nargs="*", choices=[*CASES, []], default=[])
    options = parser.parse_args()
    if options.peers is None:
        print("no --peers PYTHON: exponax and py-pde are left out")
    row("problem", "code", "batch", "step", "error", "samples per CPU s, first run", "second run")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.peers, threads=options.threads)
        for name in options.problems or CASES:
            measure(bench, name)


def child(scheme: str, name: str, step: str, file: str, batch: str) -> None:
    import torch  # imported before anything is timed, as the peers' libraries are

    import pdesolve.problem  # noqa: F401

    assert torch.get_num_threads() >= 1
    first, again, states = ours(name, float(step), int(batch), scheme)
    np.save(Path(file).with_suffix(".out.npy"), states)
    print(json.dumps({"first": first, "again": again}))


if __name__ == "__main__":
    child(*sys.argv[2:]) if sys.argv[1:2] == ["--child"] else main()
