"""Predictions that are fine-tuned by the residual of the equation: errors, steps and cost beside a classical solver.

python experiments/operators/finetuning.py [--cases darcy,darcy_smooth,burgers,burgers_frames] [--samples 8]
    [--budget 90s] [--folder runs/finetuning]

A small FNO is trained on 270 samples (33 by 33, or 64 points of a ring). Of test samples the table has the error
against the data, and against the data's solver on the coefficients that the data hold: numbers on nodes do not say
where between them a coefficient jumps. Each tolerance is reached from the prediction and from a cold start: zeros, or
the first frame at all times. CPU time is of one sample, in one process, the solver's of a batch of the same samples.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import pdesolve as ps
from pdesolve.data.dataset import Dataset
from pdesolve.data.task_choice import TaskChoice
from pdesolve.datasets.generation import generate
from pdesolve.fields import GridField, Quantity
from pdesolve.finetuning import finetune
from pdesolve.method import Surrogate
from pdesolve.metrics import sample_relative_l2
from pdesolve.operators.fno.method import FNO
from pdesolve.problem import Problem

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], int]] = {
    "darcy": ("darcy", {"points": 33}, {}, 0),
    "darcy_smooth": ("darcy_smooth", {"points": 33}, {}, 0),
    "burgers": ("burgers", {"points": 64, "frames": 1}, {"frames": "final"}, 0),
    "burgers_frames": ("burgers", {"points": 64, "frames": 10}, {"past": 1, "ahead": 1}, 10),
}
TOLERANCES = (1e-2, 1e-4, 1e-6, 1e-8)
SAMPLES = 360


class Cold(Surrogate):
    """Knows nothing: zeros, or the last frame that it was given."""

    def __init__(self, other: Surrogate) -> None:
        self.signature, self.device, self.dtype, self.notes = other.signature, other.device, other.dtype, {}

    def start(self, batch: Any) -> Any:
        return dict(batch.inputs)

    def step(self, carry: Any) -> Any:
        return carry

    def read(self, carry: Any, at: Any = None) -> dict[str, Tensor]:
        like = next(iter(carry.values()))
        return {
            slot.name: carry[slot.name][:, -1:].expand(-1, slot.frames, *like.shape[2:])
            if slot.moving
            else torch.zeros_like(like)
            for slot in self.signature.targets
        }

    def write(self, folder: Path) -> None:
        raise NotImplementedError


def data_of(case: str, folder: Path) -> Dataset:
    """360 samples in double precision, three quarters of them to train on."""
    family, settings, _, _ = CASES[case]
    path = folder / f"{case}.h5"
    generate(ps.make_family(family, settings), SAMPLES, path, dtype="float64")
    return ps.divided(ps.open_dataset(path), train=0.75, valid=1 / 12, test=1 / 6, seed=0)


def trained(case: str, data: Dataset, folder: Path, budget: str) -> Surrogate:
    run = folder / f"{case}-fno"
    if not (run / "surrogate.pt").exists():
        modes = 12 if case.startswith("darcy") else 16
        ps.train(FNO(modes=modes, width=24), data, TaskChoice(**CASES[case][2]), budget=budget, threads=1, out=run)
    return ps.load_surrogate(run, device="cpu")


def classical(case: str, data: Dataset) -> tuple[np.ndarray | None, float]:
    """What the data's solver makes of the coefficients of the data (of flows), and its CPU time for one sample."""
    family, settings, _, _ = CASES[case]
    made = ps.make_family(family, settings)
    (problem,) = made.sample(data.samples)
    solution = None
    if problem.time is None:
        a = GridField(torch.as_tensor(data.read("permeability"), dtype=torch.float64), data.grid(), Quantity("a"))
        problem = Problem("stored", problem.equation, problem.domain, problem.conditions,
                          values={"permeability": a, "source": problem.values["source"]},
                          evaluation=problem.evaluation)  # fmt: skip
        solution = made.simulator.simulate(problem).read("u")
    begun = time.process_time()
    made.simulator.simulate(problem)
    return solution, (time.process_time() - begun) / data.samples


def shown(case: str, surrogate: Surrogate, test: Dataset) -> None:
    _, _, _, steps = CASES[case]
    own, cost = classical(case, test)
    finetune(surrogate, test.isel({"sample": [0]}), steps=steps, tolerance=0.5)  # what is made once
    print(f"\n{case}: {test.samples} test samples, the data's solver takes {cost:.2g} CPU s a sample")
    header = (
        "from",
        "tolerance",
        "error before",
        "after",
        "own solver",
        "defect",
        "residual",
        "steps",
        "products",
        "CPU s",
    )
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for name, guess in (("prediction", surrogate), ("cold start", Cold(surrogate))):
        said = ""
        for tolerance in TOLERANCES:
            found = finetune(guess, test, steps=steps, tolerance=tolerance)
            assert found.error is not None
            beside = "-"
            if own is not None:
                u = torch.as_tensor(found.dataset["u"].values)[:, None, None]
                beside = f"{sample_relative_l2(u, torch.as_tensor(own)[:, None, None]).median():.1e}"
            before, after = np.median(found.error, 0)
            defect, residual = np.median(found.defect[:, 1]), np.median(found.residual[:, 1])
            row = (name, f"{tolerance:g}", f"{before:.1e}", f"{after:.1e}", beside, f"{defect:.1e}", f"{residual:.1e}",
                   f"{np.median(found.steps):.0f}", str(found.products),
                   f"{found.seconds[1] / test.samples:.3f}")  # fmt: skip
            print("| " + " | ".join(row) + " |", flush=True)
            said = f"{found.discretisation}; unresolved in time {found.unresolved:.1e}"
        print(f"  {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--budget", default="90s")
    parser.add_argument("--folder", type=Path, default=Path("runs/finetuning"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for case in given.cases.split(","):
        data = data_of(case, given.folder)
        surrogate = trained(case, data, given.folder, given.budget)
        shown(case, surrogate, data.split("test").isel({"sample": list(range(given.samples))}))


if __name__ == "__main__":
    main()
