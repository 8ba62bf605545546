"""The curriculum from teacher forcing to rollout: its end points, and what the objective of operators makes of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pdesolve.data.arrays import Memory
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.moments import moments
from pdesolve.data.signature import signature_of
from pdesolve.data.task import Steps, Task
from pdesolve.data.windows import Windows
from pdesolve.errors import InputError
from pdesolve.geometry import Axis
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import Places
from pdesolve.training.curriculum import Curriculum
from pdesolve.training.losses import MeanSquare
from pdesolve.training.operator_objective import OperatorObjective, Step, StepTerms
from pdesolve.training.operator_training import Training

WINDOW = 5


class Scaling(OperatorNetwork):
    """Half of what is given."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        return self.factor * x


class Seeds(StepTerms):
    """Keeps what it was called with."""

    def __init__(self) -> None:
        self.seen: list[Step] = []

    def __call__(self, module: FieldOperator, step: Step) -> dict[str, Tensor]:
        self.seen.append(step)
        return {"first": step.inputs["u"].mean()} if step.number == 0 else {}


@pytest.fixture
def objective() -> tuple[OperatorObjective, Windows]:
    values = np.random.default_rng(0).normal(size=(3, WINDOW + 1, 8))
    axes = {
        "t": Coordinate(Axis("t", 0.0, 1.0), np.linspace(0.0, 1.0, WINDOW + 1)),
        "x": Coordinate(Axis("x", 0.0, 1.0, periodic=True), np.arange(8) / 8),
    }
    data = Dataset({"u": Variable("u", Memory(values), ("sample", "t", "x"))}, axes, {})
    signature = signature_of(data, Task(("u",), ("u",), Steps()), moments(data, split=""))
    made = OperatorObjective(FieldOperator(Scaling(), signature), {"loss": (1.0, MeanSquare())}, unroll=WINDOW)
    return made, Windows(data, Task(("u",), ("u",), Steps(ahead=WINDOW)), dtype=torch.float32)


def test_it_begins_with_the_truth_and_ends_with_the_rollout() -> None:
    curriculum = Curriculum(100)
    own = [curriculum.own(step, WINDOW) for step in range(101)]
    assert own[0] == 0
    assert own[-1] == WINDOW - 1
    assert own == sorted(own)
    assert own[50] == WINDOW // 2  # φ(1/2) = 1/2
    assert set(own) == set(range(WINDOW))
    assert curriculum.own(70, 1000) == 880  # φ(0.7) = (1 + tanh 1) / 2
    assert curriculum.own(2000, WINDOW) == WINDOW - 1, "of a run that goes on beyond its end"


def test_steps_are_fed_by_it(objective: tuple[OperatorObjective, Windows]) -> None:
    made, windows = objective
    batch = windows.batch([0, 1, 2])
    frames = torch.cat([batch.inputs["u"], batch.targets["u"]], 1)
    mean, std = frames.mean(), frames.std(correction=0)

    def expected(own: int) -> Tensor:
        u, errors = frames[:, :1], []
        for k in range(WINDOW):
            u = mean + 0.5 * (u - mean)
            truth = frames[:, k + 1 : k + 2]
            errors.append((u - truth).square().mean() / truth.square().mean())
            u = u if k < own else truth
        return torch.stack(errors).mean()

    assert std > 0
    made.train()
    made.curriculum = Curriculum(10)
    for count, own in ((0, 0), (5, 2), (10, 4)):
        made.count = count
        assert float(made(batch)["loss"].detach()) == pytest.approx(float(expected(own)), rel=1e-5)
    made.count = 0
    made.eval()
    assert float(made(batch)["loss"].detach()) == pytest.approx(float(expected(WINDOW - 1)), rel=1e-5)


def test_a_method_adds_terms_of_steps(objective: tuple[OperatorObjective, Windows]) -> None:
    made, windows = objective
    batch = windows.batch([0, 1, 2])
    made.further = seeds = Seeds()
    made.train()
    terms = made(batch)
    assert float(terms["first"]) == pytest.approx(float(batch.inputs["u"].mean()))
    made(batch)
    assert [step.number for step in seeds.seen] == 2 * list(range(WINDOW))
    assert len({step.seed for step in seeds.seen}) == 2 * WINDOW
    assert all(torch.equal(s.truth["u"], batch.targets["u"][:, s.number : s.number + 1]) for s in seeds.seen)


def test_a_curriculum_needs_a_window() -> None:
    with pytest.raises(InputError, match="windows of two steps or more"):
        Training(curriculum="tanh")
    assert dataclasses.replace(Training(curriculum="tanh", unroll=3), curriculum="none").unroll == 3
