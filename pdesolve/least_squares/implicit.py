"""Gradients of a solution of least squares with respect to what the problem was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import vjp, vmap

from pdesolve.least_squares.functional import Residual
from pdesolve.least_squares.objective import stack

Solver = Callable[..., Tensor]


def implicit(solver: Solver) -> Callable[..., Tensor]:
    """Make `solver(residual, theta, *context) -> theta*` differentiable in its context tensors.

    theta* makes the loss |r(theta, context)|²/2 stationary, F = Jᵀr = 0, so that for a gradient ḡ of theta*

        H v = ḡ,  H = dF/dtheta = JᵀJ + Σ r ∇²r;   gradient of the context = −vᵀ dF/dcontext

    which costs one symmetric solve per problem and none of the solver's memory. H is exact, so that residuals need not
    vanish; directions that H does not determine (eigenvalues below 1e-12 of the largest) get no gradient. P² numbers
    per problem: for up to some hundred parameters each. The solver must have converged: an error ε of theta* gives an
    error of that order. Not differentiable twice.

    residual(theta, *context) -> {name: (*batch, ...)}; theta (*batch, parameter); context tensors, for a batch of
    problems each either shared by all (no batch dimension needed) or with the problems first.

    Example: `implicit(lambda f, theta, *c: minimise(Functional(f, c), theta, LevenbergMarquardt()).theta)`.
    """

    def solve(residual: Residual, theta: Tensor, *context: Tensor) -> Tensor:
        return _Stationary.apply(solver, residual, theta, *context)  # type: ignore[return-value]

    return solve


class _Stationary(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, solver: Solver, residual: Residual, theta: Tensor, *context: Tensor) -> Tensor:
        solution = solver(residual, theta.detach(), *(c.detach() for c in context)).detach()
        ctx.residual = residual
        ctx.save_for_backward(solution, *context)
        return solution

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # type: ignore[override]
        solution, *context = ctx.saved_tensors
        (g,) = gradients
        wanted = [k for k, c in enumerate(context) if ctx.needs_input_grad[k + 3] and c.is_floating_point()]

        def total(theta: Tensor, *inputs: Tensor) -> Tensor:
            """The sum of the losses: problems are independent, so its gradient is each problem's own."""
            return stack(ctx.residual(theta, *inputs), batch=theta.ndim - 1).square().sum() / 2

        v = _symmetric_solve(_hessians(lambda t: total(t, *context), solution), g)
        with torch.enable_grad():
            theta = solution.detach().requires_grad_()
            inputs = [c.detach().requires_grad_(k in wanted) for k, c in enumerate(context)]
            (slope,) = torch.autograd.grad(total(theta, *inputs), theta, create_graph=True)
            product = -(v * slope).sum()
            chosen = [inputs[k] for k in wanted]
            parts = torch.autograd.grad(product, chosen, allow_unused=True) if chosen and product.requires_grad else ()
        found = dict(zip(wanted, parts, strict=False))
        return None, None, None, *(found.get(k) for k in range(len(context)))


def _hessians(total: Callable[[Tensor], Tensor], theta: Tensor) -> Tensor:
    """The second derivatives of each problem's loss (*batch, parameter, parameter)."""
    slope, pull, *_ = vjp(torch.func.grad(total), theta)
    # symmetric, and zero between problems: one product for each parameter serves the whole batch
    basis = torch.eye(theta.shape[-1], dtype=theta.dtype, device=theta.device)
    return vmap(lambda e: pull(e.expand_as(slope))[0])(basis).movedim(0, -2)


def _symmetric_solve(matrix: Tensor, g: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    sizes = values.abs()
    inverse = torch.where(sizes > 1e-12 * sizes.amax(-1, keepdim=True), 1 / values, 0.0)
    return (vectors @ (inverse * (vectors.mT @ g[..., None])[..., 0])[..., None])[..., 0]
