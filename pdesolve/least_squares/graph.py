"""The Jacobian of rows by their autograd graph, where nothing else is known about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pdesolve.least_squares.jacobian import Jacobian


class GraphJacobian(Jacobian):
    """dr/dtheta of rows() (row,) in parameter tensors joined in their order, at the values these have now.

    J v is the derivative of Jᵀw in w (double backward), so that no forward mode is asked of the operations. J itself
    takes a backward pass for each row, or for each parameter where those are fewer. Parameters that were written to in
    the meantime are set back and the rows computed again: a graph is good for the values it was made with.
    """

    def __init__(self, rows: Callable[[], Tensor], parameters: Sequence[Tensor]) -> None:
        self._compute, self._parameters = rows, list(parameters)
        self._values = [p.detach().clone() for p in parameters]
        self._evaluate()
        self.value = self._r.detach()
        self.rows, self.parameters = len(self.value), sum(p.numel() for p in parameters)

    def times(self, v: Tensor) -> Tensor:
        self._refresh()
        if self._pulled is None:  # Jᵀw as a function of w, once
            self._pulled = self._pull(self._w, graph=True)
        if not self._pulled.requires_grad:
            return torch.zeros_like(self._w)
        (product,) = torch.autograd.grad(self._pulled, self._w, v, retain_graph=True)
        return product.detach()

    def transposed(self, w: Tensor) -> Tensor:
        self._refresh()
        return self._pull(w, graph=False).detach()

    def dense(self) -> Tensor:
        if self.parameters < self.rows:
            return torch.stack([self.times(v) for v in self._identity(self.parameters)], -1)
        return torch.stack([self.transposed(w) for w in self._identity(self.rows)])

    def gram(self) -> Tensor:
        # a row of J at a time: J (Jᵀ e_i)
        gram = torch.stack([self.times(self.transposed(w)) for w in self._identity(self.rows)])
        return (gram + gram.mT) / 2

    def _identity(self, size: int) -> Tensor:
        return torch.eye(size, dtype=self.value.dtype, device=self.value.device)

    def _evaluate(self) -> None:
        with torch.enable_grad():
            self._r = self._compute()
        self._w = torch.zeros_like(self._r).requires_grad_()
        self._pulled: Tensor | None = None
        self._versions = [p._version for p in self._parameters]

    def _refresh(self) -> None:
        if [p._version for p in self._parameters] != self._versions:
            with torch.no_grad():
                for p, value in zip(self._parameters, self._values, strict=True):
                    p.copy_(value)
            self._evaluate()

    def _pull(self, w: Tensor, *, graph: bool) -> Tensor:
        if not self._r.requires_grad:
            return torch.zeros(self.parameters, dtype=w.dtype, device=w.device)
        gradients = torch.autograd.grad(
            self._r, self._parameters, w, retain_graph=True, create_graph=graph, materialize_grads=True
        )
        return torch.cat([g.reshape(-1) for g in gradients])
