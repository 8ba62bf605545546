"""A surrogate in the making: validated now and then, its best weights kept and stored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.data.batch import Batch
from pdesolve.errors import Diverged
from pdesolve.method import Surrogate
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.surrogates.operator import OperatorSurrogate, write_surrogate
from pdesolve.training.checkpoint import Checkpoint
from pdesolve.training.examiner import Examiner
from pdesolve.training.reduction import largest, total
from pdesolve.training.sharding import let_go, whole

BEST = "best.pt"
_EXPLODED = 1e6  # times the first loss


class Candidate(Examiner):
    """Validates the weights of `surrogate` on held-out batches and keeps the best of them.

    trained: the module whose weights are trained, of which the surrogate's may be averages. validation: batches whose
    samples training does not see; without any the last weights count as the best. steps: of the rollouts that their
    targets belong to, 1 for single predictions. part_of: what the surrogate is but a part of. error: the least
    validation error, the mean over variables of the relative L2 error over all samples. undivided: the surrogate's
    module in the end where weights are divided among processes until then.
    """

    def __init__(
        self, surrogate: OperatorSurrogate, trained: nn.Module, validation: Sequence[Batch], checkpoint: Checkpoint,
        *, steps: int = 1, undivided: FieldOperator | None = None, part_of: Surrogate | None = None,
    ) -> None:  # fmt: skip
        self.steps = steps
        self.surrogate, self.trained, self.validation, self.checkpoint = surrogate, trained, validation, checkpoint
        self.undivided, self.part_of = undivided, part_of
        self.best = _copied(surrogate.module)
        self.error, self.first = math.inf, math.nan
        self._stored = False

    def validate(self) -> dict[str, dict[str, float]]:
        """The relative L2 error of each target over the validation samples; the best weights so far are kept."""
        found = validated(self.surrogate, self.validation, self.steps)
        error = sum(found.values()) / max(1, len(found))
        if not found or error < self.error:
            self.error = error
            self.best, self._stored = _copied(self.surrogate.module), False
        return {name: {"relative_l2": value} for name, value in found.items()}

    def write(self, folder: Path) -> None:
        """Store the best surrogate so far, where it is not stored yet; parts of another are in checkpoints alone."""
        if self._stored or self.part_of is not None:
            return
        write_surrogate(self.surrogate, folder / BEST, weights=self.best)
        self._stored = True

    def take_best(self) -> Surrogate:
        """The surrogate with its best weights, as it predicts."""
        if self.undivided is not None:
            self.surrogate.module = self.undivided.to(self.surrogate.device)
        self.surrogate.module.load_state_dict(self.best, strict=False)
        self.surrogate.module.eval()
        return self.part_of or self.surrogate

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "error": self.error, "first": self.first}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.error, self.first = state["error"], state["first"]
        for name, kept in self.best.items():
            kept.copy_(state["best"][name])

    def looks(self) -> bool:
        return False

    def renew(self) -> None:
        pass

    def examine(self, loss: float) -> None:
        if math.isnan(self.first) and math.isfinite(loss):
            self.first = loss
        if not math.isfinite(loss) or loss > _EXPLODED * self.first:
            step = self.checkpoint.position.step + 1
            raise Diverged(f"the loss is {loss:.3g} at step {step} of stage {self.stage}")

    def restore(self) -> None:
        """The best weights, in the module that is trained and in the one that averages it."""
        for module in (self.trained, self.surrogate.module):
            module.load_state_dict(self.best, strict=False)

    def diagnosis(self, batch: Any, rate: float | None) -> str:
        at = self.checkpoint.position
        when = f"at step {at.step + 1} of stage {self.stage}"
        broken = [] if batch is None else _broken(batch)
        if broken:
            return f"the data are not finite {when}: {'; '.join(broken)}; leave these samples out"
        advice = "" if rate is None else f"; try a learning rate of {rate / 10:.1g}, or clip gradients"
        return f"the loss is not finite any more {when}; the best weights so far are kept{advice}"


@torch.no_grad()
def validated(surrogate: OperatorSurrogate, batches: Sequence[Batch], steps: int = 1) -> dict[str, float]:
    """The relative L2 error of each target over all samples of the batches of all processes.

    steps: of a rollout. What diverges goes on, for an error that is large says more than one that is no number.
    """
    was = surrogate.module.training
    surrogate.module.eval()
    names = [slot.name for slot in surrogate.signature.targets]
    # of the errors, of the truth, (target, 2): the norms of `metrics.relative_l2`, which has all entries at once
    squares = torch.zeros(len(names), 2, dtype=torch.float64, device=surrogate.device)
    for batch in batches:
        if steps > 1:
            predicted = surrogate.rollout(batch, steps, on_divergence="keep").states
        else:
            predicted = surrogate.predict(batch)
        for i, name in enumerate(names):
            truth = batch.targets[name].to(predicted[name])
            for j, values in enumerate((predicted[name] - truth, truth)):
                squares[i, j] += values.double().square().sum()
    surrogate.module.train(was)
    let_go(surrogate.module)
    if not int(largest(torch.tensor(len(batches)))):
        return {}
    errors, truths = total(squares).sqrt().T.tolist()
    return {name: e / v if v > 0 else e for name, e, v in zip(names, errors, truths, strict=True)}


def _copied(module: nn.Module) -> dict[str, Tensor]:
    """The weights on the CPU: a GPU's memory is for training."""
    state = module.state_dict().items()
    return {name: whole(v.detach()).to("cpu", copy=True) for name, v in state if isinstance(v, Tensor)}


def _broken(batch: Batch) -> list[str]:
    """The variables of a batch that are not finite, and of which samples."""
    found = []
    for kind, values in (("input", batch.inputs), ("target", batch.targets)):
        for name, tensor in values.items():
            bad = ~torch.isfinite(tensor).flatten(1).all(1)
            if bool(bad.any()):
                number = int(batch.numbers[bad.nonzero()[0, 0]])
                found.append(f"the {kind} {name} of {int(bad.sum())} samples, such as number {number} of the split")
    return found
