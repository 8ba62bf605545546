"""Muon: momentum whose matrices are made orthogonal, with Adam for what is no matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_RMS = 0.2  # of an entry of Adam's step in units of its rate


class Muon(torch.optim.Optimizer):
    """W ← (1 − η λ) W − η s O,  O ≈ U Vᵀ of the momentum M = U Σ Vᵀ,  M ← μ M + G (with Nesterov's look ahead).

    Five Newton-Schulz steps X ← a X + (b X X* + c (X X*)²) X make M nearly orthogonal; s = 0.2 √max(m, n) gives the
    step the size of one of Adam, so that rates mean the same. A weight (out, in, 1, ...) is the matrix (out, in); a
    complex weight (in, out, *modes) of a spectral convolution is one matrix for each mode, as is one of a group with
    `pairs`: (*modes, in, out, 2), real and imaginary parts. Vectors, and matrices with a side of one, take a step
    of AdamW.

    K. Jordan et al. (2024, "Muon: an optimizer for hidden layers in neural networks"); s by Liu et al. (2025, arXiv
    2502.16982). Departure: complex weights, mode by mode.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]], *, lr: float = 3e-3,
        momentum: float = 0.95, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        if not lr > 0 or not 0 <= momentum < 1 or not all(0 <= beta < 1 for beta in betas):
            raise InputError(f"Muon needs lr > 0, momentum and betas in [0, 1), got {lr}, {momentum}, {betas}")
        defaults = {
            "lr": lr, "momentum": momentum, "betas": betas, "epsilon": epsilon, "weight_decay": weight_decay,
            "pairs": False,
        }  # fmt: skip
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        """One step; the loss before it where a closure computes loss and gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    weight, gradient = (torch.view_as_complex(t) if group["pairs"] else t for t in (p, p.grad))
                    move = _turn if min(_matrices(weight, group["pairs"]).shape[-2:]) > 1 else _adam
                    move(weight, gradient, group, self.state[p])
        return loss


def _turn(p: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
    if "momentum" not in state:
        state["momentum"] = torch.zeros_like(p)
    state["momentum"].mul_(group["momentum"]).add_(gradient)
    ahead = gradient + group["momentum"] * state["momentum"]
    matrices = _matrices(ahead, group["pairs"])
    scale = _RMS * max(matrices.shape[-2:]) ** 0.5
    p.sub_(group["lr"] * scale * _as(orthogonal(matrices), p, group["pairs"]))


def _adam(p: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
    p, gradient = (torch.view_as_real(t) if t.is_complex() else t for t in (p, gradient))
    if "count" not in state:
        state["count"], state["mean"], state["square"] = 0, torch.zeros_like(p), torch.zeros_like(p)
    state["count"] += 1
    first, second = group["betas"]
    state["mean"].lerp_(gradient, 1 - first)
    state["square"].lerp_(gradient.square(), 1 - second)
    mean, square = state["mean"] / (1 - first ** state["count"]), state["square"] / (1 - second ** state["count"])
    p.sub_(group["lr"] * mean / (square.sqrt() + group["epsilon"]))


def _matrices(p: Tensor, last: bool) -> Tensor:
    """The matrices (..., m, n) that a weight consists of; last: they lie along its last axes."""
    if last:
        return p
    if p.ndim < 2:
        return p.reshape(1, -1)
    if p.is_complex():
        return p.flatten(2).movedim(-1, 0) if p.ndim > 2 else p
    return p.flatten(1)


def _as(matrices: Tensor, p: Tensor, last: bool) -> Tensor:
    """The weight whose matrices these are."""
    if not last and p.is_complex() and p.ndim > 2:
        return matrices.movedim(0, -1).reshape(p.shape)
    return matrices.reshape(p.shape)


def orthogonal(matrices: Tensor) -> Tensor:
    """Nearly U V* of each matrix U Σ V* (..., m, n): singular values between 0.7 and 1.2."""
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mH if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mH
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mH if tall else x
