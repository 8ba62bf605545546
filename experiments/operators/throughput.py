"""Training steps a second: ours beside neuraloperator's own Trainer, of the same model, batch and dtype, in one run.

python experiments/operators/throughput.py [--cases 2x64] [--modes 12] [--width 32] [--batch 16] [--block 4]
    [--rounds 12] [--precision float32] [--how eager,compiled]
python experiments/operators/throughput.py --device cuda --cases 2x128,3x64 --precision float32,bfloat16
    --how eager,compiled,graphs --block 20

A case is DIMENSIONSxPOINTS. Rows: their Trainer with their FNO; our loop with their FNO as it is; our loop with the
same function from the same weights on the layers that `pdesolve train fno` uses, eager, compiled, or by CUDA graphs
(the difference of its outputs from theirs is printed). All train by AdamW on random fields held in memory.

Each row has a process of its own, as a training has, so that none meets another's caches and memory; they take turns
of `block` steps. Ratios are medians over rounds of the ratio in a round. Times are CPU time of the process on a CPU,
wall time on a GPU. Overhead is what `fit` takes beside forward pass, loss, backward pass and optimiser, called bare on
the same batch in turns with it: of a step, and in ms for a tiny network, where noise is small beside it. MB are the
most bytes of tensors at once that steps make (counted; on a GPU by torch's allocator), without the copy of the best
weights, which their Trainer does not keep; resident: what the process grew by from before the first step to its peak,
that copy included.
The floor of the bandwidth: what the forward pass keeps for the backward one is written and read once, and each weight
is moved seven times (gradient, two averages, update), at the rate of a copy on the same device. Under bfloat16 their
Trainer takes the default type of autocast, float16 on a GPU.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import pdesolve as ps
from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.datasets.training_data import FromDataset
from pdesolve.geometry import Axis
from pdesolve.least_squares.footprint import measured
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.nn.neuraloperator import quiet
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import Places
from pdesolve.nn.pointwise import with_pointwise
from pdesolve.nn.waves import Line
from pdesolve.surrogates.operator import OperatorSurrogate
from pdesolve.training.allocation import kept_memory
from pdesolve.training.budget import Budget
from pdesolve.training.candidate import Candidate
from pdesolve.training.fit import fit
from pdesolve.training.losses import RelativeL2
from pdesolve.training.minibatch import Minibatch
from pdesolve.training.objective import sum_of
from pdesolve.training.operator_objective import OperatorObjective
from pdesolve.training.operator_training import Training, optimiser_of
from pdesolve.training.run import Run

TASK = ps.Task(("u",), ("u",), ps.Steps(1, 1))
TRAINER, THEIRS = "their Trainer, their model", "our loop, their model"
Work = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """What all rows of a table train. block: steps of a turn."""

    dimensions: int
    points: int
    modes: int
    width: int
    batch: int
    block: int
    precision: str
    device: str


class Plain(OperatorNetwork):
    """neuraloperator's FNO with its own embedding of the grid, as its Trainer gets it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        return self.model(x)


def their_model(case: Case, **layers: Any) -> nn.Module:
    with quiet():
        from neuralop.models import FNO

        torch.manual_seed(0)
        made: Any = FNO
        return made(
            n_modes=(case.modes,) * case.dimensions, in_channels=1, out_channels=1, hidden_channels=case.width,
            n_layers=4, **layers,
        )  # fmt: skip


def on_our_layers(case: Case) -> nn.Module:
    """The same function with the same weights."""
    from pdesolve.nn.spectral import SpectralConvolution

    theirs: Any = their_model(case)
    ours: Any = their_model(case, conv_module=partial(SpectralConvolution, lines=(Line(),) * case.dimensions))
    names = set(ours.state_dict())
    ours.load_state_dict({name: v for name, v in theirs.state_dict().items() if name in names}, strict=False)
    with torch.no_grad():
        for mine, other in zip(ours.fno_blocks.convs, theirs.fno_blocks.convs, strict=True):
            whole = other.weight.to_tensor().movedim((0, 1), (-2, -1)).contiguous()
            mine.weights[0].copy_(torch.view_as_real(whole))
    return with_pointwise(ours)


def difference(case: Case) -> float:
    x = torch.randn(2, 1, *[case.points] * case.dimensions)
    with torch.no_grad():
        a, b = their_model(case)(x), on_our_layers(case)(x)
    return float((a - b).norm() / a.norm())


def fields(case: Case) -> Dataset:
    """Random fields, two frames each, for the batches of a block."""
    samples, axes = case.block * case.batch, "xyz"[: case.dimensions]
    shape = (samples, 2, *[case.points] * case.dimensions)
    u = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    line = np.arange(case.points) / case.points
    coordinates = {name: Coordinate(Axis(name, 0.0, 1.0, periodic=True), line) for name in axes}
    coordinates = {"t": Coordinate(Axis("t", 0.0, 1.0), np.array([0.0, 1.0])), **coordinates}
    variables = {"u": Variable("u", Memory(u), ("sample", "t", *axes))}
    return Dataset(variables, coordinates, splits={"train": np.arange(samples)})


def objective_of(module: FieldOperator, case: Case) -> OperatorObjective:
    precision = torch.bfloat16 if case.precision == "bfloat16" else torch.float32
    return OperatorObjective(module, {"relative_l2": (1.0, RelativeL2())}, precision=precision).train()


def ours(module: FieldOperator, data: FromDataset, case: Case) -> dict[str, Work]:
    """A block of `fit`, the same steps bare, and the seconds of the floor."""
    device = torch.device(case.device)
    module.to(device)
    objective = objective_of(module, case)
    optimiser = optimiser_of(Training(learning_rate=1e-4), module)
    batches = data.batches(TASK, batch=case.batch, device=device)
    batches.renew()
    one = batches.batch
    surrogate = OperatorSurrogate(module, method="fno", settings={}, device=device)
    run = Run(budget=Budget.from_now(1e9), device=device, dtype=torch.float32)
    candidate = Candidate(surrogate, module, [], run.checkpoint)

    def loop() -> None:
        fit(
            objective, batches, optimiser, run=run, stage="train", solution=candidate, steps=case.block, redraw=1,
            look=case.block, doctor=candidate, stepping=Minibatch(optimiser), rate=lambda step: 1.0,
        )  # fmt: skip

    def bare() -> None:
        for _ in range(case.block):
            optimiser.zero_grad(set_to_none=True)
            sum_of(objective(one)).backward()
            optimiser.step()

    def floor() -> float:
        """Seconds of a step that memory alone takes."""
        kept = measured(lambda: sum_of(objective(one)))[1].held
        weights = sum(p.numel() * p.element_size() for p in module.parameters())
        a = torch.empty(2**26 if device.type == "cuda" else 2**24, device=device)
        b = torch.zeros_like(a)
        rates = [2 * a.nbytes / seconds(lambda: a.copy_(b), case.device) for _ in range(5)]
        return (2 * kept + 7 * weights) / max(rates)

    return {"loop": loop, "bare": bare, "floor": floor}


def theirs(model: nn.Module, data: FromDataset, case: Case) -> dict[str, Work]:
    """A block of their Trainer: an epoch of as many steps."""
    with quiet():
        from neuralop import LpLoss
        from neuralop.training import AdamW, Trainer
    from torch.utils.data import DataLoader

    u = torch.from_numpy(data.dataset.variables["u"].array.all())
    samples = [{"x": row[:1], "y": row[1:]} for row in u]
    loader = DataLoader(samples, batch_size=case.batch, shuffle=True)  # type: ignore[arg-type]
    model.to(case.device)
    optimiser = AdamW(model.parameters(), lr=1e-4)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0)
    loss = LpLoss(d=case.dimensions, p=2)
    mixed = case.precision == "bfloat16"

    def epoch() -> None:
        trainer = Trainer(model=model, n_epochs=1, device=case.device, mixed_precision=mixed, verbose=False)
        trainer.train(
            train_loader=loader, test_loaders={}, optimizer=optimiser, scheduler=scheduler, training_loss=loss,
            eval_losses={"l2": loss},
        )  # fmt: skip

    return {"loop": epoch}


def tiny_overhead(case: Case) -> float:
    """Seconds a step that `fit` takes more than bare steps of a network of next to nothing."""
    small = replace(case, points=8, modes=2, width=2, batch=2, block=50)
    data = FromDataset(fields(small), TASK)
    made = ours(FieldOperator(Plain(on_our_layers(small)), data.signature), data, small)
    pairs = [[seconds(made[kind], case.device) for kind in ("loop", "bare")] for _ in range(9)]
    return statistics.median(a - b for a, b in pairs[1:]) / small.block


def seconds(work: Work, device: str) -> float:
    gpu = device.startswith("cuda")
    clock = time.perf_counter if gpu else time.process_time
    began = clock()
    work()
    if gpu:
        torch.cuda.synchronize()
    return clock() - began


def peak(work: Work, device: str) -> int:
    """The most bytes at once of what the work makes."""
    gc.collect()
    if not device.startswith("cuda"):
        return measured(work)[1].peak
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return torch.cuda.max_memory_allocated() - before


def serve(connection: Any, case: Case, name: str) -> None:
    """A row's process: it does what it is asked until it is asked for nothing."""
    warnings.simplefilter("ignore")
    try:
        data = FromDataset(fields(case), TASK)
        model = on_our_layers(case) if "layers" in name else their_model(case)
        if name == TRAINER:
            works = theirs(model, data, case)
        else:
            module = FieldOperator(Plain(model), data.signature)
            if "eager" not in name and "layers" in name:
                module.network.compile(mode="reduce-overhead" if "graphs" in name else None)
            works = ours(module, data, case)
        with open("/proc/self/statm") as file:
            before = int(file.read().split()[1]) * resource.getpagesize()
        with nullcontext() if name == TRAINER else kept_memory():  # as trainings do
            for work in [works["loop"]] * 2 + [works["bare"] for _ in "1" if "bare" in works]:
                work()  # plans, caches, compilers
            connection.send("")
            while asked := connection.recv():
                match asked:
                    case "peak":
                        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
                        connection.send((peak(works["loop"], case.device), grown))
                    case "floor":
                        connection.send(works["floor"]() if "floor" in works else None)
                    case _:
                        connection.send(seconds(works[asked], case.device) / case.block if asked in works else None)
    except Exception as error:
        connection.send(f"{type(error).__name__}: {' '.join(str(error).split())[:90]}")


def table(case: Case, names: list[str], rounds: int) -> None:
    """Measure and print the rows of a case."""
    spawn = multiprocessing.get_context("spawn")
    ends: dict[str, Any] = {}
    print(f"\n{case.dimensions}-D, {case.points} points, batch {case.batch}, {case.precision}, {case.device}; ", end="")
    print(f"outputs on our layers differ from theirs by {difference(case):.1e} ", flush=True)
    for name in names:
        end, other = spawn.Pipe()
        spawn.Process(target=serve, args=(other, case, name), daemon=True).start()
        wrong = end.recv()  # one after the other: none is timed beside another
        if wrong:
            print(f"{name}: {wrong}")
        else:
            ends[name] = end

    def ask(name: str, what: str) -> Any:
        ends[name].send(what)
        found = ends[name].recv()
        if isinstance(found, str):
            raise SystemExit(f"{name}: {found}")
        return found

    times = [{(name, what): ask(name, what) for name in ends for what in ("loop", "bare")} for _ in range(rounds)]

    def middle(of: Callable[[dict], float]) -> float:
        return statistics.median(of(turn) for turn in times)

    print("| | steps/s | samples/s | of theirs | overhead | MB | of theirs | resident MB | of the bandwidth's floor |")
    print("|---|---|---|---|---|---|---|---|---|")
    sizes = {name: ask(name, "peak") for name in ends}
    for name in ends:
        each = middle(lambda turn, n=name: turn[n, "loop"])
        beside, size, over, above = "", "", "", ""
        if TRAINER in ends:
            beside = f"{middle(lambda turn, n=name: turn[TRAINER, 'loop'] / turn[n, 'loop']):.2f} x"
            size = f"{sizes[name][0] / sizes[TRAINER][0]:.3f} x"
        if name != TRAINER:
            over = f"{middle(lambda turn, n=name: 1 - turn[n, 'bare'] / turn[n, 'loop']):.1%}"
            above = f"{each / ask(name, 'floor'):.1f} x"
        counted, resident = (value / 1e6 for value in sizes[name])
        print(
            f"| {name} | {1 / each:.2f} | {case.batch / each:.1f} | {beside} | {over} | {counted:.1f} | {size} | "
            f"{resident:.0f} | {above} |"
        )
    for end in ends.values():
        end.send("")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="2x64")
    for name, value in {"modes": 12, "width": 32, "batch": 16, "block": 4, "rounds": 12}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--precision", default="float32", help="float32, bfloat16, or both with a comma")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--how", default="eager", help="of our layers: eager, compiled, graphs; several with commas")
    told = parser.parse_args()
    if told.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("--device cuda needs a GPU that torch sees, none is here: leave --device at cpu")
    if "graphs" in told.how and not told.device.startswith("cuda"):
        sys.exit("--how graphs are CUDA graphs: add --device cuda, or take eager,compiled")
    names = [TRAINER, THEIRS, *(f"our loop, our layers, {how}" for how in told.how.split(","))]
    cases = [
        Case(dimensions, points, told.modes, told.width, told.batch, told.block, precision, told.device)
        for dimensions, points in (map(int, case.split("x")) for case in told.cases.split(","))
        for precision in told.precision.split(",")
    ]
    for case in cases:
        table(case, names, told.rounds)
    print(f"\n`fit` takes {1e3 * tiny_overhead(cases[0]):.2f} ms a step beside forward, loss, backward and optimiser")


if __name__ == "__main__":
    main()
