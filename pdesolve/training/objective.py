"""Objectives: what a fit minimises, and the batches it is minimised on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.training.checkpoint import Stateful


class ResidualObjective(nn.Module, ABC):
    """Sums of squares of named rows. Its parameters are trained; what else a fit changes (weights) are its buffers."""

    @abstractmethod
    def rows(self, batch: Any) -> dict[str, Tensor]:
        """Residuals {name: (*component, point)}, each scaled by the root of its weight over the number of points."""

    def adapt(self, batch: Any) -> bool:
        """Move weights to where the minimisation has got; whether any changed. What they are is part of the state."""
        return False

    def forward(self, batch: Any) -> dict[str, Tensor]:
        """The loss terms {name: scalar}: the sums of squares of the rows."""
        return {name: rows.square().sum() for name, rows in self.rows(batch).items()}


class Batches(Stateful, ABC):
    """What the steps of a fit are taken on: points or samples, drawn anew now and then. Its state is checkpointed."""

    batch: Any

    @abstractmethod
    def renew(self) -> bool:
        """Draw another batch; False where there is no other."""

    def residuals(self) -> tuple[float, float] | None:
        """The root mean square of the unweighted residual here, and at points that no step was taken on.

        What training has learned by heart is small at the first alone. None where there is no such thing.
        """
        return None


class Fixed(Batches):
    """The same batch for ever."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch

    def renew(self) -> bool:
        return False

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass


def sum_of(terms: Mapping[str, Tensor]) -> Tensor:
    """The loss of named terms."""
    return torch.stack(list(terms.values())).sum()
