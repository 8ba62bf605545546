"""What CAPE's training asks of proposals: the loss of each, and a bound on how fast it changes with the parameters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pdesolve.data.batch import Batch
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.operators.cape.model import CapeNetwork
from pdesolve.surrogates.operator import following
from pdesolve.surrogates.placing import Placing
from pdesolve.training.losses import Loss
from pdesolve.training.operator_objective import Step, StepTerms

_WIDER = 0.5  # of the range of the parameters of a batch, at both ends, for the penalty


@dataclass(frozen=True)
class ProposalTerms(StepTerms):
    """γ loss(û, u), and in the first step of a window w mean (‖∂d/∂p̃‖₂ - κ)² at random parameters p̃.

    weight: γ. penalty: w; 0 for none. slope: κ. p̃ are uniform over the range of the batch, half as wide again at both
    ends. M. Takamoto, F. Alesiani and M. Niepert (2023), arXiv 2304.14118, with normal numbers there; sums over places
    are means here, so that κ depends on no grid.
    """

    loss: Loss
    weight: float
    penalty: float = 0.0
    slope: float = 1.0

    def __call__(self, module: FieldOperator, step: Step) -> dict[str, Tensor]:
        found = {"proposal": self.weight * proposal_loss(module, step, self.loss)}
        if self.penalty and step.number == 0 and torch.is_grad_enabled():
            found["slope"] = self.penalty * self._slope(module, step)
        return found

    def _slope(self, module: FieldOperator, step: Step) -> Tensor:
        network = module.network
        assert isinstance(network, CapeNetwork)
        x = module.encode(step.inputs, step.places)
        p = module.standardised(step.parameters, len(x), x)
        low, high = p.amin(0), p.amax(0)
        generator = torch.Generator(p.device).manual_seed(step.seed)
        unit = torch.rand(p.shape, generator=generator, dtype=p.dtype, device=p.device)
        drawn = low - _WIDER * (high - low) + (1 + 2 * _WIDER) * (high - low) * unit
        drawn.requires_grad_(True)
        summed = network.proposal(x, drawn)[0].flatten(2).mean(2).sum()
        (gradient,) = torch.autograd.grad(summed, drawn, create_graph=True)
        return (gradient.norm(dim=1) - self.slope).square().mean()


class ProposalObjective(nn.Module):
    """The loss of proposals from the true states of a window: the warm-up, in which the base network has no part."""

    def __init__(self, module: FieldOperator, loss: Loss) -> None:
        super().__init__()
        self.module, self.loss = module, loss
        self.placing = Placing(module.signature)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        places = self.placing.of(batch, dtype=self.module.dtype, device=self.module.device)
        signature = self.module.signature
        inputs, terms = batch.inputs, []
        window = next(iter(batch.targets.values())).shape[1] // signature.targets[0].frames
        for number in range(window):
            truth = {
                slot.name: batch.targets[slot.name][:, number * slot.frames : (number + 1) * slot.frames]
                for slot in signature.targets
            }
            step = Step(inputs, batch.parameters, truth, places, batch, number, 0)
            terms.append(proposal_loss(self.module, step, self.loss))
            inputs = following(signature, inputs, truth)
        return {"proposal": torch.stack(terms).mean()}


def proposal_loss(module: FieldOperator, step: Step, loss: Loss) -> Tensor:
    """How far the proposal of a step is from the truth."""
    network = module.network
    assert isinstance(network, CapeNetwork)
    x = module.encode(step.inputs, step.places)
    change, _ = network.proposal(x, module.standardised(step.parameters, len(x), x))
    return loss(module.decode(change, step.inputs, step.places), step.truth, step.places, step.batch)
