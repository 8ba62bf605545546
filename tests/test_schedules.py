"""Factors of the learning rate by the step, against their closed forms."""

from __future__ import annotations

import math

import pytest

from pdesolve.training.schedules import rate_factor


def cosine(passed: float) -> float:
    return (1 + math.cos(math.pi * passed)) / 2


def test_a_constant_rate_rises_linearly_and_stays() -> None:
    assert [rate_factor("constant", 10)(step) for step in range(10)] == [1.0] * 10
    warm = rate_factor("constant", 10, warm_up=0.4)
    assert [warm(step) for step in range(6)] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


def test_a_cosine_falls_from_one_to_zero_over_what_follows_the_warm_up() -> None:
    factor = rate_factor("cosine", 10)
    assert [factor(step) for step in range(11)] == pytest.approx([cosine(step / 10) for step in range(11)])
    warm = rate_factor("cosine", 10, warm_up=0.2)
    assert [warm(step) for step in range(2)] == pytest.approx([0.5, 1.0])
    assert [warm(step) for step in range(2, 11)] == pytest.approx([cosine(step / 8) for step in range(9)])
    assert factor(12) == pytest.approx(0.0), "a run that goes on beyond its end does not begin anew"


@pytest.mark.parametrize(("warm_up", "rise"), [(0.0, 30), (0.1, 10)])
def test_one_cycle_is_a_cosine_up_and_one_down(warm_up: float, rise: int) -> None:
    factor = rate_factor("one_cycle", 100, warm_up=warm_up)
    up = [0.04 + 0.96 * (1 - cosine(step / rise)) for step in range(rise)]
    down = [1e-4 + (1 - 1e-4) * cosine(step / (100 - rise)) for step in range(101 - rise)]
    assert [factor(step) for step in range(101)] == pytest.approx(up + down)
