"""Channel mixing whose gain is at most one: matrices that are divided by their largest singular value where it is above
one, and never enlarged."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

_EXACT = 10  # with fewer rows or columns the singular value itself is as cheap
_FIRST = 15  # power iterations on a new matrix


class AtMostOne(nn.Module):
    """A parametrization of matrices W (out, in) that bounds their operator norm,

        W -> W / max(1, s),   s = left . W right, the largest singular value.

    `left` and `right` follow its singular vectors by one power iteration per forward pass in training; they are
    buffers, since a run that goes on must begin with them. Matrices with less than 10 rows or columns, and all in
    evaluation, take the singular value itself: averaged weights come with vectors of other weights.
    Source: T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, ICLR 2018, arXiv 1802.05957, for the iteration; M. McCabe,
    P. Harrington, S. Subramanian, J. Brown, TMLR 2023, arXiv 2306.10619, who only shrink.
    """

    left: Tensor
    right: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.small = min(weight.shape) < _EXACT
        if self.small:
            return
        for name, size in zip(("left", "right"), weight.shape, strict=True):
            start = torch.randn(size, dtype=weight.dtype, device=weight.device)
            self.register_buffer(name, functional.normalize(start, dim=0))
        for _ in range(_FIRST):
            self._iterate(weight)

    @torch.no_grad()
    def _iterate(self, weight: Tensor) -> None:
        self.left.copy_(functional.normalize(weight @ self.right, dim=0))
        self.right.copy_(functional.normalize(weight.T @ self.left, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            if self.small or not self.training:
                largest = torch.linalg.matrix_norm(weight, 2)
            else:
                self._iterate(weight)
                # clones: the next forward pass moves the buffers before this one is differentiated
                largest = self.left.clone() @ (weight @ self.right.clone())
            return weight / largest.clamp(min=1.0)


class Mixing(nn.Module):
    """A linear map of channels at each place, W v + b with |W| <= 1: (sample, inputs, *space) to (sample, outputs,
    *space). It begins as a part of an orthogonal matrix, all of whose singular values are one."""

    weight: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(outputs, inputs)))
        self.bias = nn.Parameter(torch.zeros(outputs))
        parametrize.register_parametrization(self, "weight", AtMostOne(self.weight.detach()))

    def forward(self, v: Tensor) -> Tensor:
        mixed = functional.conv1d(v.flatten(2), self.weight.unsqueeze(-1), self.bias)
        return mixed.unflatten(2, v.shape[2:])


class ComplexMixing(nn.Module):
    """C v for complex v (sample, inputs, wave), C a complex matrix that all waves share, held as two real ones."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.parts = nn.Parameter(torch.randn(outputs, inputs, 2) / math.sqrt(2 * inputs))

    def forward(self, v: Tensor) -> Tensor:
        return torch.einsum("oi,biw->bow", torch.view_as_complex(self.parts), v)
