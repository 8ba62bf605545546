"""The settings and the procedure of the uncertainty-quantifying neural operator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pdesolve.conformal import MostPlaces
from pdesolve.data.signature import Signature
from pdesolve.data.training_data import TrainingData
from pdesolve.data.windows import Windows
from pdesolve.errors import InputError
from pdesolve.method import Learner, Surrogate
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.nn.fourier_network import FourierNetwork, lines_of
from pdesolve.nn.positions import position_channels
from pdesolve.nn.precision import in_precision
from pdesolve.operators.uqno.model import ENVELOPE, OfErrors, Pinball, UncertainSurrogate
from pdesolve.operators.uqno.sharing import Share, halved
from pdesolve.surrogates.bands import BANDS, calibrated, read_bands
from pdesolve.surrogates.envelopes import LearnedEnvelope
from pdesolve.surrogates.operator import SURROGATE, OperatorSurrogate, read_surrogate
from pdesolve.training.allocation import kept_memory
from pdesolve.training.candidate import Candidate
from pdesolve.training.fit import fit
from pdesolve.training.minibatch import Minibatch
from pdesolve.training.operator_training import Training, seeded, train_operator
from pdesolve.training.run import Run
from pdesolve.training.schedules import rate_factor
from pdesolve.training.trial import affordable

_TRAINING = Training()
_FOURTH = 4  # of the training samples, one of so many is for the errors
_MEASURED = 8  # batches by which the size of errors is known


@dataclass(frozen=True)
class UQNO(Learner):
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
        rule = self._checked(data)
        settings = asdict(self)
        with seeded(run.seed):
            module = self.module(data.signature)
        base = OperatorSurrogate(module, method="uqno", settings=settings, device=run.device)
        mostly = Share(data, lambda numbers: numbers % _FOURTH > 0, 1 - 1 / _FOURTH)
        others = Share(data, lambda numbers: numbers % _FOURTH == 0, 1 / _FOURTH)
        base = train_operator(base, mostly, run, self.training, stage="operator", share=self.share)

        sizes = run.choose("error sizes", lambda: error_sizes(base, others, self.training.batch, run))
        targets = tuple(
            replace(slot, mean=(0.0,) * slot.components, std=tuple(sizes[slot.name])) for slot in base.signature.targets
        )
        with seeded(run.seed + 1):
            module = self.module(replace(base.signature, targets=targets))
        of_error = OperatorSurrogate(module, method="uqno", settings=settings, device=run.device)
        surrogate = UncertainSurrogate(base, of_error)
        self._learn_errors(surrogate, others, run)

        held = halved(data.held_out("valid"), 1)
        assert held is not None
        surrogate.bands = calibrated(LearnedEnvelope(base, of_error), batches_of(held, base, self), rule=rule)
        surrogate.notes["bands"] = {"alpha": self.alpha, "delta": self.delta, "calibrated_on": surrogate.bands.samples}
        if not all(bool(factor.isfinite()) for factor in surrogate.bands.factors.values()):
            run.say(f"{held.samples} samples are too few to promise delta={self.delta:g}: the bands are infinite")
        test = data.held_out("test")
        if test is not None:
            surrogate.notes["bands"]["test"] = surrogate.bands.judge(batches_of(test, base, self))
        return surrogate

    def _checked(self, data: TrainingData) -> MostPlaces:
        """The rule of the bands, which the grid has points enough for."""
        if not 0 < self.share < 1:
            raise InputError(f"share is the part of the budget for the operator, between 0 and 1, got {self.share:g}")
        held = data.held_out("valid")
        if held is None or held.samples < 2:
            raise InputError(
                "uqno calibrates on a validation split of 2 samples at least: split by train=0.7,valid=0.2"
            )
        rule = MostPlaces(alpha=self.alpha, delta=self.delta)
        lines_of(data.signature, method="uqno")  # refuses points
        rule.slack(math.prod(data.signature.shape))
        return rule

    @kept_memory()
    def _learn_errors(self, surrogate: UncertainSurrogate, data: Share, run: Run) -> None:
        """Train the operator of errors with what is left of the budget."""
        training, task = self.training, data.signature.task
        module = in_precision(surrogate.of_error.module, run.dtype).to(run.device)
        base = surrogate.base.module.requires_grad_(False)
        objective = Pinball(module, base, 1 - self.alpha)
        optimiser = torch.optim.AdamW(module.parameters(), training.learning_rate, weight_decay=training.weight_decay)
        candidate = OfErrors(Candidate(surrogate.of_error, module, [], run.checkpoint), lambda: surrogate)
        stepping = Minibatch(optimiser, clip=training.clip or math.inf, trained=module)

        def drawn() -> Any:
            return data.batches(task, batch=training.batch, device=run.device, seed=run.seed + 1)

        asked = run.steps and max(1, run.steps - round(self.share * run.steps))
        steps = asked or run.choose("error steps", lambda: affordable(objective, stepping, drawn(), run))
        fit(
            objective, drawn(), optimiser, run=run, stage="errors", solution=candidate, steps=steps, redraw=1,
            doctor=candidate, stepping=stepping, rate=rate_factor(training.schedule, steps, warm_up=training.warm_up),
        )  # fmt: skip
        base.requires_grad_(True)

    def module(self, signature: Signature) -> FieldOperator:
        """The network between the fields of a signature: of the operator, or of its errors."""
        lines = lines_of(signature, padding=self.padding, method="uqno")
        inputs = signature.input_channels + len(signature.parameters) + position_channels(signature.periodic)
        network = FourierNetwork(
            inputs, signature.target_channels, lines, modes=self.modes, width=self.width, depth=self.depth,
            method="uqno",
        )  # fmt: skip
        return FieldOperator(network, signature)

    def restore(self, folder: Path, *, device: str = "cpu") -> Surrogate:
        """The surrogate; of a training that was stopped in its first stage the operator alone."""

        def read(name: str) -> OperatorSurrogate:
            return read_surrogate(folder / name, self.module, method="uqno", settings=asdict(self), device=device)

        base = read(SURROGATE)
        if not (folder / ENVELOPE).exists():
            return base
        of_error = read(ENVELOPE)
        known = (folder / BANDS).exists()
        return UncertainSurrogate(base, of_error, read_bands(folder, base, of_error=of_error) if known else None)


@torch.no_grad()
def error_sizes(surrogate: OperatorSurrogate, data: TrainingData, batch: int, run: Run) -> dict[str, list[float]]:
    """The root mean square of the errors of each component of each target over some batches."""
    batches = data.batches(data.signature.task, batch=batch, device=run.device, seed=run.seed)
    sums: dict[str, torch.Tensor] = {}
    for _ in range(_MEASURED):
        batches.renew()
        for name, u in surrogate.predict(batches.batch).items():
            squares = (u - batches.batch.targets[name].to(u)).square().transpose(0, 2).flatten(1).mean(1)
            sums[name] = sums.get(name, torch.zeros_like(squares)) + squares / _MEASURED
    return {name: total.sqrt().clamp_min(1e-12).tolist() for name, total in sums.items()}


def batches_of(dataset: Any, surrogate: OperatorSurrogate, method: UQNO) -> Sequence[Any]:
    """All windows of a data set, on the device of a surrogate."""
    windows, size = Windows(dataset, surrogate.signature.task, dtype=surrogate.dtype), method.training.batch
    starts = range(0, len(windows), size)
    return [windows.batch(range(i, min(i + size, len(windows)))).to(surrogate.device) for i in starts]
