"""Bands and envelopes of surrogates that are known in closed form, by their definitions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pdesolve.data.batch import Batch
from pdesolve.data.signature import Signature, Slot
from pdesolve.data.task import Steps
from pdesolve.geometry import Axis
from pdesolve.method import Surrogate
from pdesolve.nn.places import Places
from pdesolve.surrogates.bands import Bands, ratios
from pdesolve.surrogates.conformal import LeadTimes, MeanSquare, MostPlaces, Rule, Simultaneous, conformal_quantile
from pdesolve.surrogates.ensemble import Ensemble
from pdesolve.surrogates.envelopes import ErrorEnvelope, LearnedEnvelope, SpreadEnvelope, error_envelope

SLOT = Slot("u", 1, 1, True, (0.0,), (2.0,))
NAMES = Signature((SLOT,), (SLOT,), (), Steps(), (Axis("x", 0.0, 1.0, periodic=True),))


class Times(Surrogate):
    """The state times a number, again and again."""

    def __init__(self, factor: float, *, elsewhere: bool = False) -> None:
        self.factor, self.signature, self.elsewhere = factor, NAMES, elsewhere
        self.device, self.notes = torch.device("cpu"), {}

    def start(self, batch: Batch) -> Tensor:
        return batch.inputs["u"]

    def step(self, carry: Tensor) -> Tensor:
        return self.factor * carry

    def read(self, carry: Tensor, at: Places | None = None) -> dict[str, Tensor]:
        return {"u": carry}

    def write(self, folder: Path) -> None:
        raise NotImplementedError


def batch(u: Tensor, truth: Tensor) -> Batch:
    numbers, none = torch.arange(len(u)), torch.zeros(len(u), 0)
    return Batch({"u": u}, {"u": truth}, {}, {}, none, none, {}, numbers, numbers)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_band_is_the_prediction_and_as_many_envelopes_to_either_side() -> None:
    u, sizes = drawn(3, 1, 1, 4), torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 4)
    bands = Bands(ErrorEnvelope(Times(2.0), {"u": sizes}), Simultaneous(), {"u": torch.tensor(0.5)})
    found = bands.predict(batch(u, u))["u"]
    for part, expected in ((found.lower, 2 * u - 0.5 * sizes), (found.middle, 2 * u), (found.upper, 2 * u + sizes / 2)):
        torch.testing.assert_close(part, expected)


def test_each_lead_time_has_its_factor() -> None:
    u, sizes = drawn(3, 1, 1, 4), torch.rand(1, 2, 1, 4) + 1
    factors = torch.tensor([1.0, 10.0])
    bands = Bands(ErrorEnvelope(Times(2.0), {"u": sizes}), LeadTimes(), {"u": factors}, steps=2)
    found = bands.predict(batch(u, torch.cat([u, u], 1)))["u"]
    torch.testing.assert_close(found.upper[:, :1], 2 * u + sizes[:, :1])
    torch.testing.assert_close(found.upper[:, 1:], 4 * u + 10 * sizes[:, 1:])


def test_rules_see_errors_over_their_envelope() -> None:
    u, truth, sizes = drawn(3, 1, 1, 4), drawn(3, 1, 1, 4, seed=1), torch.rand(1, 1, 1, 4) + 1
    far, envelope, known = ratios(ErrorEnvelope(Times(2.0), {"u": sizes}), batch(u, truth))["u"]
    torch.testing.assert_close(far, (2 * u - truth).abs() / sizes)
    assert torch.equal(envelope, sizes) and torch.equal(known, truth)


def test_a_band_is_judged_by_its_definitions() -> None:
    """Four samples in two batches, one of which leaves the band at one of four places."""
    sizes = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 4)
    truth = 3.0 * torch.ones(4, 1, 1, 4)
    u = truth + 0.4 * sizes
    u[2, ..., 1] += 5.0
    bands = Bands(ErrorEnvelope(Times(1.0), {"u": sizes}), Simultaneous(0.2), {"u": torch.tensor(0.5)})
    found = bands.judge([batch(u[:3], truth[:3]), batch(u[3:], truth[3:])])["u"]
    assert found == {
        "missed": 0.25, "promised": 0.2, "error": pytest.approx(math.sqrt(0.25 * 0.75 / 4)), "inside": 15 / 16,
        "width": pytest.approx(2 * 0.5 * 2.5), "relative_width": pytest.approx(2.5 / 3.0),
    }  # fmt: skip


def test_the_envelope_of_errors_is_their_root_mean_square_at_each_place() -> None:
    u, truth = drawn(5, 1, 1, 4), drawn(5, 1, 1, 4, seed=1)
    truth[..., 0] = 2 * u[..., 0]  # where nothing is wrong
    found = error_envelope(Times(2.0), [batch(u[:2], truth[:2]), batch(u[2:], truth[2:])], floor=0.1).values["u"]
    exact = (2 * u - truth).square().mean(0, keepdim=True).sqrt()
    torch.testing.assert_close(found[..., 1:], exact[..., 1:])
    assert float(found[0, 0, 0, 0]) == pytest.approx(0.1 * float(exact.mean()))


def test_the_spread_of_members_has_a_floor_by_the_data() -> None:
    u = torch.tensor([0.0, 1.0, 3.0]).reshape(1, 1, 1, 3)
    members = Ensemble([Times(1.0), Times(2.0), Times(6.0)])
    mean, spread = SpreadEnvelope(members, floor=0.01).predicted(batch(u, u), 0)
    torch.testing.assert_close(mean["u"], 3 * u)
    assert spread["u"].flatten().tolist() == pytest.approx([0.01 * 2.0, math.sqrt(7), 3 * math.sqrt(7)])


def test_what_is_learnt_of_errors_counts_by_its_size() -> None:
    u = torch.tensor([0.0, 1.0, -3.0]).reshape(1, 1, 1, 3)
    mean, sizes = LearnedEnvelope(Times(5.0), Times(-2.0), floor=0.01).predicted(batch(u, u), 0)
    torch.testing.assert_close(mean["u"], 5 * u)
    assert sizes["u"].flatten().tolist() == pytest.approx([0.01 * 2.0, 2.0, 6.0])


def test_a_sample_diverges_with_the_first_of_its_members() -> None:
    u = torch.ones(2, 1, 1, 3)
    u[1] = 0.0
    members = Ensemble([Times(1.0), Times(100.0), Times(1000.0)])
    found = members.rollout_apart(batch(u, u), 4)
    assert found.diverged.tolist() == [2, 0], "1000 ** 2 is 1e4 deviations before 100 ** 3 is"
    assert found.states["u"].shape == (3, 2, 4, 1, 3)


def test_an_ensemble_reads_elsewhere_where_all_its_members_do() -> None:
    assert not Ensemble([Times(1.0, elsewhere=True), Times(1.0)]).elsewhere
    assert Ensemble([Times(1.0, elsewhere=True), Times(1.0, elsewhere=True)]).elsewhere


def test_scores_are_norms_of_the_whole_error() -> None:
    far = torch.tensor([[1.0, 2.0], [5.0, 4.0]]).reshape(1, 2, 1, 2)  # (sample, time, component, place)
    weights = torch.tensor([3.0, 1.0])
    assert float(MeanSquare().score(far, weights)) == pytest.approx(math.sqrt(((3 + 4) / 4 + (75 + 16) / 4) / 2))


def test_what_is_no_number_is_missed() -> None:
    far = torch.tensor([0.5, torch.nan]).reshape(2, 1, 1, 1)
    rules: list[Rule] = [Simultaneous(), MeanSquare(), LeadTimes()]
    for rule in rules:
        assert rule.missed(far, torch.tensor(1.0)).tolist() == [0.0, 1.0]


def test_places_of_weight_zero_give_no_confidence() -> None:
    """Half of the places count for nothing: the slack is that of the others."""
    rule: Any = MostPlaces(0.3, delta=0.2)
    far = torch.rand(1, 1, 1, 60, generator=torch.Generator().manual_seed(0))
    weights = torch.cat([torch.ones(30), torch.zeros(30)])
    torch.testing.assert_close(rule.score(far, weights), rule.score(far[..., :30]))


def test_a_wild_trajectory_does_not_choose_the_shape_of_bands() -> None:
    """Of the first 40 of 100 samples four are left out: those of far more in the second lead time."""
    scores = torch.rand(100, 2, generator=torch.Generator().manual_seed(0)) + 1
    scores[:4, 1] = torch.tensor([100.0, 300.0, 900.0, 2700.0])
    box = torch.stack([scores[4:40, 0].amax(), scores[4:40, 1].amax()])
    found = LeadTimes().factor(scores)
    torch.testing.assert_close(found, box * conformal_quantile((scores[40:] / box).amax(1), 0.1))


def test_ranks_are_whole_numbers_up_to_rounding() -> None:
    assert 100 * (1 - 0.45) > 55
    assert float(conformal_quantile(torch.arange(1.0, 100.0), 0.45)) == 55.0
