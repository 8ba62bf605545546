"""The Jacobian of rows by their autograd graph, where nothing else is known about them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pdesolve.least_squares.jacobian import Jacobian


class GraphJacobian(Jacobian):
    """dr/dtheta of rows (row,) that carry a graph, in parameter tensors joined in their order.

    J v is the derivative of Jᵀw in w (double backward), so that no forward mode is asked of the operations. J itself
    takes a backward pass for each row, or for each parameter where those are fewer.
    """

    def __init__(self, rows: Tensor, parameters: Sequence[Tensor]) -> None:
        self._r, self._parameters = rows, list(parameters)
        self.rows, self.parameters = len(rows), sum(p.numel() for p in parameters)
        self._w = torch.zeros_like(rows).requires_grad_()
        self._pulled: Tensor | None = None

    def times(self, v: Tensor) -> Tensor:
        if self._pulled is None:  # Jᵀw as a function of w, once
            self._pulled = self._pull(self._w, graph=True)
        if not self._pulled.requires_grad:
            return torch.zeros_like(self._w)
        (product,) = torch.autograd.grad(self._pulled, self._w, v, retain_graph=True)
        return product.detach()

    def transposed(self, w: Tensor) -> Tensor:
        return self._pull(w, graph=False).detach()

    def dense(self) -> Tensor:
        like = self._r.detach()
        if self.parameters < self.rows:
            basis = torch.eye(self.parameters, dtype=like.dtype, device=like.device)
            return torch.stack([self.times(v) for v in basis], -1)
        return torch.stack([self.transposed(w) for w in torch.eye(self.rows, dtype=like.dtype, device=like.device)])

    def gram(self) -> Tensor:
        # a row of J at a time: J (Jᵀ e_i)
        basis = torch.eye(self.rows, dtype=self._r.dtype, device=self._r.device)
        gram = torch.stack([self.times(self.transposed(w)) for w in basis])
        return (gram + gram.mT) / 2

    def _pull(self, w: Tensor, *, graph: bool) -> Tensor:
        gradients = torch.autograd.grad(
            self._r, self._parameters, w, retain_graph=True, create_graph=graph, materialize_grads=True
        )
        return torch.cat([g.reshape(-1) for g in gradients])
