"""How operators are trained: the settings that all of them share, and the procedure."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from pdesolve.data.batch import Batch
from pdesolve.data.signature import Signature
from pdesolve.data.symmetries import Symmetries
from pdesolve.data.task import Steps, Task
from pdesolve.data.training_data import TrainingData
from pdesolve.data.windows import Windows
from pdesolve.errors import InputError
from pdesolve.least_squares import Soap
from pdesolve.method import Surrogate
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.nn.places import GridPlaces
from pdesolve.nn.precision import in_precision
from pdesolve.nn.spectral import SpectralConvolution
from pdesolve.settings import check_values
from pdesolve.surrogates.operator import OperatorSurrogate
from pdesolve.surrogates.rollout import rollout_windows
from pdesolve.training.allocation import kept_memory
from pdesolve.training.averaging import averaged
from pdesolve.training.candidate import Candidate
from pdesolve.training.compiling import compilable
from pdesolve.training.curriculum import Curriculum
from pdesolve.training.equation_residual import EquationResidual
from pdesolve.training.fit import fit
from pdesolve.training.losses import Loss, MeanSquare, OctaveL2, RelativeH1, RelativeL2
from pdesolve.training.minibatch import Minibatch
from pdesolve.training.muon import Muon
from pdesolve.training.operator_objective import OperatorObjective, StepTerms
from pdesolve.training.processes import own, place, together
from pdesolve.training.reduction import largest
from pdesolve.training.room import check_room, enough_room
from pdesolve.training.run import Run
from pdesolve.training.schedules import Schedule, rate_factor
from pdesolve.training.sharding import divide, keep_divided
from pdesolve.training.trial import affordable, compiles

_NETWORK = "module.network"  # of the objective: what is compiled
_MOST_LOOKS, _LEAST_LOOKS = 200, 5  # validations in a training
_PAUSE = 19  # times what a validation takes, before the next
_LONGEST = 256  # side of a matrix of SOAP that is diagonalised


@dataclass(frozen=True)
class Training:
    """How an operator is trained.

    Attributes:
        epochs: passes through the training split; 0 takes as many as the budget allows.
        batch: windows in a step.
        loss: what is minimised; h1 counts slopes too, spectral all octaves of wavenumbers alike, both on grids.
        residual: weight of the residual of the equation that the data obey, of 1 as a good start; 0 for none.
        optimiser: adamw, soap (fewer but dearer steps, rate 3e-3) or muon (matrices are turned, the others as adamw).
        learning_rate: at its peak.
        weight_decay: decoupled, of adamw and muon.
        schedule: of the learning rate, one_cycle, cosine or constant.
        warm_up: fraction of the steps in which the learning rate rises.
        clip: largest norm of the gradient; 0 for none.
        average: decay of the exponential mean of weights that is validated and kept; 0 keeps the weights themselves.
        noise: deviation of normal noise on moving inputs, in deviations of the data.
        unroll: steps of the window that are held against the truth, each from the outcome of the one before; with those
            of push_forward they are also the steps of the rollouts by which the best weights are chosen.
        points: places of the targets that are drawn for each window and held against the truth; 0 takes whole fields.
        push_forward: steps before these, without gradient and loss.
        curriculum: tanh lets the steps of a window go on from the truth first, and from their outcome later.
        symmetries: of the equation and the domain, whose images of the data are trained on: reflect (along each axis),
            exchange (of axes). Coefficients are moved with the state; fixed forces must be among the inputs.
        odd: variables that change sign where left and right are exchanged: a velocity on one axis, a vorticity on two.
        symmetric: whether symmetries are learnt only (training), or predictions are means over all images too (mean),
            which takes a network pass for each of them: 8 on a square.
        precision: float32 as the data are, or bfloat16 for products where that is fast.
        compiled: whether torch.compile makes the network: yes, no, or measured, by a short trial of long trainings.
        sharded: divide weights, gradients and the memory of adamw among the processes that torchrun started, for models
            that are too large to be whole on each; some more is sent in a step.
        recompute: compute each step of a window anew for its gradient: windows of many steps then take the memory of
            one, for a third more time.
    """

    epochs: int = 0
    batch: int = 32
    loss: Literal["relative_l2", "mean_square", "h1", "spectral"] = "relative_l2"
    residual: float = 0.0
    optimiser: Literal["adamw", "soap", "muon"] = "adamw"
    learning_rate: float = 5e-3
    weight_decay: float = 1e-4
    schedule: Schedule = "one_cycle"
    warm_up: float = 0.0
    clip: float = 1.0
    average: float = 0.0
    noise: float = 0.0
    points: int = 0
    unroll: int = 1
    push_forward: int = 0
    curriculum: Literal["none", "tanh"] = "none"
    symmetries: tuple[Literal["reflect", "exchange"], ...] = ()
    odd: tuple[str, ...] = ()
    symmetric: Literal["training", "mean"] = "training"
    precision: Literal["float32", "bfloat16"] = "float32"
    compiled: Literal["measured", "yes", "no"] = "measured"
    recompute: bool = False
    sharded: bool = False

    def __post_init__(self) -> None:
        check_values(self)
        bounds = {
            "epochs": 0, "batch": 1, "points": 0, "unroll": 1, "push_forward": 0, "clip": 0, "noise": 0,
            "weight_decay": 0, "residual": 0,
        }  # fmt: skip
        for name, least in bounds.items():
            if getattr(self, name) < least:
                raise InputError(f"training.{name} is at least {least}, got {getattr(self, name)}")
        if self.sharded and self.optimiser != "adamw":
            raise InputError(f"{self.optimiser} needs whole matrices: take adamw, or leave training.sharded at false")
        if self.curriculum != "none" and self.unroll + self.push_forward < 2:
            raise InputError("a curriculum goes over windows of two steps or more, got training.unroll 1: write 5")
        if not self.learning_rate > 0 or not 0 <= self.average < 1 or not 0 <= self.warm_up < 1:
            raise InputError(
                "training needs learning_rate > 0, average and warm_up from 0 to below 1, got "
                f"{self.learning_rate}, {self.average} and {self.warm_up}"
            )


@kept_memory()
def train_operator(
    surrogate: OperatorSurrogate,
    data: TrainingData,
    run: Run,
    training: Training,
    *,
    stage: str = "train",
    share: float = 1.0,
    losses: Mapping[str, tuple[float, Loss]] | None = None,
    further: StepTerms | None = None,
    part_of: Surrogate | None = None,
) -> OperatorSurrogate:
    """Train the network of a surrogate, and give it its best weights by the validation split.

    Steps are `run.steps`, or the epochs, or as many as fit the budget by a measured trial. share: of the steps and the
    budget of the run, where it has several stages. losses: in place of those of the training, with their weights, for
    a network that predicts something else than the targets: nothing is validated then, and the last weights are kept.
    further: terms of each step beside these losses. part_of: what the surrogate is but a part of.

    Raises:
        InputError: a grid that is too coarse for the network, a task that cannot be unrolled, a batch without room.
        Diverged: a loss that is not finite.
    """
    trained = in_precision(surrogate.module, run.dtype).to(run.device)
    if surrogate.signature.grid is not None:
        trained.network.check(GridPlaces.of(surrogate.signature.grid))
    task = training_task(surrogate.signature, training)
    symmetries = symmetries_of(surrogate, training)
    if training.points and (further is not None or not trained.network.elsewhere):
        raise InputError(
            f"{surrogate.method} gives values where it is given some, not at points: leave training.points at 0"
        )
    objective = OperatorObjective(
        trained, losses or losses_of(training, data), unroll=training.unroll, push_forward=training.push_forward,
        noise=training.noise, points=training.points, symmetries=symmetries, seed=run.seed, further=further,
        precision=torch.bfloat16 if training.precision == "bfloat16" else torch.float32,
        recompute=training.recompute,
    )  # fmt: skip
    batches = data.batches(task, batch=training.batch, device=run.device, seed=run.seed)
    average = averaged(trained, training.average) if training.average else None
    if average is not None:
        assert isinstance(average.module, FieldOperator)
        surrogate.module = average.module
    sharded, undivided = training.sharded and together(), None
    if training.sharded and not sharded:
        run.say("one process: nothing is divided; torchrun starts several")
    if sharded:
        undivided = copy.deepcopy(trained).cpu()
        for module in dict.fromkeys((trained, surrogate.module)):
            divide(module, run.device)
    optimiser = optimiser_of(training, trained)
    if sharded:
        keep_divided(optimiser)
    validation, rolled = held_out_batches(data, training, run.device) if losses is None else ([], 1)
    candidate = Candidate(
        surrogate, trained, validation, run.checkpoint, steps=rolled, undivided=undivided, part_of=part_of
    )
    stepping = Minibatch(optimiser, clip=training.clip or math.inf, average=average, trained=trained)
    epoch = data.windows(task)
    wanted = training.epochs * math.ceil(epoch / training.batch) if epoch and training.epochs else 0
    objective.train()

    asked = (run.steps and max(1, round(share * run.steps))) or wanted
    start = batches.state_dict()
    with enough_room(objective, batches, run), compilable():
        if not run.checkpoint.resumed:
            batches.renew()
            check_room(objective, batches.batch, run.device)

        def faster() -> bool:
            return compiles(objective, stepping, batches, run, network=_NETWORK, steps=asked)

        compiled = training.compiled == "yes" or (
            training.compiled == "measured" and not sharded and run.choose(f"compiled in {stage}", faster)
        )

        def fitting() -> int:
            of_all = affordable(objective, stepping, batches, run, compiled=_NETWORK if compiled else "")
            of_left = min(1.0, share * run.budget.cpu_seconds / run.budget.left)
            return max(1, round(of_left * of_all))

        steps = asked or run.choose(f"steps of {stage}", fitting)
        batches.load_state_dict(start)
        if compiled:
            trained.network.compile()
        if training.curriculum == "tanh":
            objective.curriculum = Curriculum(steps)
        held = rolled * int(largest(torch.tensor(len(validation))))
        look = steps_apart(steps, validation=held, training=training)
        fit(
            objective, batches, optimiser, run=run, stage=stage, solution=candidate, steps=steps, redraw=1, look=look,
            doctor=candidate, stepping=stepping,
            rate=rate_factor(training.schedule, steps, warm_up=training.warm_up),
            opening=[f"validated by rollouts of {rolled} steps"] if rolled > 1 else [],
        )  # fmt: skip
    candidate.take_best()
    return surrogate


def training_task(signature: Signature, training: Training) -> Task:
    """The task whose windows have as many frames as training unrolls.

    Raises:
        InputError: more than one step of a task that is not one of steps.
    """
    count = training.unroll + training.push_forward
    task = signature.task
    if training.points:
        if count > 1 or training.symmetries:
            raise InputError("points of the targets are drawn of one step, and know no symmetries: leave points at 0")
        return replace(task, points=training.points)
    if count == 1:
        return task
    if not signature.autoregressive or not isinstance(task.frames, Steps):
        raise InputError(
            f"{count} steps in a row need a task whose targets are the inputs of the next step, got "
            f"{task.frames or 'one map'}: leave unroll at 1 and push_forward at 0"
        )
    return replace(task, frames=replace(task.frames, ahead=task.frames.ahead * count))


def symmetries_of(surrogate: OperatorSurrogate, training: Training) -> Symmetries | None:
    """The symmetries to train by; those that predictions are to have enter the surrogate's signature.

    Raises:
        InputError: a grid or variables that the motions do not take to themselves.
    """
    if not training.symmetries:
        return None
    symmetries = Symmetries(training.symmetries, training.odd)
    symmetries.check(surrogate.signature)
    if training.symmetric == "mean":
        surrogate.signature = surrogate.module.signature = replace(surrogate.signature, symmetries=symmetries)
    return symmetries


def losses_of(training: Training, data: TrainingData) -> Mapping[str, tuple[float, Loss]]:
    """The losses of a training with their weights.

    Raises:
        InputError: a residual of data that name no equation, or of frames that resolve no time.
    """
    kinds: dict[str, Loss] = {
        "relative_l2": RelativeL2(), "mean_square": MeanSquare(), "h1": RelativeH1(), "spectral": OctaveL2(),
    }  # fmt: skip
    found: dict[str, tuple[float, Loss]] = {training.loss: (1.0, kinds[training.loss])}
    if training.residual:
        found["residual"] = (training.residual, EquationResidual(data.problem(), data.signature))
    return found


def optimiser_of(training: Training, module: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of a training."""
    parameters, rate = [p for p in module.parameters() if p.requires_grad], training.learning_rate
    match training.optimiser:
        case "soap":
            return Soap(parameters, lr=rate, longest=_LONGEST)
        case "muon":
            of_modes = {p for part in module.modules() if isinstance(part, SpectralConvolution) for p in part.weights}
            groups = [
                {"params": [p for p in parameters if (p in of_modes) == pairs], "pairs": pairs}
                for pairs in (False, True)
            ]
            return Muon([g for g in groups if g["params"]], lr=rate, weight_decay=training.weight_decay)
        case _:
            # one pass over each weight, a third to a quarter of the time on CPUs; it knows no complex numbers
            fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)
            return torch.optim.AdamW(parameters, lr=rate, weight_decay=training.weight_decay, fused=fused or None)


def held_out_batches(
    data: TrainingData, training: Training, device: torch.device, split: str = "valid"
) -> tuple[list[Batch], int]:
    """The windows of a held-out split, in turn: of each batch this process's part; and the steps of each window.

    These are all windows where training takes one step. Else they have as many as training takes in a row, and no two
    have a target in common: a validation costs about the same. All processes have equally many batches: a rest of
    fewer windows than processes goes to the batch before, and each process has all of a split that has so few, which
    leaves ratios of sums as they are.
    """
    held, signature = data.held_out(split), data.signature
    if held is None:
        return [], 1
    steps = training.unroll + training.push_forward
    windows = rollout_windows(signature, held, steps) if steps > 1 else Windows(held, signature.task)
    count, processes = len(windows), place()[1] if together() else 1
    if count < processes:
        return [windows.batch(range(count)).to(device)], steps
    firsts = [first for first in range(0, count, max(training.batch, processes)) if count - first >= processes]
    parts = [range(first, end) for first, end in zip(firsts, [*firsts[1:], count], strict=True)]
    return [windows.batch(part[own(len(part))]).to(device) for part in parts], steps


def steps_apart(steps: int, *, validation: int, training: Training) -> int:
    """Steps between two validations of so many predicted batches, which then take a twentieth of the work, with a
    backward pass counted as two forward ones.

    By counts, not by clocks: which weights are the best then follows from the seed, through interrupts too.
    """
    affordable = _PAUSE * validation / (training.push_forward + 3 * training.unroll)
    return max(1, math.ceil(min(max(steps / _MOST_LOOKS, affordable), steps / _LEAST_LOOKS)))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside the block torch draws by this seed (weights of networks made by libraries), and as before behind it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
