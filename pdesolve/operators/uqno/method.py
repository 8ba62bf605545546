"""The settings and the procedure of the uncertainty-quantifying neural operator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pdesolve.data.signature import Signature
from pdesolve.data.training_data import TrainingData
from pdesolve.data.windows import Windows
from pdesolve.errors import InputError
from pdesolve.method import Surrogate
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.nn.fourier_network import FourierNetwork, lines_of
from pdesolve.operators.uqno.model import ENVELOPE, Pinball, UncertainSurrogate
from pdesolve.surrogates.bands import BANDS, calibrated, read_bands
from pdesolve.surrogates.conformal import MostPlaces
from pdesolve.surrogates.envelopes import LearnedEnvelope
from pdesolve.surrogates.operator import SURROGATE, OperatorSurrogate
from pdesolve.training.operator_learner import OperatorLearner
from pdesolve.training.operator_training import Training, train_operator
from pdesolve.training.processes import place
from pdesolve.training.reduction import total
from pdesolve.training.run import Run

_TRAINING = Training()
_FOURTH = 4  # of the training samples, one of so many is for the errors
_MEASURED = 8  # batches by which the size of errors is known


@dataclass(frozen=True)
class UQNO(OperatorLearner):
    """The uncertainty-quantifying neural operator.

    Attributes:
        modes: along each axis, both signs counted; 12 to 32, fewer than points.
        width: channels of the hidden layers; 16 to 64.
        depth: Fourier layers.
        padding: by which part waves on axes that do not go round are longer than these, as if zeros were added there.
        alpha: part of the domain that may lie outside of a band.
        delta: rate of functions of which more may lie outside.
        share: part of the budget for the operator; the rest is for that of its errors.
        training: how both are trained; of the errors by the pinball loss.
    """

    modes: int = 16
    width: int = 32
    depth: int = 4
    padding: float = 0.0
    alpha: float = 0.1
    delta: float = 0.1
    share: float = 0.6
    training: Training = _TRAINING

    def learn(self, data: TrainingData, run: Run) -> UncertainSurrogate:
        mostly, others = data.apart(_FOURTH)
        held = others.held_out("valid")
        rule = self._checked(others)
        assert held is not None
        base = self.untrained(data.signature, seed=run.seed, device=run.device)
        train_operator(base, mostly, run, self.training, stage="operator", share=self.share)

        sizes = run.choose("error sizes", lambda: error_sizes(base, others, self.training.batch, run))
        of_error = self.untrained(of_errors(base.signature, sizes), seed=run.seed + 1, device=run.device)
        surrogate = UncertainSurrogate(base, of_error)
        pinball = Pinball(base.module, 1 - self.alpha, sizes)
        # sizes of errors have no signs that a motion could change, and follow from the inputs at once
        plain = replace(self.training, unroll=1, push_forward=0, curriculum="none", symmetries=(), noise=0.0)
        train_operator(
            of_error, others, run, plain, stage="errors", share=1 - self.share, losses={"pinball": (1.0, pinball)},
            part_of=surrogate,
        )  # fmt: skip
        base.module.requires_grad_(True)

        surrogate.bands = calibrated(LearnedEnvelope(base, of_error), batches_of(held, base, self), rule=rule)
        surrogate.notes["bands"] = {"alpha": self.alpha, "delta": self.delta, "calibrated_on": surrogate.bands.samples}
        if not all(bool(factor.isfinite()) for factor in surrogate.bands.factors.values()):
            run.say(f"{held.samples} samples are too few to promise delta={self.delta:g}: the bands are infinite")
        test = data.held_out("test")
        if test is not None:
            surrogate.notes["bands"]["test"] = surrogate.bands.judge(batches_of(test, base, self))
        return surrogate

    def _checked(self, data: TrainingData) -> MostPlaces:
        """The rule of the bands, which the grid has points enough for. data: of the errors."""
        if not 0 < self.share < 1:
            raise InputError(f"share is the part of the budget for the operator, between 0 and 1, got {self.share:g}")
        if data.held_out("valid") is None:
            raise InputError(
                "uqno calibrates on a validation split of 2 samples at least: split by train=0.7,valid=0.2"
            )
        count, processes = data.windows(data.signature.task), place()[1]
        if count is not None and count < processes:
            raise InputError(
                f"uqno learns errors from every {_FOURTH}th training sample, here {count} windows, and there are "
                f"{processes} processes: use fewer"
            )
        rule = MostPlaces(alpha=self.alpha, delta=self.delta)
        lines_of(data.signature, method="uqno")  # refuses points
        rule.slack(math.prod(data.signature.shape))
        return rule

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature: of the operator, or of its errors."""
        lines = lines_of(signature, padding=self.padding, method="uqno")
        network = FourierNetwork(
            signature.given_channels, signature.target_channels, lines, modes=self.modes, width=self.width,
            depth=self.depth, method="uqno",
        )  # fmt: skip
        return FieldOperator(network, signature)

    def restore(self, folder: Path, *, device: str = "cpu") -> Surrogate:
        """The surrogate; of a training that was stopped in its first stage the operator alone."""
        base = self.read(folder / SURROGATE, device=device)
        if not (folder / ENVELOPE).exists():
            return base
        of_error = self.read(folder / ENVELOPE, device=device)
        known = (folder / BANDS).exists()
        return UncertainSurrogate(base, of_error, read_bands(folder, base, of_error=of_error) if known else None)


def of_errors(signature: Signature, sizes: Mapping[str, Sequence[float]]) -> Signature:
    """That of a network which predicts the sizes of errors instead, with these deviations."""
    targets = tuple(
        replace(slot, mean=(0.0,) * slot.components, std=tuple(sizes[slot.name])) for slot in signature.targets
    )
    return replace(signature, targets=targets, symmetries=None)


@torch.no_grad()
def error_sizes(surrogate: OperatorSurrogate, data: TrainingData, batch: int, run: Run) -> dict[str, list[float]]:
    """The root mean square of the errors of each component of each target over some batches of all processes."""
    batches = data.batches(data.signature.task, batch=batch, device=run.device, seed=run.seed)
    sums: dict[str, torch.Tensor] = {}
    for _ in range(_MEASURED):
        batches.renew()
        for name, u in surrogate.predict(batches.batch).items():
            squares = (u - batches.batch.targets[name].to(u)).double().square().transpose(0, 2).flatten(1)
            row = torch.stack([squares.sum(1), torch.full_like(squares[:, 0], squares.shape[1])])
            sums[name] = sums.get(name, 0.0) + row
    found = {name: total(row) for name, row in sums.items()}
    return {name: (squares / count).sqrt().clamp_min(1e-12).tolist() for name, (squares, count) in found.items()}


def batches_of(dataset: Any, surrogate: OperatorSurrogate, method: UQNO) -> Sequence[Any]:
    """All windows of a data set, on the device of a surrogate."""
    windows, size = Windows(dataset, surrogate.signature.task, dtype=surrogate.dtype), method.training.batch
    starts = range(0, len(windows), size)
    return [windows.batch(range(i, min(i + size, len(windows)))).to(surrogate.device) for i in starts]
