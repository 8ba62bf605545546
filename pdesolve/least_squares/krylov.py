"""Conjugate gradients on products with a Jacobian."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pdesolve.least_squares.jacobian import Jacobian


def damped_conjugate_gradients(
    jacobian: Jacobian,
    damping: Tensor,
    *,
    r: Tensor | None = None,
    g: Tensor | None = None,
    precondition: Callable[[Tensor], Tensor] | None = None,
    tolerance: float = 1e-12,
    iterations: int = 200,
) -> Tensor:
    """(JᵀJ + λ)⁻¹ Jᵀr, or (JᵀJ + λ)⁻¹ g, for each problem of a batch; one of r (*batch, row), g (*batch, parameter).

    With r the residual is carried in the space of rows (CGLS: Hestenes and Stiefel 1952), so that the matrix JᵀJ is
    never applied to a rounded residual; it stops less early than conjugate gradients on the normal equations. A problem
    is done when its gradient has fallen by `tolerance` in the preconditioner's norm.
    """
    weight = damping[..., None]
    if r is not None:
        left, s = r.clone(), jacobian.transposed(r)
    elif g is not None:
        left, s = None, g.clone()
    else:
        raise ValueError("one of r and g is needed")
    d = torch.zeros_like(s)
    z = s if precondition is None else precondition(s)
    direction, product = z, (s * z).sum(-1)
    stop = tolerance**2 * product
    for _ in range(iterations):
        active = product > stop
        if not bool(active.any()):
            break
        image = jacobian.times(direction)
        curvature = image.square().sum(-1) + damping * direction.square().sum(-1)
        alpha = torch.where(active & (curvature > 0), product / curvature, 0.0)[..., None]
        d = d + alpha * direction
        if left is not None:
            left = left - alpha * image
            s = jacobian.transposed(left) - weight * d
        else:
            s = s - alpha * (jacobian.transposed(image) + weight * direction)
        z = s if precondition is None else precondition(s)
        new = (s * z).sum(-1)
        beta = torch.where(active & (product > 0), new / product, 0.0)[..., None]
        direction = z + beta * direction
        product = torch.where(active, new, product)
    return d
