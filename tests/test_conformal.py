"""Conformal bands: promises kept on fields of a known distribution, ranks by their definitions, bands of surrogates."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from pdesolve.data.arrays import Memory
from pdesolve.data.batch import Batch
from pdesolve.data.dataset import Coordinate, Dataset, Variable
from pdesolve.data.moments import moments
from pdesolve.data.signature import signature_of
from pdesolve.data.task import Steps, Task
from pdesolve.data.windows import Windows
from pdesolve.errors import InputError
from pdesolve.geometry import Axis
from pdesolve.method import Surrogate
from pdesolve.operators.fno.method import FNO
from pdesolve.surrogates.bands import Bands, calibrated, read_bands
from pdesolve.surrogates.conformal import (
    LeadTimes,
    MeanAbsolute,
    MeanSquare,
    MissedFraction,
    MostPlaces,
    Rule,
    Simultaneous,
    conformal_quantile,
    missed_range,
    smallest_box,
    upper_quantiles,
)
from pdesolve.surrogates.ensemble import Ensemble, read_ensemble
from pdesolve.surrogates.envelopes import LearnedEnvelope, SpreadEnvelope, error_envelope
from pdesolve.surrogates.operator import OperatorSurrogate
from pdesolve.training.operator_training import seeded

RULES = (Simultaneous(), MeanSquare(), MeanAbsolute(), MissedFraction(), MostPlaces(), LeadTimes())


def ratios(count: int, generator: torch.Generator, *, times: int = 1, scale: float = 1.0) -> torch.Tensor:
    """|S sum_k a_k sin(pi k x) / k| over its deviation, S log-normal: (sample, time, 1, 256), growing in time."""
    x = (torch.arange(256, dtype=torch.float64) + 0.5) / 256
    k = torch.arange(1, 20, dtype=torch.float64)
    basis = torch.sin(math.pi * k[:, None] * x) / k[:, None]
    a = torch.randn(count, times, 19, generator=generator, dtype=torch.float64).cumsum(1)
    size = torch.exp(0.5 * torch.randn(count, 1, 1, generator=generator, dtype=torch.float64))
    return scale * ((size * a @ basis).abs() / basis.square().sum(0).sqrt())[:, :, None]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_promises_are_kept_in_the_mean_over_calibrations(rule: Rule) -> None:
    """100 samples to calibrate by, 200 to test, 60 times: rates scatter by 3 to 4 % a time, 0.5 % in the mean."""
    generator = torch.Generator().manual_seed(0)
    times = 6 if isinstance(rule, LeadTimes) else 1
    rates = []
    for _ in range(60):
        factor = rule.factor(rule.score(ratios(100, generator, times=times)))
        rates.append(float(rule.missed(ratios(200, generator, times=times), factor).mean()))
    mean, error = float(np.mean(rates)), float(np.std(rates)) / math.sqrt(60)
    assert mean <= rule.promised + 3 * error
    if isinstance(rule, MostPlaces):  # its slack takes the points for independent
        assert mean < 0.06
    elif isinstance(rule, MissedFraction):  # at least alpha - 2 / (n + 1), and 1 / levels
        assert mean >= 0.1 - 2 / 101 - 1e-3 - 3 * error
    else:  # at most alpha, at least alpha - 1 / (n + 1) of the samples that scale
        scaling = 60 if isinstance(rule, LeadTimes) else 100
        assert mean >= 0.1 - 1 / (scaling + 1) - 3 * error


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_promises_break_under_a_shift(rule: Rule) -> None:
    generator = torch.Generator().manual_seed(1)
    factor = rule.factor(rule.score(ratios(300, generator)))
    assert float(rule.missed(ratios(300, generator, scale=2.0), factor).mean()) > 1.5 * rule.promised


def test_the_factor_of_a_known_distribution() -> None:
    """At each place the ratio is |S Z|, Z normal: the factor solves mean over S of P(|Z| > q / S) = alpha."""
    drawn = ratios(8000, torch.Generator().manual_seed(2))
    rule = MissedFraction(levels=500)
    found = rule.factor(rule.score(drawn))
    size = torch.exp(0.5 * torch.special.ndtri((torch.arange(2000, dtype=torch.float64) + 0.5) / 2000))
    assert float(torch.special.erfc(found / size / math.sqrt(2)).mean()) == pytest.approx(0.1, abs=0.004)


def test_the_rank_of_the_conformal_quantile() -> None:
    scores = torch.tensor([5.0, 1.0, 4.0, 2.0, 3.0, 9.0, 7.0, 6.0, 8.0])
    assert float(conformal_quantile(scores, 0.1)) == 9.0, "ceil(10 * 0.9) = 9, not 10 by rounding"
    assert float(conformal_quantile(scores, 0.2)) == 8.0
    assert float(conformal_quantile(scores, 0.099)) == math.inf
    assert float(conformal_quantile(scores[:8], 0.1)) == math.inf, "eight samples promise no 90 %"
    assert float(conformal_quantile(scores, 0.999)) == 1.0
    scores[0] = torch.nan
    assert float(conformal_quantile(scores, 0.1)) == math.inf, "what is no number is held by no band"
    assert conformal_quantile(torch.stack([scores, scores + 1], 1), 0.3).tolist() == [8.0, 9.0]


@pytest.mark.parametrize("tested", [None, 50])
def test_the_range_of_the_rate_missed(tested: int | None) -> None:
    """3000 calibrations by 60 uniform scores, whose rate is known: 5 % lie on either side, +- 0.4 % by chance."""
    drawn = torch.Generator().manual_seed(3)
    factors = conformal_quantile(torch.rand(60, 3000, generator=drawn, dtype=torch.float64), 0.2)
    rates = 1 - factors if tested is None else (torch.rand(tested, 3000, generator=drawn) > factors).double().mean(0)
    low, high = missed_range(60, 0.2, tested=tested)
    assert 0.07 < low < 0.14 and 0.26 < high < 0.34
    # counts are whole: the range of these holds a little more
    below, above = float((rates < low).double().mean()), float((rates > high).double().mean())
    assert max(below, above) < 0.062 and min(below, above) > (0.038 if tested is None else 0.015)
    assert missed_range(8, 0.1) == (0.0, 0.0), "eight samples promise no 90 %: the band is infinite"


def test_upper_quantiles_by_counting() -> None:
    values = torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]])
    assert upper_quantiles(values, [0.0, 0.1, 0.15, 0.3, 0.95, 1.0, -0.1]).tolist() == [[9, 8, 8, 6, 0, 0, math.inf]]
    weights = torch.zeros(10)
    weights[:4] = torch.tensor([1.0, 1.0, 1.0, 3.0])
    # half of the weight lies at 3, and none above it
    assert upper_quantiles(values, [0.0, 0.4, 0.5, 0.7], weights).tolist() == [[3, 3, 2, 1]]
    values[0, 3] = torch.nan
    assert float(upper_quantiles(values, [0.05])) == math.inf


def test_risk_control_is_the_least_factor_that_is_safe() -> None:
    """Against the definition: the losses of all samples at every candidate."""
    drawn = torch.rand(30, 1, 1, 50, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    rule = MissedFraction(0.2, levels=50)
    found = float(rule.factor(rule.score(drawn)))
    candidates = drawn.flatten().sort().values
    losses = (drawn.flatten(1)[None] > candidates[:, None, None]).double().mean(-1).sum(1)
    exact = float(candidates[(losses + 1 <= 0.2 * 31 + 1e-9)].min())
    coarser = float(candidates[(losses + 30 / 50 + 1 <= 0.2 * 31 + 1e-9)].min())
    assert exact <= found <= coarser
    few = MissedFraction(0.02)
    assert float(few.factor(few.score(drawn))) == math.inf, "1 / (n + 1) is above alpha already"


def test_the_ranks_of_uqno_are_safe_and_near_those_published() -> None:
    rule, m, n = MostPlaces(0.1, delta=0.1), 256, 200
    drawn = ratios(n, torch.Generator().manual_seed(4)).flatten(1)
    least = math.sqrt(-math.log(0.1) / (2 * m))
    t = least + (0.1 - least) / 3
    rest = 0.1 - math.exp(-2 * m * t * t)
    rho = drawn.sort(1, descending=True).values
    functions = rho[:, math.floor((0.1 - t) * m)].sort(descending=True).values
    found = float(rule.factor(rule.score(drawn[:, None, None])))
    assert found == pytest.approx(float(functions[math.floor((n + 1) * rest) - 1]))
    published = rho[:, math.ceil((0.1 - t) * m)].sort(descending=True).values
    assert float(published[math.ceil((n + 1) * rest)]) <= found
    with pytest.raises(InputError, match=r"on 100 places: they bound it by 0\.107; give fields on 117"):
        rule.score(drawn[:, None, None, :100])
    with pytest.raises(InputError, match="a rate delta of functions between 0 and 1, got 0"):
        MostPlaces(delta=0.0)


def test_weights_count_places_by_their_volume() -> None:
    """A place of weight 3 is three places of weight 1; one of weight 0 is not there."""
    drawn = torch.rand(40, 2, 1, 300, generator=torch.Generator().manual_seed(5))
    weights = torch.ones(301)
    weights[0], weights[-1] = 3.0, 0.0
    thrice = torch.cat([drawn[..., :1], drawn[..., :1], drawn], -1)
    absent = torch.cat([drawn, torch.full((40, 2, 1, 1), 1e6)], -1)
    for rule in RULES:
        score, expected = rule.score(absent, weights), rule.score(thrice)
        if not isinstance(rule, MostPlaces):  # whose slack knows that three equal draws are one
            torch.testing.assert_close(score, expected)
        factor = rule.factor(score)
        torch.testing.assert_close(rule.missed(absent, factor, weights), rule.missed(thrice, factor))


def test_the_smallest_box_leaves_out_what_widens_it_most() -> None:
    scores = torch.tensor([[1.0, 1.0], [2.0, 1.5], [0.5, 9.0], [1.5, 2.0], [7.0, 0.1]])
    assert smallest_box(scores, drop=0).tolist() == [7.0, 9.0]
    assert smallest_box(scores, drop=1).tolist() == [7.0, 2.0]
    assert smallest_box(scores, drop=2).tolist() == [2.0, 2.0]
    scores[3], scores[4] = torch.nan, math.inf
    assert smallest_box(scores, drop=2).tolist() == [2.0, 9.0], "several that diverged go first"
    assert smallest_box(scores, drop=3).tolist() == [2.0, 1.5]
    assert smallest_box(scores, drop=1).tolist() == [math.inf, math.inf], "and all of them"


def test_bands_by_lead_time_are_narrower_than_one_for_all() -> None:
    generator = torch.Generator().manual_seed(6)
    drawn = ratios(1000, generator, times=8)
    factors = LeadTimes().factor(LeadTimes().score(drawn))
    assert factors.shape == (8,) and factors[0] < 0.6 * factors[-1]
    assert float(factors.mean()) < 0.92 * float(Simultaneous().factor(Simultaneous().score(drawn)))


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 10.0])
def test_rates_that_are_none_are_refused(alpha) -> None:
    with pytest.raises(InputError, match="a rate alpha between 0 and 1"):
        Simultaneous(alpha)


X = Axis("x", 0.0, 1.0, periodic=True)


def waves(samples: int, frames: int, size: int = 24) -> Dataset:
    """Sums of travelling waves of random amplitudes (sample, t, x)."""
    generator = np.random.default_rng(0)
    k = np.arange(1, 5)
    a, b = generator.normal(size=(2, samples, 1, 4)) / k
    x = np.arange(size) / size
    phase = 2 * np.pi * k[:, None] * (x - 0.05 * np.arange(frames)[:, None, None])
    u = np.einsum("stk,tkx->stx", np.broadcast_to(a, (samples, frames, 4)), np.sin(phase))
    u += np.einsum("stk,tkx->stx", np.broadcast_to(b, (samples, frames, 4)), np.cos(phase))
    return Dataset({"u": Variable("u", Memory(u), ("sample", "t", "x"))}, {"x": Coordinate(X, x)})


def batches(data: Dataset, rows: range, ahead: int = 1) -> list[Batch]:
    part = data.isel({"sample": slice(rows.start, rows.stop)})
    windows = Windows(part, Task(("u",), ("u",), Steps(past=1, ahead=ahead, every=100)))
    return [windows.batch(range(i, min(i + 50, len(windows)))) for i in range(0, len(windows), 50)]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return waves(600, 5)


def untrained(data: Dataset, seed: int) -> OperatorSurrogate:
    """An operator of random weights: a promise needs no skill."""
    method = FNO(modes=8, width=4, depth=1)
    signature = signature_of(data, Task(("u",), ("u",), Steps()), moments(data, split=""))
    with seeded(seed):
        module = method.module(signature)

    return OperatorSurrogate(module, method="fno", settings=asdict(method))


@pytest.fixture(scope="module")
def surrogate(data) -> OperatorSurrogate:
    return untrained(data, 0)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_bands_of_any_surrogate_are_stored_and_read_again(data, surrogate, rule: Rule, tmp_path: Path) -> None:
    if isinstance(rule, MostPlaces):
        rule = MostPlaces(0.3, delta=0.2)  # 24 places are few
    envelope = error_envelope(surrogate, batches(data, range(100)))
    bands = calibrated(envelope, batches(data, range(100, 350)), rule=rule)
    assert bands.samples == 250
    test = batches(data, range(350, 600))
    found = bands.judge(test)["u"]
    assert found["missed"] <= rule.promised + 0.06 and 0 < found["width"] < math.inf
    assert found["promised"] == rule.promised and found["inside"] > 0.4
    bands.write(tmp_path)
    again = read_bands(tmp_path, surrogate)
    assert again.judge(test)["u"] == found and again.rule == rule
    if rule.pointwise:
        band = again.predict(test[0])["u"]
        torch.testing.assert_close(band.middle, surrogate.predict(test[0])["u"])
        inside = (test[0].targets["u"] >= band.lower) & (test[0].targets["u"] <= band.upper)
        assert float(inside.float().mean()) == pytest.approx(found["inside"], abs=0.1)
    else:
        with pytest.raises(InputError, match=f"{type(rule).__name__} bounds a norm"):
            again.predict(test[0])


def test_an_ensemble_is_a_surrogate_with_a_spread(data, surrogate, tmp_path: Path) -> None:
    ensemble = Ensemble([surrogate, untrained(data, 1), untrained(data, 2)])
    assert isinstance(ensemble, Surrogate) and ensemble.parameters == 3 * surrogate.parameters
    batch = batches(data, range(20), ahead=3)[0]
    single = [member.predict(batch)["u"] for member in ensemble.members]
    torch.testing.assert_close(ensemble.predict(batch)["u"], torch.stack(single).mean(0))
    rollouts = [member.rollout(batch, 3).states["u"] for member in ensemble.members]
    torch.testing.assert_close(ensemble.rollout(batch, 3).states["u"], torch.stack(rollouts).mean(0))
    ensemble.write(tmp_path)
    again = read_ensemble(tmp_path)
    torch.testing.assert_close(again.predict(batch)["u"], ensemble.predict(batch)["u"], rtol=0, atol=0)
    with pytest.raises(InputError, match="two members at least, got 1"):
        Ensemble([surrogate])


def test_bands_of_an_ensembles_rollouts(data, surrogate, tmp_path: Path) -> None:
    ensemble = Ensemble([surrogate, untrained(data, 1), untrained(data, 2)])
    bands = calibrated(SpreadEnvelope(ensemble), batches(data, range(300), 3), rule=LeadTimes(), steps=3)
    assert bands.factors["u"].shape == (3,)
    test = batches(data, range(300, 600), 3)
    assert bands.judge(test)["u"]["missed"] <= 0.16
    bands.write(tmp_path)
    assert read_bands(tmp_path, ensemble).judge(test) == bands.judge(test)
    with pytest.raises(InputError, match="those of an ensemble's spread, the surrogate is none"):
        read_bands(tmp_path, surrogate)
    with pytest.raises(InputError, match="predicted for 3 frames and the batch has 1"):
        bands.judge(batches(data, range(300, 350), 1))


def test_bands_of_a_surrogate_of_errors(data, surrogate, tmp_path: Path) -> None:
    """Even of one that knows nothing of errors: the promise is kept, the band is only wider."""
    of_error = untrained(data, 3)
    envelope = LearnedEnvelope(surrogate, of_error)
    bands = calibrated(envelope, batches(data, range(300)), rule=MissedFraction())
    test = batches(data, range(300, 600))
    found = bands.judge(test)
    assert 0.07 < found["u"]["missed"] < 0.13
    bands.write(tmp_path)
    assert read_bands(tmp_path, surrogate, of_error=of_error).judge(test) == found
    with pytest.raises(InputError, match="need the surrogate of errors"):
        read_bands(tmp_path, surrogate)
    with pytest.raises(InputError, match="single predictions: calibrate with steps=0"):
        calibrated(envelope, batches(data, range(300), 3), rule=LeadTimes(), steps=3)


def test_bands_that_cannot_be_are_refused_in_one_line(data, surrogate, tmp_path: Path) -> None:
    envelope = error_envelope(surrogate, batches(data, range(50)))
    few = calibrated(envelope, batches(data, range(50, 58)), rule=Simultaneous())
    assert float(few.factors["u"]) == math.inf and few.judge(batches(data, range(58, 90)))["u"]["missed"] == 0.0
    few.write(tmp_path)
    assert float(read_bands(tmp_path, surrogate).factors["u"]) == math.inf

    def damage(name: str, text: str) -> Bands:
        (tmp_path / name).write_text(text)
        return read_bands(tmp_path, surrogate)

    finer = batches(waves(20, 2, 48), range(20))
    refused = [
        (lambda: calibrated(envelope, [], rule=Simultaneous()), "no samples to calibrate by"),
        (lambda: error_envelope(surrogate, []), "no samples to take errors of"),
        (lambda: few.predict(finer[0]), "calibrate for each resolution"),
        (lambda: read_bands(tmp_path / "none", surrogate), "there is no .*bands.json: calibrate again"),
        (lambda: damage("bands.safetensors", "no tensors"), "are damaged: .*; calibrate again"),
        (lambda: damage("bands.json", "[]"), "has format None, this version reads 1"),
        (lambda: damage("bands.json", "{"), "is damaged: .*; calibrate again"),
    ]
    for make, message in refused:
        with pytest.raises(InputError, match=message) as error:
            make()
        assert "\n" not in str(error.value)
