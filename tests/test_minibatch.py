"""Steps on minibatches: how far they go, what they say of the losses, what they average and store."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pdesolve.data.batch import Batch
from pdesolve.errors import Diverged
from pdesolve.training import distribution
from pdesolve.training.averaging import averaged
from pdesolve.training.examiner import Examiner
from pdesolve.training.minibatch import Minibatch


class Slope(nn.Module):
    """Loss terms whose gradient is the batch: b·w in two parts."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        return {"a": batch[:2] @ self.first + batch[0], "b": batch[2:] @ self.second}


class Ear(Examiner):
    """Hears the losses."""

    def __init__(self) -> None:
        self.heard: list[float] = []

    def examine(self, loss: float) -> None:
        self.heard.append(loss)

    def looks(self) -> bool:
        return False

    def renew(self) -> None: ...

    def restore(self) -> None: ...

    def diagnosis(self, batch: Any, rate: float | None) -> str:
        return ""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: Any, /) -> None: ...


def stepping(module: nn.Module, rate: float = 1.0, **settings: Any) -> Minibatch:
    return Minibatch(torch.optim.SGD(module.parameters(), lr=rate), **settings)


def moved(module: Slope) -> list[float]:
    return [*module.first.tolist(), *module.second.tolist()]


@pytest.mark.parametrize(("clip", "length"), [(math.inf, 13.0), (20.0, 13.0), (2.6, 2.6)])
def test_the_gradient_of_all_weights_together_is_clipped_by_its_norm(clip: float, length: float) -> None:
    module = Slope()
    stepping(module, clip=clip).take(module, torch.tensor([3.0, 4.0, 12.0]))
    assert moved(module) == pytest.approx([-part * length / 13 for part in (3, 4, 12)], rel=1e-5)


def test_losses_are_means_over_the_steps_since_the_last_look() -> None:
    module, ear = Slope(), Ear()
    steps = stepping(module, rate=0.0)
    for value in (1.0, 2.0, 6.0):
        steps.step(module, torch.tensor([value, 0.0, 0.0]), ear, 1)
    assert steps.losses(module, None) == {"a": 3.0, "b": 0.0}
    steps.step(module, torch.tensor([5.0, 0.0, 0.0]), ear, 1)
    assert steps.losses(module, None) == {"a": 5.0, "b": 0.0}
    steps.step(module, torch.tensor([math.inf, 0.0, 0.0]), ear, 1)
    with pytest.raises(Diverged, match="the loss term a is"):
        steps.losses(module, None)
    assert steps.losses(module, None) == {}, "a run that goes on begins anew"


def test_every_fiftieth_loss_is_looked_at() -> None:
    module, ear = Slope(), Ear()
    steps = stepping(module, rate=0.0)
    for step in range(102):
        steps.step(module, torch.tensor([float(step), 0.0, 0.0]), ear, 1)
    assert ear.heard == [0.0, 50.0, 100.0]


def test_what_is_stored_goes_on() -> None:
    batches = [torch.tensor([1.0, 2.0, 3.0]) * (i + 1) for i in range(4)]

    def made() -> tuple[Slope, Minibatch]:
        module: Any = Slope()
        return module, stepping(module, rate=0.1, average=averaged(module, 0.5), trained=module)

    (one, whole), (other, parts) = made(), made()
    for batch in batches:
        whole.step(one, batch, Ear(), 1)
    for batch in batches[:2]:
        parts.step(other, batch, Ear(), 1)
    again, rest = made()
    again.load_state_dict(other.state_dict())
    rest.load_state_dict(parts.state_dict())
    for batch in batches[2:]:
        rest.step(again, batch, Ear(), 1)
    assert whole.average is not None and rest.average is not None
    for a, b in zip(whole.average.parameters(), rest.average.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not any(torch.equal(a, p) for p in one.parameters()), "a mean of weights is not the last of them"
    assert whole.losses(one, None) == rest.losses(again, None)


def test_processes_of_unequal_parts_of_a_batch_count_by_their_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Means over processes of weighted means over windows are means over all windows."""
    numbers = torch.zeros(3, dtype=torch.long)
    nothing = torch.zeros(3, 0)
    batch = Batch({}, {}, {}, {}, nothing, nothing, {}, numbers, numbers, begin=0, whole=5)
    assert distribution.weight(batch) == 1.0, "of one process"
    monkeypatch.setattr(distribution, "together", lambda: True)
    monkeypatch.setattr(distribution, "place", lambda: (0, 2))
    assert distribution.weight(batch) == pytest.approx(3 * 2 / 5)
    monkeypatch.setattr("pdesolve.training.minibatch.weight", lambda batch: 1.2)
    monkeypatch.setattr("pdesolve.training.minibatch.distributed", lambda objective, batch: objective)
    module = Slope()
    terms = stepping(module).take(module, torch.tensor([1.0, 0.0, 2.0]))
    assert moved(module) == pytest.approx([-1.2, 0.0, -2.4]) and float(terms["a"]) == pytest.approx(1.2)
