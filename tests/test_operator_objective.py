"""The objective of operators on trajectories whose every step is known in closed form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pdesolve.data.arrays import Memory
from pdesolve.data.batch import Batch
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.moments import moments
from pdesolve.data.signature import Signature, Slot, signature_of
from pdesolve.data.task import Steps, Task
from pdesolve.data.windows import Windows
from pdesolve.geometry import Axis
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import Places
from pdesolve.surrogates.operator import following
from pdesolve.training.losses import MeanSquare
from pdesolve.training.operator_objective import OperatorObjective

SAMPLES, FRAMES, POINTS = 6, 5, 8


class Scaling(OperatorNetwork):
    """A part of the state, and nothing of what does not move."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.7))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        self.seen.append(x.detach().clone())
        return self.factor * x[:, :1]


def made(ahead: int = 1, **settings: Any) -> tuple[OperatorObjective, Scaling, Batch]:
    """The objective of u(t, x) of deviation 3 beside a fixed a(x), and a batch of all windows that begin with it."""
    draw = np.random.default_rng(0)
    u = 3.0 * draw.normal(size=(SAMPLES, FRAMES, POINTS))
    u = 3.0 * (u - u.mean()) / u.std()
    a = draw.normal(size=(SAMPLES, POINTS))
    axes = {
        "t": Coordinate(Axis("t", 0.0, 1.0), np.linspace(0.0, 1.0, FRAMES)),
        "x": Coordinate(Axis("x", 0.0, 1.0, periodic=True), np.arange(POINTS) / POINTS),
    }
    variables = {
        "u": Variable("u", Memory(u), ("sample", "t", "x")),
        "a": Variable("a", Memory(a), ("sample", "x")),
    }
    data = Dataset(variables, axes, {})
    signature = signature_of(data, Task(("u", "a"), ("u",), Steps()), moments(data, split=""))
    network = Scaling()
    weight = settings.pop("weight", 1.0)
    objective = OperatorObjective(FieldOperator(network, signature), {"loss": (weight, MeanSquare())}, **settings)
    windows = Windows(data, Task(("u", "a"), ("u",), Steps(ahead=ahead, every=FRAMES)))
    return objective.train(), network, windows.batch(range(SAMPLES))


def quotient(found: Tensor, truth: Tensor) -> Tensor:
    return (found - truth).square().mean() / truth.square().mean()


@pytest.mark.parametrize(("push_forward", "unroll"), [(0, 3), (1, 1), (2, 2), (1, 3)])
def test_steps_are_fed_back_and_those_pushed_forward_bear_no_gradient_nor_loss(push_forward: int, unroll: int) -> None:
    objective, network, batch = made(push_forward + unroll, push_forward=push_forward, unroll=unroll, weight=2.0)
    loss = objective(batch)["loss"]
    loss.backward()
    factor = torch.tensor(0.7, requires_grad=True)
    u, terms = batch.inputs["u"], []
    for step in range(push_forward + unroll):
        u = factor * u  # of mean zero
        if step < push_forward:
            u = u.detach()
        else:
            terms.append(2.0 * quotient(u, batch.targets["u"][:, step : step + 1]))
    expected = torch.stack(terms).mean()
    (gradient,) = torch.autograd.grad(expected, factor)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    assert network.factor.grad is not None
    assert float(network.factor.grad) == pytest.approx(float(gradient), rel=1e-4)


def test_noise_is_normal_in_deviations_of_the_data_and_on_what_moves_alone() -> None:
    objective, network, batch = made(noise=0.1)
    for _ in range(200):
        objective(batch)
    exact = torch.cat([batch.inputs["u"] / 3.0, batch.inputs["a"]], 1).flatten(2)
    a = batch.inputs["a"]
    exact[:, 1] = network.seen[0][:, 1]  # standardised by its own moments
    noise = torch.stack(network.seen) - exact
    assert float(noise[:, :, 1].abs().max()) == 0.0 and a.shape[1] == 1
    drawn = noise[:, :, 0] / 0.1
    assert abs(float(drawn.mean())) < 0.05 and float(drawn.square().mean().sqrt()) == pytest.approx(1.0, abs=0.03)
    assert float(drawn.pow(4).mean()) == pytest.approx(3.0, abs=0.2)
    assert abs(float((drawn[1:] * drawn[:-1]).mean())) < 0.05, "each step draws anew"
    network.seen.clear()
    objective.eval()(batch)
    torch.testing.assert_close(network.seen[0], exact)


def test_noise_follows_from_the_step_and_the_seed_and_is_that_of_the_whole_batch_in_each_part() -> None:
    objective, network, batch = made(noise=0.1, seed=5)
    for _ in range(3):
        objective(batch)
    again, other, _ = made(noise=0.1, seed=5)
    again.set_extra_state({"count": objective.get_extra_state()["count"] - 1})
    part = replace(batch.map(lambda t: t[2:5] if len(t) == SAMPLES else t), begin=2, whole=SAMPLES)
    again(part)
    assert torch.equal(other.seen[0], network.seen[2][2:5]), "the third step of the whole batch"
    changed, third, _ = made(noise=0.1, seed=6)
    changed(batch)
    assert not torch.allclose(third.seen[0], network.seen[0])


def test_steps_of_training_are_counted() -> None:
    objective, _, batch = made()
    objective(batch)
    objective.eval()(batch)
    assert objective.get_extra_state() == {"count": 1}


def test_the_next_step_is_given_the_last_frames_of_what_was_given_and_came_of_it() -> None:
    """Of three frames given and two predicted the last three; what does not move, or is not predicted, stays."""
    slots = [Slot(name, count, 1, moving, (0.0,), (1.0,)) for name, count, moving in (("u", 3, True), ("a", 1, False))]
    signature = Signature(tuple(slots), (replace(slots[0], frames=2),), (), Steps(past=3, ahead=2), ())
    given = {"u": torch.arange(3.0).view(1, 3, 1, 1), "a": torch.full((1, 1, 1, 1), 9.0)}
    found = following(signature, given, {"u": torch.tensor([10.0, 11.0]).view(1, 2, 1, 1)})
    assert found["u"].flatten().tolist() == [2.0, 10.0, 11.0] and found["a"].flatten().tolist() == [9.0]
