"""Conformal calibration of fields: how wide a band must be to hold what was promised, for any predictor.

A rule sees the ratios r = |u - v| / s of errors to an envelope s > 0, (sample, time, component, *space), of n
calibration samples that the predictor and the envelope were not made from. It gives the factor q by which the envelope
becomes the band u +- q s. If the calibration samples and a new one are exchangeable, the promise holds in the mean
over draws of both; at a given draw the realised rate scatters, by sqrt(a (1 - a) / n) for a promise a. A rate that n
samples cannot promise has an infinite factor. A NaN counts as an infinite ratio: no band holds it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.metrics.means import LEADING, present, spatial_mean

_SLACK = 1e-9  # ranks are integers up to rounding


def conformal_quantile(scores: Tensor, alpha: float) -> Tensor:
    """The ceil((n + 1)(1 - alpha))-th smallest of n scores (sample, ...); infinite where that is more than n.

    A new score is no larger with a probability of 1 - alpha or more.

    Source: V. Vovk, A. Gammerman and G. Shafer (2005), Algorithmic learning in a random world.
    """
    rank = _rank(len(scores), alpha)
    if rank > len(scores):
        return torch.full_like(scores[:1].sum(0), torch.inf)
    return _never(scores).sort(0).values[rank - 1]


def missed_range(samples: int, alpha: float, *, tested: int | None = None, within: float = 0.9) -> tuple[float, float]:
    """The range in which the rate missed by a conformal quantile lies with a probability of `within`.

    Of n calibration samples with distinct scores the rate is Beta(n + 1 - k, k) distributed, k the rank; what is missed
    of `tested` new samples is binomial with that rate. n is large enough where the range of the rate itself (tested
    None) is: 500 give 8 to 12 %, 2000 give 9 to 11 %. More do not help a test of few: of 500 samples 8 to 12 % are
    missed with a probability of 0.73, 0.84, 0.86 and 0.88 at n = 500, 2000, 4000 and without end.

    Source: V. Vovk (2012), Conditional validity of inductive conformal predictors, arXiv 1209.2673.
    """
    from scipy import stats

    rank = _rank(samples, alpha)
    if rank > samples:
        return 0.0, 0.0
    above = samples + 1 - rank
    drawn = stats.beta(above, rank) if tested is None else stats.betabinom(tested, above, rank)
    low, high = drawn.ppf([(1 - within) / 2, (1 + within) / 2]) / (tested or 1)
    return float(low), float(high)


def _rank(samples: int, alpha: float) -> int:
    return max(1, math.ceil((samples + 1) * (1 - alpha) - _SLACK))


def upper_quantiles(values: Tensor, fractions: Sequence[float] | Tensor, weights: Tensor | None = None) -> Tensor:
    """The smallest r >= 0 such that the weight of values above it is no more than a fraction of all: (sample,
    fraction).

    values: (sample, place), not negative. weights: None, or (place,) or (sample, place). A negative fraction has an
    infinite quantile.
    """
    ordered, order = _never(values).sort(1, descending=True)
    whole = torch.ones_like(values) if weights is None else weights.to(values).expand_as(values)
    above = whole.gather(1, order).double().cumsum(1)
    wanted = torch.as_tensor(fractions, dtype=torch.float64, device=values.device).expand(len(values), -1)
    first = torch.searchsorted(above, (wanted + _SLACK) * above[:, -1:], right=True)
    found = torch.cat([ordered, torch.zeros_like(ordered[:, :1])], 1).gather(1, first)
    return torch.where(wanted < -_SLACK, torch.inf, found)


@dataclass(frozen=True)
class Rule(ABC):
    """What a band promises.

    Attributes:
        alpha: the rate of what may be missed, 0.1 for bands of 90 %.
    """

    alpha: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise InputError(f"a band misses a rate alpha between 0 and 1, got {self.alpha}: 0.1 for bands of 90 %")

    @property
    def promised(self) -> float:
        """The rate that `missed` has at most, in the mean."""
        return self.alpha

    @property
    def pointwise(self) -> bool:
        """Whether it bounds values at places; else a norm of the whole error."""
        return True

    @abstractmethod
    def score(self, ratios: Tensor, weights: Tensor | None = None) -> Tensor:
        """What the rule keeps of each sample's ratios (sample, time, component, *space): (sample, ...).

        weights: of quadrature, as in `pdesolve.metrics`.
        """

    def factor(self, scores: Tensor) -> Tensor:
        """The factor of the envelope, () or (time,), by the scores of all calibration samples: of one number each their
        conformal quantile."""
        return conformal_quantile(scores, self.alpha)

    def missed(self, ratios: Tensor, factor: Tensor, weights: Tensor | None = None) -> Tensor:
        """What a band of this factor misses of each sample, (sample,), from 0 to 1: all where its score is above."""
        return _above(self.score(ratios, weights), factor)


@dataclass(frozen=True)
class Simultaneous(Rule):
    """The whole field lies in the band, at all times and places, with a probability of 1 - alpha: score sup r.

    Source: split conformal, see `conformal_quantile`; for fields J. Diquigiovanni, M. Fontana and S. Vantini (2022),
    Conformal prediction bands for multivariate functional data, arXiv 2106.01792.
    """

    def score(self, ratios: Tensor, weights: Tensor | None = None) -> Tensor:
        return present(ratios, weights).flatten(1).amax(1)


@dataclass(frozen=True)
class MeanSquare(Rule):
    """The L2 norm of the error lies below the factor with a probability of 1 - alpha: score sqrt(mean r^2)."""

    @property
    def pointwise(self) -> bool:
        return False

    def score(self, ratios: Tensor, weights: Tensor | None = None) -> Tensor:
        return spatial_mean(ratios.square(), weights).mean((1, 2)).sqrt()


@dataclass(frozen=True)
class MeanAbsolute(Rule):
    """The mean of r lies below the factor with a probability of 1 - alpha."""

    @property
    def pointwise(self) -> bool:
        return False

    def score(self, ratios: Tensor, weights: Tensor | None = None) -> Tensor:
        return spatial_mean(ratios, weights).mean((1, 2))


@dataclass(frozen=True)
class MissedFraction(Rule):
    """The fraction L of times and places outside the band is alpha in the mean over samples: conformal risk control,

        q = inf { l : sum_i L_i(l) + 1 <= alpha (n + 1) }.

    Attributes:
        alpha: mean of the missed fraction.
        levels: so many quantiles are kept of each sample's ratios; they overstate its fraction by 1 / levels at most.

    Source: A. N. Angelopoulos, S. Bates, A. Fisch, L. Lei and T. Schuster (2024), Conformal risk control, arXiv
    2208.02814.
    """

    levels: int = 1000

    def score(self, ratios: Tensor, weights: Tensor | None = None) -> Tensor:
        fractions = torch.arange(self.levels, dtype=torch.float64, device=ratios.device) / self.levels
        return upper_quantiles(ratios.flatten(1), fractions, _each(ratios, weights))

    def factor(self, scores: Tensor) -> Tensor:
        n = len(scores)
        return upper_quantiles(scores.reshape(1, -1), [(self.alpha * (n + 1) - 1) / n])[0, 0]

    def missed(self, ratios: Tensor, factor: Tensor, weights: Tensor | None = None) -> Tensor:
        return spatial_mean(_above(ratios, factor), weights).mean((1, 2))


@dataclass(frozen=True)
class MostPlaces(Rule):
    """At least 1 - alpha of the domain lies in the band, for 1 - delta of all functions: the rule of UQNO. With m
    places

        t = lb + (alpha - lb) / 3,   lb = sqrt(-ln(delta) / (2 m)),   delta' = delta - exp(-2 m t^2)

    the score is the smallest r with no more than alpha - t of the domain above it, and the factor the conformal
    quantile of the scores at delta'. The slack t takes places for draws that are independent: fields are not, and so
    the band is wider than it need be, the more the coarser the grid. Of weighted places m counts 1 / sum of squared
    weights.

    Departure: both ranks are those with the guarantee; the published code takes ceil(.) + 1 from above where these are
    floor(.) + 1 and floor(.), at most two ranks further down.

    Attributes:
        alpha: part of the domain that may be missed.
        delta: rate of functions of which more may be missed.

    Source: Z. Ma, D. Pitt, K. Azizzadenesheli and A. Anandkumar (2024), Calibrated uncertainty quantification for
    operator learning via conformal prediction, arXiv 2402.01960.
    """

    delta: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.delta < 1:
            raise InputError(f"a band fails for a rate delta of functions between 0 and 1, got {self.delta}")

    @property
    def promised(self) -> float:
        return self.delta

    def slack(self, places: float) -> float:
        """t for m places.

        Raises:
            InputError: so few places that no alpha this small can be promised.
        """
        least = math.sqrt(-math.log(self.delta) / (2 * places))
        if least >= self.alpha:
            enough = math.ceil(-math.log(self.delta) / (2 * self.alpha**2)) + 1
            raise InputError(
                f"alpha={self.alpha:g} cannot be promised on {places:.0f} places: they bound it by {least:.3g}; give "
                f"fields on {enough} places or more, or a larger alpha"
            )
        return least + (self.alpha - least) / 3

    def score(self, ratios: Tensor, weights: Tensor | None = None) -> Tensor:
        each = _each(ratios, weights)
        places = math.prod(ratios.shape[1:])
        if each is not None:  # the fewest of the samples
            places = float((each.sum(-1).square() / each.square().sum(-1)).min())
        slack = self.slack(places)
        found = upper_quantiles(ratios.flatten(1), [self.alpha - slack], each)[:, 0]
        rest = self.delta - math.exp(-2 * places * slack**2)
        return torch.stack([found, torch.full_like(found, rest)], 1)

    def factor(self, scores: Tensor) -> Tensor:
        rest = float(scores[:, 1].min())
        return conformal_quantile(scores[:, 0], rest) if rest > 0 else scores.new_tensor(torch.inf)

    def missed(self, ratios: Tensor, factor: Tensor, weights: Tensor | None = None) -> Tensor:
        outside = spatial_mean(_above(ratios, factor), weights).mean((1, 2))
        return (outside > self.alpha + _SLACK).to(ratios)


@dataclass(frozen=True)
class LeadTimes(Rule):
    """All lead times of a rollout lie in the band with a probability of 1 - alpha, of a factor q_t of its own each.

    Scores s_t = sup over places of r. A part of the samples chooses the shape of the band, the smallest box
    (sum over t of b_t) that holds all but a fraction alpha of them: the empirical copula of the lead times. The others
    scale it: q_t = b_t q, q the conformal quantile of max_t s_t / b_t. So the promise is exact.

    Departure: CopulaCPTS searches the levels of the copula on its second part itself, where the promise is not that of
    split conformal any more, by gradient descent on a smoothed count. Here the box is found by leaving out the
    trajectory whose absence narrows it most, again and again.

    Attributes:
        alpha: rate of trajectories that leave the band at any time.
        shape: fraction of the samples that choose the shape, the first ones.

    Source: S. H. Sun and R. Yu (2024), Copula conformal prediction for multi-step time series prediction, arXiv
    2212.03281.
    """

    shape: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.shape < 1:
            raise InputError(f"a part shape of the samples between 0 and 1 chooses the shape, got {self.shape}")

    def score(self, ratios: Tensor, weights: Tensor | None = None) -> Tensor:
        return present(ratios, weights).flatten(2).amax(2)

    def factor(self, scores: Tensor) -> Tensor:
        first = max(1, round(self.shape * len(scores)))
        box = smallest_box(scores[:first], drop=math.floor(self.alpha * first))
        box = torch.where(box.isfinite(), box, 1.0).clamp_min(torch.finfo(box.dtype).tiny)
        return box * conformal_quantile((scores[first:] / box).amax(1), self.alpha)

    def missed(self, ratios: Tensor, factor: Tensor, weights: Tensor | None = None) -> Tensor:
        return _above(self.score(ratios, weights), factor).amax(1)


def smallest_box(scores: Tensor, *, drop: int) -> Tensor:
    """Bounds (time,) with a small sum that hold all but `drop` of the scores (sample, time), found greedily."""
    kept = _never(scores).clone()
    times = torch.arange(kept.shape[1], device=kept.device)
    drop = min(drop, len(kept) - 1)
    endless = kept.isinf().any(1).nonzero()[:drop, 0]  # no gain tells two of them apart
    kept[endless] = 0.0
    for _ in range(drop - len(endless)):
        largest = kept.topk(2, 0)
        gain = (largest.values[0] - largest.values[1]).nan_to_num(0.0)
        total = kept.new_zeros(len(kept)).index_add_(0, largest.indices[0], gain)
        kept[total.argmax(), times] = 0.0
    return kept.amax(0)


def _never(values: Tensor) -> Tensor:
    return torch.where(values.isnan(), torch.inf, values)


def _above(ratios: Tensor, factor: Tensor) -> Tensor:
    return (~(ratios <= factor)).to(ratios.dtype)


def _each(ratios: Tensor, weights: Tensor | None) -> Tensor | None:
    """The weights of all entries behind the first dimension: (1 or sample, entry)."""
    if weights is None:
        return None
    own = weights if weights.ndim == ratios.ndim else weights[(None,) * LEADING]
    return own.expand(len(own), *ratios.shape[1:]).flatten(1)
