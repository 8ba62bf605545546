"""Fourier space: the real transform over every axis of a periodic grid, and its symbols."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.fields.potential import inverse_symbol
from pdesolve.fields.stencils import wavenumbers
from pdesolve.geometry import Grid

Dealiasing = Literal["two_thirds", "none"]


class FourierBasis:
    """The real Fourier transform over every axis of a periodic grid, its symbols and the 2/3 rule.

    Coefficients have the shape (*sample, *wave): all wave numbers of each axis, half of them on the last one. Where
    the rule is `truncated`, waves of the last axis that it leaves out of products are in no state either, and the axes
    of waves stand in reverse order, as the passes of the transform leave them: less to go through in each step.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        dealiasing: Dealiasing | Literal["truncated"] = "two_thirds",
    ) -> None:
        for member in grid.members:
            if member.placement != "periodic":
                raise InputError(
                    f"Fourier coefficients need periodic axes, {member.axis.name!r} is {member.placement!r}"
                )
        self.grid, self.dtype, self.device = grid, dtype, torch.device(device)
        self.dealiasing = dealiasing
        self.dimension = len(grid.members)
        self.one = torch.ones([1] * self.dimension, dtype=dtype, device=device)
        self.zero = torch.zeros(grid.shape, dtype=dtype, device=device)
        self._dims = tuple(range(-self.dimension, 0))
        self._symbols: dict[tuple[str, int], Tensor] = {}
        self._inverses: dict[int, Tensor] = {}
        self._constants: dict[int, Tensor] = {}  # symbols and what was made of them, by identity
        self._combined: dict[tuple[Any, ...], Tensor] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """The trailing shape of coefficients."""
        if self.truncated:
            return (_kept(self.grid.shape[-1]), *self.grid.shape[-2::-1])
        return (*self.grid.shape[:-1], self.grid.shape[-1] // 2 + 1)

    @property
    def truncated(self) -> bool:
        return self.dealiasing == "truncated"

    def forward(self, values: Tensor) -> Tensor:
        """Coefficients of values (*sample, *grid.shape)."""
        if self.truncated:
            waves = torch.fft.rfft(values)[..., : _kept(self.grid.shape[-1])]
            for done in range(1, self.dimension):
                waves = torch.fft.fft(waves.movedim(-1 - done, -1).contiguous())
            return waves
        if self.dimension == 1:
            return torch.fft.rfft(values)
        return torch.fft.rfftn(values, dim=self._dims)

    def backward(self, coefficients: Tensor) -> Tensor:
        """Values of coefficients (*sample, *wave)."""
        if self.truncated:
            for left in range(self.dimension - 1, 0, -1):
                coefficients = torch.fft.ifft(coefficients).movedim(-1, -1 - left)
            return torch.fft.irfft(coefficients, n=self.grid.shape[-1])
        if self.dimension == 1:
            return torch.fft.irfft(coefficients, n=self.grid.shape[0])
        return torch.fft.irfftn(coefficients, s=self.grid.shape, dim=self._dims)

    def symbol(self, axis: str, order: int) -> Tensor:
        """(i k)^order along one axis, broadcastable to coefficients; odd orders drop the Nyquist mode."""
        key = (axis, order)
        if key not in self._symbols:
            position = self.grid.axes.index(axis)
            half = wavenumbers(self.grid.members[position], order, torch.empty(0, dtype=self.dtype, device=self.device))
            if position < self.dimension - 1:  # the other half: negative wave numbers, the conjugates
                n = self.grid.shape[position]
                half = torch.cat([half, half[1 : n - n // 2].conj().flip(0)])
            shape = [-1 if i == position else 1 for i in range(self.dimension)]
            self._symbols[key] = self._constant(self._laid_out(half.reshape(shape)))
        return self._symbols[key]

    def _laid_out(self, symbol: Tensor) -> Tensor:
        """A symbol of all waves, half of them on the last axis, as coefficients lie."""
        if not self.truncated:
            return symbol
        cut = symbol if symbol.shape[-1] == 1 else symbol[..., : _kept(self.grid.shape[-1])]
        return cut.permute(*range(self.dimension - 1, -1, -1)).contiguous()

    def inverse(self, order: int) -> Tensor:
        """1 / sum_i D_i^2 over all axes (see `pdesolve.fields.potential.inverse_symbol`)."""
        if order not in self._inverses:
            inverse = inverse_symbol(self.grid.members, order, self.zero)
            self._inverses[order] = self._constant(self._laid_out(inverse))
        return self._inverses[order]

    @cached_property
    def kept(self) -> Tensor | None:
        """One for modes that the 2/3 rule keeps (|k| < n/3 on each axis), zero for those that products alias into."""
        if self.dealiasing == "none":
            return None
        if self.truncated and self.dimension == 1:
            return None
        *others, last = self.grid.shape
        mask = torch.ones([*others, last // 2 + 1], dtype=self.dtype, device=self.device)
        for i, (member, size) in enumerate(zip(self.grid.members, mask.shape, strict=True)):
            k = torch.arange(size, device=self.device)
            k = torch.minimum(k, member.size - k)
            along = (3 * k < member.size).to(self.dtype)
            mask = mask * along.reshape([-1 if j == i else 1 for j in range(self.dimension)])
        return self._constant(self._laid_out(mask))

    def combined(self, operation: Callable[[Any, Any], Any], a: Tensor | float, b: Tensor | float) -> Tensor | float:
        """operation(a, b), computed once where both are symbols of this basis, results of this function, or numbers."""
        if not all(isinstance(c, (int, float)) or id(c) in self._constants for c in (a, b)):
            return operation(a, b)
        key = operation, *(c if isinstance(c, (int, float)) else ("symbol", id(c)) for c in (a, b))
        if key not in self._combined:
            made = operation(a, b)
            if not isinstance(made, Tensor):
                return made
            self._combined[key] = self._constant(made)
        return self._combined[key]

    def _constant(self, symbol: Tensor) -> Tensor:
        """The symbol, complex, so that products with coefficients need no conversion, and known as such."""
        made = symbol.to(self.dtype.to_complex())
        self._constants[id(made)] = made  # kept, so that no other tensor gets its identity
        return made


def _kept(points: int) -> int:
    """How many wave numbers from zero on the 2/3 rule keeps: k < n / 3."""
    return -(-points // 3)
