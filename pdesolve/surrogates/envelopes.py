"""How far off a prediction is thought to be at each time and place: what bands are made from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

from torch import Tensor

from pdesolve.data.batch import Batch
from pdesolve.errors import InputError
from pdesolve.method import Surrogate
from pdesolve.surrogates.ensemble import Ensemble, mean


class Envelope(ABC):
    """How far off a prediction is thought to be at each time and place, up to a factor."""

    @abstractmethod
    def predicted(self, batch: Batch, steps: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The predictions {name: (sample, time, component, *space)} of a batch and their envelopes, of a shape that
        broadcasts to theirs, greater than zero. steps: of a rollout, 0 for one prediction."""


class ErrorEnvelope(Envelope):
    """The root mean square of the errors of a surrogate at each time and place over samples of their own.

    values: {name: (1, time, component, *space)}. Made by `error_envelope`.
    """

    def __init__(self, surrogate: Surrogate, values: Mapping[str, Tensor]) -> None:
        self.surrogate, self.values = surrogate, dict(values)

    def predicted(self, batch: Batch, steps: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        found = predictions(self.surrogate, batch, steps)
        for name, u in found.items():
            if u.shape[1:] != self.values[name].shape[1:]:
                raise InputError(
                    f"{name} is predicted on {tuple(u.shape[1:])} (time, component, *space) and its envelope lies on "
                    f"{tuple(self.values[name].shape[1:])}: calibrate for each resolution and number of steps"
                )
        return found, {name: self.values[name].to(u) for name, u in found.items()}


class SpreadEnvelope(Envelope):
    """The deviation over the members of an ensemble.

    floor: least deviation, as a part of the deviation of the training data: members that agree by chance are not sure.
    """

    def __init__(self, ensemble: Ensemble, *, floor: float = 1e-4) -> None:
        self.ensemble, self.floor = ensemble, floor

    def predicted(self, batch: Batch, steps: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        ensemble = self.ensemble
        apart = ensemble.rollout_apart(batch, steps).states if steps else ensemble.predict_apart(batch)
        least = {slot.name: self.floor * max(slot.std) for slot in ensemble.signature.targets}
        return mean(apart), {name: values.std(0).clamp_min(least[name]) for name, values in apart.items()}


class LearnedEnvelope(Envelope):
    """What a second surrogate, of the same task and targets, predicts for the size of the first one's errors.

    Its sign does not matter. floor: least value, as a part of the deviation of the training data of the second.

    Source: Z. Ma, D. Pitt, K. Azizzadenesheli and A. Anandkumar (2024), arXiv 2402.01960, where it is trained on the
    absolute errors on samples of its own by the pinball loss of the quantile 1 - alpha.
    """

    def __init__(self, surrogate: Surrogate, of_error: Surrogate, *, floor: float = 1e-3) -> None:
        names, own = ({slot.name for slot in one.signature.targets} for one in (surrogate, of_error))
        if names != own:
            raise InputError(
                f"an envelope has the targets of its surrogate, {', '.join(names)}, got one of {', '.join(own)}"
            )
        self.surrogate, self.of_error, self.floor = surrogate, of_error, floor

    def predicted(self, batch: Batch, steps: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        if steps:
            raise InputError("an envelope that is learnt is one of single predictions: calibrate with steps=0")
        least = {slot.name: self.floor * max(slot.std) for slot in self.of_error.signature.targets}
        sizes = {name: values.abs().clamp_min(least[name]) for name, values in self.of_error.predict(batch).items()}
        return self.surrogate.predict(batch), sizes


def error_envelope(
    surrogate: Surrogate, batches: Iterable[Batch], *, steps: int = 0, floor: float = 1e-3
) -> ErrorEnvelope:
    """The envelope of the errors over batches that the surrogate was not trained on, and will not be calibrated on.

    floor: least value, as a part of the mean over places: where the error is zero by chance or by a condition.

    Raises:
        InputError: no batches, or a prediction that is not finite.
    """
    sums: dict[str, Tensor] = {}
    count = 0
    for batch in batches:
        count += len(batch)
        for name, u in predictions(surrogate, batch, steps).items():
            sums[name] = sums.get(name, 0.0) + (u - truth_of(batch, name, u)).square().sum(0, keepdim=True)
    if not count:
        raise InputError("there are no samples to take errors of: give a split that training has not seen")
    values = {name: (total / count).sqrt() for name, total in sums.items()}
    for name, value in values.items():
        if not bool(value.isfinite().all()):
            raise InputError(f"the errors of {name} are not finite: the surrogate diverges on these {count} samples")
    return ErrorEnvelope(surrogate, {name: v.clamp_min(floor * float(v.mean())) for name, v in values.items()})


def predictions(surrogate: Surrogate, batch: Batch, steps: int) -> dict[str, Tensor]:
    """What a surrogate predicts of a batch, or its rollout of so many steps, NaN where it diverged."""
    return surrogate.rollout(batch, steps).states if steps else surrogate.predict(batch)


def truth_of(batch: Batch, name: str, predicted: Tensor) -> Tensor:
    """The targets of a batch that belong to a prediction.

    Raises:
        InputError: targets of other frames.
    """
    truth = batch.targets[name].to(predicted)
    if truth.shape[1] != predicted.shape[1]:
        raise InputError(
            f"{name} is predicted for {predicted.shape[1]} frames and the batch has {truth.shape[1]}: give a task of "
            "as many frames ahead as there are steps"
        )
    return truth.expand_as(predicted)
