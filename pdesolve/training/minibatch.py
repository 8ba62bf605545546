"""Steps on minibatches: gradients are clipped, weights averaged, and nothing is waited for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from pdesolve.errors import Diverged
from pdesolve.training.distribution import distributed, weight
from pdesolve.training.examiner import Examiner
from pdesolve.training.objective import sum_of
from pdesolve.training.reduction import mean
from pdesolve.training.steppers import Stepper, Taken

_EVERY = 50  # steps between two looks at whether the loss is finite


class Minibatch(Stepper):
    """A step along the gradient of one batch of many.

    clip: the largest norm of the gradient; infinite for none. average: the module whose weights are an exponential mean
    of those of `trained`. Losses are summed where they are computed and read at looks alone, so that a GPU never waits.
    """

    has_rate = True

    def __init__(
        self, optimiser: torch.optim.Optimizer, *, clip: float = math.inf, average: AveragedModel | None = None,
        trained: nn.Module | None = None,
    ) -> None:  # fmt: skip
        super().__init__(optimiser)
        self.clip, self.average, self.trained = clip, average, trained
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._shared: tuple[nn.Module, nn.Module] | None = None

    def take(self, objective: nn.Module, batch: Any) -> dict[str, Tensor]:
        """A step, and the loss terms before it."""
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        self.optimiser.zero_grad(set_to_none=True)
        if self._shared is None or self._shared[0] is not objective:
            self._shared = objective, distributed(objective, batch)
        share = weight(batch)
        terms = self._shared[1](batch)
        if share != 1.0:
            terms = {name: share * term for name, term in terms.items()}
        sum_of(terms).backward()
        if math.isfinite(self.clip):
            nn.utils.clip_grad_norm_(parameters, self.clip)
        self.optimiser.step()
        if self.average is not None and self.trained is not None:
            self.average.update_parameters(self.trained)
        return {name: term.detach() for name, term in terms.items()}

    def step(self, objective: nn.Module, batch: Any, doctor: Examiner, iterations: int) -> Taken:
        terms = self.take(objective, batch)
        self._sums = {name: self._sums[name] + term if name in self._sums else term for name, term in terms.items()}
        self._steps += 1
        if (self._steps - 1) % _EVERY == 0:
            try:
                doctor.examine(float(mean(sum_of(terms))))
            except Diverged:
                self._sums, self._steps = {}, 0
                raise
        return Taken()

    def renew(self) -> None:
        pass

    def losses(self, objective: nn.Module, batch: Any) -> dict[str, float]:
        """The means of the terms over the steps since the last look."""
        found = {name: float(mean(total)) / max(1, self._steps) for name, total in self._sums.items()}
        self._sums, self._steps = {}, 0
        if not all(map(math.isfinite, found.values())):
            name = next(n for n, value in found.items() if not math.isfinite(value))
            raise Diverged(f"the loss term {name} is {found[name]}")
        return found

    def state_dict(self) -> dict[str, Any]:
        average = {} if self.average is None else {"average": self.average.state_dict()}
        return {"steps": self._steps, "sums": dict(self._sums), **average}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._steps, self._sums = state["steps"], dict(state["sums"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
