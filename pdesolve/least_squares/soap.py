"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError


class Soap(torch.optim.Optimizer):
    """Adam on gradients turned into slowly moving eigenbases of G Gᵀ and GᵀG, for weights G (m, n):

        L ← β₃ L + (1 − β₃) G Gᵀ,   R ← β₃ R + (1 − β₃) GᵀG,   L ≈ Q_L Λ Q_Lᵀ,   R ≈ Q_R Λ Q_Rᵀ
        G' = Q_Lᵀ G Q_R,   M ← β₁ M + (1 − β₁) G,   V ← β₂ V + (1 − β₂) G'∘G'
        W ← W − η Q_L (Q_Lᵀ M Q_R / (√V + ε)) Q_Rᵀ        with Adam's bias corrections of M and V

    The bases come from an eigendecomposition at the first step, which moves nothing, and from one step of orthogonal
    iteration every `frequency` steps, their columns sorted by falling Rayleigh quotient and V with them. Vectors and
    sides longer than `longest` keep the identity as their basis: there it is Adam. Complex weights count as real
    ones with a last dimension of two.

    rate 1e-3 to 3e-3, frequency 2 to 10. Vyas et al. (2024, arXiv 2409.11321); for PDE residuals: Wang et al. (2025,
    arXiv 2502.00604). No weight decay.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        lr: float = 3e-3,
        betas: tuple[float, float, float] = (0.95, 0.95, 0.95),
        epsilon: float = 1e-8,
        frequency: int = 10,
        longest: int = 2048,
    ) -> None:
        if not lr > 0 or not all(0 <= beta < 1 for beta in betas) or frequency < 1:
            raise InputError(
                f"SOAP needs lr > 0, betas from 0 to below 1 and a frequency from 1 on, got {lr}, {betas}, {frequency}"
            )
        settings = {"lr": lr, "betas": betas, "epsilon": epsilon, "frequency": frequency, "longest": longest}
        super().__init__(parameters, settings)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        """One step; the loss before it where a closure computes loss and gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    weight, gradient = (torch.view_as_real(t) if t.is_complex() else t for t in (p, p.grad))
                    self._move(weight, gradient, group, self.state[p])
        return loss

    def _move(self, p: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        first_beta, second_beta, basis_beta = group["betas"]
        g = gradient.reshape(len(gradient), -1) if gradient.ndim > 1 else gradient.reshape(-1, 1)
        if "count" not in state:
            sides = [gradient.ndim > 1 and 1 < size <= group["longest"] for size in g.shape]
            state["count"] = 0
            state["mean"], state["square"] = torch.zeros_like(g), torch.zeros_like(g)
            for side, wanted in zip(("left", "right"), sides, strict=True):
                if wanted:
                    state[side] = (1 - basis_beta) * _outer(g, side)
                    state[f"{side} basis"] = torch.linalg.eigh(state[side])[1].flip(-1)
            return
        state["count"] += 1
        turned = _turn(g, state)
        state["mean"].lerp_(g, 1 - first_beta)
        state["square"].lerp_(turned.square(), 1 - second_beta)
        first = 1 - first_beta ** state["count"]
        second = 1 - second_beta ** state["count"]
        update = _turn(state["mean"], state) / first / ((state["square"] / second).sqrt() + group["epsilon"])
        p.sub_(group["lr"] * _turn_back(update, state).view_as(p))
        for side in ("left", "right"):
            if side in state:
                state[side].lerp_(_outer(g, side), 1 - basis_beta)
                if state["count"] % group["frequency"] == 0:
                    _follow(state, side)


def _outer(g: Tensor, side: str) -> Tensor:
    return g @ g.mT if side == "left" else g.mT @ g


def _turn(g: Tensor, state: dict[str, Any]) -> Tensor:
    g = state["left basis"].mT @ g if "left" in state else g
    return g @ state["right basis"] if "right" in state else g


def _turn_back(g: Tensor, state: dict[str, Any]) -> Tensor:
    g = state["left basis"] @ g if "left" in state else g
    return g @ state["right basis"].mT if "right" in state else g


def _follow(state: dict[str, Any], side: str) -> None:
    """One step of orthogonal iteration of the basis, columns sorted by falling vᵀPv; V's rows or columns go along."""
    basis, matrix = state[f"{side} basis"], state[side]
    order = (basis * (matrix @ basis)).sum(0).argsort(descending=True, stable=True)
    state["square"] = state["square"].index_select(0 if side == "left" else 1, order)
    state[f"{side} basis"] = torch.linalg.qr(matrix @ basis[:, order])[0]
