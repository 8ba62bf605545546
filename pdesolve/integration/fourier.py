"""Fields in Fourier space: the transform of a periodic grid, and fields that know their linear part."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from pdesolve.errors import InputError
from pdesolve.fields import Constant, Field, GridField, Quantity
from pdesolve.fields.potential import inverse_symbol, poisson
from pdesolve.fields.stencils import wavenumbers
from pdesolve.geometry import Grid

Dealiasing = Literal["two_thirds", "none"]


class FourierBasis:
    """The real Fourier transform over every axis of a periodic grid, its symbols and the 2/3 rule.

    Coefficients have the shape (*sample, *wave): all wave numbers of each axis, half of them on the last one.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        dealiasing: Dealiasing = "two_thirds",
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

    @property
    def shape(self) -> tuple[int, ...]:
        """The trailing shape of coefficients."""
        return (*self.grid.shape[:-1], self.grid.shape[-1] // 2 + 1)

    def forward(self, values: Tensor) -> Tensor:
        """Coefficients of values (*sample, *grid.shape)."""
        if self.dimension == 1:
            return torch.fft.rfft(values)
        return torch.fft.rfftn(values, dim=self._dims)

    def backward(self, coefficients: Tensor) -> Tensor:
        """Values of coefficients (*sample, *wave)."""
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
            self._symbols[key] = half.reshape([-1 if i == position else 1 for i in range(self.dimension)])
        return self._symbols[key]

    def inverse(self, order: int) -> Tensor:
        """1 / sum_i D_i^2 over all axes (see `pdesolve.fields.potential.inverse_symbol`)."""
        if order not in self._inverses:
            self._inverses[order] = inverse_symbol(self.grid.members, order, self.zero)
        return self._inverses[order]

    @cached_property
    def kept(self) -> Tensor | None:
        """One for modes that the 2/3 rule keeps (|k| < n/3 on each axis), zero for those that products alias into."""
        if self.dealiasing == "none":
            return None
        mask = torch.ones(self.shape, dtype=self.dtype, device=self.device)
        for i, (member, size) in enumerate(zip(self.grid.members, self.shape, strict=True)):
            k = torch.arange(size, device=self.device)
            if i < self.dimension - 1:
                k = torch.minimum(k, member.size - k)
            along = (3 * k < member.size).to(self.dtype)
            mask = mask * along.reshape([-1 if j == i else 1 for j in range(self.dimension)])
        return mask


class Waves:
    """Coefficients as a sum of tensors times symbols, not multiplied out before somebody asks for the sum.

    Derivatives, factors and sums of the same tensor then act on symbols, which are small, and not on a batch.
    terms: tensors (*sample, *wave) and their factors, None for one; each tensor is there once.
    """

    def __init__(self, *terms: tuple[Tensor, Tensor | float | None]) -> None:
        self.terms = terms
        self._total: Tensor | None = None

    @property
    def total(self) -> Tensor:
        """The coefficients."""
        if self._total is None:
            total: Tensor | None = None
            for base, factor in self.terms:
                if total is None:
                    total = base if factor is None else base * factor
                elif isinstance(factor, Tensor) and factor.dtype == base.dtype == total.dtype:
                    total = torch.addcmul(total, base, factor)
                else:
                    total = total + (base if factor is None else base * factor)
            assert total is not None
            self._total = total
        return self._total

    def times(self, symbol: Tensor | float) -> Waves:
        """All of them times a symbol, or a number."""
        return Waves(*[(base, symbol if factor is None else factor * symbol) for base, factor in self.terms])

    def __add__(self, other: Waves) -> Waves:
        terms = list(self.terms)
        for base, factor in other.terms:
            place = next((i for i, (known, _) in enumerate(terms) if known is base), None)
            if place is None:
                terms.append((base, factor))
            else:
                own = terms[place][1]
                terms[place] = base, (1.0 if own is None else own) + (1.0 if factor is None else factor)
        return Waves(*terms)


class SpectralField(GridField):
    """A grid field that remembers which part of it is linear in the state, and keeps that part in Fourier space.

    f = F^-1[linear] + F^-1[bent] + plain: the part that depends on the state through derivatives, sums and constant
    factors alone, and the rest, as coefficients or as values. So an equation's `rate` splits itself into a linear part
    without rounding (a stiff derivative never passes through a transform) and a nonlinear one with the fewest
    transforms. Products are dealiased by the 2/3 rule when they are transformed.
    """

    precedence = 1

    def __init__(
        self,
        basis: FourierBasis,
        *,
        linear: Tensor | Waves | None = None,
        bent: Waves | None = None,
        plain: Tensor | None = None,
    ) -> None:
        self.basis, self.grid, self.edges, self.quantity = basis, basis.grid, None, _QUANTITY
        self.plain = plain
        # not multiplied out: integrators that know L never ask for the linear part of a rate
        self._linear = Waves((linear, None)) if isinstance(linear, Tensor) else linear
        self._bent = bent
        self._partials: dict[tuple[str, int], Field] = {}
        self._values: Tensor | None = None
        self._rest: Waves | None = None

    @property
    def linear(self) -> Tensor | None:
        """Coefficients of the linear part; None where there is none."""
        return None if self._linear is None else self._linear.total

    @property
    def nonlinear(self) -> Tensor | None:
        """Coefficients of the rest, dealiased; None where there is none."""
        rest = self._transformed()
        return None if rest is None else rest.total

    def _transformed(self) -> Waves | None:
        """The rest in Fourier space."""
        if self.plain is None:
            return self._bent
        if self._rest is None:  # several derivatives share the transform
            plain = self.plain.expand(*self.plain.shape[: -self.basis.dimension], *self.grid.shape)
            self._rest = _join(self._bent, Waves((self.basis.forward(plain), self.basis.kept)))
        return self._rest

    @property
    def values(self) -> Tensor:  # type: ignore[override]
        if self._values is None:
            waves = _join(self._linear, self._bent)
            values = self.plain if waves is None else add_parts(self.basis.backward(waves.total), self.plain)
            self._values = self.basis.zero if values is None else values
        return self._values

    def like(self, values: Tensor, quantity: Quantity) -> SpectralField:
        return SpectralField(self.basis, plain=values)

    def differentiate(self, axis: str, order: int) -> SpectralField:
        key = (axis, order)
        if key not in self._partials:
            self._partials[key] = self.multiplied(self.basis.symbol(axis, order))
        partial = self._partials[key]
        assert isinstance(partial, SpectralField)
        return partial

    def multiplied(self, symbol: Tensor) -> SpectralField:
        """The field whose coefficients are those of this one times a symbol."""
        rest = self._transformed()
        return SpectralField(
            self.basis,
            linear=None if self._linear is None else self._linear.times(symbol),
            bent=None if rest is None else rest.times(symbol),
        )

    def _scaled(self, factor: Tensor | float) -> SpectralField:
        return SpectralField(
            self.basis,
            linear=None if self._linear is None else self._linear.times(factor),
            bent=None if self._bent is None else self._bent.times(factor),
            plain=None if self.plain is None else self.plain * factor,
        )

    def _factor(self, other: Any) -> Any:
        """A number, or a tensor that broadcasts against values and coefficients; None for a field."""
        if isinstance(other, Constant):
            other = other.values
        elif isinstance(other, Field):
            return None
        if isinstance(other, Tensor) and other.ndim:
            return other.reshape(*other.shape, *[1] * self.basis.dimension)
        return other

    def _field(self, other: Any) -> SpectralField:
        if isinstance(other, SpectralField):
            return other
        factor = self._factor(other)
        return SpectralField(self.basis, plain=other.values if factor is None else self.basis.one * factor)

    def __add__(self, other: Any) -> SpectralField:
        other = self._field(other)
        return SpectralField(
            self.basis,
            linear=_join(self._linear, other._linear),
            bent=_join(self._bent, other._bent),
            plain=add_parts(self.plain, other.plain),
        )

    __radd__ = __add__

    def __neg__(self) -> SpectralField:
        return self._scaled(-1.0)

    def __sub__(self, other: Any) -> SpectralField:
        return self + (-self._field(other))

    def __rsub__(self, other: Any) -> SpectralField:
        return (-self) + other

    def __mul__(self, other: Any) -> SpectralField:
        factor = self._factor(other)
        if factor is not None:
            return self._scaled(factor)
        return SpectralField(self.basis, plain=self.values * other.values)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> SpectralField:
        factor = self._factor(other)
        if factor is not None:
            return self._scaled(1.0 / factor)
        return SpectralField(self.basis, plain=self.values / other.values)

    def __rtruediv__(self, other: Any) -> SpectralField:
        return SpectralField(self.basis, plain=self._field(other).values / self.values)


def _join(a: Waves | None, b: Waves | None) -> Waves | None:
    """The sum of two, None for zero."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


_QUANTITY = Quantity("spectral")


@poisson.register
def _(field: SpectralField, order: int) -> Field:
    return field.multiplied(field.basis.inverse(order))


def add_parts(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """The sum of two parts, None for zero."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def spectral(basis: FourierBasis, rate: Any) -> SpectralField:
    """A field, constant or number as a spectral field."""
    return rate if isinstance(rate, SpectralField) else SpectralField(basis) + rate
