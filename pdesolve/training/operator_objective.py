"""The objective of operators: steps of a window, each from the outcome of the one before, held against its truth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pdesolve.data.batch import Batch
from pdesolve.data.symmetries import Symmetries
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.nn.places import Places
from pdesolve.surrogates.operator import following
from pdesolve.surrogates.placing import Placing
from pdesolve.training.curriculum import Curriculum
from pdesolve.training.losses import Loss


@dataclass(frozen=True)
class Step:
    """One step of a window in training, as fields {name: (sample, time, component, *space)}.

    number: in the window, from 0. seed: of what is drawn in it, another in each step of the training.
    """

    inputs: Mapping[str, Tensor]
    parameters: Mapping[str, Tensor]
    truth: Mapping[str, Tensor]
    places: Places
    batch: Batch
    number: int
    seed: int


class StepTerms(ABC):
    """Loss terms of a step beside those of its outcome: what a method asks of the inner parts of its network."""

    @abstractmethod
    def __call__(self, module: FieldOperator, step: Step) -> dict[str, Tensor]:
        """Weighted terms {name: scalar}; each is then averaged over the steps of the window that have it."""


class OperatorObjective(nn.Module):
    """The losses of an operator N over a window of k steps, u_{i+1} = N(u_i), from the frames that are given.

    push_forward: steps in front whose outcome is only fed back, without gradient or loss (Brandstetter, Worrall and
    Welling, 2022, arXiv 2202.03376). noise: deviation of the normal noise on moving inputs, in deviations of the data.
    symmetries: samples are shared out among their motions in every step. points: places of the targets that batches
    have in the place of whole fields, of one step; 0 where they have fields. Losses that are modules are parts of the
    objective, so that its checkpoints hold them.
    precision: bfloat16 computes products in that type; Fourier transforms stay in float32. recompute: steps are
    computed anew for their gradient. further: terms of each step beside the losses. `curriculum` says which steps are
    fed with the truth instead; None, and in evaluation: none.

    Noise and motions are drawn by the number of the step and the seed, so that a run that goes on draws the same.
    """

    def __init__(
        self, module: FieldOperator, losses: Mapping[str, tuple[float, Loss]], *, unroll: int = 1,
        push_forward: int = 0, noise: float = 0.0, points: int = 0, symmetries: Symmetries | None = None,
        precision: torch.dtype = torch.float32, seed: int = 0, further: StepTerms | None = None,
        recompute: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.module, self.further = module, further
        self.curriculum: Curriculum | None = None
        self.losses = dict(losses)
        self.parts = nn.ModuleList(loss for _, loss in self.losses.values() if isinstance(loss, nn.Module))
        self.unroll, self.push_forward, self.noise, self.points = unroll, push_forward, noise, points
        self.precision, self.seed, self.symmetries = precision, seed, symmetries
        self.recompute = recompute
        self.placing = Placing(module.signature)
        self.count = 0

    def get_extra_state(self) -> dict[str, int]:
        return {"count": self.count}

    def set_extra_state(self, state: Any) -> None:
        self.count = int(state["count"])

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The weighted loss terms {name: scalar}, means over the steps of the window."""
        dtype, device = self.module.dtype, self.module.device
        places = wanted = self.placing.of(batch, dtype=dtype, device=device)
        if self.points:
            wanted = self.placing.drawn(batch, dtype=dtype, device=device)
        if self.symmetries is not None and self.training:
            turns = torch.Generator().manual_seed(self.seed * 1_000_003 + self.count)
            batch = self.symmetries.spread(batch, self.module.signature, turns)
        inputs = self._noisy(batch)
        terms: dict[str, list[Tensor]] = {name: [] for name in self.losses}
        signature = self.module.signature
        window = self.push_forward + self.unroll
        own = window - 1
        if self.curriculum is not None and self.training:
            own = self.curriculum.own(self.count, window)
        for step in range(window):
            silent = step < self.push_forward
            with (
                torch.set_grad_enabled(not silent and torch.is_grad_enabled()),
                torch.autocast(device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16),
            ):
                outcome = self._outcome(inputs, batch.parameters, places, wanted)
            truth = {
                slot.name: batch.targets[slot.name][:, step * slot.frames : (step + 1) * slot.frames]
                for slot in signature.targets
            }
            if self.points:
                outcome = _at_times(outcome, batch)
                truth = dict(batch.targets)
            if not silent:
                for name, (weight, loss) in self.losses.items():
                    terms[name].append(weight * loss(outcome, truth, wanted, batch))
                if self.further is not None:
                    seed = (self.seed * 1_000_003 + self.count) * 64 + step
                    now = Step(inputs, batch.parameters, truth, places, batch, step, seed)
                    for name, term in self.further(self.module, now).items():
                        terms.setdefault(name, []).append(term)
            if step + 1 < window:
                inputs = following(signature, inputs, outcome if step < own else truth)
        self.count += self.training
        return {name: torch.stack(found).mean() for name, found in terms.items()}

    def _outcome(self, *given: Any) -> dict[str, Tensor]:
        """Of a step; its inner values are computed anew for the gradient where `recompute` says so."""
        if not (self.recompute and torch.is_grad_enabled()):
            return self.module(*given)
        return checkpoint(self.module, *given, use_reentrant=False)

    def _noisy(self, batch: Batch) -> Mapping[str, Tensor]:
        inputs = batch.inputs
        if not (self.noise and self.training):
            return inputs
        found = dict(inputs)
        whole = batch.whole or len(batch)  # drawn for all processes, so that each window gets what it does in one
        for i, slot in enumerate(self.module.signature.inputs):
            if slot.moving:
                values = inputs[slot.name]
                generator = torch.Generator(values.device).manual_seed((self.seed * 1_000_003 + self.count) * 64 + i)
                shape = (whole, *values.shape[1:])
                drawn = torch.randn(shape, generator=generator, dtype=values.dtype, device=values.device)
                drawn = drawn[batch.begin : batch.begin + len(values)]
                std = values.new_tensor(slot.std).view(1, 1, -1, *[1] * (values.ndim - 3))
                found[slot.name] = values + self.noise * std * drawn
        return found


def _at_times(outcome: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """The frame that each point was drawn in, (sample, 1, component, point) of (sample, time, component, point)."""
    if "t" not in batch.target_coordinates:
        return dict(outcome)
    drawn, frames = batch.target_coordinates["t"], batch.target_times
    numbers = (drawn[:, None] - frames[:, :, None]).abs().argmin(1)[:, None, None]  # (sample, 1, 1, point)
    return {
        name: values if values.shape[1] == 1 else values.gather(1, numbers.expand(-1, 1, values.shape[2], -1))
        for name, values in outcome.items()
    }
