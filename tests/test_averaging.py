"""Means of weights: what they forget, and how soon."""

from __future__ import annotations

import pytest
import torch

from pdesolve.data.signature import Signature, Slot
from pdesolve.geometry import Axis, GridAxis
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.operators.fno.method import FNO
from pdesolve.training.averaging import averaged


def module() -> FieldOperator:
    x = Axis("x", 0.0, 1.0, periodic=True)
    slot = Slot("u", 1, 1, False, (0.0,), (1.0,))
    return FNO(modes=4, width=3, depth=1).module(
        Signature((slot,), (slot,), (), None, (x,), (GridAxis(x, "periodic", 8),))
    )


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_the_mean_is_the_recursion_of_its_definition(decay: float) -> None:
    trained = module()
    mean = averaged(trained, decay)
    expected: list[torch.Tensor] = []
    for n in range(6):
        with torch.no_grad():
            for p in trained.parameters():
                p.fill_(float(n * n))
        mean.update_parameters(trained)
        d = min(decay, (1 + n) / (10 + n))
        now = [p.detach().clone() for p in trained.parameters()]
        expected = [d * e + (1 - d) * p for e, p in zip(expected, now, strict=True)] if n else now
    for found, value in zip(mean.parameters(), expected, strict=True):
        torch.testing.assert_close(found.detach(), value)


def test_running_moments_are_averaged_and_whole_numbers_stay() -> None:
    """Numbers of waves and channels are buffers too: their means would be rounded down to others."""
    trained = module()
    running = torch.zeros(2)
    trained.register_buffer("running", running)
    trained.register_buffer("numbers", torch.arange(40))
    trained.register_buffer("around", torch.tensor([True, False]))
    mean = averaged(trained, 0.9)
    expected = torch.zeros(2)
    for n in range(30):
        running.fill_(float(n))
        mean.update_parameters(trained)
        d = min(0.9, (1 + n) / (10 + n))
        expected = d * expected + (1 - d) * running if n else running.clone()
    kept = dict(mean.module.named_buffers())
    torch.testing.assert_close(kept["running"], expected)
    assert kept["numbers"].tolist() == list(range(40)) and kept["around"].tolist() == [True, False]
