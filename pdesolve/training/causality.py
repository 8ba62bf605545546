"""Causal weights: an evolution is learned in the order of time, what comes first before what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.geometry import Axis
from pdesolve.training.attention import magnitude
from pdesolve.training.reduction import total

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Causality:
    """w_i = exp(−ε Σ_{k<i} L_k), L_k the mean of |r|² over the k-th of equal chunks of the time axis.

    A chunk counts once all before it are solved: to |r|² of about 1 / ε, so that the residual should be scaled to O(1)
    (`pdesolve.scales`). ε climbs a ladder: where the least of the weights is over `enough`, the next rung begins, up to
    the last one. The state is the rung.

    Attributes:
        chunks: M (16 to 64).
        ladder: values of ε.
        enough: δ, the least weight at which a rung is done.

    S. Wang, S. Sankaran, P. Perdikaris, "Respecting causality is all you need for training physics-informed neural
    networks", 2022, arXiv 2203.07404.
    """

    chunks: int = 32
    ladder: tuple[float, ...] = (1e-2, 1e-1, 1.0, 10.0, 100.0)
    enough: float = 0.99

    def __post_init__(self) -> None:
        if self.chunks < 1 or not self.ladder or not all(e >= 0 for e in self.ladder) or not 0 < self.enough < 1:
            raise InputError(
                "causality needs chunks >= 1, a ladder of numbers from zero up and 0 < enough < 1, got "
                f"{self.chunks}, {self.ladder} and {self.enough}"
            )

    def start(self, *, device: torch.device | str) -> dict[str, Tensor]:
        """The first rung."""
        return {"rung": torch.zeros((), dtype=torch.long, device=device)}

    def chunk(self, times: Tensor, axis: Axis) -> Tensor:
        """The number of the chunk of each time (point,)."""
        part = (times.detach() - axis.lower) / axis.length
        return (part * self.chunks).long().clamp(0, self.chunks - 1)

    def losses(self, residual: Tensor, chunk: Tensor) -> Tensor:
        """L_k (chunk,) of a residual (*component, point), unweighted; 0 in chunks without points."""
        square = magnitude(residual).square()
        sums = square.new_zeros(self.chunks).index_add(0, chunk, square)
        counts = square.new_zeros(self.chunks).index_add(0, chunk, torch.ones_like(square))
        return total(sums) / total(counts).clamp_min(1.0)

    def weights(self, state: State, losses: Tensor) -> Tensor:
        """w (chunk,), not differentiated. `w[chunk]` are the weights of |r|² at points."""
        rung = state["rung"].clamp_max(len(self.ladder) - 1)
        # no tensor of the ladder: copying it to a GPU would wait
        epsilon = sum(((rung == i).to(losses) * e for i, e in enumerate(self.ladder)), losses.new_zeros(()))
        before = torch.cat([losses.new_zeros(1), losses.cumsum(0)[:-1]])
        return torch.exp(-epsilon * before)

    def update(self, state: State, losses: Tensor) -> dict[str, Tensor]:
        """The rung after these losses. Nothing waits for a GPU."""
        done = self.weights(state, losses).min() > self.enough
        return {"rung": (state["rung"] + done).clamp_max(len(self.ladder))}


@dataclass(frozen=True)
class Gate:
    """g(s) = (1 − tanh(α (s − γ))) / 2 of s in [0, 1] along time: a front γ that moves on as the residual falls,

        γ ← γ + η exp(−ε mean(g |r|²)).

    The causal variant of R3: points are kept by g |r|, and g weighs |r|² in the loss. The state is the front.

    Attributes:
        steepness: α.
        rate: η, at most this far a step (1e-3; 1e-2 for methods of few steps).
        tolerance: ε: the front stands still where the gated loss is much over 1 / ε.

    A. Daw, J. Bu, S. Wang, P. Perdikaris, A. Karpatne, ICML 2023, arXiv 2207.02338.
    """

    steepness: float = 5.0
    rate: float = 1e-3
    tolerance: float = 20.0

    def __post_init__(self) -> None:
        if not (self.steepness > 0 and self.rate > 0 and self.tolerance >= 0):
            raise InputError(
                "a gate needs steepness > 0, rate > 0 and tolerance >= 0, got "
                f"{self.steepness}, {self.rate} and {self.tolerance}"
            )

    def start(self, *, dtype: torch.dtype, device: torch.device | str) -> dict[str, Tensor]:
        """A front half an axis before the initial time: all but closed."""
        return {"front": torch.tensor(-0.5, dtype=dtype, device=device)}

    def weights(self, state: State, times: Tensor, axis: Axis) -> Tensor:
        """g at each time (point,), not differentiated."""
        front = state["front"].to(device=times.device, dtype=times.dtype)
        s = (times.detach() - axis.lower) / axis.length
        return (1 - torch.tanh(self.steepness * (s - front))) / 2

    def update(self, state: State, residual: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """The front after a residual (*component, point), unweighted, and its weights (point,)."""
        square = weights * magnitude(residual).square()
        mean = total(square.sum()) / total(torch.ones_like(square).sum())
        front = state["front"]
        # beyond 1.5 the gate is open everywhere
        step = self.rate * torch.exp(-self.tolerance * mean.to(front))
        return {"front": (front + step).clamp_max(1.5)}


def pointwise(rows: Tensor, weights: Tensor) -> Tensor:
    """Rows (*component, point) times √w (point,), so that their sum of squares is the weighted loss."""
    return rows * weights.to(rows).sqrt()
