"""Which weights are kept: the best by validation, the last where there is none; what is measured, and what is told."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pdesolve.data.batch import Batch
from pdesolve.data.signature import Signature, Slot
from pdesolve.data.task import Steps
from pdesolve.errors import Diverged
from pdesolve.geometry import Axis, GridAxis
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import Places
from pdesolve.surrogates.operator import OperatorSurrogate
from pdesolve.training.candidate import Candidate, validated
from pdesolve.training.checkpoint import Checkpoint

X = Axis("x", 0.0, 1.0, periodic=True)
SLOTS = tuple(Slot(name, 1, 1, False, (0.0,), (1.0,)) for name in ("u", "v"))


class Scaling(OperatorNetwork):
    """A number times what is given; something else in training."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        return (100.0 if self.training else 1.0) * self.factor * x


def made(truths: list[float], counts: tuple[int, ...] = (2, 1)) -> tuple[Candidate, Scaling]:
    """Of u = 1, and v = 10, whose truths are so many times that; in batches of so many samples."""
    network = Scaling()
    signature = Signature(SLOTS, SLOTS, (), None, (X,), (GridAxis(X, "periodic", 4),))
    surrogate = OperatorSurrogate(FieldOperator(network, signature), method="fno", settings={})
    batches = []
    for count in counts if truths else ():
        inputs = {"u": torch.ones(count, 1, 1, 4), "v": torch.full((count, 1, 1, 4), 10.0)}
        targets = {name: truth * inputs[name] for name, truth in zip(inputs, truths, strict=True)}
        numbers, none = torch.arange(count), torch.zeros(count, 0)
        batches.append(Batch(inputs, targets, {}, {}, none, none, {}, numbers, numbers))
    return Candidate(surrogate, surrogate.module, batches, Checkpoint()), network


def factor(candidate: Candidate) -> float:
    return float(candidate.best["network.factor"])


def test_errors_are_relative_to_all_samples_in_evaluation() -> None:
    candidate, network = made([2.0, 4.0])
    candidate.surrogate.module.train()
    found = candidate.validate()
    assert {name: row["relative_l2"] for name, row in found.items()} == pytest.approx({"u": 0.5, "v": 0.75})
    assert candidate.error == pytest.approx((0.5 + 0.75) / 2), "the mean over variables"
    assert network.training, "training goes on"
    batches = candidate.validation
    batches[0].targets["u"].mul_(3.0)  # 6 in two of three samples
    expected = math.sqrt((2 * 25 + 1) / (2 * 36 + 4))
    assert validated(candidate.surrogate, batches)["u"] == pytest.approx(expected)


def test_the_best_weights_are_kept_and_taken() -> None:
    candidate, network = made([2.0, 2.0])
    for value, best in ((1.0, 1.0), (1.8, 1.8), (1.5, 1.8), (2.1, 2.1), (9.0, 2.1)):
        network.factor.data.fill_(value)
        candidate.validate()
        assert factor(candidate) == pytest.approx(best)
    surrogate = candidate.take_best()
    assert float(network.factor.detach()) == pytest.approx(2.1) and not surrogate.module.training


def test_without_validation_the_last_weights_are_the_best() -> None:
    candidate, network = made([])
    for value in (1.0, 5.0, 3.0):
        network.factor.data.fill_(value)
        assert candidate.validate() == {} and factor(candidate) == value


def test_a_candidate_goes_on_with_what_it_had() -> None:
    (one, network), (other, _) = made([2.0, 2.0]), made([2.0, 2.0])
    one.examine(3.0)
    network.factor.data.fill_(1.9)
    one.validate()
    trained = Scaling()  # as where the surrogate's weights are averages
    other.trained = FieldOperator(trained, other.surrogate.signature)
    other.load_state_dict(one.state_dict())
    assert (other.error, other.first, factor(other)) == (one.error, 3.0, factor(one))
    other.restore()
    weights: Any = other.surrogate.module
    assert float(weights.network.factor.detach()) == float(trained.factor.detach()) == pytest.approx(1.9)


def test_losses_that_explode_or_are_none_end_the_training() -> None:
    candidate, _ = made([2.0, 2.0])
    candidate.examine(2.0)
    candidate.examine(1.9e6)
    for loss in (2.1e6, math.nan, math.inf):
        with pytest.raises(Diverged, match=r"the loss is .* at step 1"):
            candidate.examine(loss)


def test_a_rollout_that_diverges_has_an_error_that_is_large_and_a_number() -> None:
    slot = Slot("u", 1, 1, True, (0.0,), (1.0,))
    network = Scaling()
    network.factor.data.fill_(1000.0)
    module = FieldOperator(network, Signature((slot,), (slot,), (), Steps(), (X,), (GridAxis(X, "periodic", 4),)))
    u, none, number = torch.ones(1, 1, 1, 4), torch.zeros(1, 0), torch.zeros(1, dtype=torch.long)
    batch = Batch({"u": u}, {"u": u.expand(1, 3, 1, 4)}, {}, {}, none, none, {}, number, number)
    found = validated(OperatorSurrogate(module, method="fno", settings={}), [batch], 3)["u"]
    assert found == pytest.approx(math.sqrt((999**2 + (1e6 - 1) ** 2 + (1e9 - 1) ** 2) / 3), rel=1e-6)
