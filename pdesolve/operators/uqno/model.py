"""An operator with an operator of its errors: the surrogate, and how the second is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from pdesolve.training.losses import Loss, Named

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


class Pinball(nn.Module, Loss):
    """The pinball loss of what a network E says of the absolute errors e of another, in deviations of these:

        mean of max(q (e - E), (q - 1) (e - E))

    whose least value has E at the quantile q of e, at each place and for each input.

    base: the network that makes the errors, which stays as it is. quantile: q. sizes: deviations of the errors.

    Source: R. Koenker and G. Bassett (1978), Regression quantiles.
    """

    def __init__(self, base: FieldOperator, quantile: float, sizes: Mapping[str, Sequence[float]]) -> None:
        super().__init__()
        self.base, self.quantile, self.sizes = base.requires_grad_(False), quantile, dict(sizes)

    def train(self, mode: bool = True) -> Pinball:
        """The errors are those of predictions, whoever trains."""
        return super().train(False)

    def forward(self, found: Named, truth: Named, places: Places, batch: Batch) -> Tensor:
        """The mean over samples, components and places."""
        with torch.no_grad():
            predicted = self.base(batch.inputs, batch.parameters, places, places)
        terms = []
        for name, v in truth.items():
            scale = v.new_tensor(self.sizes[name]).view(-1, *[1] * (v.ndim - 3))
            apart = ((predicted[name] - v).abs() - found[name]) / scale
            loss = torch.maximum(self.quantile * apart, (self.quantile - 1) * apart)
            terms.append((loss.flatten(3) * places.weights()[:, None, None]).sum(-1).mean())
        return torch.stack(terms).mean()
