"""Losses of surrogates: what a prediction is held against its truth by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.batch import Batch
from pdesolve.nn.places import Places
from pdesolve.training.reduction import batch_mean

Named = Mapping[str, Tensor]


class Loss(ABC):
    """A scalar of predictions and truths {name: (sample, time, component, *space)}: a mean over samples."""

    @abstractmethod
    def __call__(self, predicted: Named, truth: Named, places: Places, batch: Batch) -> Tensor:
        """The loss. places: where both lie. batch: what was given with it."""


@dataclass(frozen=True)
class RelativeL2(Loss):
    """The mean over samples of ||u − v||₂ / ||v||₂, norms over frames, components and places with quadrature weights.

    epsilon: of the mean square of v over the batch, added under the root, so that a truth that is zero does not rule.
    """

    epsilon: float = 1e-8

    def __call__(self, predicted: Named, truth: Named, places: Places, batch: Batch) -> Tensor:
        return torch.stack([self._one(predicted[name], truth[name], places) for name in truth]).mean()

    def _one(self, u: Tensor, v: Tensor, places: Places) -> Tensor:
        size = square_mean(v, places)
        return (square_mean(u - v, places) / (size + self.epsilon * size.detach().mean() + 1e-30)).sqrt().mean()


@dataclass(frozen=True)
class MeanSquare(Loss):
    """The mean over samples of ||u − v||₂² over the mean of ||v||₂² of the batch: the same weight for all samples."""

    def __call__(self, predicted: Named, truth: Named, places: Places, batch: Batch) -> Tensor:
        terms = [
            square_mean(predicted[name] - v, places).mean() / batch_mean(square_mean(v, places), batch).clamp_min(1e-30)
            for name, v in truth.items()
        ]
        return torch.stack(terms).mean()


def square_mean(u: Tensor, places: Places) -> Tensor:
    """The mean square (sample,) of values (sample, time, component, *space) over the domain: ∑ wᵢ uᵢ² / ∑ wᵢ."""
    squares = u.flatten(3).square() if u.ndim > 3 else u[..., None].square()
    return (squares * places.weights()[:, None, None]).sum(-1).mean((1, 2))
