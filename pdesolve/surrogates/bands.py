"""Bands around what a surrogate predicts, calibrated on samples that it was not trained on.

    envelope = error_envelope(surrogate, some)                            # or SpreadEnvelope(ensemble)
    bands = calibrated(envelope, others, rule=Simultaneous(alpha=0.1))
    bands.predict(batch)["u"].upper
    bands.judge(test)["u"]["missed"]                                      # near 0.1

`some`, `others` and `test` are lists of batches of samples that have nothing in common.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pdesolve import metrics
from pdesolve.data.batch import Batch
from pdesolve.errors import InputError
from pdesolve.method import Surrogate
from pdesolve.surrogates import conformal
from pdesolve.surrogates.conformal import Rule
from pdesolve.surrogates.description import read_description
from pdesolve.surrogates.ensemble import Ensemble
from pdesolve.surrogates.envelopes import Envelope, ErrorEnvelope, LearnedEnvelope, SpreadEnvelope, truth_of
from pdesolve.training.run import write_json

BANDS, TENSORS = "bands.json", "bands.safetensors"
FORMAT = 1
_RULES = {
    kind.__name__: kind
    for kind in (
        conformal.Simultaneous,
        conformal.MeanSquare,
        conformal.MeanAbsolute,
        conformal.MissedFraction,
        conformal.MostPlaces,
        conformal.LeadTimes,
    )
}


@dataclass(frozen=True, eq=False)
class Band:
    """Values (sample, time, component, *space) that a quantity lies between, and the one that is predicted."""

    lower: Tensor
    middle: Tensor
    upper: Tensor


@dataclass(frozen=True, eq=False)
class Bands:
    """A surrogate with bands of a rule: {name: factor}, () or (time,), of its envelope.

    steps: of the rollouts that they are for, 0 for single predictions. samples: that they were calibrated on.
    """

    envelope: Envelope
    rule: Rule
    factors: Mapping[str, Tensor]
    steps: int = 0
    samples: int = 0

    def predict(self, batch: Batch) -> dict[str, Band]:
        """The band of each target of a batch.

        Raises:
            InputError: a rule that bounds a norm and no values at places; a resolution that was not calibrated.
        """
        if not self.rule.pointwise:
            raise InputError(
                f"{type(self.rule).__name__} bounds a norm of the whole error, by its factor: for bands at places "
                "calibrate by Simultaneous, MissedFraction, MostPlaces or LeadTimes"
            )
        found, envelopes = self.envelope.predicted(batch, self.steps)
        bands = {}
        for name, u in found.items():
            half = _by_time(self.factors[name], u) * envelopes[name]
            bands[name] = Band(u - half, u, u + half)
        return bands

    def judge(self, batches: Iterable[Batch], *, weights: Tensor | None = None) -> dict[str, dict[str, float]]:
        """{target: {measure: value}} over test samples: `missed`, what the rule promises a rate of; `promised`, that
        rate; `error`, the standard error of `missed`; `inside`, the fraction of places in the band; `width`, its mean
        width in the unit of the target, and `relative_width`, over the root mean square of the truth.
        """
        sums: dict[str, Tensor] = {}
        for batch in batches:
            for name, (far, envelope, truth) in ratios(self.envelope, batch, self.steps).items():
                factor = self.factors[name].to(far)
                missed = self.rule.missed(far, factor, weights)
                bound = _by_time(factor, far)
                inside = metrics.spatial_mean((far <= bound).to(far), weights).mean((1, 2))
                width = metrics.spatial_mean(2 * (bound * envelope).expand_as(far), weights).mean((1, 2))
                square = metrics.spatial_mean(truth.square(), weights).mean((1, 2))
                row = torch.stack([torch.ones_like(missed), missed, missed.square(), inside, width, square]).sum(1)
                sums[name] = sums.get(name, 0.0) + row.double().cpu()
        found = {}
        for name, row in sums.items():
            n, missed, squares, inside, width, square = row.tolist()
            variance = max(0.0, squares / n - (missed / n) ** 2)
            found[name] = {
                "missed": missed / n, "promised": self.rule.promised, "error": (variance / n) ** 0.5,
                "inside": inside / n, "width": width / n, "relative_width": width / n / (square / n) ** 0.5,
            }  # fmt: skip
        return found

    def write(self, folder: Path) -> None:
        """Store the rule, the factors and the envelope in a folder, aside and renamed; not the surrogates."""
        from safetensors.torch import save_file

        tensors = {f"factor {name}": value.detach().cpu().contiguous() for name, value in self.factors.items()}
        about: dict[str, Any] = {"envelope": type(self.envelope).__name__}
        if isinstance(self.envelope, ErrorEnvelope):
            tensors |= {f"envelope {name}": v.detach().cpu().contiguous() for name, v in self.envelope.values.items()}
        elif isinstance(self.envelope, (SpreadEnvelope, LearnedEnvelope)):
            about["floor"] = self.envelope.floor
        else:
            raise InputError(f"an envelope of the kind {about['envelope']} is not stored: store its parts apart")
        about |= {"format": FORMAT, "rule": type(self.rule).__name__, "settings": asdict(self.rule)}
        about |= {"steps": self.steps, "samples": self.samples}
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / f".{TENSORS}.{os.getpid()}"
        save_file(tensors, aside)
        aside.replace(folder / TENSORS)
        write_json(folder / BANDS, about)


def read_bands(folder: Path, surrogate: Surrogate, *, of_error: Surrogate | None = None) -> Bands:
    """The bands that `Bands.write` stored in a folder, of the surrogate that they were calibrated for.

    of_error: the surrogate of its errors, for a `LearnedEnvelope`.

    Raises:
        InputError: no such files, damaged ones, of another format or of an ensemble where the surrogate is none.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    hint = "calibrate again"
    about = read_description(folder / BANDS, FORMAT, hint)
    try:
        tensors = load_file(folder / TENSORS)
        rule = _RULES[about["rule"]](**about["settings"])
        steps, samples, kind = int(about["steps"]), int(about["samples"]), str(about["envelope"])
        parts = {what: _named(tensors, what) for what in ("factor", "envelope")}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"the bands in {folder} are damaged: {str(error).splitlines()[0][:120]}; {hint}") from error
    names = {slot.name for slot in surrogate.signature.targets}
    if set(parts["factor"]) != names or (kind == "ErrorEnvelope" and set(parts["envelope"]) != names):
        raise InputError(
            f"the bands in {folder} are of {', '.join(parts['factor'])}, the surrogate of {', '.join(names)}"
        )
    envelope: Envelope
    if kind == "ErrorEnvelope":
        envelope = ErrorEnvelope(surrogate, parts["envelope"])
    elif kind == "LearnedEnvelope":
        if of_error is None:
            raise InputError(f"the bands in {folder} need the surrogate of errors that they were made with: of_error=")
        envelope = LearnedEnvelope(surrogate, of_error, floor=float(about["floor"]))
    elif isinstance(surrogate, Ensemble):
        envelope = SpreadEnvelope(surrogate, floor=float(about["floor"]))
    else:
        raise InputError(f"the bands in {folder} are those of an ensemble's spread, the surrogate is none")
    return Bands(envelope, rule, parts["factor"], steps, samples)


def calibrated(
    envelope: Envelope, batches: Iterable[Batch], *, rule: Rule, steps: int = 0, weights: Tensor | None = None
) -> Bands:
    """Bands of a rule by calibration samples, which neither the surrogate nor the envelope was made from.

    steps: of a rollout, 0 for single predictions. weights: of quadrature, where points are not equally spaced. Of
    windows of one trajectory take one: samples that depend on one another promise less than they seem to.

    Raises:
        InputError: no samples; a rule that these fields cannot keep.
    """
    scores: dict[str, list[Tensor]] = {}
    for batch in batches:
        for name, (far, _, _) in ratios(envelope, batch, steps).items():
            scores.setdefault(name, []).append(rule.score(far, weights))
    if not scores:
        raise InputError("there are no samples to calibrate by: give a split that training has not seen")
    factors = {name: rule.factor(torch.cat(parts)) for name, parts in scores.items()}
    return Bands(envelope, rule, factors, steps, sum(len(part) for part in next(iter(scores.values()))))


def ratios(envelope: Envelope, batch: Batch, steps: int = 0) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """|u - v| / s, s and v of each target: what rules see, the envelope and the truth."""
    found, envelopes = envelope.predicted(batch, steps)
    rows = {}
    for name, u in found.items():
        truth = truth_of(batch, name, u)
        rows[name] = (u - truth).abs() / envelopes[name], envelopes[name], truth
    return rows


def _by_time(factor: Tensor, values: Tensor) -> Tensor:
    """A factor () or (time,) with the dimensions of values (sample, time, component, *space)."""
    factor = factor.to(values)
    return factor if factor.ndim == 0 else factor.reshape(1, -1, *[1] * (values.ndim - 2))


def _named(tensors: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    return {name[len(what) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{what} ")}
