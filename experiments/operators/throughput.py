"""Training steps a second: ours beside neuraloperator's own Trainer, of the same model, batch and dtype, in one run.

python experiments/operators/throughput.py [--dimensions 2] [--points 64] [--modes 12] [--width 32] [--batch 16]
    [--steps 12] [--rounds 3] [--precision float32] [--device cpu] [--how eager,compiled,graphs]

Both train neuraloperator's FNO as it is (its spectral convolution too) by AdamW on random fields that are held in
memory, and again ours with the spectral convolution of this package. Rounds take turns, the fastest of each counts:
other work slows, nothing speeds up. Times are CPU time of the process on a CPU, wall time on a GPU. The loop's overhead
is what `fit` takes beside forward pass, backward pass and optimiser, timed alone on the same batches. Memory is the
most at once of the tensors of a step (counted), on a GPU of torch's allocator; without the copy of the best weights,
which their Trainer does not keep. The floor of the bandwidth: what the
forward pass keeps for the backward one is written and read once, and each weight is moved seven times (gradient,
two averages, update), at the rate of a copy on the same device.
"""

from __future__ import annotations

import argparse
import gc
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import pdesolve as ps
from pdesolve.arrays import Memory
from pdesolve.data import Coordinate, Dataset, Variable
from pdesolve.datasets.training_data import FromDataset
from pdesolve.geometry import Axis
from pdesolve.least_squares.footprint import measured
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import Places
from pdesolve.operators.fno.method import FNO
from pdesolve.surrogates.operator import OperatorSurrogate
from pdesolve.training.budget import Budget
from pdesolve.training.candidate import Candidate
from pdesolve.training.fit import fit
from pdesolve.training.losses import RelativeL2
from pdesolve.training.minibatch import Minibatch
from pdesolve.training.objective import sum_of
from pdesolve.training.operator_objective import OperatorObjective
from pdesolve.training.run import Run

TASK = ps.Task(("u",), ("u",), ps.Steps(1, 1))


class Theirs(OperatorNetwork):
    """neuraloperator's FNO with its own embedding of the grid, as its Trainer gets it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        return self.model(x)


def their_model(told: argparse.Namespace) -> nn.Module:
    from neuralop import models

    torch.manual_seed(0)
    made: Any = models.FNO
    return made(
        n_modes=(told.modes,) * told.dimensions, in_channels=1, out_channels=1, hidden_channels=told.width, n_layers=4
    )


def fields(told: argparse.Namespace) -> Dataset:
    """Random fields, two frames each, for `steps` batches."""
    samples, axes = told.steps * told.batch, "xyz"[: told.dimensions]
    shape = (samples, 2, *[told.points] * told.dimensions)
    u = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    line = np.arange(told.points) / told.points
    coordinates = {name: Coordinate(Axis(name, 0.0, 1.0, periodic=True), line) for name in axes}
    coordinates = {"t": Coordinate(Axis("t", 0.0, 1.0), np.array([0.0, 1.0])), **coordinates}
    variables = {"u": Variable("u", Memory(u), ("sample", "t", *axes))}
    return Dataset(variables, coordinates, splits={"train": np.arange(samples)})


def objective_of(module: FieldOperator, told: argparse.Namespace) -> OperatorObjective:
    precision = torch.bfloat16 if told.precision == "bfloat16" else torch.float32
    return OperatorObjective(module, {"relative_l2": (1.0, RelativeL2())}, precision=precision).train()


def ours(module: FieldOperator, data: FromDataset, told: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """A round of `fit`, and the same steps by hand on batches that are there."""
    device = torch.device(told.device)
    module.to(device)
    objective = objective_of(module, told)
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-4)
    batches = data.batches(TASK, batch=told.batch, device=device)
    batches.renew()
    one = batches.batch
    surrogate = OperatorSurrogate(module, method="fno", settings={}, device=device)

    run = Run(budget=Budget.from_now(1e9), device=device, dtype=torch.float32)
    candidate = Candidate(surrogate, module, [], run.checkpoint)  # with the best weights, which their Trainer lacks

    def loop() -> None:
        fit(
            objective, batches, optimiser, run=run, stage="train", solution=candidate, steps=told.steps, redraw=1,
            look=told.steps, doctor=candidate, stepping=Minibatch(optimiser), rate=lambda step: 1.0,
        )  # fmt: skip

    def by_hand() -> None:
        for _ in range(told.steps):
            optimiser.zero_grad(set_to_none=True)
            sum_of(objective(one)).backward()
            optimiser.step()

    return {"loop": loop, "by hand": by_hand}


def theirs(model: nn.Module, data: FromDataset, told: argparse.Namespace) -> Callable[[], None]:
    """A round of their Trainer: an epoch of as many steps."""
    from neuralop import LpLoss
    from neuralop.training import AdamW, Trainer
    from torch.utils.data import DataLoader

    u = torch.from_numpy(data.dataset.variables["u"].array.all())
    samples = [{"x": row[:1], "y": row[1:]} for row in u]
    loader = DataLoader(samples, batch_size=told.batch, shuffle=True)  # type: ignore[arg-type]
    model.to(told.device)
    optimiser = AdamW(model.parameters(), lr=1e-4)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0)
    loss = LpLoss(d=told.dimensions, p=2)
    mixed = told.precision == "bfloat16"

    def epoch() -> None:
        trainer = Trainer(model=model, n_epochs=1, device=told.device, mixed_precision=mixed, verbose=False)
        trainer.train(
            train_loader=loader, test_loaders={}, optimizer=optimiser, scheduler=scheduler, training_loss=loss,
            eval_losses={"l2": loss},
        )  # fmt: skip

    return epoch


def seconds(work: Callable[[], None], device: str) -> float:
    gpu = device.startswith("cuda")
    clock = time.perf_counter if gpu else time.process_time
    began = clock()
    work()
    if gpu:
        torch.cuda.synchronize()
    return clock() - began


def peak(work: Callable[[], None], device: str) -> int:
    """The most bytes at once of what the work makes."""
    gc.collect()
    if not device.startswith("cuda"):
        return measured(work)[1].peak
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return torch.cuda.max_memory_allocated() - before


def floor(module: FieldOperator, data: FromDataset, told: argparse.Namespace) -> float:
    """Seconds of a step that memory alone takes."""
    device = torch.device(told.device)
    batches = data.batches(TASK, batch=told.batch, device=device)
    batches.renew()
    objective = objective_of(module, told)
    kept = measured(lambda: sum_of(objective(batches.batch)))[1].held
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    a = torch.empty(2**26 if device.type == "cuda" else 2**24, device=device)
    b = torch.zeros_like(a)

    def copied() -> None:
        a.copy_(b)

    rates = [2 * a.nbytes / seconds(copied, told.device) for _ in range(5)]
    return (2 * kept + 7 * weights) / max(rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"dimensions": 2, "points": 64, "modes": 12, "width": 32, "batch": 16, "steps": 12}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--how", default="eager", help="of ours: eager, compiled, graphs; several with commas")
    told = parser.parse_args()
    data = FromDataset(fields(told), TASK)
    rows: dict[str, Callable[[], None]] = {"their Trainer, their model": theirs(their_model(told), data, told)}
    hands: dict[str, Callable[[], None]] = {}
    modules: dict[str, FieldOperator] = {}
    for how in told.how.split(","):
        same = FieldOperator(Theirs(their_model(told)), data.signature)
        own = FNO(modes=told.modes, width=told.width, depth=4).module(data.signature)
        for kind, module in (("their model", same), ("our convolution", own)):
            if how != "eager":
                module.network.compile(mode="reduce-overhead" if how == "graphs" else None)
            name = f"fit, {kind}, {how}"
            made = ours(module, data, told)
            rows[name], hands[name], modules[name] = made["loop"], made["by hand"], module
    for work in (*rows.values(), *hands.values()):
        work()  # plans, caches, compilers
    best = dict.fromkeys([*rows, *(f"{name} by hand" for name in hands)], math.inf)
    for _ in range(told.rounds):
        for name, work in rows.items():
            best[name] = min(best[name], seconds(work, told.device))
        for name, work in hands.items():
            best[f"{name} by hand"] = min(best[f"{name} by hand"], seconds(work, told.device))
    first = next(iter(rows))
    print(f"{told.dimensions}-D, {told.points} points, batch {told.batch}, {told.precision}, {told.device}")
    print("| | steps/s | samples/s | of theirs | overhead | peak MB | of the bandwidth's floor |")
    print("|---|---|---|---|---|---|---|")
    for name, work in rows.items():
        each = best[name] / told.steps
        overhead = f"{1 - best[f'{name} by hand'] / best[name]:.1%}" if name in hands else ""
        above = f"{each / floor(modules[name], data, told):.1f} x" if name in modules else ""
        print(
            f"| {name} | {1 / each:.2f} | {told.batch / each:.1f} | {best[first] / best[name]:.2f} x | {overhead} | "
            f"{peak(work, told.device) / 1e6:.0f} | {above} |"
        )


if __name__ == "__main__":
    main()
