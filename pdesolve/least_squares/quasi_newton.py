"""Quasi-Newton minimisation with a dense inverse Hessian."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Literal, get_args

import numpy as np
import torch
from scipy.optimize import line_search
from torch import Tensor, nn

from pdesolve.errors import unknown_name

Family = Literal["broyden", "bfgs"]


class SelfScaledBroyden(torch.optim.Optimizer):
    """Self-scaled Broyden updates of a dense inverse Hessian H, with a strong Wolfe line search.

    With s the step, y the change of the gradient, g the old gradient, α the step length and P the dimension:

        ρ = 1/(yᵀs),  h = ρ yᵀHy,  b = −α ρ sᵀg,  a = h b − 1
        H ← (H − Hy yᵀH/(yᵀHy) + φ yᵀHy v vᵀ)/τ + ρ s sᵀ,   v = ρ s − Hy/(yᵀHy)

    and θ, φ, τ chosen so that neither end of the spectrum of H runs away (`scaling`). θ = 0, τ = 1 would be BFGS;
    family "bfgs" keeps φ = 1 and scales by τ = min(1, 1/b) (self-scaled BFGS), which Broyden usually overtakes.
    One `step(closure)` makes up to `iterations` of them; the closure may change between calls (new points): H stays.
    H takes 8 P² bytes in float64, so that this is for up to some thousand parameters. Use float64.

    Al-Baali, Spedicato, Maggioni, Optim. Methods Softw. 29 (2014) 937; for PINNs: Urban, Stefanou, Pons, J. Comput.
    Phys. 523 (2025) 113656, arXiv 2405.04230. The first update starts from H = I / h, which gives the identity the
    size of the curvature seen.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, iterations: int = 20, evaluations: int = 20,
        family: Family = "broyden",
    ) -> None:  # fmt: skip
        if family not in get_args(Family):
            raise unknown_name("family", family, get_args(Family))
        settings = {"lr": 1.0, "iterations": iterations, "evaluations": evaluations, "family": family}
        super().__init__(parameters, settings)
        if len(self.param_groups) != 1:
            raise ValueError("one group of parameters is needed: H joins them all")
        self._parameters: list[nn.Parameter] = self.param_groups[0]["params"]

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """Up to `iterations` quasi-Newton steps; the loss before them. `closure` computes the loss and its gradient."""
        group, state = self.param_groups[0], self.state[self._parameters[0]]
        evaluate = torch.enable_grad()(closure)
        first = evaluate()
        loss, g, x = float(first), self._gradient(), self._position()
        state.setdefault("n_iter", 0)
        for _ in range(group["iterations"]):
            if not math.isfinite(loss):
                break
            found = self._search(evaluate, x, loss, g)
            if found is None and state.get("H") is not None:
                state["H"] = None  # the memory may be what is wrong: once more from steepest descent
                found = self._search(evaluate, x, loss, g)
            if found is None:
                self._move(x)
                break
            alpha, direction, loss, new = found
            s, y = alpha * direction, new - g
            state["H"] = updated(state.get("H"), s, y, g, alpha, family=group["family"])
            x, g = x + s, new
            state["n_iter"] += 1
        self._move(x)
        return first

    def _search(
        self, evaluate: Callable[[], Tensor], x: Tensor, loss: float, g: Tensor
    ) -> tuple[float, Tensor, float, Tensor] | None:
        """Step length, direction, loss and gradient of a point that obeys the strong Wolfe conditions, or None."""
        state = self.state[self._parameters[0]]
        h = state.get("H")
        direction = -g / g.abs().sum().clamp_min(1.0) if h is None else -(h @ g)
        slope = float(direction @ g)
        if not slope < 0:
            return None
        seen: dict[float, tuple[float, Tensor]] = {0.0: (loss, g)}

        def at(alpha: float) -> tuple[float, Tensor]:
            if alpha not in seen:
                self._move(x + alpha * direction)
                seen[alpha] = (float(evaluate()), self._gradient())
            return seen[alpha]

        # scipy searches along the line: a function of the one number alpha
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of a search without success; it returns None then
            alpha = line_search(
                lambda t: at(float(t[0]))[0],
                lambda t: np.array([float(at(float(t[0]))[1] @ direction)]),
                np.array([0.0]), np.array([1.0]), gfk=np.array([slope]), old_fval=loss,
                old_old_fval=loss - slope / 2, c1=1e-4, c2=0.9, maxiter=self.param_groups[0]["evaluations"],
            )[0]  # fmt: skip
        if alpha is None:  # rounding ends most searches: the least loss seen will do where it is less
            alpha = min(seen, key=lambda t: seen[t][0] if math.isfinite(seen[t][0]) else math.inf)
        new_loss, new = at(float(alpha))
        if not new_loss < loss or not bool(torch.isfinite(new).all()):
            return None
        return float(alpha), direction, new_loss, new

    def _gradient(self) -> Tensor:
        return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in self._parameters])

    def _position(self) -> Tensor:
        return torch.cat([p.detach().reshape(-1) for p in self._parameters])

    def _move(self, x: Tensor) -> None:
        sizes = [p.numel() for p in self._parameters]
        for p, part in zip(self._parameters, x.split(sizes), strict=True):
            p.copy_(part.view_as(p))


def updated(
    h: Tensor | None, s: Tensor, y: Tensor, g: Tensor, alpha: float, *, family: Family = "broyden"
) -> Tensor | None:
    """The inverse Hessian after a step s with gradient change y, from gradient g; h is overwritten. None: the identity.

    A pair without positive curvature (rounding) leaves H as it is.
    """
    ys = float(y @ s)
    if not ys > 1e-14 * float(y.norm() * s.norm()):
        return h
    rho = 1.0 / ys
    first = h is None
    if h is None:
        # H = I gives h = ρ yᵀy and, scaled by 1/h, the inverse Hessian its first size
        h = torch.eye(len(s), dtype=s.dtype, device=s.device) / (rho * float(y @ y))
    hy = h @ y
    yhy = float(y @ hy)
    b = -alpha * rho * float(s @ g)
    if first:
        phi, tau = 1.0, 1.0
    elif family == "bfgs":
        phi, tau = 1.0, min(1.0, 1 / b) if b > 0 else 1.0
    else:
        phi, tau = scaling(rho * yhy, b, len(s))
    v = rho * s - hy / yhy
    # H − Hy yᵀH/(yᵀHy) + φ yᵀHy v vᵀ, divided by τ, then + ρ s sᵀ: three passes over H
    h.addr_(hy, hy, beta=1 / tau, alpha=-1 / (yhy * tau))
    h.addr_(v, v, alpha=phi * yhy / tau)
    return h.addr_(s, s, alpha=rho)


def scaling(h: float, b: float, dimension: int) -> tuple[float, float]:
    """φ and τ of the self-scaled Broyden update, from h = ρ yᵀHy and b = ρ sᵀH⁻¹s."""
    a = h * b - 1.0
    if not (a > 1e-12 and b > 0 and math.isfinite(a)):
        return 1.0, 1.0  # s and H y are parallel: every member of the family is BFGS
    c = math.sqrt(a / (1 + a))
    r_minus = min(1.0, h * (1 - c))
    theta_minus, theta_plus = (r_minus - 1) / a, 1 / r_minus
    theta = max(theta_minus, min(theta_plus, (1 - b) / b))
    sigma = 1 + theta * a
    q = abs(sigma) ** (1 / (1 - dimension)) if dimension > 1 else 1.0
    r = min(1.0, 1 / b)
    tau = min(r * q, sigma) if theta <= 0 else r * min(q, 1 / theta)
    return (1 - theta) / sigma, tau
