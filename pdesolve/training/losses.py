"""Losses of surrogates: what a prediction is held against its truth by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.data.batch import Batch
from pdesolve.errors import InputError
from pdesolve.geometry import Grid
from pdesolve.metrics import band_energy, octave_edges, relative_h1
from pdesolve.nn.places import GridPlaces, Places
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


@dataclass(frozen=True)
class RelativeH1(Loss):
    """The mean over samples of ||u − v||_H1 / ||v||_H1, values and slopes together; see `pdesolve.metrics.h1_norm`.

    Slopes by Fourier along periodic axes and by one-sided differences at the ends of others: periodic differences
    there, as in neuraloperator's H1Loss unless it is told otherwise, add a jump that is not in the data.
    """

    def __call__(self, predicted: Named, truth: Named, places: Places, batch: Batch) -> Tensor:
        grid = _grid(places, "h1")
        return torch.stack([relative_h1(predicted[name], v, grid=grid).mean() for name, v in truth.items()]).mean()


@dataclass(frozen=True)
class OctaveL2(Loss):
    """The mean over samples and octaves o of wavenumbers of ||u − v||_o / ||v||_o, so that short waves count like long.

    floor: of the energy of v in an octave, as a part of the largest: octaves that hold nothing do not rule.
    """

    floor: float = 1e-4

    def __call__(self, predicted: Named, truth: Named, places: Places, batch: Batch) -> Tensor:
        grid = _grid(places, "spectral")
        edges = octave_edges(grid)[1:]
        terms = []
        for name, v in truth.items():
            error, energy = (band_energy(w, grid, edges=edges).sum((1, 2)) for w in (predicted[name] - v, v))
            scale = energy + self.floor * energy.amax(-1, keepdim=True) + 1e-30
            terms.append((error / scale + 1e-12).sqrt().mean())
        return torch.stack(terms).mean()


def _grid(places: Places, loss: str) -> Grid:
    if not isinstance(places, GridPlaces) or places.grid is None:
        raise InputError(f"the loss {loss} needs values on a grid, got points: take relative_l2")
    return places.grid


def square_mean(u: Tensor, places: Places) -> Tensor:
    """The mean square (sample,) of values (sample, time, component, *space) over the domain: ∑ wᵢ uᵢ² / ∑ wᵢ."""
    squares = u.flatten(3).square() if u.ndim > 3 else u[..., None].square()
    return (squares * places.weights()[:, None, None]).sum(-1).mean((1, 2))
