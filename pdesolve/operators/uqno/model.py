"""An operator with an operator of its errors: the surrogate, and how the second is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.data.batch import Batch
from pdesolve.method import Surrogate
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.nn.places import Places
from pdesolve.surrogates.bands import Band, Bands
from pdesolve.surrogates.operator import SURROGATE, OperatorSurrogate, write_surrogate
from pdesolve.surrogates.placing import Placing
from pdesolve.training.candidate import Candidate
from pdesolve.training.examiner import Examiner

ENVELOPE = "envelope.pt"


class UncertainSurrogate(Surrogate):
    """What `base` predicts, with the bands of its errors. bands: None as long as they are not calibrated."""

    def __init__(self, base: OperatorSurrogate, of_error: OperatorSurrogate, bands: Bands | None = None) -> None:
        self.base, self.of_error, self.bands = base, of_error, bands
        self.signature, self.device, self.notes = base.signature, base.device, base.notes
        self.parameters = base.parameters + of_error.parameters
        self.elsewhere = base.elsewhere

    @property
    def dtype(self) -> torch.dtype:  # type: ignore[override]
        return self.base.dtype

    def start(self, batch: Batch) -> Any:
        return self.base.start(batch)

    def step(self, carry: Any) -> Any:
        return self.base.step(carry)

    def read(self, carry: Any, at: Places | None = None) -> dict[str, Tensor]:
        return self.base.read(carry, at)

    def predict_bands(self, batch: Batch) -> dict[str, Band]:
        """The band of each target of a batch: lower, predicted and upper values.

        Raises:
            ValueError: no bands yet, as training was stopped before.
        """
        if self.bands is None:
            raise ValueError("training was stopped before the bands were calibrated: resume it")
        return self.bands.predict(batch)

    def write(self, folder: Path) -> None:
        write_surrogate(self.of_error, folder / ENVELOPE)
        if self.bands is not None:
            self.bands.write(folder)
        write_surrogate(self.base, folder / SURROGATE)


class Pinball(nn.Module):
    """The pinball loss of what a network E says of the absolute errors e of another, in deviations of these:

        mean of max(q (e - E), (q - 1) (e - E))

    whose least value has E at the quantile q of e, at each place and for each input.

    Source: R. Koenker and G. Bassett (1978), Regression quantiles.
    """

    def __init__(self, of_error: FieldOperator, base: FieldOperator, quantile: float) -> None:
        super().__init__()
        self.of_error, self.base, self.quantile = of_error, base, quantile
        self.placing = Placing(base.signature)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """{"pinball": the mean over samples, components and places}."""
        places = self.placing.of(batch, dtype=self.base.dtype, device=self.base.device)
        with torch.no_grad():
            predicted = self.base(batch.inputs, batch.parameters, places, places)
        found = self.of_error(batch.inputs, batch.parameters, places, places)
        terms = []
        for slot in self.of_error.signature.targets:
            truth = batch.targets[slot.name].to(predicted[slot.name])
            scale = truth.new_tensor(slot.std).view(1, 1, -1, *[1] * (truth.ndim - 3))  # of the errors
            apart = ((predicted[slot.name] - truth).abs() - found[slot.name]) / scale
            loss = torch.maximum(self.quantile * apart, (self.quantile - 1) * apart)
            terms.append((loss.flatten(3) * places.weights()[:, None, None]).sum(-1).mean())
        return {"pinball": torch.stack(terms).mean()}


class OfErrors(Examiner):
    """The operator of errors in the making, whose last weights are kept; what there is at any time is the whole."""

    def __init__(self, candidate: Candidate, whole: Callable[[], UncertainSurrogate]) -> None:
        self.candidate, self.whole = candidate, whole
        self.first = candidate.first

    def validate(self) -> dict[str, dict[str, float]]:
        """Nothing is measured: errors of errors say little."""
        return self.candidate.validate()

    def write(self, folder: Path) -> None:
        """Store the operator of errors as it is."""
        write_surrogate(self.candidate.surrogate, folder / ENVELOPE)

    def take_best(self) -> UncertainSurrogate:
        """The operator with what is known of its errors."""
        self.candidate.take_best()
        return self.whole()

    def state_dict(self) -> dict[str, Any]:
        return self.candidate.state_dict()

    def load_state_dict(self, state_dict: Any, /) -> None:
        self.candidate.load_state_dict(state_dict)

    def looks(self) -> bool:
        return self.candidate.looks()

    def renew(self) -> None:
        self.candidate.renew()

    def examine(self, loss: float) -> None:
        self.candidate.stage = self.stage
        self.candidate.examine(loss)

    def restore(self) -> None:
        self.candidate.restore()

    def diagnosis(self, batch: Any, rate: float | None) -> str:
        return self.candidate.diagnosis(batch, rate)
